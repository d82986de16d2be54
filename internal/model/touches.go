package model

import (
	"fmt"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

const touchTag = "TOUCH"

// findTouches finds the parents of a schema whose versions advance with it.
func (ms *Models) findTouches(s *schema.Schema) (touches []*schema.Relationship, err error) {
	for _, field := range s.Fields {
		if _, tagged := field.TagSettings[touchTag]; !tagged {
			continue
		}
		at := slices.IndexFunc(s.Relationships.BelongsTo, func(r *schema.Relationship) bool { return r.Field == field })
		if at < 0 {
			return nil, fmt.Errorf("occ: model %s, field %s: touch is for a belongs-to association", s.Name, field.Name)
		}
		relation := s.Relationships.BelongsTo[at]
		version, err := ms.versionOf(relation.FieldSchema)
		if err == nil && version == nil {
			err = fmt.Errorf("occ: model %s, field %s: touch needs a version, and %s has none", s.Name, field.Name, relation.FieldSchema.Name)
		}
		if err != nil {
			return nil, err
		}
		touches = append(touches, relation)
	}
	return touches, nil
}

// ReferencedColumns are what children refer to of their parent.
func ReferencedColumns(relation *schema.Relationship) (columns []clause.Column) {
	for _, reference := range relation.References {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: reference.PrimaryKey.DBName})
	}
	return columns
}

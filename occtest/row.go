package occtest

import (
	"context"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// row is a row as it is stored, by column; nil where there is none.
type row map[string]any

// load reads the row with the key, also where it is deleted softly.
func load(db *gorm.DB, s *schema.Schema, key any) (row, error) {
	var found []map[string]any
	model := reflect.New(s.ModelType).Interface()
	err := other(db).Unscoped().Model(model).Clauses(clause.Where{Exprs: keyConditions(s, key)}).Limit(1).Find(&found).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

func (r row) equals(o row) bool { return reflect.DeepEqual(r, o) }

// keyOf is the primary key of a model by columns; nil where every part is zero.
func keyOf(s *schema.Schema, model reflect.Value) any {
	key, isLoaded := map[string]any{}, false
	for _, field := range s.PrimaryFields {
		v, isZero := field.ValueOf(context.Background(), model)
		key[field.DBName], isLoaded = v, isLoaded || !isZero
	}
	if !isLoaded {
		return nil
	}
	return key
}

func keyConditions(s *schema.Schema, key any) (conditions []clause.Expression) {
	parts, ok := key.(map[string]any)
	if !ok {
		parts = map[string]any{s.PrimaryFields[0].DBName: key}
	}
	for _, field := range s.PrimaryFields {
		conditions = append(conditions, clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: field.DBName}, Value: parts[field.DBName]})
	}
	return conditions
}

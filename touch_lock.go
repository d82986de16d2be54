package occ

import (
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
)

// lockParents locks the parents of children that are going to be inserted, where the INSERT would take a share lock on them
// for the foreign key: two sessions that both have it cannot touch the parent any more.
func (w *write) lockParents() error {
	if w.op != conflict.OpUpsert || !w.dialect.ForeignKeyLocksParent() {
		return nil
	}
	for _, relation := range w.model.touches {
		if parents := w.parentsOf(relation, w.created(relation)); len(parents) > 0 {
			if err := w.lockReferenced(relation, parents); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *write) lockReferenced(relation *schema.Relationship, parents map[string][]any) error {
	var keys []any
	for _, key := range parents {
		keys = append(keys, key)
	}
	columns := referencedColumns(relation)
	found := reflect.New(reflect.SliceOf(relation.FieldSchema.ModelType)).Interface()
	tx := w.db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Unscoped().Set(readPrimary, true)
	tx = inherit(tx, w.stmt)
	return tx.Clauses(clause.Select{Columns: columns}, clause.Locking{Strength: clause.LockingStrengthUpdate}).
		Where(clause.IN{Column: columns, Values: keys}).Find(found).Error
}

// referencedColumns are what children refer to of their parent.
func referencedColumns(relation *schema.Relationship) (columns []clause.Column) {
	for _, reference := range relation.References {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: reference.PrimaryKey.DBName})
	}
	return columns
}

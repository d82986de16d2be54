package occ

import (
	"maps"
	"reflect"
	"slices"

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
	columns := referencedColumns(relation)
	for part := range slices.Chunk(keysInOrder(parents), maxKeys) {
		found := reflect.New(reflect.SliceOf(relation.FieldSchema.ModelType)).Interface()
		tx := w.db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Unscoped().Set(readPrimary, true)
		tx = inherit(tx, w.stmt).Clauses(clause.Select{Columns: columns}, clause.Locking{Strength: clause.LockingStrengthUpdate})
		if err := tx.Where(clause.IN{Column: columns, Values: part}).Find(found).Error; err != nil {
			return err
		}
	}
	return nil
}

// keysInOrder are keys in the order in which every transaction takes them, so that they do not deadlock.
func keysInOrder(keys map[string][]any) []any {
	sorted := slices.SortedFunc(maps.Values(keys), func(a, b []any) int { return slices.CompareFunc(a, b, compareKeyParts) })
	inOrder := make([]any, len(sorted))
	for i, key := range sorted {
		inOrder[i] = key
	}
	return inOrder
}

// referencedColumns are what children refer to of their parent.
func referencedColumns(relation *schema.Relationship) (columns []clause.Column) {
	for _, reference := range relation.References {
		columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: reference.PrimaryKey.DBName})
	}
	return columns
}

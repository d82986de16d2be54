package write

import (
	"maps"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
)

// lockParents locks the parents of children that are going to be inserted, where the INSERT would take a share lock on them
// for the foreign key: two sessions that both have it cannot touch the parent any more.
func (c *Call) lockParents() error {
	if c.Op != conflict.OpUpsert || !c.Dialect.ForeignKeyLocksParent() {
		return nil
	}
	for _, relation := range c.Model.Touches {
		if parents := c.parentsOf(relation, c.created(relation)); len(parents) > 0 {
			if err := c.lockReferenced(relation, parents); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Call) lockReferenced(relation *schema.Relationship, parents map[string][]any) error {
	columns := model.ReferencedColumns(relation)
	for part := range slices.Chunk(keysInOrder(parents), rows.MaxKeys) {
		found := reflect.New(reflect.SliceOf(relation.FieldSchema.ModelType)).Interface()
		tx := c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Unscoped().Set(rows.ReadPrimary, true)
		tx = session.Inherit(tx, c.Stmt).Clauses(clause.Select{Columns: columns}, clause.Locking{Strength: clause.LockingStrengthUpdate})
		if err := tx.Where(clause.IN{Column: columns, Values: part}).Find(found).Error; err != nil {
			return err
		}
	}
	return nil
}

// keysInOrder are keys in the order in which every transaction takes them, so that they do not deadlock.
func keysInOrder(keys map[string][]any) []any {
	sorted := slices.SortedFunc(maps.Values(keys), func(a, b []any) int { return slices.CompareFunc(a, b, rows.CompareKeyParts) })
	inOrder := make([]any, len(sorted))
	for i, key := range sorted {
		inOrder[i] = key
	}
	return inOrder
}

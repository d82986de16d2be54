package occ

import (
	"context"
	"reflect"

	"gorm.io/gorm/clause"
)

// bindInserted has an INSERT hold the version as the column needs it, where GORM would bind the field's value.
func (w *write) bindInserted() {
	if !w.model.version.bindInsert {
		return
	}
	w.insertedVersions(func(_ int, value any) any { return w.model.version.kind.bind(value) })
}

// insertedVersions has the values of the version column changed when GORM builds the VALUES of an INSERT, the one place
// at which they are at hand.
func (w *write) insertedVersions(change func(index int, version any) any) {
	column := w.model.version.DBName
	w.stmt.Clauses["VALUES"] = clause.Clause{Builder: func(c clause.Clause, builder clause.Builder) {
		values, _ := c.Expression.(clause.Values)
		for i := range values.Columns {
			if values.Columns[i].Name != column {
				continue
			}
			for n, row := range values.Values {
				row[i] = change(n, row[i])
			}
		}
		c.Builder = nil
		c.Build(builder)
	}}
}

// readByKind teaches GORM to read a field whose type has no Scan method.
func readByKind(version *versionField, convert func(value any) (any, error)) {
	set := version.Set
	version.NewValuePool = anyPool{}
	version.Set = func(ctx context.Context, model reflect.Value, value any) error {
		scanned, ok := value.(**any)
		if !ok {
			return set(ctx, model, value)
		}
		if *scanned == nil {
			*scanned = new(any)
		}
		read, err := convert(**scanned)
		if err == nil {
			version.ReflectValueOf(ctx, model).Set(reflect.ValueOf(read))
		}
		return err
	}
}

// anyPool gives out what any value of a column can be scanned into. It is a pointer for NULL to leave nil, by which GORM
// knows that a join found no row.
type anyPool struct{}

func (anyPool) Get() any { return new(*any) }
func (anyPool) Put(any)  {}

package merge

import (
	"bytes"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/snapshot"
)

// BaseOf is the base of a merge: what the caller gave or, where that is nil, the model as mine was loaded, out of its
// Snapshot. Columns that were not loaded hold their zero value, which is what they hold in mine unless it has changed them.
func BaseOf[T any](s *Subject, caller string, base, mine *T) (*T, error) {
	if base != nil || mine == nil || s.model.Snapshot == nil {
		return base, nil
	}
	base = new(T)
	return base, s.restore(caller, reflect.ValueOf(mine).Elem(), reflect.ValueOf(base).Elem())
}

func (s *Subject) restore(caller string, mine, base reflect.Value) error {
	plan := s.model.Snapshot
	image := plan.Of(mine)
	if image == nil || !reflect.DeepEqual(image.Key, plan.KeyOf(s.ctx, mine)) {
		return fmt.Errorf("occ: %s of model %s: base is nil, and mine holds no snapshot of its row: load it with a query of GORM's own: %w",
			caller, s.model.Name, gorm.ErrInvalidValue)
	}
	for i, field := range plan.Keys {
		if err := field.Set(s.ctx, base, image.Key[i]); err != nil {
			return err
		}
	}
	if err := s.load(base, image); err != nil {
		return fmt.Errorf("occ: %s of model %s: %w", caller, s.model.Name, err)
	}
	return nil
}

// load gives a model the columns of an image, in the way of a query.
func (s *Subject) load(model reflect.Value, image *snapshot.Image) error {
	var row storedRow
	var fields []*schema.Field
	var targets []any
	for i, field := range s.model.Snapshot.Fields {
		if image.Has(i) {
			fields, targets = append(fields, field), append(targets, field.NewValuePool.Get())
			row.columns, row.values = append(row.columns, field.DBName), append(row.values, ownValue(image.Values[i]))
		}
	}
	if err := row.scan(s.ctx, targets); err != nil {
		return err
	}
	for i, field := range fields {
		if err := field.Set(s.ctx, model, targets[i]); err != nil {
			return fmt.Errorf("field %s: %w", field.Name, err)
		}
		field.NewValuePool.Put(targets[i])
	}
	return nil
}

// ownValue returns a value that shares nothing with the one of a snapshot, which stays as it is.
func ownValue(value any) any {
	if raw, ok := value.([]byte); ok {
		return bytes.Clone(raw)
	}
	return value
}

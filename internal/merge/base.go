package merge

import (
	"bytes"
	"database/sql"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
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
	for i, field := range plan.Fields {
		if !image.Has(i) {
			continue
		}
		if err := s.set(field, base, image.Values[i]); err != nil {
			return fmt.Errorf("occ: %s of model %s, field %s: %w", caller, s.model.Name, field.Name, err)
		}
	}
	return nil
}

// set gives a field a value as the driver gave it, in the way of a query.
func (s *Subject) set(field *schema.Field, model reflect.Value, value any) error {
	if raw, ok := value.([]byte); ok {
		value = bytes.Clone(raw) // a snapshot's own stay as they are
	}
	if field.Serializer == nil {
		return field.Set(s.ctx, model, value)
	}
	target := field.NewValuePool.Get()
	defer field.NewValuePool.Put(target)
	if scanner, ok := target.(sql.Scanner); ok {
		if err := scanner.Scan(value); err != nil {
			return err
		}
	}
	return field.Set(s.ctx, model, target)
}

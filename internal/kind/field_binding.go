package kind

import (
	"context"
	"database/sql"
	"reflect"
	"sync"
)

// readByKind teaches GORM to read a field whose type has no Scan method.
func readByKind(version *Field, convert func(value any) (any, error)) {
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

func (anyPool) Put(any) {}

// readAsInteger has a counter of 64 bits scanned into a plain integer, which database/sql does without a conversion.
func readAsInteger(version *Field) {
	is64 := version.FieldType.Kind() == reflect.Int64 || version.FieldType.Kind() == reflect.Int && version.FieldType.Bits() == 64
	if is64 && !reflect.PointerTo(version.FieldType).Implements(reflect.TypeFor[sql.Scanner]()) {
		version.NewValuePool = &integers
	}
}

// integers are what an integer column is scanned into. NULL leaves a nil pointer, by which GORM knows that a join found no row.
var integers = sync.Pool{New: func() any { return new(*int64) }}

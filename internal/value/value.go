package value

import (
	"database/sql"
	"database/sql/driver"
	"reflect"
	"time"
)

func IsSameModel(a, b reflect.Value) bool {
	return a.CanAddr() && b.CanAddr() && a.Addr().Pointer() == b.Addr().Pointer()
}

var TimeType = reflect.TypeFor[time.Time]()

// IsNullable reports whether a type has the shape of database/sql's nullable types: a value and whether it is valid.
func IsNullable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 2 && t.Field(0).IsExported() &&
		t.Field(1).Name == "Valid" && t.Field(1).Type.Kind() == reflect.Bool &&
		t.Implements(reflect.TypeFor[driver.Valuer]()) && reflect.PointerTo(t).Implements(reflect.TypeFor[sql.Scanner]())
}

// Elements are the structs that a pointer leads to, or the elements of a slice do.
func Elements(passed reflect.Value) []reflect.Value {
	target := Indirect(passed)
	if target.Kind() != reflect.Slice && target.Kind() != reflect.Array {
		return []reflect.Value{target}
	}
	models := make([]reflect.Value, target.Len())
	for i := range models {
		models[i] = Indirect(target.Index(i))
	}
	return models
}

func Indirect(rv reflect.Value) reflect.Value {
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		rv = rv.Elem()
	}
	return rv
}

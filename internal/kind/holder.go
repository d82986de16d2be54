package kind

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/migrator"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/value"
)

// holder is how a version field's type holds its value: the value itself, a pointer to it, or one of database/sql's
// nullable types.
type holder struct{ typ, core reflect.Type }

func holderOf(t reflect.Type) holder {
	core := t
	for core.Kind() == reflect.Pointer {
		core = core.Elem()
	}
	if value.IsNullable(core) {
		core = core.Field(0).Type
	}
	return holder{typ: t, core: core}
}

// open is the value in a version of this or another type; invalid where that is NULL.
func open(version any) reflect.Value {
	rv := reflect.ValueOf(version)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() || !value.IsNullable(rv.Type()) {
		return rv
	}
	if !rv.Field(1).Bool() {
		return reflect.Value{}
	}
	return rv.Field(0)
}

// hold gives a value of the core type as the field's type holds it.
func (h holder) hold(value reflect.Value) any {
	if h.typ == h.core {
		return value.Interface()
	}
	version := reflect.New(h.typ).Elem()
	target := version
	for target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if target.Type() != h.core {
		target.Field(1).SetBool(true)
		target = target.Field(0)
	}
	target.Set(value)
	return version.Interface()
}

// ColumnType is the type that a migration gives the field's column, in lower case. Drivers note defaults in the field
// while they find out, so they are given a copy.
func ColumnType(db *gorm.DB, field *schema.Field) string {
	own := *field
	if custom, ok := reflect.New(field.IndirectFieldType).Interface().(migrator.GormDataTypeInterface); ok {
		if name := custom.GormDBDataType(db, &own); name != "" {
			return strings.ToLower(name)
		}
	}
	return strings.ToLower(db.DataTypeOf(&own))
}

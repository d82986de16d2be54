package model

import (
	"context"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// SavesAssociations reports whether GORM is going to save associations of model along with it.
func SavesAssociations(stmt *gorm.Statement, m *Model, model reflect.Value, create bool) bool {
	if len(m.Relations) == 0 || !model.IsValid() {
		return false
	}
	columns, restricted := stmt.SelectAndOmitColumns(create, !create)
	for _, relation := range m.Relations {
		selected, named := columns[relation.Name]
		if (named && selected || !named && !restricted) && holdsAny(stmt.Context, relation.Field, model) {
			return true
		}
	}
	return false
}

func holdsAny(ctx context.Context, field *schema.Field, model reflect.Value) bool {
	switch model.Kind() {
	case reflect.Struct:
		if model.Type() != field.Schema.ModelType {
			return false
		}
		_, zero := field.ValueOf(ctx, model)
		return !zero
	case reflect.Slice, reflect.Array:
		for i := range model.Len() {
			if elem := reflect.Indirect(model.Index(i)); elem.IsValid() && holdsAny(ctx, field, elem) {
				return true
			}
		}
	}
	return false
}

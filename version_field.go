package occ

import (
	"context"
	"reflect"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/registration"
)

// Version is the version of a row, a counter: 1 when the row is inserted, one more with every write. Embed it:
//
//	type Product struct {
//		ID    uint
//		Price int
//		occ.Version
//	}
//
// or give it a name and tags of your own. The name of its column is made of the field's name, as for any field, unless a tag
// gives another: "version" where the type is embedded, "revision" for a field Revision. The column is NOT NULL DEFAULT 1, so
// AutoMigrate adds it to a table with rows. The zero value is a version that was never loaded. Do not assign to it: the
// plugin keeps it equal to the row's. In JSON it is a number, called "Version" unless a json tag gives another name.
type Version int64

// CreateClauses is called by GORM while it parses a model, the one moment before a migration at which the column can be
// given its default. Its clause has writes fail without the plugin. Embedding makes it a method of the model, so that GORM
// also calls it for other fields; it acts on fields of type Version alone.
func (Version) CreateClauses(field *schema.Field) []clause.Interface {
	if field.FieldType != reflect.TypeFor[Version]() {
		return versionClauses[Version](field)
	}
	field.NotNull = true
	if !field.HasDefaultValue {
		field.HasDefaultValue, field.DefaultValue, field.DefaultValueInterface = true, "1", int64(1)
	}
	return versionClauses[Version](field)
}

// UpdateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Version) UpdateClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Version](field)
}

// DeleteClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Version) DeleteClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Version](field)
}

// versionClauses are those of a field of a version type; embedding has GORM ask for those of others too.
func versionClauses[V Version | Xmin](field *schema.Field) []clause.Interface {
	if field.IndirectFieldType != reflect.TypeFor[V]() || kind.IsIgnored(field) {
		return nil
	}
	return registration.NeedPlugin(field)
}

// Generator makes the versions of a kind of the user's own; see [WithGenerator]. It must be safe for concurrent use.
type Generator interface {
	// Next returns the version after current, nil for a new row, in a type that the version field can hold. The context
	// is the statement's. An error stops the write before anything is sent.
	Next(ctx context.Context, current any) (any, error)
}

package registration

import (
	"errors"
	"fmt"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// Without db.Use(occ.New()) nothing compares versions, and nobody would notice. The clauses and the version types are what is
// left to say so: GORM asks types for clauses of a write.

// Unregistered is a clause that has a write fail where the plugin is not registered. It adds nothing to the statement.
type Unregistered struct{ Model, Field string }

// ModifyStatement is called for every write of the model.
func (u Unregistered) ModifyStatement(stmt *gorm.Statement) {
	if err := registration(stmt.DB); err != nil {
		_ = stmt.DB.AddError(fmt.Errorf("occ: model %s, field %s: nothing compares its versions: %w", u.Model, u.Field, err))
	}
}

// Name is the clause's.
func (Unregistered) Name() string { return "occ:unregistered" }

// Build writes nothing.
func (Unregistered) Build(clause.Builder) {}

// MergeClause is not called: GORM calls ModifyStatement instead.
func (Unregistered) MergeClause(*clause.Clause) {}

// versionColumns are the names of the columns of version types in the models that were parsed.
var versionColumns sync.Map

// IsVersionColumn reports whether a column of that name is one of a version type, in any model that was parsed.
func IsVersionColumn(name string) bool {
	_, is := versionColumns.Load(name)
	return is
}

// NeedPlugin is the clauses that keep a model's writes from going unnoticed without the plugin.
func NeedPlugin(field *schema.Field) []clause.Interface {
	versionColumns.Store(field.DBName, nil)
	return []clause.Interface{Unregistered{Model: field.Schema.Name, Field: field.Name}}
}

// IsOfSoftDelete reports whether a clause of a model's deletes is one that makes an UPDATE of them.
func IsOfSoftDelete(c clause.Interface) bool {
	_, is := c.(Unregistered)
	return !is
}

// RegisteredFor reports as the statement's error that a clause is of no use without the plugin.
func RegisteredFor(stmt *gorm.Statement, name string) {
	if err := registration(stmt.DB); err != nil {
		_ = stmt.DB.AddError(fmt.Errorf("occ: %s has no effect: %w", name, err))
	}
}

// pluginName is the plugin's name in gorm.Config.Plugins.
const pluginName = "occ"

var ErrNotRegistered = errors.New("occ: the plugin is not registered: call db.Use(occ.New())")

var errNoDatabase = fmt.Errorf("occ: db is no database: it is nil, or not from gorm.Open: %w", gorm.ErrInvalidDB)

// NeedDatabase returns the error of a function whose gorm.DB is nil, or was not made by gorm.Open.
func NeedDatabase(db *gorm.DB) error {
	if db == nil || db.Config == nil || db.Statement == nil {
		return errNoDatabase
	}
	return nil
}

// registration reports as an error that db was not given the plugin.
func registration(db *gorm.DB) error {
	if _, ok := db.Plugins[pluginName]; !ok {
		return ErrNotRegistered
	}
	return nil
}

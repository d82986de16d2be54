package occ

import (
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// Without db.Use(occ.New()) nothing compares versions, and nobody would notice. The clauses and the version types are what is
// left to say so: GORM asks types for clauses of a write.

// unregistered is a clause that has a write fail where the plugin is not registered. It adds nothing to the statement.
type unregistered struct{ model, field string }

// ModifyStatement is called for every write of the model.
func (u unregistered) ModifyStatement(stmt *gorm.Statement) {
	if err := registration(stmt.DB); err != nil {
		_ = stmt.DB.AddError(fmt.Errorf("occ: model %s, field %s: nothing compares its versions: %w", u.model, u.field, err))
	}
}

// Name is the clause's.
func (unregistered) Name() string { return "occ:unregistered" }

// Build writes nothing.
func (unregistered) Build(clause.Builder) {}

// MergeClause is not called: GORM calls ModifyStatement instead.
func (unregistered) MergeClause(*clause.Clause) {}

// needPlugin is the clauses that keep a model's writes from going unnoticed without the plugin.
func needPlugin(field *schema.Field) []clause.Interface {
	return []clause.Interface{unregistered{model: field.Schema.Name, field: field.Name}}
}

// isOfSoftDelete reports whether a clause of a model's deletes is one that makes an UPDATE of them.
func isOfSoftDelete(c clause.Interface) bool {
	_, is := c.(unregistered)
	return !is
}

// registeredFor reports as the statement's error that a clause is of no use without the plugin.
func registeredFor(stmt *gorm.Statement, name string) {
	if err := registration(stmt.DB); err != nil {
		_ = stmt.DB.AddError(fmt.Errorf("occ: %s has nobody to act on it: %w", name, err))
	}
}

// pluginName is the plugin's name in gorm.Config.Plugins.
const pluginName = "occ"

var errNotRegistered = errors.New("occ: the plugin is not registered: call db.Use(occ.New())")

// registration reports as an error that db was not given the plugin.
func registration(db *gorm.DB) error {
	if _, ok := db.Plugins[pluginName]; !ok {
		return errNotRegistered
	}
	return nil
}

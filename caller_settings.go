package occ

import (
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// What the caller has set on its db holds for the plugin's own statements too: a table, scopes, settings, and which database
// gorm.io/plugin/dbresolver is to use. Conditions, selections and the like belong to one statement.

// resolverClause is where gorm.io/plugin/dbresolver keeps the name that its Use was given.
const resolverClause = "gorm:db_resolver:using"

// inherit has a statement of the plugin's own go where the caller's goes, with the caller's settings.
func inherit(tx *gorm.DB, caller *gorm.Statement) *gorm.DB {
	caller.Settings.Range(func(name, value any) bool {
		tx.Statement.Settings.Store(name, value)
		return true
	})
	if resolver, ok := caller.Clauses[resolverClause]; ok {
		tx.Statement.Clauses[resolverClause] = resolver
	}
	return tx
}

// newCall is the caller's session for a statement of its own: connection, context, table, scopes and settings are left.
func newCall(db *gorm.DB) *gorm.DB {
	tx := db.Session(&gorm.Session{SkipHooks: true, Initialized: true})
	stmt := tx.Statement
	resolver, resolved := stmt.Clauses[resolverClause]
	stmt.Clauses = map[string]clause.Clause{}
	if resolved {
		stmt.Clauses[resolverClause] = resolver
	}
	stmt.Model, stmt.Dest, stmt.Selects, stmt.Omits, stmt.Distinct = nil, nil, nil, nil, false
	if stmt.TableExpr == nil {
		stmt.Table = "" // what an earlier statement was about
	}
	return tx
}

var errOneTable = errors.New("occ: models of several types, and a db with a Table of its own: pass the models of one type")

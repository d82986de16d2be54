package session

import (
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// What the caller has set on its db holds for the plugin's own statements too: a table, scopes, settings, and which database
// gorm.io/plugin/dbresolver is to use. Conditions, selections and the like belong to one statement.

// ResolverClause is where gorm.io/plugin/dbresolver keeps the name that its Use was given.
const ResolverClause = "gorm:db_resolver:using"

// Inherit has a statement of the plugin's own go where the caller's goes, with the caller's settings.
func Inherit(tx *gorm.DB, caller *gorm.Statement) *gorm.DB {
	caller.Settings.Range(func(name, value any) bool {
		tx.Statement.Settings.Store(name, value)
		return true
	})
	if resolver, ok := caller.Clauses[ResolverClause]; ok {
		tx.Statement.Clauses[ResolverClause] = resolver
	}
	return tx
}

// Own is the caller's db as a statement of its own begins with it, in GORM's sense: a hook's tx, and whatever else was made with
// NewDB, begins with nothing of the statement that it was made from.
func Own(db *gorm.DB) *gorm.DB { return db.Clauses().Session(&gorm.Session{}) }

// NewCall is the caller's session for a statement of its own: connection, context, table, scopes and settings are left.
func NewCall(db *gorm.DB) *gorm.DB {
	tx := db.Session(&gorm.Session{SkipHooks: true, Initialized: true})
	stmt := tx.Statement
	resolver, resolved := stmt.Clauses[ResolverClause]
	stmt.Clauses = map[string]clause.Clause{}
	if resolved {
		stmt.Clauses[ResolverClause] = resolver
	}
	stmt.Model, stmt.Dest, stmt.Selects, stmt.Omits, stmt.Distinct = nil, nil, nil, nil, false
	stmt.SQL, stmt.Vars, stmt.Joins, stmt.Preloads = strings.Builder{}, nil, nil, map[string][]any{}
	if stmt.TableExpr == nil {
		stmt.Table = "" // what an earlier statement was about
	}
	return tx
}

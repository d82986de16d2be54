package read

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// lockedClause marks a statement whose locking clause is the plugin's.
const lockedClause = "occ:locked"

func (r *Reader) EnterQuery(db *gorm.DB) {
	r.Enter(db)
	j := r.Journals.Of(db.Statement.ConnPool)
	if j == nil || !j.Locks && !j.Adapts || r.Dialect.LockingRead == nil || db.Error != nil || !r.readsRows(db.Statement) {
		return
	}
	if !j.Locks && !r.readsHot(db.Statement) {
		return
	}
	j.Locked = true
	db.Statement.Clauses["FOR"] = clause.Clause{Name: "FOR", Expression: r.Dialect.LockingRead}
	if !db.DryRun { // GORM builds a sub-query by a dry run: what stands before a statement cannot stand in one
		rows.ReadNow(r.Dialect, db.Statement)
	}
	db.Statement.Clauses[lockedClause] = clause.Clause{}
}

// LeaveQuery takes the lock back, since the caller can use the statement again.
func (r *Reader) LeaveQuery(db *gorm.DB) {
	r.LeaveRead(db)
	if r.Journals.N.Load() == 0 {
		return
	}
	if _, locked := db.Statement.Clauses[lockedClause]; locked {
		delete(db.Statement.Clauses, "FOR")
		delete(db.Statement.Clauses, lockedClause)
		if selected := db.Statement.Clauses["SELECT"]; r.Dialect.Settings(false) != nil {
			selected.BeforeExpression = nil
			db.Statement.Clauses["SELECT"] = selected
		}
	}
}

// readsRows reports whether a query reads rows of a versioned model's table, one by one, into that model, so that they may
// be written back.
func (r *Reader) readsRows(stmt *gorm.Statement) bool {
	if stmt.Schema == nil || stmt.SQL.Len() > 0 || stmt.Distinct || len(stmt.Joins) > 0 {
		return false
	}
	if m := r.ModelOfSchema(stmt.Schema); m.Version == nil || !m.Holds(stmt.ReflectValue) {
		return false
	}
	for _, name := range []string{"FOR", "GROUP BY"} {
		if _, ok := stmt.Clauses[name]; ok {
			return false
		}
	}
	return model.IsPlainTable(stmt) && model.IsPlainFrom(stmt) && model.SelectsColumns(stmt)
}

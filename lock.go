package occ

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// lock has a transaction lock what it reads.
func (p *journals) lock(tx *gorm.DB, j *journal) error {
	j.locks, j.locked = true, true
	conn := connectionOf(tx.Statement.ConnPool)
	for _, query := range p.dialect.LockAtBegin {
		if _, err := conn.ExecContext(tx.Statement.Context, query); err != nil {
			return err
		}
	}
	return nil
}

// lockedClause marks a statement whose locking clause is the plugin's.
const lockedClause = "occ:locked"

func (p *reader) enterQuery(db *gorm.DB) {
	p.enter(db)
	j := p.journals.of(db.Statement.ConnPool)
	if j == nil || !j.locks && !j.adapts || p.dialect.LockingRead == nil || db.Error != nil || !p.readsRows(db.Statement) {
		return
	}
	if !j.locks && !p.readsHot(db.Statement) {
		return
	}
	j.locked = true
	db.Statement.Clauses["FOR"] = clause.Clause{Name: "FOR", Expression: p.dialect.LockingRead}
	readNow(p.dialect, db.Statement)
	db.Statement.Clauses[lockedClause] = clause.Clause{}
}

// leaveQuery takes the lock back, since the caller can use the statement again.
func (p *reader) leaveQuery(db *gorm.DB) {
	p.leave(db)
	if p.journals.n.Load() == 0 {
		return
	}
	if _, locked := db.Statement.Clauses[lockedClause]; locked {
		delete(db.Statement.Clauses, "FOR")
		delete(db.Statement.Clauses, lockedClause)
		if selected := db.Statement.Clauses["SELECT"]; p.dialect.Settings(false) != nil {
			selected.BeforeExpression = nil
			db.Statement.Clauses["SELECT"] = selected
		}
	}
}

// readsRows tells a query that reads rows of a versioned model's table, one by one, into that model, so that they may
// be written back.
func (p *reader) readsRows(stmt *gorm.Statement) bool {
	if stmt.Schema == nil || stmt.SQL.Len() > 0 || stmt.Distinct || len(stmt.Joins) > 0 {
		return false
	}
	if m := p.modelOfSchema(stmt.Schema); m.version == nil || !m.holds(stmt.ReflectValue) {
		return false
	}
	for _, name := range []string{"FOR", "GROUP BY"} {
		if _, ok := stmt.Clauses[name]; ok {
			return false
		}
	}
	return isPlainTable(stmt) && isPlainFrom(stmt) && selectsColumns(stmt)
}

// holds tells whether target is a model, or a slice of models or of pointers to them.
func (m *model) holds(target reflect.Value) bool {
	if !target.IsValid() {
		return false
	}
	t := target.Type()
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t == m.ModelType
}

func isPlainTable(stmt *gorm.Statement) bool {
	return stmt.TableExpr == nil || len(stmt.TableExpr.Vars) == 0 && !strings.ContainsAny(stmt.TableExpr.SQL, "(,")
}

func isPlainFrom(stmt *gorm.Statement) bool {
	c, ok := stmt.Clauses["FROM"]
	if !ok || c.Expression == nil {
		return true
	}
	from, ok := c.Expression.(clause.From)
	return ok && len(from.Joins) == 0 && len(from.Tables) == 0
}

// selectsColumns tells a query of columns from one of computed values, which may be an aggregate's.
func selectsColumns(stmt *gorm.Statement) bool {
	if c, ok := stmt.Clauses["SELECT"]; ok && c.Expression != nil {
		given, ok := c.Expression.(clause.Select)
		if !ok || given.Distinct || given.Expression != nil || !allColumns(stmt, given.Columns) {
			return false
		}
	}
	for _, selected := range stmt.Selects {
		for name := range strings.SplitSeq(selected, ",") {
			if !isColumn(stmt, name) {
				return false
			}
		}
	}
	return true
}

func allColumns(stmt *gorm.Statement, columns []clause.Column) bool {
	for _, column := range columns {
		if !isColumn(stmt, column.Name) {
			return false
		}
	}
	return true
}

// isColumn tells a column of the model, or all of them, under its own name, quoted or not, with its table or without.
func isColumn(stmt *gorm.Statement, name string) bool {
	name = strings.Trim(name[strings.LastIndexByte(name, '.')+1:], "\"`[] \t\n")
	return name == "*" || stmt.Schema.LookUpField(name) != nil
}

package rows

import (
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/tx"
)

// State is a row as it is stored.
type State struct {
	IsThere, IsDeleted bool
	Version            any
	Key                string        // as the row has it, which may differ in case from the model's
	Holds              bool          // the caller's own conditions
	Model              reflect.Value // a model of the row that has its key, where rows are read together
	Blame              map[string]any
}

// Session is a query on the write's table and connection that nothing of the write itself can get into. It sees the rows
// as they are now.
func (s *Site) Session() *gorm.DB {
	session := s.SnapshotSession()
	if current := s.Dialect.CurrentRead; current != nil && tx.IsTransaction(s.Stmt.ConnPool) {
		session = session.Clauses(current)
	}
	ReadNow(s.Dialect, session.Statement)
	return session
}

// ReadNow has a query that locks its rows see them as they are, where they are newer than the transaction's snapshot.
func ReadNow(d *dialect.Dialect, stmt *gorm.Statement) {
	if settings := d.Settings(false); settings != nil {
		selected := stmt.Clauses["SELECT"]
		selected.BeforeExpression = settings
		stmt.Clauses["SELECT"] = selected
	}
}

// SnapshotSession is a session that sees the rows as the transaction does, and locks none.
func (s *Site) SnapshotSession() *gorm.DB {
	tx := s.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Unscoped()
	tx = session.Inherit(tx, s.Stmt).Set(ReadPrimary, true).Model(s.Model.NewModel())
	tx.Statement.Table, tx.Statement.TableExpr = s.Stmt.Table, s.Stmt.TableExpr
	return tx
}

// ReadPrimary is the setting that keeps gorm.io/plugin/dbresolver from reading a replica, which may lag behind.
const ReadPrimary = "gorm:db_resolver:write"

// DeletedInSQL is 1 for a row that a soft delete hides, whatever column and plugin do it: the opposite of the condition
// that GORM adds to queries.
func (s *Site) DeletedInSQL() clause.Expression {
	scope := &gorm.Statement{DB: s.DB, Schema: s.Model.Schema, Table: s.Stmt.Table, Clauses: map[string]clause.Clause{}}
	for _, c := range s.Model.QueryClauses {
		scope.AddClause(c)
	}
	where, ok := scope.Clauses["WHERE"].Expression.(clause.Where)
	if !ok || len(where.Exprs) == 0 {
		return clause.Expr{SQL: "0"}
	}
	return clause.Expr{SQL: "CASE WHEN ? THEN 0 ELSE 1 END", Vars: []any{clauses.Group{Conditions: where.Exprs}}}
}

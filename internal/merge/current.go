package merge

import (
	"context"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/write"
)

// Subject is what the functions that resolve a conflict work on: a model, and the session its user called them with.
type Subject struct {
	Plugin *write.Engine
	model  *model.Model
	db     *gorm.DB
	ctx    context.Context
}

func SubjectOf[T any](p *write.Engine, db *gorm.DB) (*Subject, error) {
	if err := intent.RefuseExpect(db, "Current, Rebase or Merge"); err != nil {
		return nil, err
	}
	typ, stmt := reflect.TypeFor[T](), &gorm.Statement{DB: db}
	if typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("occ: %s is no model: pass a pointer to a struct: %w", typ, gorm.ErrInvalidData)
	}
	if err := stmt.Parse(new(T)); err != nil {
		return nil, fmt.Errorf("occ: %s is no model: %w", typ, err)
	}
	s := &Subject{Plugin: p, model: p.ModelOfSchema(stmt.Schema), db: db, ctx: db.Statement.Context}
	return s, s.model.Err
}

// KeyOf is the primary key of the model that caller, one of the package's functions, was given.
func (s *Subject) KeyOf(caller string, model any) ([]any, error) {
	rv := reflect.ValueOf(model).Elem()
	if !rv.IsValid() {
		return nil, s.nilError(caller, "model")
	}
	key := (&rows.Site{Ctx: s.ctx, Model: s.model}).KeyOf(rv)
	if key == nil {
		return nil, fmt.Errorf("occ: %s of model %s: the model has no primary key that is set: %w", caller, s.model.Name, gorm.ErrPrimaryKeyRequired)
	}
	return key, nil
}

func (s *Subject) nilError(caller, which string) error {
	return fmt.Errorf("occ: %s of model %s: %s is nil: %w", caller, s.model.Name, which, gorm.ErrInvalidValue)
}

// Session is the caller's session without what would leave out columns, or came from a statement that was run with it:
// connection, context, table, conditions and preloads are left.
func (s *Subject) Session() *gorm.DB {
	tx := s.db.Session(&gorm.Session{}).Set(rows.ReadPrimary, true)
	stmt := tx.Statement
	where, _ := stmt.Clauses["WHERE"].Expression.(clause.Where)
	resolver, resolved := stmt.Clauses[session.ResolverClause]
	stmt.Clauses = map[string]clause.Clause{}
	if resolved {
		stmt.Clauses[session.ResolverClause] = resolver
	}
	stmt.Model, stmt.Dest, stmt.Selects, stmt.Omits, stmt.Distinct = nil, nil, nil, nil, false
	if stmt.TableExpr == nil {
		stmt.Table = "" // what an earlier statement was about
	}
	if len(where.Exprs) > 0 {
		tx = tx.Clauses(clause.Where{Exprs: []clause.Expression{clauses.Group{Conditions: where.Exprs}}})
	}
	return tx
}

// Currently has a query go past the snapshot of the transaction it is in, where the database can.
func (s *Subject) Currently(session *gorm.DB, read clause.Expression) *gorm.DB {
	j := s.Plugin.Journals.Of(session.Statement.ConnPool)
	isLocked := j != nil && j.Locks // by Retry, which knows better
	if s.Plugin.Dialect.CurrentRead == nil || !tx.IsTransaction(session.Statement.ConnPool) || isLocked {
		return session
	}
	session = session.Clauses(read)
	rows.ReadNow(s.Plugin.Dialect, session.Statement)
	return session
}

// Load reads the row with a key into a model.
func (s *Subject) Load(tx *gorm.DB, key []any, row any) error {
	if tx.Error == nil && tx.DryRun {
		return gorm.ErrDryRunModeUnsupported
	}
	conditions := make([]clause.Expression, len(key))
	for i, field := range s.model.PrimaryFields { // every part of it, where GORM leaves out those that are zero
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: field.DBName}, Value: key[i]}
	}
	found := tx.Clauses(clause.Where{Exprs: conditions}).Limit(1).Find(row)
	if found.Error == nil && found.RowsAffected == 0 {
		return gorm.ErrRecordNotFound // not from Take, which logs it as an error
	}
	return found.Error
}

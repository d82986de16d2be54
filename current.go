package occ

import (
	"context"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
)

// Current reads the row of model as it is now: what a refused write ran into. It finds the row by the primary key in
// model, which is left as it is; the model need not have a version. A row that is soft-deleted is returned like any
// other; no row is [gorm.ErrRecordNotFound].
//
// Table, conditions, Preload and context of db apply as they do to a query. The read goes to the primary under
// gorm.io/plugin/dbresolver. In a transaction it goes past the transaction's snapshot where the database can: on MySQL
// and MariaDB it waits for writers of the row and holds a share lock on it until the transaction ends. PostgreSQL under
// REPEATABLE READ or SERIALIZABLE and SQLite show a transaction nothing newer than its snapshot.
func Current[T any](db *gorm.DB, model *T) (*T, error) {
	s, err := subjectIn[T](db)
	if err != nil {
		return nil, err
	}
	key, err := s.keyOf("Current", model)
	if err != nil {
		return nil, err
	}
	row := new(T)
	if err := s.load(s.currently(s.session(), s.plugin.dialect.CurrentRead).Unscoped(), key, row); err != nil {
		return nil, err
	}
	return row, nil
}

// subject is what the functions that resolve a conflict work on: a model, and the session its user called them with.
type subject struct {
	plugin *engine
	model  *model
	db     *gorm.DB
	ctx    context.Context
}

func subjectOf[T any](p *engine, db *gorm.DB) (*subject, error) {
	typ, stmt := reflect.TypeFor[T](), &gorm.Statement{DB: db}
	if typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("occ: %s is no model: pass a pointer to a struct: %w", typ, gorm.ErrInvalidData)
	}
	if err := stmt.Parse(new(T)); err != nil {
		return nil, fmt.Errorf("occ: %s is no model: %w", typ, err)
	}
	s := &subject{plugin: p, model: p.modelOfSchema(stmt.Schema), db: db, ctx: db.Statement.Context}
	return s, s.model.err
}

// keyOf is the primary key of the model that caller, one of the package's functions, was given.
func (s *subject) keyOf(caller string, model any) ([]any, error) {
	rv := reflect.ValueOf(model).Elem()
	if !rv.IsValid() {
		return nil, s.nilError(caller, "model")
	}
	key := s.asWrite(nil).keyOf(rv)
	if key == nil {
		return nil, fmt.Errorf("occ: %s of model %s: the model has no primary key that is set: %w", caller, s.model.Name, gorm.ErrPrimaryKeyRequired)
	}
	return key, nil
}

// asWrite lets the functions ask what a write knows of its model and rows.
func (s *subject) asWrite(tx *gorm.DB) *write {
	w := &write{site: site{db: tx, ctx: s.ctx, model: s.model, dialect: s.plugin.dialect}, plugin: s.plugin, op: conflict.OpUpdate}
	if tx != nil {
		w.stmt = tx.Statement
	}
	return w
}

func (s *subject) nilError(caller, which string) error {
	return fmt.Errorf("occ: %s of model %s: %s is nil: %w", caller, s.model.Name, which, gorm.ErrInvalidValue)
}

// session is the caller's session without what would leave out columns, or came from a statement that was run with it:
// connection, context, table, conditions and preloads are left.
func (s *subject) session() *gorm.DB {
	tx := s.db.Session(&gorm.Session{}).Set(readPrimary, true)
	stmt := tx.Statement
	where, _ := stmt.Clauses["WHERE"].Expression.(clause.Where)
	resolver, resolved := stmt.Clauses[resolverClause]
	stmt.Clauses = map[string]clause.Clause{}
	if resolved {
		stmt.Clauses[resolverClause] = resolver
	}
	stmt.Model, stmt.Dest, stmt.Selects, stmt.Omits, stmt.Distinct = nil, nil, nil, nil, false
	if stmt.TableExpr == nil {
		stmt.Table = "" // what an earlier statement was about
	}
	if len(where.Exprs) > 0 {
		tx = tx.Clauses(clause.Where{Exprs: []clause.Expression{group{where.Exprs}}})
	}
	return tx
}

// currently has a query go past the snapshot of the transaction it is in, where the database can.
func (s *subject) currently(tx *gorm.DB, read clause.Expression) *gorm.DB {
	j := s.plugin.journals.of(tx.Statement.ConnPool)
	isLocked := j != nil && j.locks // by Retry, which knows better
	if s.plugin.dialect.CurrentRead == nil || !isTransaction(tx.Statement.ConnPool) || isLocked {
		return tx
	}
	tx = tx.Clauses(read)
	readNow(s.plugin.dialect, tx.Statement)
	return tx
}

// load reads the row with a key into a model.
func (s *subject) load(tx *gorm.DB, key []any, row any) error {
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

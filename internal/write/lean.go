package write

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// Lean decides which writes go without GORM's default transaction.
type Lean struct {
	Engine *Engine
	pools  sync.Map // pool of connections to whether they commit by themselves
}

// registerBegin puts the plugin before GORM's begin.
func (e *Engine) registerBegin(db *gorm.DB) (errs []error) {
	if e.Lean != nil {
		e.Lean.knows(db)
	}
	for _, op := range []conflict.Op{conflict.OpUpsert, conflict.OpUpdate, conflict.OpDelete} {
		path := &leanPath{engine: e, op: op, processor: e.processors.of(op)}
		if path.gormBegin = path.processor.Get(beginCallback); path.gormBegin == nil {
			continue
		}
		path.isGorms = functionName(reflect.ValueOf(path.gormBegin)) == gormBegin
		path.processor.begin = functionName(reflect.ValueOf(path.begin))
		errs = append(errs, path.processor.Replace(beginCallback, path.begin))
	}
	return errs
}

const beginCallback = "gorm:begin_transaction"

// leanPath is one of GORM's ways of a write, with the plugin in front of its begin.
type leanPath struct {
	engine    *Engine
	op        conflict.Op
	gormBegin func(*gorm.DB)
	isGorms   bool // gormBegin is what GORM has registered itself
	processor *processor
}

// begin begins GORM's default transaction, unless the write is a single statement and may go without.
func (p *leanPath) begin(db *gorm.DB) {
	if db.Error != nil || db.SkipDefaultTransaction {
		return
	}
	isOurs := false
	if s := db.Statement.Schema; s != nil {
		m := p.engine.ModelOfSchema(s)
		if isOurs = m.Version != nil; isOurs && p.engine.Lean != nil && p.isSingle(db, m) {
			return
		}
	}
	if isOurs && p.isGorms && db.DefaultTransactionTimeout == 0 {
		beginDefault(db)
		return
	}
	p.gormBegin(db)
}

// beginDefault does what GORM's own callback does, which copies statement, settings and configuration for it.
func beginDefault(db *gorm.DB) {
	stmt := db.Statement
	pool := stmt.ConnPool
	begun, err := beginOn(stmt.Context, pool)
	switch {
	case err == nil && begun != nil:
		stmt.ConnPool = begun
		tx.SetDefault(db, pool)
	case err != nil && !errors.Is(err, gorm.ErrInvalidTransaction):
		_ = db.AddError(err)
	}
}

// beginOn begins a transaction. There is none where the pool is one already.
func beginOn(ctx context.Context, pool gorm.ConnPool) (begun gorm.ConnPool, err error) {
	switch beginner := pool.(type) {
	case gorm.TxBeginner:
		begun, err := beginner.BeginTx(ctx, nil)
		if err != nil {
			return nil, tx.OfBegin(ctx, err)
		}
		return begun, nil
	case gorm.ConnPoolBeginner:
		begun, err := beginner.BeginTx(ctx, nil)
		return begun, tx.OfBegin(ctx, err)
	}
	return nil, nil
}

func (p *leanPath) isSingle(db *gorm.DB, m *model.Model) bool {
	call := leanCall{db: db, stmt: db.Statement, model: m, op: p.op, isBlind: p.engine.BlindWrites}
	return m.IsLean && call.isSingle() && p.processor.hasOurs() && p.engine.Lean.commits(db)
}

// knows asks about the pool that db was opened with. One that does not answer yet is asked again by the first write.
func (l *Lean) knows(db *gorm.DB) {
	if pool := poolOf(db.Statement.ConnPool); pool != nil && !db.DryRun {
		l.ask(context.Background(), pool)
	}
}

// maxPools is how many pools are remembered: an application has a few.
const maxPools = 64

// commits reports whether the connections that a statement runs on commit by themselves.
func (l *Lean) commits(db *gorm.DB) bool {
	stmt := db.Statement
	if _, ends := stmt.Context.Deadline(); db.DefaultTransactionTimeout > 0 && !ends {
		return false
	}
	pool := poolOf(stmt.ConnPool)
	if pool == nil {
		return false
	}
	if commits, ok := l.pools.Load(pool); ok {
		return commits.(bool)
	}
	known := 0
	l.pools.Range(func(any, any) bool { known++; return true })
	return known < maxPools && !db.DryRun && l.ask(stmt.Context, pool)
}

func (l *Lean) ask(ctx context.Context, pool gorm.ConnPool) bool {
	commits, err := l.Engine.Dialect.CommitsByItself(ctx, pool)
	if err != nil {
		return false
	}
	l.pools.Store(pool, commits)
	return commits
}

// poolOf returns a pool of connections. It is nil for a transaction, for what cannot be a map's key, and for a connection of the
// caller's own, in whose session anything may have been set.
func poolOf(pool gorm.ConnPool) gorm.ConnPool {
	if prepared, ok := pool.(*gorm.PreparedStmtDB); ok {
		pool = prepared.ConnPool
	}
	switch pool.(type) {
	case nil, gorm.TxCommitter, *sql.Conn:
		return nil
	}
	if !reflect.TypeOf(pool).Comparable() {
		return nil
	}
	return pool
}

// leanCall is a write before GORM's begin.
type leanCall struct {
	db      *gorm.DB
	stmt    *gorm.Statement
	model   *model.Model
	op      conflict.Op
	isBlind bool
}

// isSingle reports whether the call is one statement by nature.
func (c leanCall) isSingle() bool {
	if !c.stmt.SkipHooks && c.model.HasHooksOf(c.op) || !c.hasKnownClauses() {
		return false
	}
	target := targetOf(c.stmt, c.op)
	if !target.IsValid() || target.Type() != c.model.ModelType || !c.isOfOneModel() {
		return false
	}
	return c.isOneRow(target) && !c.reachesOthers(target)
}

// isOfOneModel reports whether a delete is about one model, the one that was passed and the statement's.
func (c leanCall) isOfOneModel() bool {
	model := value.Indirect(reflect.ValueOf(c.stmt.Model))
	return model.IsValid() && model.Type() == c.model.ModelType
}

// hasKnownClauses reports whether no clause asks for more than one statement, or for rows that are read after it.
func (c leanCall) hasKnownClauses() bool {
	for _, name := range []string{"RETURNING", "ON CONFLICT", intent.TouchClause, intent.UncheckedClause} {
		if _, ok := c.stmt.Clauses[name]; ok {
			return false
		}
	}
	given, ok := c.stmt.Clauses[intent.ExpectClause]
	_, isVersion := given.Expression.(intent.Expect)
	return !ok || isVersion
}

// isOneRow reports whether the rows that are written need not be read first. A model that was never loaded may be inserted
// instead, or written unchecked.
func (c leanCall) isOneRow(target reflect.Value) bool {
	if c.op == conflict.OpUpsert {
		return c.model.IsInsertLean
	}
	version := c.model.Version
	isZero := version.Kind.IsZero(version.Of(c.stmt.Context, target))
	if isZero && !c.hasKey(target) {
		return version.IsAdvancedInSQL()
	}
	_, expects := c.stmt.Clauses[intent.ExpectClause]
	return !isZero || expects && !c.isBlind && len(c.stmt.Selects) == 0
}

func (c leanCall) hasKey(target reflect.Value) bool {
	return slices.ContainsFunc(c.model.PrimaryFields, func(field *schema.Field) bool {
		_, isZero := field.ValueOf(c.stmt.Context, target)
		return !isZero
	})
}

// reachesOthers reports whether associations are saved or deleted along with the model.
func (c leanCall) reachesOthers(target reflect.Value) bool {
	if c.op == conflict.OpDelete {
		return len(c.stmt.Selects) > 0
	}
	if len(c.model.Relations) == 0 {
		return false
	}
	if payload, ok := c.stmt.Dest.(map[string]any); ok {
		for _, relation := range c.model.Relations { // GORM gives them to the model first
			if _, named := payload[relation.Name]; named {
				return true
			}
		}
	}
	return model.SavesAssociations(c.stmt, c.model, target, c.op == conflict.OpUpsert)
}

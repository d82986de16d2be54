package write

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/read"
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
	processors := db.Callback()
	for _, path := range []*leanPath{
		{op: conflict.OpUpsert, processor: processors.Create()},
		{op: conflict.OpUpdate, processor: processors.Update()},
		{op: conflict.OpDelete, processor: processors.Delete()},
	} {
		if path.gormBegin = path.processor.Get(beginCallback); path.gormBegin == nil {
			continue
		}
		fns, ok := functionsOf(path.processor)
		path.engine, path.hidesForeign = e, !ok || !areFrom(fns, gormBegin, gormPackage)
		path.isGorms = functionName(reflect.ValueOf(path.gormBegin)) == gormBegin
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
	processor interface {
		Get(name string) func(*gorm.DB)
		Replace(name string, fn func(*gorm.DB)) error
	}
	hidesForeign bool // the plugin's callbacks wrap one that is not GORM's

	seen atomic.Pointer[seenCallbacks]
}

// seenCallbacks are a processor's callbacks when they were last looked at.
type seenCallbacks struct {
	fns    reflect.Value
	isOurs bool // those between begin and commit are GORM's and the plugin's alone
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
	var begun gorm.ConnPool
	var err error
	switch beginner := stmt.ConnPool.(type) {
	case gorm.TxBeginner:
		begun, err = beginner.BeginTx(stmt.Context, nil)
	case gorm.ConnPoolBeginner:
		begun, err = beginner.BeginTx(stmt.Context, nil)
	default:
		return // it is in a transaction already
	}
	switch {
	case err == nil:
		stmt.ConnPool = begun
		db.InstanceSet("gorm:started_transaction", true)
	case !errors.Is(err, gorm.ErrInvalidTransaction):
		_ = db.AddError(err)
	}
}

func (p *leanPath) isSingle(db *gorm.DB, m *model.Model) bool {
	call := leanCall{db: db, stmt: db.Statement, model: m, op: p.op, isBlind: p.engine.BlindWrites}
	return m.IsLean && call.isSingle() && !p.hidesForeign && p.hasOurs() && p.engine.Lean.commits(db)
}

// hasOurs reports whether nothing but callbacks of GORM's and the plugin's run between begin and commit. GORM makes the
// list anew with each callback that is registered.
func (p *leanPath) hasOurs() bool {
	fns, ok := functionsOf(p.processor)
	if !ok {
		return false
	}
	seen := p.seen.Load()
	if seen == nil || seen.fns.Pointer() != fns.Pointer() || seen.fns.Len() != fns.Len() {
		seen = &seenCallbacks{fns, areFrom(fns, functionName(reflect.ValueOf(p.begin)), append(slices.Clone(ourPackages), gormPackage)...)}
		p.seen.Store(seen)
	}
	return seen.isOurs
}

// areFrom reports whether all callbacks between begin and GORM's commit are of some packages.
func areFrom(fns reflect.Value, begin string, packages ...string) bool {
	begun := false
	for i := range fns.Len() {
		name := functionName(fns.Index(i))
		isOf := func(pkg string) bool { return strings.HasPrefix(name, pkg) }
		switch {
		case name == begin:
			begun = true
		case begun && name == gormCommit:
			return true
		case begun && !slices.ContainsFunc(packages, isOf):
			return false
		}
	}
	return false
}

// functionsOf are the callbacks of one of GORM's processors in the order in which they run; ok is false where a GORM of
// another version keeps them elsewhere.
func functionsOf(processor any) (fns reflect.Value, ok bool) {
	rv := reflect.Indirect(reflect.ValueOf(processor))
	if rv.Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	fns = rv.FieldByName("fns")
	if !fns.IsValid() || fns.Type() != reflect.TypeFor[[]func(*gorm.DB)]() {
		return reflect.Value{}, false
	}
	return fns.Slice(0, fns.Len()), true
}

// functionName is the name of a function, with its package, as the runtime has it.
func functionName(fn reflect.Value) string {
	if f := runtime.FuncForPC(fn.Pointer()); f != nil {
		return f.Name()
	}
	return ""
}

var (
	ourPackages = packagesBeside(functionName(reflect.ValueOf(read.Resume)), "write", "read", "tx")
	gormBegin   = functionName(reflect.ValueOf(callbacks.BeginTransaction))
	gormCommit  = functionName(reflect.ValueOf(callbacks.CommitOrRollbackTransaction))
	gormPackage = packageOf(gormCommit)
)

// packagesBeside returns what the names of functions begin with in the internal packages of a module that register callbacks.
func packagesBeside(function string, names ...string) []string {
	const internal = "/internal/"
	module, _, _ := strings.Cut(function, internal)
	packages := make([]string, len(names))
	for i, name := range names {
		packages[i] = module + internal + name + "."
	}
	return packages
}

// packageOf is the package of a function that is no method, with the dot behind it.
func packageOf(function string) string { return function[:strings.LastIndexByte(function, '.')+1] }

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

// poolOf is a pool of connections; nil for a transaction, for a connection of the caller's own, in whose session anything
// may have been set, and for what cannot be a map's key.
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

package occ

import (
	"context"
	"database/sql"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// memory is the version that a model in memory had before a write.
type memory struct {
	field   *versionField
	model   reflect.Value
	version any
	isWhole bool   // all columns were written
	key     string // of the row it was the model of, where the caller may have used the variable for another row since
}

// putBack undoes what writes did to models in memory, the last one first.
func putBack(ctx context.Context, memories []memory) {
	for i := len(memories) - 1; i >= 0; i-- {
		m := memories[i]
		if m.key == "" || m.key == keyOfModel(ctx, m.field.Schema, m.model) {
			m.field.put(ctx, m.model, m.version)
		}
	}
}

// keyOfModel tells the rows of models apart; it is empty for a model that names none.
func keyOfModel(ctx context.Context, s *schema.Schema, model reflect.Value) string {
	isSet := slices.ContainsFunc(s.PrimaryFields, func(field *schema.Field) bool {
		_, isZero := field.ValueOf(ctx, model)
		return !isZero
	})
	if !isSet {
		return ""
	}
	return keyTextOf(ctx, s.PrimaryFields, model)
}

// journal collects the memories of one transaction, from every call in it, until it is known how the transaction ends.
// A transaction is used by one goroutine at a time, and so is its journal.
type journal struct {
	memories []memory
	marks    map[string]int // savepoints that the caller has set, and how many memories there were
	locks    bool           // reads lock what they read
	adapts   bool           // reads lock contended rows
	locked   bool           // a read has locked something, or the whole database is

	isWatched bool // somebody is going to ask whether the transaction can still be committed
	state     dialect.State
	failure   error       // the statement's error that brought the transaction into its state
	unread    []*sql.Rows // rows that the caller reads by itself: an error among them is seen later

	refusal error          // the last one in the transaction
	refused *tableCounters // of its table

	holds   int      // units that are under way: what is to be told of refusals waits for them
	pending []func() // what waits

	calls int // calls in the transaction that may write several rows and have not ended
	// written are the models that the outermost of those calls has written or is going to delete, by type
	written map[reflect.Type][]reflect.Value
	began   int     // how many memories there were before that call
	rows    written // those since then, by row
}

func (j *journal) enter() {
	if j.calls++; j.calls == 1 {
		j.began, j.rows = len(j.memories), written{}
	}
}

func (j *journal) note(model reflect.Value) {
	if j.written == nil {
		j.written = map[reflect.Type][]reflect.Value{}
	}
	j.written[model.Type()] = append(j.written[model.Type()], model)
}

func (j *journal) leave() {
	if j.calls--; j.calls == 0 {
		j.written, j.rows = nil, written{}
	}
}

// rollBackTo undoes the memories since mark; going back further has undone them already.
func (j *journal) rollBackTo(ctx context.Context, mark int) {
	mark = min(mark, len(j.memories))
	putBack(ctx, j.memories[mark:])
	j.memories, j.rows = j.memories[:mark], written{}
}

// tables are those of the models that were written in the transaction.
func (j *journal) tables() (names []string) {
	for _, m := range j.memories {
		if !slices.Contains(names, m.field.Schema.Table) {
			names = append(names, m.field.Schema.Table)
		}
	}
	return names
}

// wentBack notes how going back to a savepoint went. The transaction can be used again; if it failed, part of what was to
// be undone may still be there, and must not be committed.
func (j *journal) wentBack(err error) {
	switch {
	case err == nil:
		j.state, j.failure = dialect.Open, nil
	case j.state == dialect.Open:
		j.state, j.failure = dialect.Aborted, err
	}
}

// journals finds the journal of a transaction by its connection: settings and contexts are lost between calls.
type journals struct {
	dialect *dialect.Dialect
	open    sync.Map // connection to *journal
	n       atomic.Int64
}

func (js *journals) of(pool gorm.ConnPool) *journal {
	if js.n.Load() == 0 || !isTransaction(pool) {
		return nil
	}
	if j, ok := js.open.Load(connectionOf(pool)); ok {
		return j.(*journal)
	}
	return nil
}

// begin gives the journal of a transaction; isNew tells whether it has to be ended by the one who asked.
func (js *journals) begin(pool gorm.ConnPool) (j *journal, isNew bool) {
	if j := js.of(pool); j != nil {
		return j, false
	}
	j = &journal{}
	js.open.Store(connectionOf(pool), j)
	js.n.Add(1)
	return j, true
}

func (js *journals) end(pool gorm.ConnPool) {
	if _, ok := js.open.LoadAndDelete(connectionOf(pool)); ok {
		js.n.Add(-1)
	}
}

// connectionOf is what two sessions of one transaction have in common.
func connectionOf(pool gorm.ConnPool) gorm.ConnPool {
	for {
		inner, ok := within(pool)
		if !ok {
			return pool
		}
		pool = inner
	}
}

// within is the pool that another one goes round: a transaction with prepared statements, or a pool like that of
// gorm.io/sharding, which can begin and commit whatever it goes round, so that its methods say nothing.
func within(pool gorm.ConnPool) (inner gorm.ConnPool, ok bool) {
	switch outer := pool.(type) {
	case *sql.Tx:
		return nil, false
	case *gorm.PreparedStmtTX:
		return outer.Tx, true
	}
	if !beginsAndCommits(pool) {
		return nil, false
	}
	fields := reflect.Indirect(reflect.ValueOf(pool))
	if fields.Kind() != reflect.Struct {
		return nil, false
	}
	embedded, isEmbedded := fields.Type().FieldByName("ConnPool")
	if !isEmbedded || len(embedded.Index) > 1 {
		return nil, false
	}
	inner, ok = fields.FieldByIndex(embedded.Index).Interface().(gorm.ConnPool)
	return inner, ok
}

func beginsAndCommits(pool gorm.ConnPool) bool {
	if _, commits := pool.(gorm.TxCommitter); !commits {
		return false
	}
	_, begins := pool.(gorm.TxBeginner)
	_, beginsPool := pool.(gorm.ConnPoolBeginner)
	return begins || beginsPool
}

// isTransaction tells whether pool is a transaction; one whose type cannot be a map's key is not followed.
func isTransaction(pool gorm.ConnPool) bool {
	if _, ok := pool.(*sql.Tx); ok {
		return true
	}
	if pool = connectionOf(pool); pool == nil {
		return false
	}
	_, ok := pool.(gorm.TxCommitter)
	return ok && !beginsAndCommits(pool) && reflect.TypeOf(pool).Comparable()
}

package tx

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
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/stats"
	"github.com/gorm-occ/occ/internal/value"
)

// Memory is the version that a model in memory had before a write.
type Memory struct {
	Field     *kind.Field
	Model     reflect.Value
	Version   any
	IsWhole   bool   // all columns were written
	Key       string // of the row it was the model of, where the caller may have used the variable for another row since
	IsUnnamed bool   // conditions have named the rows of a write: there is no model
	IsLoaded  bool   // a query gave the model its version, and not a write
	Renamed   []any  // the key that the row had, by primary field, where the write gave it another; else nil
}

// PutBack undoes what writes did to models in memory, the last one first.
func PutBack(ctx context.Context, memories []Memory) {
	for i := len(memories) - 1; i >= 0; i-- {
		m := memories[i]
		if m.IsUnnamed {
			continue
		}
		if m.Key == "" || m.Key == value.KeyOfModel(ctx, m.Field.Schema, m.Model) {
			m.Field.Put(ctx, m.Model, m.Version)
			m.putKeyBack(ctx)
		}
	}
}

// putKeyBack has a model name the row that its version is of.
func (m Memory) putKeyBack(ctx context.Context) {
	for i, part := range m.Renamed {
		_ = m.Field.Schema.PrimaryFields[i].Set(ctx, m.Model, part)
	}
}

// Journal collects the memories of one transaction, from every call in it, until it is known how the transaction ends.
// A transaction is used by one goroutine at a time, and so is its journal.
type Journal struct {
	Memories   []Memory
	savepoints []savepoint // the last one set comes last
	Locks      bool        // reads lock what they read
	Adapts     bool        // reads lock contended rows
	Locked     bool        // a read has locked something, or the whole database is

	IsWatched  bool // somebody is going to ask whether the transaction can still be committed
	state      dialect.State
	failure    error       // the statement's error that brought the transaction into its state
	endedBySQL error       // why nothing can follow, where a statement was meant to end the transaction
	unread     []*sql.Rows // rows that the caller reads by itself: an error among them is seen later

	Refusal error                // the last one in the transaction
	Refused *stats.TableCounters // of its table

	Holds   int      // units that are under way: reports of refusals wait for them
	Pending []func() // the reports that wait

	Calls int // calls in the transaction that may write several rows and have not ended
	// written are the models that the outermost of those calls has written or is going to delete, by type
	written map[reflect.Type][]reflect.Value
	noted   map[*schema.Relationship]*notedKeys
	Began   int     // how many memories there were before that call
	rows    written // those since then, by row
	wrote   writtenKeys
}

func (j *Journal) Enter() {
	if j.Calls++; j.Calls == 1 {
		j.Began, j.rows = len(j.Memories), written{}
	}
}

func (j *Journal) Note(model reflect.Value) {
	if j.written == nil {
		j.written = map[reflect.Type][]reflect.Value{}
	}
	j.written[model.Type()] = append(j.written[model.Type()], model)
}

// notedKeys are the texts of what children refer to, of the models of a relation's parents that have been noted.
type notedKeys struct {
	of   int // how many of the models
	keys map[string]bool
}

// NotedKeys returns the texts of what children refer to, of the parents that the outermost call has written or is going to delete. Those
// that have been noted since it was asked last are added.
func (j *Journal) NotedKeys(relation *schema.Relationship, textOf func(parent reflect.Value) string) map[string]bool {
	if j.noted == nil {
		j.noted = map[*schema.Relationship]*notedKeys{}
	}
	known := j.noted[relation]
	if known == nil {
		known = &notedKeys{keys: map[string]bool{}}
		j.noted[relation] = known
	}
	models := j.written[relation.FieldSchema.ModelType]
	for ; known.of < len(models); known.of++ {
		known.keys[textOf(models[known.of])] = true
	}
	return known.keys
}

func (j *Journal) Leave() {
	if j.Calls--; j.Calls == 0 {
		j.written, j.noted, j.rows = nil, nil, written{}
	}
}

// Keep adds a memory, with the key of the row that the model holds.
func (j *Journal) Keep(ctx context.Context, m Memory) {
	m.Key = value.KeyOfModel(ctx, m.Field.Schema, m.Model)
	j.Memories = append(j.Memories, m)
}

// RollBackTo undoes the memories since mark; going back further has undone them already.
func (j *Journal) RollBackTo(ctx context.Context, mark int) {
	mark = min(mark, len(j.Memories))
	undone, kept := j.takenAway(mark)
	PutBack(ctx, undone)
	j.Memories, j.rows = append(j.Memories[:mark], kept...), written{}
	j.wrote.to = min(j.wrote.to, mark)
}

// Tables are those of the models that were written in the transaction.
func (j *Journal) Tables() (names []string) {
	for _, m := range j.Memories {
		if !m.IsUnnamed && !slices.Contains(names, m.Field.Schema.Table) {
			names = append(names, m.Field.Schema.Table)
		}
	}
	return names
}

// wentBack notes how going back to a savepoint went. The transaction can be used again; if it failed, part of what was to
// be undone may still be there, and must not be committed.
func (j *Journal) wentBack(err error) {
	switch {
	case err == nil:
		j.state, j.failure = dialect.Open, nil
	case j.state == dialect.Open:
		j.state, j.failure = dialect.Aborted, err
	}
}

// Journals finds the journal of a transaction by its connection: settings and contexts are lost between calls.
type Journals struct {
	Dialect *dialect.Dialect
	open    sync.Map // connection to *journal
	N       atomic.Int64
}

func (js *Journals) Of(pool gorm.ConnPool) *Journal {
	if js.N.Load() == 0 || !IsTransaction(pool) {
		return nil
	}
	if j, ok := js.open.Load(ConnectionOf(pool)); ok {
		return j.(*Journal)
	}
	return nil
}

// Begin gives the journal of a transaction; isNew reports whether it has to be ended by the one who asked.
func (js *Journals) Begin(pool gorm.ConnPool) (j *Journal, isNew bool) {
	if j := js.Of(pool); j != nil {
		return j, false
	}
	j = &Journal{}
	js.open.Store(ConnectionOf(pool), j)
	js.N.Add(1)
	return j, true
}

func (js *Journals) End(pool gorm.ConnPool) {
	if _, ok := js.open.LoadAndDelete(ConnectionOf(pool)); ok {
		js.N.Add(-1)
	}
}

// ConnectionOf returns what two sessions of one transaction have in common.
func ConnectionOf(pool gorm.ConnPool) gorm.ConnPool {
	for {
		inner, ok := within(pool)
		if !ok {
			return pool
		}
		pool = inner
	}
}

// within returns the pool that another one wraps: a transaction with prepared statements, or a pool like that of
// gorm.io/sharding. Such a pool has the methods of a transaction whatever it wraps, so that they are no sign of one.
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

// IsTransaction reports whether pool is a transaction. One whose type cannot be a map's key is taken for none.
func IsTransaction(pool gorm.ConnPool) bool {
	if _, ok := pool.(*sql.Tx); ok {
		return true
	}
	if pool = ConnectionOf(pool); pool == nil {
		return false
	}
	_, ok := pool.(gorm.TxCommitter)
	return ok && !beginsAndCommits(pool) && reflect.TypeOf(pool).Comparable()
}

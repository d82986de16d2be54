package write

import (
	"fmt"
	"slices"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/registration"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/stats"
	"github.com/gorm-occ/occ/internal/tx"
)

func (c *Call) clausesBefore(name string) (clause.Clause, bool) {
	for _, kept := range c.clauses {
		if kept.name == name {
			return kept.clause, kept.was
		}
	}
	return clause.Clause{}, false
}

// wasSoftDelete tells whether GORM made an UPDATE of the DELETE: then there is something in SET.
func (c *Call) wasSoftDelete() bool { return c.Stmt.Clauses["SET"].Expression != nil }

func (c *Call) setRowsAffected(n int64) {
	c.DB.RowsAffected = n
	if c.Stmt.Result != nil {
		c.Stmt.Result.RowsAffected = n
	}
}

func (c *Call) pointers() []*rows.Row {
	rows := make([]*rows.Row, len(c.rows))
	for i := range c.rows {
		rows[i] = &c.rows[i]
	}
	return rows
}

// isSoftDelete tells a delete that a clause of the model's makes an UPDATE of.
func (c *Call) isSoftDelete() bool {
	return c.Stmt.Schema != nil && !c.Stmt.Unscoped && slices.ContainsFunc(c.Stmt.Schema.DeleteClauses, registration.IsOfSoftDelete)
}

// snapshotWrite is what a write of models with snapshots keeps besides.
type snapshotWrite struct {
	compared []int  // the columns it compares
	learned  []int  // the columns of which it knows afterwards what is stored, since it compared or wrote them
	again    func() // runs the statement once more without comparing
	returned any    // the row as RETURNING gave it
}

// hasSnapshots tells that snapshots are what the write compares.
func (c *Call) hasSnapshots() bool { return c.Model.Compares() != nil }

// Call is one of GORM's writing calls on its way through the callbacks: open makes it, the guard compares, close
// reports and puts memory right. It travels in the statement's clauses.
type Call struct {
	rows.Site
	Plugin   *Engine
	Op       conflict.Op
	switches intent.Switches
	unit     *tx.Unit // set where the call may write more than one row

	rows    []rows.Row   // the models in hand that name a row, in the order they were passed
	expects bool         // the expected version was given, by Expect or in the payload, not found in the model
	clauses []keptClause // clauses to be given back to the caller as they were
	// neverLoaded are models that Save inserts: a refusal of others in the same slice names those that are there
	neverLoaded  []*rows.Row
	isGuarded    bool           // the plugin's callback has been in the place of GORM's
	isQuiet      bool           // the end of a Save that has nothing to insert
	isCreate     bool           // the call goes through GORM's create callbacks
	isLinked     bool           // GORM saves associations along with their owner
	payload      *rows.Row      // the payload of an update, where it is another model of the row in hand
	keepsVersion bool           // the write is compared, and leaves the version as it is
	isWhole      bool           // all columns of the rows are written
	refusal      error          // the refusal as it is to be reported
	memories     []tx.Memory    // to be undone if the default transaction is rolled back
	snapshot     *snapshotWrite // set while models are compared with their snapshots

	// room for the write of one row, so that it costs few allocations
	room struct {
		rows      [1]rows.Row
		memories  [1]tx.Memory
		clauses   [4]keptClause
		where     [2]clause.Expression
		condition rows.Condition
		set       clauses.Set

		assignments clause.Set // of what the statement sets; kept from write to write
	}
}

// pool keeps writes between calls.
var pool = sync.Pool{New: func() any { return new(Call) }}

func (c *Call) free() {
	assignments := c.room.assignments[:cap(c.room.assignments)]
	clear(assignments)
	*c = Call{}
	c.room.assignments = assignments
	pool.Put(c)
}

// roomForSet is room for n assignments.
func (c *Call) roomForSet(n int) clause.Set {
	if cap(c.room.assignments) < n {
		c.room.assignments = make(clause.Set, 0, n)
	}
	return c.room.assignments[:0]
}

const callClause = "occ:write"

// Build writes nothing: a write is no SQL, it only travels with the statement.
func (*Call) Build(clause.Builder) {}

// callOf is the write that open left on the statement; ok is false where there is nothing for the plugin to do.
func callOf(db *gorm.DB) (w *Call, ok bool) {
	c, ok := db.Statement.Clauses[callClause]
	if !ok || db.Error != nil {
		return nil, false
	}
	w, ok = c.Expression.(*Call)
	return w, ok && w.Stmt == db.Statement && w.Model.IsInvolved()
}

func (c *Call) startedTransaction() bool {
	_, started := c.DB.InstanceGet("gorm:started_transaction")
	return started
}

// Counters are those of the table that the statement writes, whatever alias it goes by.
func (c *Call) Counters() *stats.TableCounters {
	return c.Plugin.Counters.Of(c.tableName(), c.Model.Table)
}

func (c *Call) versionError(err error) error {
	return fmt.Errorf("occ: model %s, field %s: no next version: %w", c.Model.Name, c.Model.Version.Name, err)
}

// keptClause is a clause as it was before the plugin changed it.
type keptClause struct {
	name   string
	clause clause.Clause
	was    bool
}

// softDeleteMark is where GORM notes that it has added the condition of a soft delete to WHERE.
const softDeleteMark = "soft_delete_enabled"

// keepClauses remembers clauses that are about to change; giveBackClauses restores them, so that the caller can use the
// statement again.
func (c *Call) keepClauses(names ...string) {
	for _, name := range names {
		found, was := c.Stmt.Clauses[name]
		c.clauses = append(c.clauses, keptClause{name, found, was})
	}
}

func (c *Call) giveBackClauses() {
	for _, kept := range slices.Backward(c.clauses) { // one that was kept twice is what it was at first
		if kept.was {
			c.Stmt.Clauses[kept.name] = kept.clause
		} else {
			delete(c.Stmt.Clauses, kept.name)
		}
	}
	c.clauses = c.clauses[:0]
}

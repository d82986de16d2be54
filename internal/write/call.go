package write

import (
	"slices"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/registration"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/stats"
	"github.com/gorm-occ/occ/internal/tx"
)

// Call is one Create, Update or Delete of GORM's, from the plugin's first callback (open) to its last (close). open fills in
// where it works and what its clauses ask for. The guard compares and writes, and leaves the statement as it was. close reports a
// refusal, and restores versions in memory where GORM's default transaction was rolled back. A call is kept in the statement's
// clauses.
type Call struct {
	rows.Site
	Plugin   *Engine
	op       conflict.Op // what a refusal is of, unless the plan says otherwise; it never changes
	switches intent.Switches
	isLinked bool     // GORM saves associations along with their owner
	owner    *Call    // that of the owner, where the owner is created
	inserts  int      // how many models the call has inserted
	unit     *tx.Unit // set where the call may write more than one row
	depth    int      // parts of the call that are under way, in which several statements belong together

	before    keptClauses // clauses to be given back to the caller as they were
	isGuarded bool        // the plugin's callback has run in the place of GORM's
	renames   bool        // the write gives rows other keys
	isQuiet   bool        // the end of a Save that has nothing to insert
	refusal   error       // the refusal as it is to be reported
	memories  []tx.Memory // to be put back if the default transaction is rolled back

	// room for the write of one row, so that it costs few allocations
	room struct {
		plan      plan
		rows      [1]rows.Row
		memories  [1]tx.Memory
		clauses   [4]keptClause
		where     [2]clause.Expression
		condition rows.Condition
		set       clauses.Set
		config    gorm.Config // that of the db while the plugin's own part runs
		log       session.Log // of what it sends itself

		assignments clause.Set // of what the statement sets; kept from call to call
		columns     []string   // that it sets; kept likewise
	}
}

// pool keeps calls between statements.
var pool = sync.Pool{New: func() any { return new(Call) }}

func (c *Call) free() {
	assignments := c.room.assignments[:cap(c.room.assignments)]
	clear(assignments)
	columns := c.room.columns[:0]
	*c = Call{}
	c.room.assignments, c.room.columns = assignments, columns
	pool.Put(c)
}

// roomForSet returns room for n assignments.
func (c *Call) roomForSet(n int) clause.Set {
	if cap(c.room.assignments) < n {
		c.room.assignments = make(clause.Set, 0, n)
	}
	return c.room.assignments[:0]
}

const callClause = "occ:write"

// Build writes nothing: a call is no SQL.
func (*Call) Build(clause.Builder) {}

// callOf returns the call that open left on the statement; ok is false where there is nothing for the plugin to do.
func callOf(db *gorm.DB) (c *Call, ok bool) {
	found, ok := db.Statement.Clauses[callClause]
	if !ok || db.Error != nil {
		return nil, false
	}
	c, ok = found.Expression.(*Call)
	return c, ok && c.Stmt == db.Statement && c.Model.IsInvolved()
}

func (c *Call) isCreate() bool { return c.op == conflict.OpUpsert }

func (c *Call) isDelete() bool { return c.op == conflict.OpDelete }

// isSoftDelete reports whether a clause of the model's makes an UPDATE of the DELETE.
func (c *Call) isSoftDelete() bool {
	return c.isDelete() && c.Stmt.Schema != nil && !c.Stmt.Unscoped &&
		slices.ContainsFunc(c.Stmt.Schema.DeleteClauses, registration.IsOfSoftDelete)
}

func (c *Call) isHardDelete() bool { return c.isDelete() && !c.isSoftDelete() }

// wasSoftDelete reports whether GORM made an UPDATE of the DELETE: then there is something in SET.
func (c *Call) wasSoftDelete() bool { return c.Stmt.Clauses["SET"].Expression != nil }

// removes reports whether the statement that was sent has removed its rows, so that they have no version any more.
func (c *Call) removes() bool { return c.isDelete() && !c.wasSoftDelete() }

// guard runs the call's own part in the place of GORM's callback. The named clauses are given back as they were.
func (c *Call) guard(write func() (int64, error), names ...string) {
	c.isGuarded = true
	c.before.keep(names...)
	defer c.before.restore()
	mark := c.markOfJournal()
	c.finish(c.logging(write))
	c.noteUnnamed(mark)
}

// logging has sessions that write makes keep what they send for the log, until the callback has ended.
func (c *Call) logging(write func() (int64, error)) (int64, error) {
	given := c.DB.Config
	defer func() { c.DB.Config = given }()
	c.room.config = *given
	c.room.log.Keep(&c.room.config)
	c.DB.Config = &c.room.config
	return write()
}

// execute has GORM build and send a statement, and takes the error off db. Nothing else calls GORM's callbacks. Where a query about
// the table has ended the transaction, nothing is sent: it would be committed by itself.
func (c *Call) execute(db *gorm.DB, send func(*gorm.DB)) (affected int64, err error) {
	if c.Failed != nil {
		return 0, c.Failed
	}
	send(db)
	affected, err = db.RowsAffected, db.Error
	db.Error, db.RowsAffected = nil, 0
	return affected, err
}

// finish sets how the call went: for GORM's later callbacks, for Save, which reads RowsAffected, and for gorm.G, which reads the
// statement's result. Nothing else sets it.
func (c *Call) finish(affected int64, err error) {
	if err == nil && c.Failed != nil { // in a query behind all statements
		affected, err = 0, c.Failed
	}
	c.DB.RowsAffected = affected
	if c.Stmt.Result != nil {
		c.Stmt.Result.RowsAffected = affected
	}
	if err != nil {
		_ = c.DB.AddError(err)
	}
}

func (c *Call) startedTransaction() bool { return tx.IsDefault(c.DB) }

// Counters returns those of the table that the statement writes, whatever alias it goes by.
func (c *Call) Counters() *stats.TableCounters {
	return c.Plugin.Counters.Of(c.tableName(), c.Model.Table)
}

func (c *Call) tableName() string {
	if c.Stmt.TableExpr == nil || c.Stmt.Table == c.Model.Table {
		return c.Stmt.Table
	}
	return model.TableNamed(c.Stmt.TableExpr, c.Model.Table)
}

// buildOnly has GORM build a statement and not send it.
func buildOnly(db *gorm.DB, build func() error) error {
	config := db.Config
	defer func() { db.Config = config }()
	dry := *config
	dry.DryRun = true
	db.Config = &dry
	return build()
}

// within runs write in the statement's transaction, or in one of its own where there is none.
func (c *Call) within(write func() (int64, error)) (affected int64, err error) {
	c.depth++
	defer func() { c.depth-- }()
	err = c.Plugin.InTransaction(c.DB, func() (err error) {
		affected, err = write()
		return err
	})
	return affected, err
}

// allOrNone runs write as a unit whose rows stand or fall together.
func (c *Call) allOrNone(write func() (int64, error)) (affected int64, err error) {
	c.depth++
	defer func() { c.depth-- }()
	kept, err := c.Plugin.AllOrNone(c.DB, func() (err error) {
		affected, err = write()
		return err
	})
	c.memories = append(c.memories, kept...)
	if err != nil {
		return 0, err
	}
	return affected, nil
}

// inTurn runs several writes of one call, and counts what they wrote. The first error ends it.
func inTurn(writes ...func() (int64, error)) (affected int64, err error) {
	for _, write := range writes {
		n, err := write()
		if err != nil {
			return 0, err
		}
		affected += n
	}
	return affected, nil
}

// softDeleteMark is where GORM notes that it has added the condition of a soft delete to WHERE.
const softDeleteMark = "soft_delete_enabled"

// keptClauses are clauses of a statement as they were before the plugin changed them, so that the caller can use the statement
// again.
type keptClauses struct {
	stmt *gorm.Statement
	kept []keptClause
}

type keptClause struct {
	name   string
	clause clause.Clause
	was    bool
}

// keep remembers clauses that are about to change.
func (k *keptClauses) keep(names ...string) {
	for _, name := range names {
		found, was := k.stmt.Clauses[name]
		k.kept = append(k.kept, keptClause{name, found, was})
	}
}

// of returns a clause as the caller gave it.
func (k *keptClauses) of(name string) (clause.Clause, bool) {
	for _, kept := range k.kept {
		if kept.name == name {
			return kept.clause, kept.was
		}
	}
	return clause.Clause{}, false
}

// restore gives the statement its clauses back.
func (k *keptClauses) restore() {
	for _, kept := range slices.Backward(k.kept) { // one that was kept twice is what it was at first
		setClause(k.stmt, kept.name, kept.clause, kept.was)
	}
	k.kept = k.kept[:0]
}

func setClause(stmt *gorm.Statement, name string, found clause.Clause, isThere bool) {
	if isThere {
		stmt.Clauses[name] = found
	} else {
		delete(stmt.Clauses, name)
	}
}

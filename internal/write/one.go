package write

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/tx"
)

// writeByDatabase writes what the database gives a version itself, and reads that version: with the statement where it can
// return it, else before the transaction ends, for afterwards it could be somebody else's.
func (c *Call) writeByDatabase(set clause.Set, gormWrite func(*gorm.DB)) {
	r := &c.rows[0]
	if c.Dialect.UpdateReturnsWritten && c.canReturn(r) {
		c.returnVersion()
		c.run(set, gormWrite)
		r.Next = c.Model.Version.Of(c.Ctx, r.Model)
		if c.DB.Error != nil {
			c.putBack()
		}
		c.check()
		return
	}
	r.Next = r.Before
	c.within(func() error {
		c.run(set, gormWrite)
		c.check()
		if c.DB.Error != nil || c.DB.DryRun || c.DB.RowsAffected == 0 || (c.Op == conflict.OpDelete && !c.wasSoftDelete()) {
			return c.DB.Error
		}
		return c.learnVersion(r)
	})
}

func (c *Call) writeAndLearn(set clause.Set, gormWrite func(*gorm.DB)) {
	if len(c.rows) == 0 {
		c.run(set, gormWrite)
		return
	}
	c.within(func() error {
		c.run(set, gormWrite)
		switch {
		case c.DB.Error != nil, c.DB.DryRun, c.Op == conflict.OpDelete && !c.wasSoftDelete():
			return c.DB.Error
		case c.DB.RowsAffected == 0:
			return c.learnUnchanged(&c.rows[0])
		}
		return c.learnVersion(&c.rows[0])
	})
}

// writeCompared writes if the row is still at the expected version.
func (c *Call) writeCompared(set clause.Set, gormWrite func(*gorm.DB)) {
	if !c.namesRows() {
		return
	}
	c.Counters().Checked.Add(1)
	if c.hasSnapshots() {
		c.writeSnapshot(set, gormWrite)
		return
	}
	c.whereRow(true)
	if c.Model.Version.ByDatabase {
		c.writeByDatabase(set, gormWrite)
		return
	}
	c.run(set, gormWrite)
	c.check()
}

// namesRows holds up GORM's rule that a write without a condition is a mistake; the version alone is no condition.
func (c *Call) namesRows() bool {
	if c.HasOwnConditions() || c.rows[0].Key != nil || c.DB.AllowGlobalUpdate {
		return true
	}
	_ = c.DB.AddError(gorm.ErrMissingWhereClause)
	return false
}

// check looks at what became of a compared statement: the next version in memory, or a refusal.
func (c *Call) check() {
	switch {
	case c.DB.DryRun:
	case c.DB.Error != nil:
		c.checkError()
	case c.DB.RowsAffected == 0 && c.isSaveOfNew(&c.rows[0]):
		c.insertBeforeAssociations()
	case c.DB.RowsAffected == 0:
		c.Refuse(nil)
	case c.Op != conflict.OpDelete || c.wasSoftDelete():
		r := &c.rows[0]
		c.advance(r, r.Next)
		c.learnBase(r)
	}
}

func (c *Call) checkError() {
	if err := c.DB.Error; c.Dialect.IsConflict(err) {
		c.Refuse(err)
	}
}

// isSaveOfNew tells the UPDATE with which GORM's Save finds out that a model was not stored before.
func (c *Call) isSaveOfNew(r *rows.Row) bool {
	return c.Op == conflict.OpUpdate && !c.expects && c.Model.Version.Kind.IsZero(r.Expected) && c.isWholeRow() && tx.CalledBySave()
}

// savingClause marks the INSERT that goes ahead of the one that Save would send.
const savingClause = "occ:saving"

type saving struct{}

func (saving) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[savingClause] = clause.Clause{Expression: saving{}}
}

// Build writes nothing.
func (saving) Build(clause.Builder) {}

// insertBeforeAssociations inserts the model that the UPDATE of a Save did not find, if it comes with associations: GORM
// would save those first, and they would stay if the model then turned out to be there.
func (c *Call) insertBeforeAssociations() {
	if c.unit == nil || !model.SavesAssociations(c.Stmt, c.Model, c.rows[0].Model, false) {
		return // Save goes on to insert it
	}
	tx := c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Clauses(saving{}, clause.OnConflict{UpdateAll: true})
	tx = session.Inherit(tx, c.Stmt).Omit(append(slices.Clip(c.Stmt.Omits), clause.Associations)...)
	tx.Statement.Table, tx.Statement.TableExpr, tx.Statement.Unscoped = c.Stmt.Table, c.Stmt.TableExpr, c.Stmt.Unscoped
	tx = tx.Create(c.Stmt.Dest)
	if c.DB.AddError(tx.Error) == nil {
		c.setRowsAffected(tx.RowsAffected)
	}
}

// writeSnapshot writes if the row still holds what it was loaded with. The transaction keeps others out until the row
// has been read back.
func (c *Call) writeSnapshot(set clause.Set, gormWrite func(*gorm.DB)) {
	if c.snapshot == nil {
		c.chooseColumns(set)
	}
	c.snapshot.again = func() { c.writeAgain(set, gormWrite) }
	c.within(func() error {
		c.whereRow(true)
		if c.returnsSnapshot() {
			c.runReturning(set, gormWrite)
		} else {
			c.run(set, gormWrite)
		}
		return c.checkSnapshot()
	})
}

// returnsSnapshot tells whether the statement itself can give the row as written.
func (c *Call) returnsSnapshot() bool {
	_, asked := c.Stmt.Clauses["RETURNING"]
	return c.Dialect.UpdateReturnsWritten && !asked && c.rows[0].Model.CanAddr() && (c.Op != conflict.OpDelete || c.isSoftDelete())
}

// runReturning has GORM build the statement with RETURNING, and sends it: GORM would scan what it gives into the model.
func (c *Call) runReturning(set clause.Set, gormWrite func(*gorm.DB)) {
	returning := clause.Returning{}
	for _, name := range c.VersionNames() {
		returning.Columns = append(returning.Columns, clause.Column{Name: name})
	}
	c.Stmt.Clauses["RETURNING"] = clause.Clause{Name: "RETURNING", Expression: returning}
	config := c.DB.Config
	dry := *config
	dry.DryRun = true
	c.DB.Config = &dry
	c.run(set, gormWrite)
	c.DB.Config = config
	if c.DB.Error == nil && !c.DB.DryRun {
		_ = c.DB.AddError(c.query())
		c.Plugin.Leave(c.DB)
	}
}

// query sends the statement that GORM has built and keeps what it returns.
func (c *Call) query() error {
	rows, err := c.Stmt.ConnPool.QueryContext(c.Ctx, c.Stmt.SQL.String(), c.Stmt.Vars...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	affected := int64(0)
	for rows.Next() {
		version := c.NewVersionScan()
		if err := version.Scan(rows); err != nil {
			return err
		}
		if c.snapshot.returned, err = version.Value(); err != nil {
			return err
		}
		affected++
	}
	c.setRowsAffected(affected)
	return rows.Err()
}

func (c *Call) checkSnapshot() error {
	r := &c.rows[0]
	switch {
	case c.DB.DryRun:
		return c.DB.Error
	case c.DB.Error != nil:
		c.checkError()
	case c.DB.RowsAffected == 0 && c.isSaveOfNew(r): // Save goes on to insert it
	case c.DB.RowsAffected == 0:
		c.Refuse(nil)
	}
	if c.DB.Error != nil || c.DB.RowsAffected == 0 || c.Op == conflict.OpDelete && !c.wasSoftDelete() {
		return c.DB.Error
	}
	return c.learnSnapshot(r)
}

// writeAgain is for a row that reads the same as the snapshot although the statement did not find it so: because it does
// not compare exactly, because the caller's own conditions do not hold, or because MySQL counts no row that an UPDATE
// leaves as it is. It is locked, looked at once more, and written by its key.
func (c *Call) writeAgain(set clause.Set, gormWrite func(*gorm.DB)) {
	r := &c.rows[0]
	state, err := c.ReadWhere(&rows.Condition{Model: c.Model, Key: r.Key}, c.Locking(clause.LockingStrengthUpdate))
	if err != nil {
		c.DB.Error = err
		c.checkError()
		return
	}
	if !c.isCurrent(r, state) {
		c.fail(&conflict.Refusal{Op: c.Op, Rows: []conflict.Row{c.staleRow(r, state)}})
		return
	}
	c.startOver()
	c.whereRow(false)
	c.run(set, gormWrite)
	switch {
	case c.DB.Error != nil:
		c.checkError()
	case c.DB.RowsAffected > 0, c.HasOwnConditions(), c.mayBeUnchanged():
	default:
		c.fail(&conflict.Refusal{Op: c.Op, Rows: c.unknown([]*rows.Row{r})})
	}
}

// startOver takes from the statement what the last attempt has left in it: GORM adds to conditions.
func (c *Call) startOver() {
	c.Stmt.SQL.Reset()
	c.Stmt.Vars = nil
	delete(c.Stmt.Clauses, "SET")
	for _, name := range []string{"WHERE", "RETURNING", softDeleteMark} {
		if found, had := c.clausesBefore(name); had {
			c.Stmt.Clauses[name] = found
		} else {
			delete(c.Stmt.Clauses, name)
		}
	}
}

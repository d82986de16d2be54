package write

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/tx"
)

// writeCompared writes the one row of a plan if it is still what it is compared with.
func (p *plan) writeCompared(set clause.Set, send func(*gorm.DB)) (int64, error) {
	if err := p.namesRows(); err != nil {
		return 0, err
	}
	p.Counters().Checked.Add(1)
	return p.compare.writeOne(p, set, send)
}

// namesRows returns GORM's error for a write without a condition. The version alone is no condition.
func (p *plan) namesRows() error {
	if p.by.HasOwnConditions() || p.rows[0].Key != nil || p.DB.AllowGlobalUpdate {
		return nil
	}
	return gorm.ErrMissingWhereClause
}

// writeOne sends the statement with the version in its conditions, and settles it.
func (v byVersion) writeOne(p *plan, set clause.Set, send func(*gorm.DB)) (int64, error) {
	if p.Model.Version.ByDatabase {
		p.whereRow(true)
		return p.writeByDatabase(set, send)
	}
	return p.settle(p.runCompared(set, send))
}

// run has GORM build and send the statement.
func (c *Call) run(set clause.Set, send func(*gorm.DB)) (affected int64, err error) {
	if set != nil {
		c.room.set = clauses.Set{Stmt: c.Stmt, Set: set}
		c.Stmt.Clauses["SET"] = clause.Clause{Name: "SET", Expression: &c.room.set}
	}
	return c.execute(c.DB, send)
}

// settle gives the model of a compared statement of one row the next version, or refuses the write.
func (p *plan) settle(affected int64, err error) (int64, error) {
	r := &p.rows[0]
	switch {
	case p.DB.DryRun:
		return affected, err
	case err != nil:
		return 0, p.orRefusal(err, r)
	case affected == 0 && p.isSaveOfNew(r):
		return p.insertBeforeAssociations()
	case affected == 0:
		return 0, p.settleUnwritten()
	case p.removes():
		return affected, nil
	}
	p.advance(r, r.Next)
	return affected, p.learnBase(r)
}

// settleUnwritten finds out why a compared statement wrote no row. Where the row is current, the caller's own conditions did
// not hold, or there was nothing to change; else it returns the refusal.
func (p *plan) settleUnwritten() error {
	r := &p.rows[0]
	isKeyed := r.Key != nil
	state, isRead, err := p.readUnwritten(r)
	switch {
	case err != nil:
		return p.refuseAll(err, r)
	case !isRead:
		return p.refuseAll(nil, r)
	case isKeyed && p.isCurrent(r, state) && p.by.HasOwnConditions():
		return p.outOfReach()
	case isKeyed && p.isCurrent(r, state) && p.mayBeUnchanged():
		p.advance(r, r.Expected) // which the model may not hold: it can have come from Expect
		return nil
	}
	return p.refuse(nil, p.staleRow(r, state))
}

// readUnwritten reads a row that was not written, by its key or by the one that the caller's conditions name.
func (p *plan) readUnwritten(r *rows.Row) (state rows.State, isRead bool, err error) {
	if r.Key == nil {
		r.Key = p.keyInConditions()
	}
	if r.Key == nil {
		return state, false, nil
	}
	state, err = p.Read(r.Key)
	return state, true, err
}

// writeByDatabase writes a row that the database gives its version, and reads that version. It comes with the statement where
// that can return it, else it is read before the transaction ends: afterwards it could be somebody else's.
func (p *plan) writeByDatabase(set clause.Set, send func(*gorm.DB)) (int64, error) {
	r := &p.rows[0]
	if p.Dialect.UpdateReturnsWritten && p.canReturn(r) {
		returnVersion(&p.Site)
		affected, err := p.run(set, send)
		if r.Next = p.Model.Version.Of(p.Ctx, r.Model); err != nil {
			p.putBack()
		}
		return p.settle(affected, err)
	}
	r.Next = r.Before
	return p.within(func() (int64, error) {
		affected, err := p.settle(p.run(set, send))
		if err != nil || p.DB.DryRun || affected == 0 || p.removes() {
			return affected, err
		}
		return affected, p.learnVersion(r)
	})
}

// isSaveOfNew reports whether an UPDATE is the one with which GORM's Save finds out that a model was not stored before.
func (p *plan) isSaveOfNew(r *rows.Row) bool {
	return p.op == conflict.OpUpdate && !p.expects && p.Model.Version.Kind.IsZero(r.Expected) && savesModel(p.Stmt, p.Model.ModelType) && tx.CalledBySave()
}

// savingClause marks the INSERT that is sent before the one of Save.
const savingClause = "occ:saving"

type saving struct{}

func (saving) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[savingClause] = clause.Clause{Expression: saving{}}
}

// Build writes nothing.
func (saving) Build(clause.Builder) {}

// insertBeforeAssociations inserts the model that the UPDATE of a Save did not find, if it comes with associations: GORM
// would save those first, and they would stay if the model then turned out to be there.
func (p *plan) insertBeforeAssociations() (int64, error) {
	if p.unit == nil || !model.SavesAssociations(p.Stmt, p.Model, p.rows[0].Model, false) {
		return 0, nil // Save goes on to insert it
	}
	tx := p.DB.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Clauses(saving{}, clause.OnConflict{UpdateAll: true})
	tx = session.Inherit(tx, p.Stmt).Omit(append(slices.Clip(p.Stmt.Omits), clause.Associations)...)
	tx.Statement.Table, tx.Statement.TableExpr, tx.Statement.Unscoped = p.Stmt.Table, p.Stmt.TableExpr, p.Stmt.Unscoped
	tx = tx.Create(p.Stmt.Dest)
	return tx.RowsAffected, tx.Error
}

// writeOne writes a row if it still holds what it was loaded with. In the transaction, no one else can write the row until it
// has been read back.
func (s *bySnapshot) writeOne(p *plan, set clause.Set, send func(*gorm.DB)) (int64, error) {
	if !s.isChosen {
		p.compareFor(set)
	}
	return p.within(func() (int64, error) {
		p.whereRow(true)
		if p.returnsSnapshot() {
			affected, stored, err := p.runReturning(set, send)
			return p.settleSnapshot(affected, stored, err, func() (int64, error) { return p.writeAgain(set, send) })
		}
		affected, err := p.run(set, send)
		return p.settleSnapshot(affected, nil, err, func() (int64, error) { return p.writeAgain(set, send) })
	})
}

// returnsSnapshot reports whether the statement itself can give the row as written.
func (p *plan) returnsSnapshot() bool {
	_, asked := p.Stmt.Clauses["RETURNING"]
	return p.Dialect.UpdateReturnsWritten && !asked && p.rows[0].Model.CanAddr() && !p.isHardDelete()
}

// runReturning has GORM build the statement with RETURNING, and sends it: GORM would scan what it gives into the model.
func (c *Call) runReturning(set clause.Set, send func(*gorm.DB)) (affected int64, stored any, err error) {
	returning := clause.Returning{}
	for _, name := range c.VersionNames() {
		returning.Columns = append(returning.Columns, clause.Column{Name: name})
	}
	c.Stmt.Clauses["RETURNING"] = clause.Clause{Name: "RETURNING", Expression: returning}
	err = buildOnly(c.DB, func() error {
		_, err := c.run(set, send)
		return err
	})
	if err != nil || c.DB.DryRun {
		return 0, nil, err
	}
	return c.query()
}

// query sends the statement that GORM has built, and returns what it returned of the last row.
func (c *Call) query() (affected int64, stored any, err error) {
	affected, err = c.execute(c.DB, c.Plugin.Watched(func(db *gorm.DB) {
		found, err := c.Stmt.ConnPool.QueryContext(c.Ctx, c.Stmt.SQL.String(), c.Stmt.Vars...)
		if db.AddError(err) != nil {
			return
		}
		defer func() { _ = found.Close() }()
		for found.Next() {
			version := c.NewVersionScan()
			if err = version.Scan(found); err == nil {
				stored, err = version.Value()
			}
			if db.AddError(err) != nil {
				return
			}
			db.RowsAffected++
		}
		_ = db.AddError(found.Err())
	}))
	return affected, stored, err
}

// settleSnapshot gives the model of a statement of one row its new snapshot, or refuses the write.
func (p *plan) settleSnapshot(affected int64, stored any, err error, again func() (int64, error)) (int64, error) {
	r := &p.rows[0]
	switch {
	case p.DB.DryRun:
		return affected, err
	case err != nil:
		return 0, p.orRefusal(err, r)
	case affected == 0 && p.isSaveOfNew(r):
		return 0, nil // Save goes on to insert it
	case affected == 0:
		if affected, err = p.settleUnheld(again); err != nil || affected == 0 {
			return 0, err
		}
	}
	if p.removes() {
		return affected, nil
	}
	return affected, p.learnSnapshot(r, stored)
}

// settleUnheld finds out why a statement did not find a row as the snapshot has it. One that reads the same is written again,
// without the comparison.
func (p *plan) settleUnheld(again func() (int64, error)) (int64, error) {
	r := &p.rows[0]
	state, isRead, err := p.readUnwritten(r)
	switch {
	case err != nil:
		return 0, p.refuseAll(err, r)
	case !isRead:
		return 0, p.refuseAll(nil, r)
	case p.isCurrent(r, state):
		return again()
	}
	return 0, p.refuse(nil, p.staleRow(r, state))
}

// writeAgain writes a row that reads the same as the snapshot although the statement did not find it so. Then the database
// does not compare exactly, the caller's own conditions do not hold, or MySQL does not count a row that an UPDATE leaves as it is.
// The row is locked, read once more, and written by its key.
func (p *plan) writeAgain(set clause.Set, send func(*gorm.DB)) (int64, error) {
	r := &p.rows[0]
	state, err := p.Read(r.Key, p.Locking(clause.LockingStrengthUpdate))
	if err != nil {
		return 0, p.orRefusal(err, r)
	}
	if !p.isCurrent(r, state) {
		return 0, p.refuse(nil, p.staleRow(r, state))
	}
	p.startOver()
	p.whereRow(false)
	affected, err := p.run(set, send)
	switch {
	case err != nil:
		return 0, p.orRefusal(err, r)
	case affected > 0, p.by.HasOwnConditions(), p.mayBeUnchanged():
		return affected, nil
	}
	return 0, p.refuseAll(nil, r)
}

// startOver takes from the statement what the last attempt has left in it: GORM adds to conditions.
func (c *Call) startOver() {
	c.Stmt.SQL.Reset()
	c.Stmt.Vars = nil
	delete(c.Stmt.Clauses, "SET")
	for _, name := range []string{"WHERE", "RETURNING", softDeleteMark} {
		found, had := c.before.of(name)
		setClause(c.Stmt, name, found, had)
	}
}

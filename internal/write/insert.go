package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/rows"
)

// insert has GORM insert the rows, with a first version where they have none of their own. A model whose row was not inserted is
// left as it was.
func (c *Call) insert() (int64, error) {
	switch {
	case c.Model.Compares() != nil:
		return c.insertSnapshots()
	case c.Model.Version.ByDatabase:
		return c.databaseInsert().run()
	}
	return c.insertNumbered()
}

// insertNumbered has GORM insert the rows with versions of the plugin's.
func (c *Call) insertNumbered() (int64, error) {
	column := versionColumn{&c.Site}
	defer column.include()()
	numbered, err := number(c.newVersions())
	isInserted := false
	defer func() {
		if !isInserted { // or a panic: a Valuer's, say
			numbered.putBack()
		}
	}()
	if err != nil {
		return 0, err
	}
	column.bind()
	affected, err := c.execute(c.DB, c.Plugin.Gorm.create)
	if err != nil || c.DB.DryRun || affected == 0 {
		return 0, err
	}
	isInserted = true
	c.inserts += len(numbered.rows)
	for i := range numbered.rows {
		c.remember(&numbered.rows[i], true)
		c.note(numbered.rows[i].Model)
	}
	return affected, nil
}

// insertSnapshots has GORM insert the rows, and gives their models the snapshots of what is stored.
func (c *Call) insertSnapshots() (int64, error) {
	affected, err := c.execute(c.DB, c.Plugin.Gorm.create)
	if err != nil || c.DB.DryRun || affected == 0 {
		return 0, err
	}
	return affected, c.inserted(c.candidates()).learnInserted()
}

// inserted is the plan of rows that were inserted.
func (c *Call) inserted(hand []rows.Row) *plan {
	p := c.planOf(hand)
	p.isWhole = true
	return p
}

// databaseInsert is an INSERT of rows whose versions the database makes.
type databaseInsert struct {
	call *Call
	unversioned
}

// databaseInsert finds out what the statement is about now: parts of a batch are sent with the statement pointed at them.
func (c *Call) databaseInsert() databaseInsert { return databaseInsert{c, c.unversioned()} }

// run leaves the version out of the INSERT where the model has none, and reads what the database made of it.
func (d databaseInsert) run() (int64, error) {
	if d.returnsVersions() {
		returnVersion(d.Site, defaultColumns(d.Model)...)
		affected, err := d.send()
		d.keepReturned(err == nil && affected > 0)
		return affected, err
	}
	return d.call.within(func() (int64, error) {
		affected, err := d.send()
		putVersionsBack(d.Site, d.hand)
		if err != nil || d.DB.DryRun || affected == 0 || mayBeSkipped(d.Stmt) {
			return affected, err
		}
		return affected, d.call.inserted(d.hand).learnInserted()
	})
}

// returnsVersions reports whether what the INSERT returns are the versions of the models, in their order. PostgreSQL does not
// return the xmin of a row that it passes on to a partition.
func (d databaseInsert) returnsVersions() bool {
	if !d.Dialect.InsertReturnsWritten || len(d.hand) == 0 || mayBeSkipped(d.Stmt) {
		return false
	}
	return !d.Model.Version.IsXmin() || d.DB.DryRun || !d.IsPartitioned()
}

// send has GORM insert the rows, and leave the version out of those whose models have none. Where the database takes no
// DEFAULT among values, the others are inserted by themselves.
func (d databaseInsert) send() (int64, error) {
	all := d.call.collect(d.Stmt.ReflectValue, nil)
	if d.Dialect.TakesDefault || len(d.hand) == 0 || len(d.hand) == len(all) {
		defer d.leaveOut()()
		return d.call.execute(d.DB, d.call.Plugin.Gorm.create)
	}
	preset := slices.DeleteFunc(all, func(r rows.Row) bool { return d.Model.Version.Kind.IsZero(r.Before) })
	sendPart := func() (int64, error) { return d.call.databaseInsert().send() }
	return d.call.allOrNone(func() (int64, error) {
		return inTurn(
			func() (int64, error) { return withModels(d.Site, modelsOf(d.hand), sendPart) },
			func() (int64, error) { return withModels(d.Site, modelsOf(preset), sendPart) },
		)
	})
}

// keepReturned notes that models have been given versions, for the transaction may still be rolled back; those that were not
// inserted get their own back.
func (d databaseInsert) keepReturned(areInserted bool) {
	if !areInserted {
		putVersionsBack(d.Site, d.hand)
		return
	}
	for n := range d.hand {
		d.call.remember(&d.hand[n], true)
	}
}

// mayBeSkipped reports whether an INSERT of several rows may leave some alone, so that what it returns is not the models' in
// their order. Of those models no version is known; they have to be loaded.
func mayBeSkipped(stmt *gorm.Statement) bool {
	conflict, isUpsert := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	return isUpsert && stmt.ReflectValue.Kind() != reflect.Struct && (conflict.DoNothing || len(conflict.Where.Exprs) > 0)
}

// putVersionsBack gives models the versions that they had. GORM gives them the default of the column while it builds an INSERT.
func putVersionsBack(s *rows.Site, hand []rows.Row) {
	for _, r := range hand {
		s.Model.Version.Put(s.Ctx, r.Model, r.Before)
	}
}

package write

import (
	"cmp"
	"errors"
	"slices"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// doNothing is the INSERT that leaves rows alone that are there. Only models whose row was inserted get a version. Which they
// are, GORM does not know of several models, so the plugin finds out.
type doNothing struct {
	call *Call
	hand []rows.Row
}

// insertOrSkip is the upsert that does nothing where a row is there. Models that come along with their owner and are loaded
// already are linked, not written. Where one is gone, only a Create of its owner inserts it.
func (c *Call) insertOrSkip() (int64, error) {
	d := doNothing{c, c.candidates()}
	if c.DB.DryRun || len(d.hand) == 0 {
		return c.insert() // maps, or no write at all
	}
	if c.isLinked {
		if err := d.leaveLinked(); err != nil {
			return 0, err
		}
	}
	if c.Model.Version.ByDatabase {
		return c.within(d.run) // what is read afterwards must not be what somebody else has written
	}
	return d.run()
}

// leaveLinked leaves the parts of owners that are to be inserted if they are not there. A loaded one that is not there would
// leave the owner with the key of no row. It is inserted with an owner that is new, and refused with another.
func (d *doNothing) leaveLinked() error {
	c := d.call
	isLoaded := func(r rows.Row) bool { return !c.Model.Version.Kind.IsZero(r.Before) }
	loaded := slices.DeleteFunc(slices.Clone(d.hand), func(r rows.Row) bool { return !isLoaded(r) })
	d.hand = slices.DeleteFunc(d.hand, isLoaded)
	if c.owner == nil || len(loaded) == 0 {
		return nil
	}
	gone, err := d.missing(loaded)
	switch {
	case err != nil || len(gone) == 0:
		return err
	case c.isOfNewOwners():
		d.hand = append(d.hand, gone...)
		return nil
	}
	p := c.planOf(gone)
	p.op = conflict.OpUpdate
	return p.readAndRefuse(p.pointers())
}

// errSkipped says that a row was there already.
var errSkipped = errors.New("occ: a row was there already")

// run inserts the rows that are not there, in one statement where all are new. Where one was not, that is undone and the rows
// go one by one: no database says which of several it has skipped.
func (d *doNothing) run() (inserted int64, err error) {
	hand := d.hand
	if !d.call.Dialect.ConflictTarget {
		if hand, err = d.missing(hand); err != nil { // a duplicate key would leave locks behind, and two of those deadlock
			return 0, err
		}
	}
	if len(hand) < 2 {
		return d.insertEach(hand)
	}
	inserted, err = d.call.allOrNone(func() (int64, error) { return d.insertAll(hand) })
	if !errors.Is(err, errSkipped) {
		return inserted, err
	}
	missing, err := d.missing(hand)
	if err != nil {
		return 0, err
	}
	return d.call.allOrNone(func() (int64, error) { return d.insertEach(missing) })
}

func (d *doNothing) insertEach(hand []rows.Row) (inserted int64, err error) {
	for i := range hand {
		n, err := d.insertAll(hand[i : i+1])
		if err != nil && !errors.Is(err, errSkipped) {
			return 0, err
		}
		inserted += n
	}
	return inserted, nil
}

// insertAll inserts rows with their first version, or reports errSkipped if one of them was there; then the models are as
// they were before.
func (d *doNothing) insertAll(hand []rows.Row) (int64, error) {
	c := d.call
	firsts, err := c.newVersions().ofRows(hand)
	if err != nil {
		return 0, err
	}
	for i, r := range hand {
		c.Model.Version.Put(c.Ctx, r.Model, firsts[i])
	}
	if err = d.send(hand); err != nil {
		putVersionsBack(&c.Site, hand)
		return 0, err
	}
	c.inserts += len(hand)
	for i := range hand {
		c.remember(&hand[i], true)
		c.note(hand[i].Model)
	}
	if c.Model.Compares() != nil || c.Model.Version.ByDatabase {
		err = c.inserted(slices.Clone(hand)).learnInserted()
	}
	return int64(len(hand)), err
}

// send sends the INSERT. MySQL's DO NOTHING counts rows that it skipped, and so does GORM for several models with keys: there
// it is an INSERT whose duplicate keys are no error.
func (d *doNothing) send(hand []rows.Row) error {
	stmt := d.call.Stmt
	given, had := stmt.Clauses["ON CONFLICT"]
	isPlain := !d.call.Dialect.ConflictTarget || len(hand) > 1
	if isPlain {
		delete(stmt.Clauses, "ON CONFLICT")
		defer setClause(stmt, "ON CONFLICT", given, had)
	}
	affected, err := d.insertModels(hand)
	isSkipped := isDuplicateKey(d.call.Dialect, err) && isPlain || err == nil && affected < int64(len(hand))
	if !isSkipped {
		return err
	}
	setClause(stmt, "ON CONFLICT", given, had)
	if err := d.learnKey(hand); err != nil {
		return err
	}
	return errSkipped
}

// learnKey has MySQL give a model the generated key of the row that was there: GORM goes on to link that row to its owner.
// MySQL's DO NOTHING returns the key, unlike others'.
func (d *doNothing) learnKey(hand []rows.Row) error {
	if d.call.Dialect.ConflictTarget || len(hand) > 1 || hand[0].Key != nil {
		return nil
	}
	_, err := d.insertModels(hand)
	return err
}

// insertModels has GORM insert the models of some rows.
func (d *doNothing) insertModels(hand []rows.Row) (int64, error) {
	c := d.call
	return withModels(&c.Site, modelsOf(hand), func() (int64, error) {
		if c.Model.Version.ByDatabase {
			return c.databaseInsert().send()
		}
		defer versionColumn{&c.Site}.include()()
		return c.execute(c.DB, c.Plugin.Gorm.create)
	})
}

// missing returns the rows that do not exist now, and those that have no key, including rows that an old transaction
// snapshot still shows. Only rows that the snapshot shows are read with a lock: locking an absent key takes a gap lock, and two
// of those deadlock.
func (d *doNothing) missing(hand []rows.Row) (missing []rows.Row, err error) {
	c := d.call
	missing, shown, err := divideByKey(&c.Site, rows.Lookup{AsShown: true}, hand)
	canBeOld := c.Dialect.CurrentRead != nil && tx.IsTransaction(c.Stmt.ConnPool) && !c.startedTransaction()
	if err != nil || !canBeOld || c.isLinked || len(shown) == 0 {
		return missing, err
	}
	gone, _, err := divideByKey(&c.Site, rows.Lookup{}, shown)
	missing = append(missing, gone...)
	slices.SortFunc(missing, func(a, b rows.Row) int { return cmp.Compare(a.Index, b.Index) })
	return missing, err
}

// divideByKey divides the rows into those whose key is not there, those that have none, and the others.
func divideByKey(s *rows.Site, by rows.Lookup, hand []rows.Row) (missing, there []rows.Row, err error) {
	found := keyed(pointersTo(hand))
	if len(found) > 0 {
		if err := s.LockFirst(); err != nil {
			return nil, nil, err
		}
	}
	states, err := s.ReadRows(rows.Query{Lookup: by}, found)
	if err != nil {
		return nil, nil, err
	}
	isThere := map[*rows.Row]bool{}
	for i, r := range found {
		isThere[r] = states[i].IsThere
	}
	for i := range hand {
		if isThere[&hand[i]] {
			there = append(there, hand[i])
		} else {
			missing = append(missing, hand[i])
		}
	}
	return missing, there, nil
}

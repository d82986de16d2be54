package write

import (
	"cmp"
	"errors"
	"slices"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// insertOrSkip is the upsert that does nothing where a row is there. Only models whose row was inserted get a version;
// which they are, GORM cannot tell of several, so the plugin finds out. Models that come along with their owner and are
// loaded already are linked, not written. Where one is gone, only a Create of its owner inserts it.
func (c *Call) insertOrSkip() (int64, error) {
	hand := c.candidates()
	if c.DB.DryRun || len(hand) == 0 {
		return c.insert() // maps, or no write at all
	}
	if c.isLinked {
		var err error
		if hand, err = c.toLink(hand); err != nil {
			return 0, err
		}
	}
	insert := func() (int64, error) { return c.insertSkipping(hand) }
	if c.Model.Version.ByDatabase {
		return c.within(insert) // what is read afterwards must not be what somebody else has written
	}
	return insert()
}

// toLink returns the parts of owners that are to be inserted if they are not there. A loaded one that is not there would leave
// the owner with a key that leads nowhere: it is inserted with an owner that is new, and refused with another.
func (c *Call) toLink(hand []rows.Row) ([]rows.Row, error) {
	loaded := slices.DeleteFunc(slices.Clone(hand), func(r rows.Row) bool { return c.Model.Version.Kind.IsZero(r.Before) })
	hand = c.unloaded(hand)
	if c.owner == nil || len(loaded) == 0 {
		return hand, nil
	}
	gone, err := c.missingNow(loaded)
	switch {
	case err != nil || len(gone) == 0:
		return hand, err
	case c.isOfNewOwners():
		return append(hand, gone...), nil
	}
	p := c.planOf(gone)
	p.op = conflict.OpUpdate
	return nil, p.readAndRefuse(p.pointers())
}

// errSkipped says that a row was there already.
var errSkipped = errors.New("occ: a row was there already")

// insertSkipping inserts the rows that are not there, in one statement where all are new. Where one was not, that is undone
// and the rows go one by one: no database says which of several it has skipped.
func (c *Call) insertSkipping(hand []rows.Row) (inserted int64, err error) {
	if !c.Dialect.ConflictTarget {
		if hand, err = c.missingNow(hand); err != nil { // a duplicate key would leave locks behind, and two of those deadlock
			return 0, err
		}
	}
	if len(hand) < 2 {
		return c.insertEach(hand)
	}
	inserted, err = c.allOrNone(func() (int64, error) { return c.insertAll(hand) })
	if !errors.Is(err, errSkipped) {
		return inserted, err
	}
	missing, err := c.missingNow(hand)
	if err != nil {
		return 0, err
	}
	return c.allOrNone(func() (int64, error) { return c.insertEach(missing) })
}

func (c *Call) insertEach(hand []rows.Row) (inserted int64, err error) {
	for i := range hand {
		n, err := c.insertAll(hand[i : i+1])
		if err != nil && !errors.Is(err, errSkipped) {
			return 0, err
		}
		inserted += n
	}
	return inserted, nil
}

// insertAll inserts rows with their first version, or reports errSkipped if one of them was there; then the models are as
// they were. MySQL's DO NOTHING counts rows that it skipped, and so does GORM for several models with keys: there it is an
// INSERT whose duplicate keys are no error.
func (c *Call) insertAll(hand []rows.Row) (int64, error) {
	firsts, err := c.firstVersions(hand)
	if err != nil {
		return 0, err
	}
	given, had := c.Stmt.Clauses["ON CONFLICT"]
	isPlain := !c.Dialect.ConflictTarget || len(hand) > 1
	if isPlain {
		delete(c.Stmt.Clauses, "ON CONFLICT")
		defer c.setClause("ON CONFLICT", given, had)
	}
	for i, r := range hand {
		c.Model.Version.Put(c.Ctx, r.Model, firsts[i])
	}
	affected, err := c.insertModels(modelsOf(hand))
	if c.isDuplicateKey(err) && isPlain || err == nil && affected < int64(len(hand)) {
		c.setClause("ON CONFLICT", given, had)
		if err = c.learnKey(hand); err == nil {
			err = errSkipped
		}
	}
	if err != nil {
		c.forgetDefaults(hand)
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

// learnKey has MySQL give a model the generated key of the row that was there: its DO NOTHING does, unlike others', and
// GORM goes on to link that row to its owner.
func (c *Call) learnKey(hand []rows.Row) error {
	if c.Dialect.ConflictTarget || len(hand) > 1 || hand[0].Key != nil {
		return nil
	}
	_, err := c.insertModels(modelsOf(hand))
	return err
}

// missingNow returns the rows that do not exist now, and those that have no key, including rows that an old transaction
// snapshot still shows. Only rows that the snapshot shows are read with a lock: locking an absent key takes a gap lock, and two
// of those deadlock.
func (c *Call) missingNow(hand []rows.Row) (missing []rows.Row, err error) {
	missing, shown, err := c.missing(rows.Lookup{AsShown: true}, hand)
	canBeOld := c.Dialect.CurrentRead != nil && tx.IsTransaction(c.Stmt.ConnPool) && !c.startedTransaction()
	if err != nil || !canBeOld || c.isLinked || len(shown) == 0 {
		return missing, err
	}
	gone, _, err := c.missing(rows.Lookup{}, shown)
	missing = append(missing, gone...)
	slices.SortFunc(missing, func(a, b rows.Row) int { return cmp.Compare(a.Index, b.Index) })
	return missing, err
}

// missing divides the rows into those whose key is not there, those that have none, and the others.
func (c *Call) missing(by rows.Lookup, hand []rows.Row) (missing, there []rows.Row, err error) {
	found := keyed(pointersTo(hand))
	if len(found) > 0 {
		if err := c.LockFirst(); err != nil {
			return nil, nil, err
		}
	}
	states, err := c.ReadRows(rows.Query{Lookup: by}, found)
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

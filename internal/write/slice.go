package write

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
)

// isSaveOfSlice reports whether an INSERT is GORM's Save of a slice: an upsert of all columns that also sets the time of the
// update. With FullSaveAssociations, associations are saved alike.
func (c *Call) isSaveOfSlice(conflict clause.OnConflict) bool {
	_, setsTime := c.Stmt.Get("gorm:update_track_time")
	isSlice := c.Stmt.ReflectValue.Kind() == reflect.Slice || c.Stmt.ReflectValue.Kind() == reflect.Array
	if c.isLinked && conflict.UpdateAll {
		return true // FullSaveAssociations saves each model as Save does
	}
	isPlain := conflict.UpdateAll && len(conflict.Columns) == 0 && conflict.OnConstraint == "" &&
		len(conflict.Where.Exprs) == 0 && len(conflict.TargetWhere.Exprs) == 0
	return isSlice && isPlain && setsTime
}

// savedSlice is the models of a slice by what becomes of them.
type savedSlice struct {
	loaded    []*rows.Row // compared and updated
	unchecked []*rows.Row // updated whatever their version, and inserted if they are not there
	keyed     []*rows.Row // never loaded: inserted, unless they are there
	fresh     []*rows.Row // without a key: inserted
}

// saveSlice updates the loaded models of a slice and inserts the others, all or none.
func (c *Call) saveSlice() (int64, error) {
	p, err := c.planToSave()
	if err != nil {
		return 0, err
	}
	if len(p.rows) == 0 {
		return c.insert() // an empty slice is GORM's own error
	}
	return p.choosing(p.saveSlice)
}

// planToSave makes the plan for the models of the slice, those without a key too.
func (c *Call) planToSave() (*plan, error) {
	given, expects, err := c.givenVersion(nil)
	if err != nil {
		return nil, err
	}
	err = eachModel(c.Stmt.ReflectValue, func(index int, model reflect.Value) error {
		if !c.Model.IsModel(model) {
			return fmt.Errorf("occ: element %d of the slice is no %s: %w", index, c.Model.Name, gorm.ErrInvalidData)
		}
		return nil
	})
	p := c.planOf(c.collect(c.Stmt.ReflectValue, nil))
	p.op, p.expects, p.isWhole, p.by.Own = conflict.OpUpdate, expects, true, c.Stmt.Clauses["WHERE"]
	for i := range p.rows {
		if expects && p.rows[i].Key != nil {
			p.rows[i].Expected = given
		}
	}
	return p, err
}

// saveSlice saves the slice, once it is known which version each row is expected to be at.
func (p *plan) saveSlice() (int64, error) {
	hand, agree := p.savedOnce()
	saved := p.sortSaved(hand)
	if err := p.moveGone(&saved); err != nil {
		return 0, err
	}
	if saved.isEmpty() {
		return 0, nil // the call has written all of them already
	}
	delete(p.Stmt.Clauses, "ON CONFLICT")
	if err := p.setNext(saved.loaded...); err != nil {
		return 0, err
	}
	p.countSaved(saved)
	if !agree && !p.DB.DryRun {
		return 0, p.refuseCopies()
	}
	p.neverLoaded = saved.keyed
	if saved.isOfOneSort() {
		return p.saveEach(saved)
	}
	return p.allOrNone(func() (int64, error) { return p.saveEach(saved) })
}

// savedOnce returns the rows of the slice, each once, less those that a save of associations has written already.
func (p *plan) savedOnce() (hand []*rows.Row, agree bool) {
	hand = p.pointers()
	if p.isLinked {
		hand = p.dropWritten(hand)
	}
	p.catchUp(hand)
	return p.distinct(hand)
}

func (p *plan) sortSaved(hand []*rows.Row) (s savedSlice) {
	for _, r := range hand {
		switch {
		case r.Key == nil:
			s.fresh = append(s.fresh, r)
		case p.isUnchecked(r):
			s.unchecked = append(s.unchecked, r)
		case p.Model.Version.Kind.IsZero(r.Expected):
			s.keyed = append(s.keyed, r)
		default:
			s.loaded = append(s.loaded, r)
		}
	}
	return s
}

// moveGone has the parts of new owners inserted that bring a version and are not there.
func (p *plan) moveGone(s *savedSlice) error {
	if len(s.loaded) == 0 || p.DB.DryRun || !p.isOfNewOwners() {
		return nil
	}
	there, gone, _, err := p.divideByPresence(s.loaded)
	if err == nil && len(gone) > 0 {
		s.loaded, s.keyed = there, append(s.keyed, gone...)
	}
	return err
}

func (c *Call) countSaved(s savedSlice) {
	switch {
	case len(s.loaded) > 0 || len(s.keyed) > 0:
		c.Counters().Checked.Add(1)
	case len(s.unchecked) > 0:
		c.Counters().Blind.Add(1)
	}
}

// refuseCopies ends a Save of copies of one row that are at different versions. What Save would have inserted is no
// reason for it, unless it is there.
func (p *plan) refuseCopies() error {
	p.neverLoaded = p.sortSaved(p.pointers()).keyed
	return p.readAndRefuse(without(keyed(p.pointers()), p.neverLoaded))
}

func (s *savedSlice) isEmpty() bool {
	return len(s.loaded)+len(s.unchecked)+len(s.keyed)+len(s.fresh) == 0
}

func (s *savedSlice) isOfOneSort() bool {
	sorts := 0
	for _, n := range []int{len(s.loaded), len(s.unchecked), len(s.keyed) + len(s.fresh)} {
		if n > 0 {
			sorts++
		}
	}
	return sorts == 1 && len(s.unchecked) == 0
}

// saveEach writes the sorts of models one after the other; the first error ends it.
func (p *plan) saveEach(s savedSlice) (affected int64, err error) {
	for _, step := range []struct {
		hand []*rows.Row
		save func([]*rows.Row) (int64, error)
	}{
		{s.loaded, p.saveLoaded},
		{s.unchecked, p.saveUnchecked},
		{slices.Concat(s.keyed, s.fresh), p.saveNew},
	} {
		if len(step.hand) == 0 {
			continue
		}
		n, err := step.save(step.hand)
		if err != nil || p.DB.DryRun { // one statement is all that can be shown
			return 0, err
		}
		affected += n
	}
	return affected, nil
}

// saveLoaded is the one UPDATE of all loaded models.
func (p *plan) saveLoaded(hand []*rows.Row) (int64, error) {
	how, err := p.savingUpdate(hand, true)
	if err != nil {
		return 0, err
	}
	return p.writeSeveral(hand, how)
}

// saveUnchecked updates models whatever version their rows are at, and inserts those whose rows are gone.
func (p *plan) saveUnchecked(hand []*rows.Row) (int64, error) {
	if p.DB.DryRun {
		return p.updateUnchecked(hand)
	}
	states, err := p.lock(hand)
	if err != nil {
		return 0, err
	}
	var there, gone []*rows.Row
	for i, r := range hand {
		if states[i].IsThere {
			there = append(there, r)
		} else {
			gone = append(gone, r)
		}
	}
	return inTurn(
		func() (int64, error) { return p.updateUnchecked(there) },
		func() (int64, error) { return p.insertRows(gone) },
	)
}

func (p *plan) updateUnchecked(hand []*rows.Row) (int64, error) {
	if len(hand) == 0 {
		return 0, nil
	}
	how, err := p.savingUpdate(hand, false)
	if err != nil {
		return 0, err
	}
	return p.writeAsTheyAre(hand, how)
}

// saveNew inserts models that were not loaded. One whose row is there after all is compared like any other: it can be
// written where the row has no version yet.
func (p *plan) saveNew(hand []*rows.Row) (int64, error) {
	if p.DB.DryRun || len(keyed(hand)) == 0 && len(hand) <= p.maxInserted() {
		return p.insertRows(hand)
	}
	affected, err := p.allOrNone(func() (int64, error) { return p.insertRows(hand) })
	if !isDuplicateKey(p.Dialect, err) {
		return affected, err
	}
	there, gone, states, readErr := p.divideByPresence(hand)
	switch {
	case readErr != nil || len(there) == 0:
		return 0, err
	case !p.areCurrent(there, states):
		return 0, p.refuseRows(there, states)
	}
	if err := p.setNext(there...); err != nil {
		return 0, err
	}
	return p.allOrNone(func() (int64, error) {
		return inTurn(
			func() (int64, error) { return p.saveLoaded(there) },
			func() (int64, error) { return p.insertRows(gone) },
		)
	})
}

// divideByPresence divides the rows into those that are there, with their states, and those that are not.
func (p *plan) divideByPresence(hand []*rows.Row) (there, gone []*rows.Row, states []rows.State, err error) {
	for _, r := range hand {
		if r.Key == nil {
			gone = append(gone, r)
		}
	}
	found := keyed(hand)
	all, err := p.read(found)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, r := range found {
		if all[i].IsThere {
			there, states = append(there, r), append(states, all[i])
		} else {
			gone = append(gone, r)
		}
	}
	return there, gone, states, nil
}

// insertRows has GORM insert some models of the slice, in as many statements as the database's limit on parameters asks
// for.
func (p *plan) insertRows(hand []*rows.Row) (affected int64, err error) {
	for part := range slices.Chunk(hand, p.maxInserted()) {
		began := time.Now()
		n, err := p.insertPart(part)
		if err != nil || p.DB.DryRun {
			return affected, err
		}
		affected += n
		if len(hand) > p.maxInserted() {
			trace(p.DB, began, n, nil)
		}
	}
	return affected, nil
}

// maxInserted returns how many rows one INSERT can have. A column may take more than one parameter where it is an expression.
func (c *Call) maxInserted() int {
	return max(1, c.Dialect.MaxVars/(len(c.Model.DBNames)+rows.VarsInReserve))
}

// insertPart inserts models, and gives further copies of a row what the one that was inserted has got.
func (p *plan) insertPart(hand []*rows.Row) (int64, error) {
	latest := make([]reflect.Value, len(hand))
	for i, r := range hand {
		latest[i] = r.Latest()
	}
	affected, err := withSlice(&p.Site, latest, p.insert)
	if err != nil || p.DB.DryRun {
		return 0, err
	}
	for _, r := range hand {
		for _, twin := range r.All() {
			if twin.Model.Addr().Pointer() != r.Latest().Addr().Pointer() {
				p.advanceModel(twin, p.Model.Version.Of(p.Ctx, r.Latest()), p.isWhole)
			}
		}
	}
	return affected, nil
}

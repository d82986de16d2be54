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

// isSaveOfSlice tells GORM's Save of a slice: an upsert of all columns that also sets the time of the update. With
// FullSaveAssociations, associations are saved alike.
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
func (c *Call) saveSlice() {
	c.Op, c.Own, c.isWhole = conflict.OpUpdate, c.Stmt.Clauses["WHERE"], true
	switch err := c.collectSaved(); {
	case c.DB.AddError(err) != nil:
		return
	case len(c.rows) == 0:
		c.insert() // an empty slice is GORM's own error
		return
	}
	c.choosing(c.saveChosen)
}

// saveChosen saves the slice, once it is known which version each row is expected to be at.
func (c *Call) saveChosen() {
	rows, agree := c.savedOnce()
	saved := c.sortSaved(rows)
	if saved.isEmpty() {
		return // the call has written all of them already
	}
	delete(c.Stmt.Clauses, "ON CONFLICT")
	if c.DB.AddError(c.setNexts(saved.loaded)) != nil {
		return
	}
	c.countSaved(saved)
	if !agree && !c.DB.DryRun {
		c.refuseCopies()
		return
	}
	c.neverLoaded = saved.keyed
	if saved.isOfOneSort() {
		c.saveEach(saved)
		return
	}
	c.together(func() { c.saveEach(saved) })
}

// collectSaved makes rows of the models of the slice, those without a key too.
func (c *Call) collectSaved() error {
	given, err := c.givenVersion(nil)
	if err != nil {
		return err
	}
	return c.eachModel(func(index int, model reflect.Value) error {
		if model.Kind() != reflect.Struct || model.Type() != c.Model.ModelType {
			return fmt.Errorf("occ: element %d of the slice is no %s: %w", index, c.Model.Name, gorm.ErrInvalidData)
		}
		r := rows.Row{Index: index, Model: model, Key: c.KeyOf(model), Before: c.Model.Version.Of(c.Ctx, model)}
		if r.Expected = r.Before; c.expects && r.Key != nil {
			r.Expected = given
		}
		c.rows = append(c.rows, r)
		return nil
	})
}

// savedOnce are the rows of the slice, each once, less those that a save of associations has written already.
func (c *Call) savedOnce() (rows []*rows.Row, agree bool) {
	rows = c.pointers()
	if c.isLinked {
		rows = c.dropWritten(rows)
	}
	c.catchUp(rows)
	return c.distinct(rows)
}

func (c *Call) sortSaved(rows []*rows.Row) (s savedSlice) {
	for _, r := range rows {
		switch {
		case r.Key == nil:
			s.fresh = append(s.fresh, r)
		case c.isUnchecked(r):
			s.unchecked = append(s.unchecked, r)
		case c.Model.Version.Kind.IsZero(r.Expected):
			s.keyed = append(s.keyed, r)
		default:
			s.loaded = append(s.loaded, r)
		}
	}
	return s
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
func (c *Call) refuseCopies() {
	c.neverLoaded = c.sortSaved(c.pointers()).keyed
	rows := slices.DeleteFunc(c.pointers(), func(r *rows.Row) bool { return r.Key == nil || slices.Contains(c.neverLoaded, r) })
	states, err := c.ReadRows(rows, "")
	c.refuseRows(rows, states, err)
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
func (c *Call) saveEach(s savedSlice) {
	affected := int64(0)
	for _, step := range []struct {
		rows []*rows.Row
		save func([]*rows.Row)
	}{
		{s.loaded, c.saveLoaded},
		{s.unchecked, c.saveUnchecked},
		{append(append([]*rows.Row(nil), s.keyed...), s.fresh...), c.saveNew},
	} {
		if len(step.rows) == 0 {
			continue
		}
		if c.DB.DryRun && affected > 0 {
			return
		}
		step.save(step.rows)
		if c.DB.Error != nil {
			return
		}
		if affected += c.DB.RowsAffected; c.DB.DryRun {
			affected = 1 // one statement is all that can be shown
		}
	}
	if !c.DB.DryRun {
		c.setRowsAffected(affected)
	}
}

// saveLoaded is the one UPDATE of all loaded models.
func (c *Call) saveLoaded(rows []*rows.Row) {
	c.writeSeveral(rows, c.savingUpdate(rows, true))
}

// saveUnchecked updates models whatever version their rows are at, and inserts those whose rows are gone.
func (c *Call) saveUnchecked(hand []*rows.Row) {
	if c.DB.DryRun {
		c.savingUpdate(hand, false).send(hand)
		return
	}
	states, err := c.ReadRows(hand, clause.LockingStrengthUpdate)
	if c.DB.AddError(err) != nil {
		return
	}
	var there, gone []*rows.Row
	for i, r := range hand {
		if states[i].IsThere {
			there = append(there, r)
		} else {
			gone = append(gone, r)
		}
	}
	affected := int64(0)
	if len(there) > 0 {
		c.writeAsTheyAre(there, c.savingUpdate(there, false))
		affected = c.DB.RowsAffected
	}
	if len(gone) > 0 && c.DB.Error == nil {
		c.insertRows(gone)
		affected += c.DB.RowsAffected
	}
	c.setRowsAffected(affected)
}

// saveNew inserts models that were not loaded. One whose row is there after all is compared like any other: it can be
// written where the row has no version yet.
func (c *Call) saveNew(hand []*rows.Row) {
	isKeyless := !slices.ContainsFunc(hand, func(r *rows.Row) bool { return r.Key != nil })
	if c.DB.DryRun || isKeyless && len(hand) <= c.maxInserted() {
		c.insertRows(hand)
		return
	}
	err := c.allOrNone(func() error { c.insertRows(hand); return c.DB.Error })
	if !c.isDuplicateKey(err) {
		_ = c.DB.AddError(err)
		return
	}
	there, gone, states, readErr := c.divideByPresence(hand)
	if readErr != nil || len(there) == 0 {
		_ = c.DB.AddError(err)
		return
	}
	if !c.areCurrent(there, states) {
		c.refuseRows(there, states, nil)
		return
	}
	if c.DB.AddError(c.setNexts(there)) != nil {
		return
	}
	c.together(func() {
		c.saveLoaded(there)
		if affected := c.DB.RowsAffected; c.DB.Error == nil && len(gone) > 0 {
			c.insertRows(gone)
			c.setRowsAffected(affected + c.DB.RowsAffected)
		}
	})
}

// divideByPresence tells the rows that are there, with their states, from those that are not.
func (c *Call) divideByPresence(hand []*rows.Row) (there, gone []*rows.Row, states []rows.State, err error) {
	var keyed []*rows.Row
	for _, r := range hand {
		if r.Key != nil {
			keyed = append(keyed, r)
		} else {
			gone = append(gone, r)
		}
	}
	if len(keyed) == 0 {
		return nil, gone, nil, nil
	}
	all, err := c.ReadRows(keyed, "")
	if err != nil {
		return nil, nil, nil, err
	}
	for i, r := range keyed {
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
func (c *Call) insertRows(rows []*rows.Row) {
	affected := int64(0)
	for part := range slices.Chunk(rows, c.maxInserted()) {
		began := time.Now()
		c.insertPart(part)
		affected += c.DB.RowsAffected
		if c.DB.Error != nil || c.DB.DryRun {
			return
		}
		if len(rows) > c.maxInserted() {
			trace(c.DB, began)
		}
	}
	c.setRowsAffected(affected)
}

// maxInserted is how many rows one INSERT can have. A column may take more than one parameter where it is an expression.
func (c *Call) maxInserted() int {
	return max(1, c.Dialect.MaxVars()/(len(c.Model.DBNames)+rows.VarsInReserve))
}

// insertPart points the statement at a slice of pointers to the models, so that generated keys land where they belong.
func (c *Call) insertPart(rows []*rows.Row) {
	stmt := c.Stmt
	dest, target := stmt.Dest, stmt.ReflectValue
	defer func() { stmt.Dest, stmt.ReflectValue = dest, target }()
	models := reflect.New(reflect.SliceOf(reflect.PointerTo(c.Model.ModelType)))
	for _, r := range rows {
		models.Elem().Set(reflect.Append(models.Elem(), r.Latest().Addr()))
	}
	stmt.Dest, stmt.ReflectValue = models.Interface(), models.Elem()
	stmt.SQL.Reset()
	stmt.Vars = nil
	c.insert()
	if c.DB.Error == nil && !c.DB.DryRun {
		c.shareInserted(rows)
	}
}

// shareInserted gives further copies of a row what the one that was inserted has got.
func (c *Call) shareInserted(hand []*rows.Row) {
	for _, r := range hand {
		for _, twin := range append([]*rows.Row{r}, r.Copies...) {
			if twin.Model.Addr().Pointer() != r.Latest().Addr().Pointer() {
				c.advance(twin, c.Model.Version.Of(c.Ctx, r.Latest()))
			}
		}
	}
}

package write

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/hot"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// heat remembers the rows of a refusal.
func (c *Call) heat(refusal *conflict.Refusal) {
	now := time.Now()
	for _, stale := range refusal.Rows {
		key := make([]any, len(c.Model.PrimaryFields))
		for i, field := range c.Model.PrimaryFields {
			key[i] = stale.PrimaryKey[field.DBName]
		}
		if len(stale.PrimaryKey) > 0 && stale.Reason != conflict.ReasonDeleted && stale.Reason != conflict.ReasonMissing {
			c.Plugin.Hot.Add(hot.HotHash(c.Stmt.Table, value.KeyText(key)), now)
		}
	}
}

// Refuse ends a write that did not find its row at the expected version. Only now is the row read, to say why. With
// reported, the database said so itself; its transaction may be gone, so there is nothing more to be read in it.
func (c *Call) Refuse(reported error) {
	r := &c.rows[0]
	byCondition := r.Key == nil
	if byCondition && reported == nil {
		r.Key = c.keyInConditions()
	}
	stale := conflict.Row{Index: r.Index, PrimaryKey: c.NamedKey(r), Expected: r.Expected, Reason: conflict.ReasonUnknown}
	if reported == nil && r.Key != nil {
		state, err := c.Read(r)
		switch {
		case err != nil:
			reported = err
		case c.isCurrent(r, state) && c.snapshot != nil && c.snapshot.again != nil:
			c.snapshot.again()
			return
		case !byCondition && c.isCurrent(r, state) && (c.HasOwnConditions() || c.mayBeUnchanged()):
			if c.DB.Error = nil; !c.HasOwnConditions() {
				c.advance(r, r.Expected) // which the model may not hold: it can have come from Expect
			}
			return // the row is current: the caller's own conditions did not hold, or there was nothing to change
		default:
			stale.Actual, stale.Reason, stale.Blame = state.Version, c.reasonOf(r, state), state.Blame
		}
	}
	c.fail(&conflict.Refusal{Op: c.Op, Rows: []conflict.Row{stale}, Err: reported})
}

func (c *Call) fail(refusal *conflict.Refusal) {
	refusal.Table = c.tableName()
	c.heat(refusal)
	c.refusal = c.Plugin.Face.Refused(refusal)
	c.DB.Error, c.DB.RowsAffected = nil, 0
	_ = c.DB.AddError(c.refusal)
}

func (c *Call) NamedKey(r *rows.Row) map[string]any {
	named := make(map[string]any, len(c.Model.PrimaryFields))
	if r.Key == nil {
		return named
	}
	for i, field := range c.Model.PrimaryFields {
		if c.Identity == nil {
			named[field.DBName] = r.Key[i]
		} else if value, isZero := field.ValueOf(c.Ctx, r.Model); !isZero {
			named[field.DBName] = value
		}
	}
	return named
}

func (c *Call) reasonOf(r *rows.Row, state rows.State) conflict.Reason {
	kind := c.Model.Version.Kind
	switch {
	case !c.isInReach(state):
		return conflict.ReasonDeleted
	case c.isAt(r, state.Version):
		return conflict.ReasonUnknown // it was not there a moment ago, and now it is
	case c.isUnloaded(r):
		return conflict.ReasonMissing
	case kind.IsAhead(r.Expected, state.Version):
		return conflict.ReasonAhead
	}
	return conflict.ReasonChanged
}

// sayOnce undoes what GORM does to a refusal of an association: each further association that it then does not save adds
// the same error once more.
func (e *Engine) sayOnce(err error) error {
	if err == nil {
		return nil
	}
	refusal := e.Face.RefusalIn(err)
	if refusal == nil || err == refusal {
		return err
	}
	if others := strings.ReplaceAll(err.Error(), refusal.Error(), ""); strings.Trim(others, "; ") == "" {
		return refusal
	}
	return err
}

// refuseRows ends a write of several rows that did not find all of them at their expected versions: it names the stale
// ones. With err, or where none is to be found any more, nothing reliable is known of any.
func (c *Call) refuseRows(rows []*rows.Row, states []rows.State, err error) {
	var stale []conflict.Row
	for i, r := range rows {
		if err == nil && !c.isCurrent(r, states[i]) {
			stale = append(stale, c.staleRow(r, states[i]))
		}
	}
	if err == nil {
		stale = append(stale, c.refusedInserts(rows)...)
		slices.SortStableFunc(stale, func(a, b conflict.Row) int { return cmp.Compare(a.Index, b.Index) })
	}
	if len(stale) == 0 {
		stale = c.unknown(rows)
	}
	c.fail(&conflict.Refusal{Op: c.Op, Rows: stale, Err: err})
}

// refusedInserts are the models that were to be inserted, apart from rows, and whose rows are there.
func (c *Call) refusedInserts(hand []*rows.Row) (stale []conflict.Row) {
	others := slices.DeleteFunc(slices.Clone(c.neverLoaded), func(r *rows.Row) bool { return slices.Contains(hand, r) })
	if len(others) == 0 {
		return nil
	}
	states, err := c.ReadRows(others, "")
	if err != nil {
		return nil
	}
	for i, r := range others {
		if states[i].IsThere && !c.isCurrent(r, states[i]) {
			stale = append(stale, c.staleRow(r, states[i]))
		}
	}
	return stale
}

func (c *Call) staleRow(r *rows.Row, state rows.State) conflict.Row {
	return conflict.Row{
		Index: r.Index, PrimaryKey: c.NamedKey(r), Expected: r.Expected,
		Actual: state.Version, Reason: c.reasonOf(r, state), Blame: state.Blame,
	}
}

func (c *Call) unknown(rows []*rows.Row) []conflict.Row {
	stale := make([]conflict.Row, len(rows))
	for i, r := range rows {
		stale[i] = conflict.Row{Index: r.Index, PrimaryKey: c.NamedKey(r), Expected: r.Expected, Reason: conflict.ReasonUnknown}
	}
	return stale
}

// failRows ends a write of several rows with an error of the database; one that reports a conflict is a refusal.
func (c *Call) failRows(rows []*rows.Row, err error) {
	if c.Dialect.IsConflict(err) {
		c.fail(&conflict.Refusal{Op: c.Op, Rows: c.unknown(rows), Err: err})
		return
	}
	c.DB.RowsAffected = 0
	_ = c.DB.AddError(err)
}

package write

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/hot"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// refuse makes the refusal of rows. With reported, the database said so itself, or the read that was to explain it failed.
func (p *plan) refuse(reported error, stale ...conflict.Row) error {
	return p.refusing(&conflict.Refusal{Op: p.op, Rows: stale, Err: reported})
}

func (c *Call) refusing(refusal *conflict.Refusal) error {
	refusal.Table = c.tableName()
	for i := range refusal.Rows {
		stale := &refusal.Rows[i]
		stale.Text = c.Model.Version.TextIfAny(stale.Actual)
	}
	c.Plugin.markHot(c.Model, c.Stmt.Table, refusal)
	c.refusal = c.Plugin.Face.Refused(refusal)
	return c.refusal
}

// markHot remembers the rows of a refusal as hot ones.
func (e *Engine) markHot(m *model.Model, table string, refusal *conflict.Refusal) {
	now := time.Now()
	for _, stale := range refusal.Rows {
		key := make([]any, len(m.PrimaryFields))
		for i, field := range m.PrimaryFields {
			key[i] = stale.PrimaryKey[field.DBName]
		}
		if len(stale.PrimaryKey) > 0 && stale.Reason != conflict.ReasonDeleted && stale.Reason != conflict.ReasonMissing {
			e.Hot.Add(hot.HotHash(table, value.KeyText(key)), now)
		}
	}
}

// refuseAll refuses rows of which nothing reliable is known.
func (p *plan) refuseAll(reported error, hand ...*rows.Row) error {
	stale := make([]conflict.Row, len(hand))
	for i, r := range hand {
		stale[i] = conflict.Row{Index: r.Index, PrimaryKey: p.namedKey(r), Expected: r.Expected, Reason: conflict.ReasonUnknown}
	}
	return p.refuse(reported, stale...)
}

// orRefusal returns an error of the database, or the refusal of rows where the error reports a conflict.
func (p *plan) orRefusal(err error, hand ...*rows.Row) error {
	if p.refusal != nil && errors.Is(err, p.refusal) || !p.Dialect.IsConflict(err) {
		return err
	}
	return p.refuseAll(err, hand...)
}

// refuseRows refuses the stale ones of rows that are not all current, and what the same call was to insert and is there. Where
// none is stale any more, nothing is known of any.
func (p *plan) refuseRows(hand []*rows.Row, states []rows.State) error {
	stale := p.staleRows(hand, states)
	others := without(p.neverLoaded, hand)
	if states, err := p.read(others); err == nil {
		for i, r := range others {
			if states[i].IsThere && !p.isCurrent(r, states[i]) {
				stale = append(stale, p.staleRow(r, states[i]))
			}
		}
	}
	if len(stale) == 0 {
		return p.refuseAll(nil, hand...)
	}
	slices.SortStableFunc(stale, func(a, b conflict.Row) int { return cmp.Compare(a.Index, b.Index) })
	return p.refuse(nil, stale...)
}

// without returns the rows that are not among others.
func without(hand, others []*rows.Row) (left []*rows.Row) {
	if len(hand) == 0 {
		return nil
	}
	isOther := make(map[*rows.Row]bool, len(others))
	for _, r := range others {
		isOther[r] = true
	}
	return slices.DeleteFunc(slices.Clone(hand), func(r *rows.Row) bool { return isOther[r] })
}

// readAndRefuse reads rows to say which are stale, and refuses those.
func (p *plan) readAndRefuse(hand []*rows.Row) error {
	states, err := p.read(hand)
	if err != nil {
		return p.refuseAll(err, hand...)
	}
	return p.refuseRows(hand, states)
}

func (p *plan) staleRows(hand []*rows.Row, states []rows.State) (stale []conflict.Row) {
	for i, r := range hand {
		if !p.isCurrent(r, states[i]) {
			stale = append(stale, p.staleRow(r, states[i]))
		}
	}
	return stale
}

func (p *plan) staleRow(r *rows.Row, state rows.State) conflict.Row {
	return conflict.Row{
		Index: r.Index, PrimaryKey: p.namedKey(r), Expected: r.Expected,
		Actual: state.Version, Reason: p.reasonOf(r, state), Blame: state.Blame,
	}
}

// namedKey returns the primary key of a row by column. Of a row that is found by other columns, it is what the model has.
func (p *plan) namedKey(r *rows.Row) map[string]any {
	named := make(map[string]any, len(p.Model.PrimaryFields))
	if r.Key == nil {
		return named
	}
	for i, field := range p.Model.PrimaryFields {
		if p.by.Identity == nil {
			named[field.DBName] = r.Key[i]
		} else if value, isZero := field.ValueOf(p.Ctx, r.Model); !isZero {
			named[field.DBName] = value
		}
	}
	return named
}

func (p *plan) reasonOf(r *rows.Row, state rows.State) conflict.Reason {
	switch {
	case !isInReach(p.Stmt, state):
		return conflict.ReasonDeleted
	case p.compare.isAt(r, state.Version):
		return conflict.ReasonUnknown // it was not there a moment ago, and now it is
	case p.compare.isUnloaded(r):
		return conflict.ReasonMissing
	case p.IsAhead(r.Expected, state.Version):
		return conflict.ReasonAhead
	}
	return conflict.ReasonChanged
}

// withoutRepeats returns the refusal of an association once. GORM adds the same error again with each further association
// that it then does not save.
func (e *Engine) withoutRepeats(err error) error {
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

// RefuseModel refuses the write of a model that did not come through GORM's callbacks, and counts and reports it. The row is
// read, to say why, unless the database has reported the conflict.
func (e *Engine) RefuseModel(db *gorm.DB, m *model.Model, stale reflect.Value, reported error) error {
	c := e.newCall(db, m, conflict.OpUpdate)
	p := c.planOf([]rows.Row{c.rowOf(0, stale)})
	c.Counters().Checked.Add(1)
	defer c.report()
	if reported != nil {
		return p.refuseAll(reported, &p.rows[0])
	}
	return p.settleUnwritten()
}

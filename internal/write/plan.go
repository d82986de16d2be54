package write

import (
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// plan is what a call does to some rows: which they are, how they are found, and what they are compared with. It is the only
// input of sending, settling and learning. A call makes one for each sort of its rows.
type plan struct {
	*Call
	op      conflict.Op // what a refusal of the rows is of
	rows    []rows.Row  // the models in hand that name a row, in the order they were passed
	expects bool        // the expected version was given, by Expect or in the payload, not found in the model
	by      rows.Lookup
	compare comparison // nil for a model without a version

	isWhole      bool // all columns of the rows are written
	keepsVersion bool // the write is compared, and leaves the version as it is
	// neverLoaded are models that Save inserts: a refusal of others in the same slice names those that are there
	neverLoaded []*rows.Row
}

// planOf makes the plan for some rows, which are found by their primary keys and compared in all their columns.
func (c *Call) planOf(hand []rows.Row) *plan {
	p := &c.room.plan
	if p.Call != nil {
		p = new(plan)
	}
	*p = plan{Call: c, op: c.op, rows: hand}
	p.compareAll()
	return p
}

// pointers returns pointers to the rows of the plan.
func (p *plan) pointers() []*rows.Row { return pointersTo(p.rows) }

// read reads rows as they are now.
func (p *plan) read(hand []*rows.Row) ([]rows.State, error) {
	return p.ReadRows(rows.Query{Lookup: p.by}, hand)
}

// lock reads rows and keeps others from writing them.
func (p *plan) lock(hand []*rows.Row) ([]rows.State, error) {
	if err := p.LockFirst(); err != nil {
		return nil, err
	}
	return p.ReadRows(rows.Query{Lookup: p.by, Lock: clause.LockingStrengthUpdate}, hand)
}

// isInReach reports whether a statement would write a row: it is there, and no soft delete hides it.
func isInReach(stmt *gorm.Statement, state rows.State) bool {
	return state.IsThere && (!state.IsDeleted || stmt.Unscoped)
}

// isCurrent reports whether a row is there, and still what it is compared with.
func (p *plan) isCurrent(r *rows.Row, state rows.State) bool {
	return isInReach(p.Stmt, state) && p.compare.isAt(r, state.Version)
}

func (p *plan) areCurrent(hand []*rows.Row, states []rows.State) bool {
	for i, r := range hand {
		if !p.isCurrent(r, states[i]) {
			return false
		}
	}
	return true
}

// mayBeUnchanged reports whether the database may have found a row and not counted it, since it holds already what it was to
// be set to. With a next version of the plugin's own that cannot be.
func (p *plan) mayBeUnchanged() bool {
	return (p.Model.Version.ByDatabase || p.keepsVersion) && !p.isDelete() && p.Dialect.CountsChangedRows
}

// partition separates the rows that are compared from those that the caller asked not to compare.
func (p *plan) partition() (compared, unchecked []*rows.Row) {
	for _, r := range p.pointers() {
		if p.isUnchecked(r) {
			unchecked = append(unchecked, r)
		} else {
			compared = append(compared, r)
		}
	}
	return compared, unchecked
}

// writable returns the rows that the caller's own conditions let through, each once.
func writable(hand []*rows.Row, states []rows.State) (writable []*rows.Row) {
	first := map[string]*rows.Row{}
	for i, r := range hand {
		if !states[i].Holds {
			continue
		}
		if twin := first[states[i].Key]; twin != nil {
			twin.Copies = append(twin.Copies, r)
			continue
		}
		first[states[i].Key] = r
		writable = append(writable, r)
	}
	return writable
}

func hasTwins(states []rows.State) bool {
	seen := map[string]bool{}
	for _, state := range states {
		if state.IsThere && seen[state.Key] {
			return true
		}
		seen[state.Key] = true
	}
	return false
}

// distinct returns the rows of a write, each once: another model of the same row becomes a copy of the first one. With agree
// false, two models of one row are at different versions.
func (p *plan) distinct(models []*rows.Row) (hand []*rows.Row, agree bool) {
	if rows.AreInOrder(models) {
		return slices.Clone(models), true
	}
	first := make(map[string]*rows.Row, len(models))
	hand, agree = make([]*rows.Row, 0, len(models)), true
	for _, r := range models {
		key := value.KeyText(r.Key)
		if r.Key == nil {
			key = fmt.Sprintf("%p", r.Model.Addr().Interface())
		}
		twin := first[key]
		if twin == nil {
			first[key] = r
			hand = append(hand, r)
			continue
		}
		agree = agree && (p.IsSame(twin.Expected, r.Expected) || p.compare.isAt(twin, r.Expected))
		twin.Copies = append(twin.Copies, r)
	}
	return hand, agree
}

// isByCondition reports whether no row of the plan has a key.
func (p *plan) isByCondition() bool {
	return !slices.ContainsFunc(p.rows, func(r rows.Row) bool { return r.Key != nil })
}

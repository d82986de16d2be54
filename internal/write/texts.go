package write

import (
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/rows"
)

// choice is the choice of the versions that the rows of a plan are expected to be at, among texts.
type choice struct {
	*plan
	texts *intent.Texts
}

// choice returns the choice that is to be made; isOpen is false where none is, or where one version is all that can be meant.
func (p *plan) choice() (c choice, isOpen bool) {
	texts := p.switches.Texts
	if texts == nil || p.Model.Version == nil {
		return choice{}, false
	}
	_, isOne := texts.One(p.Model.Version)
	return choice{p, texts}, !isOne
}

// choosing runs a write whose expected versions are known or, where they are to be chosen among texts, reads the rows first
// and runs it in the same transaction.
func (p *plan) choosing(write func() (int64, error)) (int64, error) {
	c, isOpen := p.choice()
	if !isOpen {
		return write()
	}
	return p.within(func() (int64, error) {
		if err := c.run(); err != nil {
			return 0, err
		}
		return write()
	})
}

// chooseAmong has rows that were read expect the versions that they are at, where those are to be chosen. Where one is at none
// of the texts it returns the refusal.
func (p *plan) chooseAmong(hand []*rows.Row, states []rows.State) error {
	if c, isOpen := p.choice(); isOpen {
		return c.among(hand, states)
	}
	return nil
}

// run has each row of the write expect the version that it is at, if that is one of the texts. Else it returns the refusal.
// Rows stay as they are until the transaction ends.
func (c choice) run() error {
	isByCondition := c.isByCondition()
	if c.DB.DryRun || len(c.rows) == 0 || isByCondition && c.isCreate() {
		return nil // of a dry run no row is read: the statement shows the zero value
	}
	if isByCondition {
		if err := c.namesRows(); err != nil {
			return err
		}
	}
	hand, states, err := c.lockExpected()
	if err != nil {
		return c.orRefusal(err, c.pointers()...)
	}
	if isByCondition {
		return c.amongMatched(hand, states)
	}
	return c.among(hand, states)
}

// among chooses for rows that were read.
func (c choice) among(hand []*rows.Row, states []rows.State) error {
	if stale := c.stale(hand, states); len(stale) > 0 {
		return c.refuseStale(stale)
	}
	for i, r := range hand {
		r.Expected = states[i].Version
	}
	return nil
}

// lockExpected reads the rows of the write as they are now and locks them: by their keys or, where it has none, by the
// caller's conditions. Models of a slice that have no key are left out.
func (p *plan) lockExpected() (hand []*rows.Row, states []rows.State, err error) {
	if !p.isByCondition() {
		hand = keyed(p.pointers())
		states, err = p.lock(hand)
		return hand, states, err
	}
	if err := p.LockFirst(); err != nil {
		return nil, nil, err
	}
	return p.readOwn(clause.LockingStrengthUpdate)
}

// stale returns the refusals of the rows that are not at one of the texts.
func (c choice) stale(hand []*rows.Row, states []rows.State) (stale []conflict.Row) {
	var expected any // one list for all rows: a client sends as many texts as it likes
	for i, r := range hand {
		if c.fits(states[i]) {
			continue
		}
		if expected == nil {
			expected = c.texts.Expected(c.Model.Version)
		}
		stale = append(stale, conflict.Row{
			Index: r.Index, PrimaryKey: c.namedKey(r), Expected: expected,
			Actual: states[i].Version, Reason: c.reason(states[i]), Blame: states[i].Blame,
		})
	}
	return stale
}

// fits reports whether a row is there, and at one of the texts.
func (c choice) fits(state rows.State) bool {
	return isInReach(c.Stmt, state) && c.texts.Holds(c.Model.Version, state.Version)
}

func (c choice) reason(state rows.State) conflict.Reason {
	switch {
	case !isInReach(c.Stmt, state):
		return conflict.ReasonDeleted
	case len(c.texts.Versions) == 0:
		return conflict.ReasonMissing
	}
	return conflict.ReasonChanged
}

// amongMatched makes the rows that the caller's conditions found those of the write, without the ones at another version.
// None is a refusal, as of one version.
func (c choice) amongMatched(hand []*rows.Row, states []rows.State) error {
	kept := c.rows[:0:0]
	for i, r := range hand {
		if c.fits(states[i]) {
			r.Index = len(kept)
			kept = append(kept, *r)
		}
	}
	if len(kept) == 0 {
		stale := c.stale(hand, states)
		if len(stale) != 1 {
			stale = []conflict.Row{c.absent()}
		}
		return c.refuseStale(stale)
	}
	if len(kept) == 1 && !c.isDelete() {
		kept[0].Model, kept[0].Before = c.rows[0].Model, c.rows[0].Before
	}
	c.rows = kept
	return nil
}

// absent is the refusal of what the conditions are about, where they match no row or more than one.
func (c choice) absent() conflict.Row {
	stale := conflict.Row{PrimaryKey: map[string]any{}, Expected: c.texts.Expected(c.Model.Version), Reason: conflict.ReasonUnknown}
	key := c.keyInConditions()
	if key == nil {
		return stale
	}
	stale.PrimaryKey = c.namedKey(&rows.Row{Model: c.rows[0].Model, Key: key})
	state, err := c.Read(key)
	switch {
	case err != nil:
	case !isInReach(c.Stmt, state):
		stale.Actual, stale.Reason = state.Version, conflict.ReasonDeleted
	default:
		stale.Actual = state.Version // other conditions did not hold
	}
	return stale
}

// refuseStale refuses a write for what ExpectText was given. No version at all is one that was never loaded, whatever the row is at.
func (c choice) refuseStale(stale []conflict.Row) error {
	c.Counters().Checked.Add(1)
	return c.refusing(&conflict.Refusal{Op: c.op, Rows: stale, NoVersion: len(c.texts.Versions) == 0})
}

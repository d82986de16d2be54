package write

import (
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/rows"
)

// choosing runs a write whose expected versions are known or, where they are to be chosen among texts, reads the rows first
// and runs it in the same transaction.
func (p *plan) choosing(write func() (int64, error)) (int64, error) {
	texts := p.switches.Texts
	if texts == nil || p.Model.Version == nil {
		return write()
	}
	if _, ok := texts.One(p.Model.Version); ok {
		return write()
	}
	return p.within(func() (int64, error) {
		if err := p.choose(texts); err != nil {
			return 0, err
		}
		return write()
	})
}

// choose has each row of the write expect the version that it is at, if that is one of the texts. Else it returns the refusal.
// Rows stay as they are until the transaction ends.
func (p *plan) choose(texts *intent.Texts) error {
	isByCondition := p.isByCondition()
	if p.DB.DryRun || len(p.rows) == 0 || isByCondition && p.isCreate() {
		return nil // of a dry run no row is read: the statement shows the zero value
	}
	if isByCondition {
		if err := p.namesRows(); err != nil {
			return err
		}
	}
	hand, states, err := p.lockExpected()
	if err != nil {
		return p.orRefusal(err, p.pointers()...)
	}
	if isByCondition {
		return p.chooseMatched(hand, states, texts)
	}
	return p.chooseAmong(hand, states)
}

// chooseAmong has rows that were read expect the versions that they are at, where what is expected are texts. Where one is at
// none of them it returns the refusal.
func (p *plan) chooseAmong(hand []*rows.Row, states []rows.State) error {
	texts := p.switches.Texts
	if texts == nil {
		return nil
	}
	if _, isOne := texts.One(p.Model.Version); isOne {
		return nil
	}
	if stale := p.staleAmong(hand, states, texts); len(stale) > 0 {
		return p.refuseTexts(stale, texts)
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

// staleAmong returns the refusals of the rows that are not at one of the texts.
func (p *plan) staleAmong(hand []*rows.Row, states []rows.State, texts *intent.Texts) (stale []conflict.Row) {
	for i, r := range hand {
		if isInReach(p.Stmt, states[i]) && texts.Holds(p.Model.Version, states[i].Version) {
			continue
		}
		stale = append(stale, conflict.Row{
			Index: r.Index, PrimaryKey: p.namedKey(r), Expected: texts.Expected(p.Model.Version),
			Actual: states[i].Version, Reason: p.reasonOfText(states[i], texts), Blame: states[i].Blame,
		})
	}
	return stale
}

func (p *plan) reasonOfText(state rows.State, texts *intent.Texts) conflict.Reason {
	switch {
	case !isInReach(p.Stmt, state):
		return conflict.ReasonDeleted
	case len(texts.Versions) == 0:
		return conflict.ReasonMissing
	}
	return conflict.ReasonChanged
}

// chooseMatched makes the rows that the caller's conditions found those of the write, without the ones at another version.
// None is a refusal, as of one version.
func (p *plan) chooseMatched(hand []*rows.Row, states []rows.State, texts *intent.Texts) error {
	kept := p.rows[:0:0]
	for i, r := range hand {
		if isInReach(p.Stmt, states[i]) && texts.Holds(p.Model.Version, states[i].Version) {
			r.Index = len(kept)
			kept = append(kept, *r)
		}
	}
	if len(kept) == 0 {
		stale := p.staleAmong(hand, states, texts)
		if len(stale) != 1 {
			stale = []conflict.Row{p.absent(texts)}
		}
		return p.refuseTexts(stale, texts)
	}
	if len(kept) == 1 && !p.isDelete() {
		kept[0].Model, kept[0].Before = p.rows[0].Model, p.rows[0].Before
	}
	p.rows = kept
	return nil
}

// absent is the refusal of what the conditions are about, where they match no row or more than one.
func (p *plan) absent(texts *intent.Texts) conflict.Row {
	stale := conflict.Row{PrimaryKey: map[string]any{}, Expected: texts.Expected(p.Model.Version), Reason: conflict.ReasonUnknown}
	key := p.keyInConditions()
	if key == nil {
		return stale
	}
	stale.PrimaryKey = p.namedKey(&rows.Row{Model: p.rows[0].Model, Key: key})
	state, err := p.Read(key)
	switch {
	case err != nil:
	case !isInReach(p.Stmt, state):
		stale.Actual, stale.Reason = state.Version, conflict.ReasonDeleted
	default:
		stale.Actual = state.Version // other conditions did not hold
	}
	return stale
}

// refuseTexts refuses a write for what ExpectText was given. No version at all is one that was never loaded, whatever the
// row is at.
func (p *plan) refuseTexts(stale []conflict.Row, texts *intent.Texts) error {
	p.Counters().Checked.Add(1)
	return p.refusing(&conflict.Refusal{Op: p.op, Rows: stale, NoVersion: len(texts.Versions) == 0})
}

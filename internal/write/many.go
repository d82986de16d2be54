package write

import (
	"errors"
	"slices"

	"github.com/gorm-occ/occ/internal/rows"
)

// sender sends the statements of a batch, and returns how many rows they wrote.
type sender func(hand []*rows.Row) (affected int64, err error)

// severalWrite is how several rows are written, and what is done to their models in memory when they are.
type severalWrite struct {
	send sender
	// sendAtOnce sends a batch as a statement that by itself writes all rows or none; nil where there is none such. With ok false,
	// nothing was sent
	sendAtOnce func(hand []*rows.Row) (affected int64, ok bool, err error)
	written    func(hand []*rows.Row) error
	reaches    func(state rows.State) bool // tells which rows are written, where models learn from them what was; else nil
}

// errShort says that a batch wrote fewer rows than it has.
var errShort = errors.New("occ: not all rows were written")

// writePartitioned writes the rows that are compared and those that the caller asked not to compare, all or none of them.
func (p *plan) writePartitioned(of func(hand []*rows.Row, compared bool) severalWrite) (int64, error) {
	if err := p.setNext(p.pointers()...); err != nil {
		return 0, err
	}
	compared, unchecked := p.partition()
	writeCompared := func() (int64, error) { return p.writeSeveral(compared, of(compared, true)) }
	writeUnchecked := func() (int64, error) { return p.writeAsTheyAre(unchecked, of(unchecked, false)) }
	switch {
	case len(unchecked) == 0:
		p.Counters().Checked.Add(1)
		return writeCompared()
	case len(compared) == 0:
		p.Counters().Blind.Add(1)
		return writeUnchecked()
	case p.DB.DryRun: // one statement is all that can be shown
		return writeCompared()
	}
	p.Counters().Checked.Add(1)
	return p.allOrNone(func() (int64, error) { return inTurn(writeCompared, writeUnchecked) })
}

// writeSeveral writes several rows, each compared with its own version: all of them or none.
func (p *plan) writeSeveral(models []*rows.Row, how severalWrite) (int64, error) {
	hand, agree := p.distinct(models)
	switch {
	case p.DB.DryRun:
		return how.send(hand)
	case !agree:
		return 0, p.readAndRefuse(models)
	}
	affected, err := p.compare.writeSeveral(p, hand, how)
	if err != nil {
		return 0, p.orRefusal(err, hand...)
	}
	return affected, nil
}

// writeSeveral sends the batch with the versions in its conditions. Where that wrote fewer rows, none is written, and it is
// settled.
func (v byVersion) writeSeveral(p *plan, hand []*rows.Row, how severalWrite) (int64, error) {
	affected, isDone, err := p.sendAtOnce(hand, how)
	if !isDone {
		affected, err = p.sendTogether(hand, how.send)
	}
	if errors.Is(err, errShort) {
		hand, affected, err = p.settleShort(hand, how.send)
	}
	if err != nil {
		return 0, err
	}
	return affected, how.written(hand)
}

// sendTogether sends a batch that is written as a whole or not at all, which one row is by itself if its key names no
// more than one.
func (p *plan) sendTogether(hand []*rows.Row, send sender) (int64, error) {
	isKeyed := p.by.Identity == nil || slices.Equal(p.by.Identity, p.Model.PrimaryFields)
	if len(hand) > 1 || !isKeyed || p.Model.Version.ByDatabase {
		if p.isFirstInDefault() {
			return p.sendFirst(hand, send)
		}
		return p.allOrNone(func() (int64, error) { return sendAll(hand, send) })
	}
	return sendAll(hand, send)
}

func sendAll(hand []*rows.Row, send sender) (int64, error) {
	affected, err := send(hand)
	if err == nil && affected != int64(len(hand)) {
		err = errShort
	}
	return affected, err
}

// settleShort finds out why a batch did not write all of its rows, none of which is written now. Where all are current,
// some are the same row to the database, or the caller's own conditions kept them from being written: the others are
// written without those, and returned. Else the write is refused.
func (p *plan) settleShort(hand []*rows.Row, send sender) (written []*rows.Row, affected int64, err error) {
	states, err := p.read(hand)
	if err != nil {
		return nil, 0, p.refuseAll(err, hand...)
	}
	mayBeShort := p.by.HasOwnConditions() || hasTwins(states) || p.mayBeUnchanged() || p.isHardDelete()
	if !mayBeShort || !p.areCurrent(hand, states) {
		return nil, 0, p.refuseRows(hand, states)
	}
	affected, err = p.allOrNone(func() (int64, error) {
		states, err := p.lock(hand)
		if err != nil {
			return 0, err
		}
		if !p.areCurrent(hand, states) {
			return 0, errShort
		}
		if written = writable(hand, states); slices.ContainsFunc(states, func(s rows.State) bool { return !s.Holds }) {
			if err := p.outOfReach(); err != nil {
				return 0, err
			}
		}
		return p.sendLockedRows(written, send)
	})
	if errors.Is(err, errShort) {
		return nil, 0, p.readAndRefuse(hand)
	}
	return written, affected, err
}

// sendLockedRows sends a batch of rows that are locked, and current: what it does not count was written all the same, or is
// gone with another row of the batch that it refers to.
func (p *plan) sendLockedRows(hand []*rows.Row, send sender) (int64, error) {
	if len(hand) == 0 {
		return 0, nil
	}
	affected, err := sendAll(hand, send)
	if !errors.Is(err, errShort) {
		return affected, err
	}
	if p.mayBeUnchanged() {
		return affected, nil
	}
	areGone, readErr := p.areGone(hand)
	if readErr == nil && areGone {
		return int64(len(hand)), nil
	}
	return affected, errors.Join(err, readErr)
}

// areGone reports whether a delete of locked rows has removed all of them, though it counted fewer: the database deletes some
// along with others that they refer to.
func (p *plan) areGone(hand []*rows.Row) (bool, error) {
	if !p.isHardDelete() {
		return false, nil
	}
	states, err := p.read(hand)
	return err == nil && !slices.ContainsFunc(states, func(state rows.State) bool { return state.IsThere }), err
}

// writeSeveral locks and reads the rows first: one UPDATE cannot say of each column of each row how it is compared.
func (s *bySnapshot) writeSeveral(p *plan, hand []*rows.Row, how severalWrite) (int64, error) {
	var states []rows.State
	affected, err := p.allOrNone(func() (affected int64, err error) {
		if states, err = p.lock(hand); err != nil {
			return 0, err
		}
		if !p.areCurrent(hand, states) {
			return 0, errShort
		}
		written := writable(hand, states)
		if affected, err = p.sendLockedRows(written, how.send); err != nil || len(written) == 0 {
			return affected, err
		}
		return affected, how.written(written)
	})
	if errors.Is(err, errShort) {
		return 0, p.refuseRows(hand, states)
	}
	return affected, err
}

// writeAsTheyAre writes several rows whatever their versions are.
func (p *plan) writeAsTheyAre(models []*rows.Row, how severalWrite) (int64, error) {
	hand, _ := p.distinct(models)
	if p.DB.DryRun {
		return how.send(hand)
	}
	affected, err := p.allOrNone(func() (int64, error) {
		affected, err := how.send(hand)
		switch {
		case err != nil:
			return 0, err
		case affected < int64(len(hand)) && how.reaches != nil:
			return 0, errShort
		}
		return affected, how.written(hand)
	})
	if errors.Is(err, errShort) {
		affected, err = p.writeReached(hand, how)
	}
	if err != nil {
		return 0, p.orRefusal(err, hand...)
	}
	return affected, nil
}

// writeReached writes the rows that are there for it, and no others: a model whose row is left alone must not learn a
// version that goes with values it has never seen.
func (p *plan) writeReached(hand []*rows.Row, how severalWrite) (int64, error) {
	return p.allOrNone(func() (int64, error) {
		states, err := p.lock(hand)
		if err != nil {
			return 0, err
		}
		var reached []*rows.Row
		for i, r := range hand {
			if how.reaches(states[i]) {
				reached = append(reached, r)
			}
		}
		if len(reached) == 0 {
			return 0, nil
		}
		affected, err := how.send(reached)
		if err != nil {
			return 0, err
		}
		return affected, how.written(reached)
	})
}

// verify compares rows and writes nothing. In a transaction they stay as they are until it ends.
func (p *plan) verify(lock string) error {
	p.Counters().Checked.Add(1)
	hand := p.pointers()
	states, err := p.ReadRows(rows.Query{Lookup: p.by, Lock: lock}, hand)
	switch {
	case err != nil:
		return p.orRefusal(err, hand...)
	case !p.areCurrent(hand, states):
		return p.refuseRows(hand, states)
	}
	return nil
}

package workload

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// ending is how a transaction ends if nothing gets in its way.
type ending string

const (
	commits ending = "commit"
	fails   ending = "error"
	panics  ending = "panic"
	nests   ending = "nested"
)

// transaction makes calls on a few rows in one transaction.
func (s *session) transaction(db *gorm.DB) {
	level, end := oneOf(s, s.Levels), oneOf(s, []ending{commits, commits, commits, commits, fails, panics, nests})
	isOurs, swallows := s.chance(80), s.chance(20)
	var sc *scope
	completed, began := false, s.recorder.Now()
	err := s.recovering(func() error {
		body := func(tx *gorm.DB) error {
			sc = s.within(tx, level, began)
			sc.restoresMemory = isOurs
			if err := sc.work(end, isOurs && swallows); err != nil {
				return err
			}
			completed = true
			return nil
		}
		if isOurs {
			return occ.Transaction(db, body, &sql.TxOptions{Isolation: level})
		}
		return db.Transaction(body, &sql.TxOptions{Isolation: level})
	})
	s.conclude(sc, "Transaction", completed, err)
}

// recovering gives the panic that a transaction ends with as an error.
func (s *session) recovering(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil && p != any(errOnPurpose) {
			panic(p)
		} else if p != nil {
			err = errOnPurpose
		}
	}()
	return run()
}

// conclude settles a transaction, if it began at all.
func (s *session) conclude(sc *scope, call string, completed bool, err error) {
	if err != nil && !s.isExpected(err) {
		s.Report("unexpected error", fmt.Sprintf("%s: %T: %v", call, err, err))
	}
	switch {
	case sc == nil:
	case err == nil:
		sc.settle(history.Done)
	case completed && disturbed(err):
		sc.settle(history.Unknown)
	default:
		sc.settle(history.Refused)
	}
}

// isExpected tells an error that calls of several sessions at the same time can end with.
func (s *session) isExpected(err error) bool {
	return errors.Is(err, errOnPurpose) || errors.Is(err, occ.ErrStaleData) || errors.Is(err, gorm.ErrRecordNotFound) ||
		gotInTheWay(err) || aborted(err) || duplicate(err) || disturbed(err) && s.isDisturbed()
}

// work makes the calls of a transaction. Each row is written once at most: what a transaction sees of its own writes is
// no part of the rows' history.
func (sc *scope) work(end ending, swallows bool) error {
	for range 1 + sc.random.IntN(3) {
		slot := oneOf(sc.session, sc.slots)
		if err := sc.step(slot); err != nil && !swallows {
			return err
		}
	}
	switch end {
	case fails:
		return errOnPurpose
	case panics:
		panic(errOnPurpose)
	case nests:
		return sc.nested()
	}
	return nil
}

// step loads a row and writes it, or not. Nothing is loaded at READ UNCOMMITTED: a version that is rolled back may be given
// again to another write, and what was read with it is no base to write on.
func (sc *scope) step(slot *slot) error {
	id := slot.id()
	row := slot.about().row(id)
	if id == 0 || sc.written[row] {
		return nil
	}
	if !sc.seesUncommitted() && (sc.held[row] == nil || sc.chance(60)) {
		if err := slot.load(sc, id); err != nil {
			return err
		}
	}
	switch choice := sc.random.IntN(100); {
	case choice < 70:
		return slot.write(sc, id)
	case choice < 80:
		return slot.verify(sc, id)
	case choice < 84 && slot.comesBack:
		return slot.remove(sc, id)
	case choice < 90:
		return slot.blind(sc, id)
	}
	return nil
}

// nested undoes a write in a savepoint; the model can then be written.
func (sc *scope) nested() error {
	slot := oneOf(sc.session, sc.slots)
	id := slot.id()
	if id == 0 || sc.written[slot.about().row(id)] {
		return nil
	}
	var inner *scope
	err := occ.Transaction(sc.db, func(tx *gorm.DB) error {
		inner = sc.within(tx, sc.level, sc.began)
		inner.restoresMemory = true
		if err := inner.step(slot); err != nil {
			return err
		}
		return errOnPurpose
	})
	if inner != nil {
		inner.settleInto(sc)
	}
	if !errors.Is(err, errOnPurpose) {
		return err
	}
	return sc.step(slot)
}

// settleInto is settle of a savepoint that was gone back to.
func (sc *scope) settleInto(outer *scope) {
	for _, o := range sc.pending {
		if !isWritten(o) {
			outer.pending = append(outer.pending, o)
		}
	}
	sc.pending = nil
	sc.settle(history.Refused)
}

// retry reads a row and writes it, until that succeeds.
func (s *session) retry(ctx context.Context, db *gorm.DB) {
	slot, level, after := oneOf(s, s.slots), oneOf(s, s.Levels), s.random.IntN(4)-1
	id := slot.id()
	if id == 0 || level == sql.LevelReadUncommitted {
		return
	}
	var sc *scope
	completed := false
	err := occ.Retry(ctx, db, func(tx *gorm.DB) error {
		completed = false
		if sc != nil {
			sc.settle(history.Refused)
		}
		sc = s.within(tx, level, s.recorder.Now())
		sc.restoresMemory = true
		if err := slot.load(sc, id); err != nil {
			return err
		}
		err := slot.write(sc, id)
		completed = err == nil
		return err
	}, s.retryOptions(level, after)...)
	s.conclude(sc, "Retry", completed, err)
}

func (s *session) retryOptions(level sql.IsolationLevel, after int) []occ.RetryOption {
	options := []occ.RetryOption{
		occ.WithTxOptions(&sql.TxOptions{Isolation: level}), occ.WithMaxAttempts(30), occ.WithBackOff(shortly),
		occ.WithRetryHook(func(attempt int, err error, _ time.Duration) {
			s.totals.Retries.Add(1)
			if after >= 0 && attempt > after && errors.Is(err, occ.ErrStaleData) && s.locksHold(level) {
				s.Report("refused under a lock", err.Error())
			}
		}),
	}
	if after >= 0 {
		options = append(options, occ.WithLockAfter(after))
	}
	return options
}

func shortly() backoff.BackOff {
	return &backoff.ExponentialBackOff{InitialInterval: time.Millisecond, MaxInterval: 20 * time.Millisecond, Multiplier: 2, RandomizationFactor: 1}
}

// locksHold tells the levels at which a row that was read under a lock cannot be refused.
func (s *session) locksHold(level sql.IsolationLevel) bool {
	return s.dialect != "postgres" || level == sql.LevelDefault || level == sql.LevelReadCommitted
}

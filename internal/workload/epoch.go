package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gorm-occ/occ/internal/history"
)

// Epoch has the sessions work on new rows until its time is up, ctx ends or there is an anomaly, and then checks what they did.
func (w *Workload) Epoch(ctx context.Context) {
	w.epochs++
	w.disturbed.Store(false)
	w.newSlots(context.WithoutCancel(ctx))
	w.disturbed.Store(w.Disturbs > 0 && w.epochs%w.Disturbs == 0)
	w.work(ctx)
	w.settleConnections()
	w.disturbed.Store(false)
	w.check()
}

func (w *Workload) work(parent context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(parent), w.Length)
	defer stop()
	var all, killer sync.WaitGroup
	if w.isDisturbed() {
		killer.Go(func() { w.kill(ctx) })
	}
	for i := range w.Sessions {
		all.Go(func() {
			s := &session{Workload: w, id: i, held: map[string]any{}, random: rand.New(rand.NewPCG(w.Seed+uint64(w.epochs), uint64(i)))}
			s.run(parent, ctx)
		})
	}
	all.Wait()
	stop()
	killer.Wait()
}

// run makes calls until it is time to stop; those that are under way come to their end.
func (s *session) run(parent, ctx context.Context) {
	for i := 0; s.Operations == 0 || i < s.Operations; i++ {
		select {
		case <-parent.Done():
			return
		case <-ctx.Done():
			return
		case <-s.found:
			return
		default:
			s.once()
		}
	}
}

// once makes one of the calls.
func (s *session) once() {
	defer func() {
		if p := recover(); p != nil {
			s.Report("panic", fmt.Sprintf("%v\n%s", p, debug.Stack()))
		}
	}()
	ctx, cancel := s.context(context.Background())
	defer cancel()
	db := s.db.WithContext(ctx)
	switch choice := s.random.IntN(100); {
	case choice < 20:
		s.transaction(db)
	case choice < 40:
		s.retry(ctx, db)
	case choice < 55:
		s.several(s.alone(db))
	default:
		s.single(s.alone(db))
	}
}

func (s *session) several(sc *scope) {
	first := oneOf(s, s.slots)
	var ids []uint
	for _, slot := range s.slots {
		if id := slot.id(); slot.register == first.register && id != 0 {
			ids = append(ids, id)
			if s.chance(70) {
				_ = slot.load(sc, id)
			}
		}
	}
	s.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	_ = first.register.several(sc, ids)
}

// single makes a call by itself. Errors are looked at where they are recorded.
func (s *session) single(sc *scope) {
	slot := oneOf(s, s.slots)
	id := slot.id()
	if id == 0 {
		s.fill(context.Background(), slot)
		return
	}
	row := slot.about().row(id)
	if s.held[row] == nil || s.chance(30) {
		_ = slot.load(sc, id)
	}
	switch choice := s.random.IntN(100); {
	case choice < 60:
		_ = slot.write(sc, id)
	case choice < 65:
		_ = slot.verify(sc, id)
	case choice < 75 && slot.comesBack:
		s.replace(sc, slot, id)
	default:
		_ = slot.blind(sc, id)
	}
}

// replace deletes a row, or creates it where it was deleted. One that is only hidden does not come back.
func (s *session) replace(sc *scope, slot *slot, id uint) {
	switch isHeld := s.held[slot.about().row(id)] != nil; {
	case isHeld:
		_ = slot.remove(sc, id)
	case slot.about().isSoft:
		s.retire(slot.about().row(id))
	default:
		_ = slot.create(sc, id)
	}
}

// settleConnections waits until nothing of the epoch is going on any more: no connection may be left in use.
func (w *Workload) settleConnections() {
	pool, err := w.db.DB()
	if err != nil {
		w.Report("unexpected error", err.Error())
		return
	}
	for range 100 {
		if pool.Stats().InUse == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond) // database/sql rolls back in the background where a context has ended
	}
	if n := pool.Stats().InUse; n > 0 {
		w.Report("leak", fmt.Sprintf("%d connections are in use, and nobody uses them", n))
	}
	if w.isDisturbed() {
		pool.SetMaxIdleConns(0) // those that were killed
		pool.SetMaxIdleConns(w.Sessions)
	}
}

// check reads all rows for the last time, and checks the history of each.
func (w *Workload) check() {
	s := &session{Workload: w, id: w.Sessions, held: map[string]any{}}
	w.byRow.Range(func(row, at any) bool {
		var id uint
		_, _ = fmt.Sscan(row.(string)[strings.IndexByte(row.(string), '/')+1:], &id)
		_ = at.(*slot).load(s.alone(w.db), id)
		return true
	})
	result := history.Check(w.recorder.Take(), w.Limit)
	w.totals.Undecided.Add(int64(result.Undecided))
	for _, failure := range result.Failures {
		w.add(Anomaly{Rule: failure.Rule, Text: failure.String(), Failure: &failure})
	}
	w.clean()
}

// clean deletes the rows of the epoch.
func (w *Workload) clean() {
	var errs error
	for _, r := range w.registers {
		errs = errors.Join(errs, w.db.Exec("DELETE FROM "+r.about().name).Error)
	}
	if errs != nil {
		w.Report("unexpected error", errs.Error())
	}
}

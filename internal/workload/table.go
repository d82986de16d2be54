package workload

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// register is a table whose rows are read and written one by one.
type register interface {
	about() traits
	model() any
	create(sc *scope, id uint) error
	load(sc *scope, id uint) error  // into the session
	write(sc *scope, id uint) error // what the session has loaded, changed
	blind(sc *scope, id uint) error // and everything else that is not compared with what was loaded
	verify(sc *scope, id uint) error
	remove(sc *scope, id uint) error     // what the session has loaded
	several(sc *scope, ids []uint) error // of those that the session has loaded
}

// table is the register of the models M.
type table[M any, R row[M]] struct{ traits }

func (t table[M, R]) about() traits { return t.traits }
func (t table[M, R]) model() any    { return new(M) }

// at is the version that a model holds, as histories have it.
func (t table[M, R]) at(m R) string {
	if t.isSnapshot {
		return strconv.FormatInt(m.body().Value, 10)
	}
	return text(m.version())
}

// holding is the session's copy of a row. What is written is a copy of that: a refused write leaves its values in it.
func (t table[M, R]) holding(sc *scope, id uint) (R, bool) {
	m, ok := sc.held[t.row(id)].(*M)
	if !ok {
		return nil, false
	}
	again := *m
	return &again, true
}

func (t table[M, R]) operation(sc *scope, id uint, call string, action history.Action) history.Operation {
	return history.Operation{Session: sc.id, Row: t.row(id), Call: call, Action: action, Counts: t.counts, Began: sc.recorder.Now()}
}

func (t table[M, R]) create(sc *scope, id uint) error {
	m := R(new(M))
	*m.body() = Body{ID: id, Value: sc.next()}
	o := t.operation(sc, id, "Create", history.Create)
	err := sc.db.Create(m).Error
	o.Ended, o.Value = sc.recorder.Now(), m.body().Value
	if sc.explain(&o, t.traits, occ.OpUpsert, err) {
		if err == nil {
			o.Version = t.at(m)
		}
		sc.note(o)
	}
	if err == nil {
		sc.held[o.Row] = (*M)(m)
	}
	return err
}

func (t table[M, R]) load(sc *scope, id uint) error {
	m := R(new(M))
	err := t.read(sc, id, "First", m, func() error { return sc.db.First(m, id).Error })
	if err == nil {
		sc.held[t.row(id)] = (*M)(m)
	}
	return err
}

func (t table[M, R]) current(sc *scope, id uint) error {
	m := R(new(M))
	m.body().ID = id
	return t.read(sc, id, "Current", m, func() error {
		row, err := occ.Current[M](sc.db, m)
		if err == nil {
			*m = *row
		}
		return err
	})
}

func (t table[M, R]) read(sc *scope, id uint, call string, m R, read func() error) error {
	o := t.operation(sc, id, call, history.Read)
	err := read()
	o.Ended = sc.recorder.Now()
	if sc.explain(&o, t.traits, "", err) && o.Outcome != history.Unknown {
		if err == nil {
			o.Version, o.Value, o.Count = t.at(m), m.body().Value, m.body().Added
		}
		sc.note(o)
	}
	return err
}

func (t table[M, R]) write(sc *scope, id uint) error {
	m, ok := t.holding(sc, id)
	if !ok {
		return nil
	}
	return t.attempt(sc, m, oneOf(sc.session, t.writes()))
}

func (t table[M, R]) remove(sc *scope, id uint) error {
	m, ok := t.holding(sc, id)
	if !ok {
		return nil
	}
	return t.attempt(sc, m, oneOf(sc.session, t.deletes()))
}

func (t table[M, R]) verify(sc *scope, id uint) error {
	m, ok := t.holding(sc, id)
	if !ok || t.isSnapshot {
		return nil
	}
	return t.attempt(sc, m, t.verifies())
}

// attempt makes a compared call with m and records it. The model has to hold the next version if it is written, and the
// same one if it is not.
func (t table[M, R]) attempt(sc *scope, m R, c call[M, R]) error {
	before, version := *m, t.at(m)
	o := t.operation(sc, m.body().ID, c.name, c.action)
	o.Expected = version
	if c.value {
		o.Value = sc.next()
	}
	adds, err := c.run(sc.db, m, o.Value)
	o.Ended, o.Adds = sc.recorder.Now(), adds
	if adds > 0 && !c.leavesFields {
		o.Count = sc.counted(o.Row, R(&before).body().Added+adds)
	}
	if sc.explain(&o, t.traits, c.op, err) {
		o.Version = cmp.Or(o.Version, t.written(o, c, m))
		sc.note(o)
	}
	t.remember(sc, o, c, m, before, err)
	return err
}

// written is the version that a call has written, where it tells.
func (t table[M, R]) written(o history.Operation, c call[M, R], m R) string {
	switch {
	case o.Outcome != history.Done || o.Action != history.Write:
		return ""
	case t.isSnapshot:
		return strconv.FormatInt(o.Value, 10)
	case c.leavesModel:
		return ""
	}
	return t.at(m)
}

// counted is the count that a write leaves where the row was created again since it was loaded: it can be at the same
// version again, but what was counted before is gone. Of other rows, the writes have to add up.
func (sc *scope) counted(row string, count int64) int64 {
	if !sc.comesBack(row) {
		return 0
	}
	return count
}

func (t table[M, R]) remember(sc *scope, o history.Operation, c call[M, R], m R, before M, err error) {
	held := t.at(R(&before))
	if (err != nil || c.leavesModel) && !t.isSnapshot && t.at(m) != held {
		sc.Report("model changed", fmt.Sprintf("%s -> %v; the model is at %s", o, err, t.at(m)))
	}
	if sc.inTx {
		sc.restored = append(sc.restored, func() {
			if !t.isSnapshot && sc.restoresMemory && t.at(m) != held {
				sc.Report("model not rolled back", fmt.Sprintf("%s; the model is at %s", o, t.at(m)))
			}
		})
	}
	switch {
	case c.action != history.Write:
	case err == nil && !c.leavesModel && !c.leavesFields && !sc.inTx:
		sc.held[o.Row] = (*M)(m)
	case sc.inTx || c.leavesFields || sc.chance(50):
		delete(sc.held, o.Row)
	}
}

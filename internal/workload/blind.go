package workload

import (
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// blind makes a call that is not compared with what the session has loaded.
func (t table[M, R]) blind(sc *scope, id uint) error {
	calls := []func(sc *scope, id uint) error{t.byCondition, t.unchecked, t.saveNew, t.doNothing}
	if !t.isSoft { // a row that is hidden is there for Current alone
		calls = append(calls, t.current)
	}
	if !t.isSnapshot {
		calls = append(calls, t.rebase)
	}
	if !t.isSnapshot && !t.isSoft {
		calls = append(calls, t.put)
	}
	return oneOf(sc.session, calls)(sc, id)
}

// plainly runs a call that writes a value, and records it.
func (t table[M, R]) plainly(sc *scope, id uint, name string, action history.Action, run func(m R, o *history.Operation) (int64, error)) error {
	m := R(new(M))
	*m.body() = Body{ID: id, Value: sc.next()}
	o := t.operation(sc, id, name, action)
	o.Value = m.body().Value
	affected, err := run(m, &o)
	o.Ended = sc.recorder.Now()
	if !sc.explain(&o, t.traits, occ.OpUpdate, err) {
		return err
	}
	if o.Outcome == history.Done && affected == 0 {
		o.Outcome, o.Version = history.Gone, ""
	}
	if t.isSnapshot && o.Outcome == history.Done {
		o.Version = t.at(m)
	}
	sc.note(o)
	return err
}

func (t table[M, R]) byCondition(sc *scope, id uint) error {
	byTable := sc.chance(30)
	return t.plainly(sc, id, "Updates by condition", history.Blind, func(m R, o *history.Operation) (int64, error) {
		o.Adds = 1
		query := sc.db.Model(new(M))
		if byTable && !t.isSnapshot && !t.isSoft {
			query = sc.db.Table(t.name)
		}
		result := query.Where("id = ?", id).Updates(map[string]any{"value": o.Value, "added": gorm.Expr("added + 1")})
		return result.RowsAffected, result.Error
	})
}

func (t table[M, R]) unchecked(sc *scope, id uint) error {
	held, ok := t.holding(sc, id)
	if !ok {
		return nil
	}
	return t.plainly(sc, id, "Unchecked", history.Blind, func(m R, o *history.Operation) (int64, error) {
		o.Adds = 1
		result := sc.db.Model(held).Clauses(occ.Unchecked()).Updates(map[string]any{"value": o.Value, "added": gorm.Expr("added + 1")})
		if result.Error == nil && result.RowsAffected > 0 && !t.isSnapshot {
			o.Version = t.at(held)
		}
		return result.RowsAffected, result.Error
	})
}

// put inserts, or updates what is there: a model that was not loaded asks for no comparison.
func (t table[M, R]) put(sc *scope, id uint) error {
	action := history.Blind
	if sc.comesBack(t.row(id)) {
		action = history.Put
	}
	return t.plainly(sc, id, "Create of a new model on conflict update", action, func(m R, o *history.Operation) (int64, error) {
		err := sc.db.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"value"}),
		}).Create(m).Error
		if err == nil {
			o.Version = t.at(m)
		}
		return 1, err
	})
}

// saveNew is an insert, and refused where there is a row: the model was never loaded.
func (t table[M, R]) saveNew(sc *scope, id uint) error {
	if t.isSoft || !sc.comesBack(t.row(id)) {
		return nil
	}
	return t.plainly(sc, id, "Save of a new model", history.Create, func(m R, o *history.Operation) (int64, error) {
		err := sc.db.Save(m).Error
		if err == nil {
			o.Version = t.at(m)
		}
		return 1, err
	})
}

// doNothing is an insert, and leaves the row alone where there is one.
func (t table[M, R]) doNothing(sc *scope, id uint) error {
	if t.isSoft || !sc.comesBack(t.row(id)) {
		return nil
	}
	m := R(new(M))
	*m.body() = Body{ID: id, Value: sc.next()}
	before := text(m.version())
	o := t.operation(sc, id, "Create on conflict do nothing", history.Create)
	result := sc.db.Clauses(clause.OnConflict{DoNothing: true}).Create(m)
	o.Ended, o.Value = sc.recorder.Now(), m.body().Value
	if !sc.explain(&o, t.traits, occ.OpUpsert, result.Error) {
		return result.Error
	}
	switch {
	case result.Error != nil:
	case result.RowsAffected > 0:
		o.Version = t.at(m)
	case text(m.version()) != before:
		sc.Report("model changed", o.String()+": nothing was inserted")
		return nil
	default:
		o.Action, o.Value = history.Verify, 0 // of any version
	}
	sc.note(o)
	return result.Error
}

// rebase writes onto what others have written, unless they wrote the same columns.
func (t table[M, R]) rebase(sc *scope, id uint) error {
	base, ok := t.holding(sc, id)
	if !ok {
		return nil
	}
	var conflict *occ.MergeConflictError
	err := t.plainly(sc, id, "Rebase", history.Blind, func(m R, o *history.Operation) (int64, error) {
		*m = *base
		m.body().Value, m.body().Added, o.Adds = o.Value, base.body().Added+1, 1
		err := occ.Rebase(sc.db, (*M)(base), (*M)(m))
		if errors.As(err, &conflict) {
			t.learn(sc, o, conflict)
			return 1, nil
		}
		if err == nil {
			o.Version = t.at(m)
		}
		return 1, err
	})
	delete(sc.held, t.row(id))
	return err
}

// learn makes a read of a merge conflict: it shows the row.
func (t table[M, R]) learn(sc *scope, o *history.Operation, conflict *occ.MergeConflictError) {
	theirs, ok := conflict.Theirs.(*M)
	if !ok {
		sc.Report("wrong conflict", o.String())
		return
	}
	o.Action, o.Version = history.Read, t.at(theirs)
	o.Value, o.Count, o.Adds = R(theirs).body().Value, R(theirs).body().Added, 0
}

package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// overwriteSnapshots is the upsert of models with snapshots: those that are loaded are compared with the rows that they are
// going to overwrite, which stay locked until it is done.
func (w *write) overwriteSnapshots() {
	given, _ := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	fields, models := w.conflictFields(given), w.candidates()
	loaded := w.loaded(models)
	if len(loaded) > 0 && !w.db.DryRun && !w.areStored(loaded, fields) {
		return
	}
	conflict := w.buildUpsert()
	if target := w.stmt.ReflectValue; target.Kind() == reflect.Slice && w.returns() {
		w.overwriteSlice(conflict, target, numbering{w: w})
	} else {
		w.plugin.gorm.create(w.db)
	}
	if w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0 {
		return
	}
	learning := models
	if len(conflict.Where.Exprs) > 0 && len(models) > 1 {
		learning = loaded // the others may not have been written
	}
	_ = w.db.AddError(w.learnOverwritten(learning, fields))
}

// loaded are the models that are compared.
func (w *write) loaded(models []row) (loaded []row) {
	for _, r := range models {
		if r.expected = r.before; !w.model.version.kind.isZero(r.expected) && !w.isUnchecked(&r) {
			loaded = append(loaded, r)
		}
	}
	return loaded
}

// areStored refuses models whose rows, by the columns of the conflict, are not what they were loaded as, or are gone.
func (w *write) areStored(models []row, fields []*schema.Field) bool {
	w.counters().checked.Add(1)
	rows := make([]*row, len(models))
	for i := range models {
		rows[i] = &models[i]
	}
	states, err := w.lockBy(rows, fields)
	if err != nil {
		w.failRows(rows, err)
		return false
	}
	if !w.areCurrent(rows, states) {
		w.refuseRows(rows, states, nil)
		return false
	}
	return true
}

// lockBy is lockRows where rows are found by other columns than their key.
func (w *write) lockBy(rows []*row, fields []*schema.Field) (states []rowState, err error) {
	hasKey := func(r *row) bool { return r.key != nil }
	if slices.Equal(fields, w.model.PrimaryFields) && !slices.ContainsFunc(rows, func(r *row) bool { return !hasKey(r) }) {
		return w.lockRows(rows)
	}
	if _, err := w.lockRows(nil); err != nil {
		return nil, err
	}
	for _, r := range rows {
		state, err := w.readWhere(w.equalIn(fields, r.model), w.locking(clause.LockingStrengthUpdate))
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

// equalIn is the condition that a row has a model's values of some columns.
func (w *write) equalIn(fields []*schema.Field, model reflect.Value) clause.Expression {
	conditions := make([]clause.Expression, len(fields))
	for i, field := range fields {
		value, _ := field.ValueOf(w.ctx, model)
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: field.DBName}, Value: value}
	}
	return clause.And(conditions...)
}

// learnOverwritten gives models what is stored of them now.
func (w *write) learnOverwritten(models []row, fields []*schema.Field) error {
	if slices.Equal(fields, w.model.PrimaryFields) {
		return w.learnInserted(w.keyed(models))
	}
	for i := range models {
		r := &models[i]
		state, err := w.readWhere(w.equalIn(fields, r.model))
		if err != nil {
			return err
		}
		if state.isThere {
			w.advance(r, w.learned(r, state.version))
		}
	}
	return nil
}

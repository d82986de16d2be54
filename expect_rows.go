package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
)

// choosing runs a write whose expected versions are known or, where they are to be chosen among texts, reads the rows first
// and runs it in the same transaction.
func (w *write) choosing(write func()) {
	texts := w.switches.texts
	if texts == nil || w.model.version == nil {
		write()
		return
	}
	if _, ok := texts.one(w.model.version); ok {
		write()
		return
	}
	w.within(func() error {
		if w.choose(texts) {
			write()
		}
		return w.db.Error
	})
}

// choose has each row of the write expect the version that it is at, if that is one of the texts. Else it refuses the write
// and returns false. Rows stay as they are until the transaction ends.
func (w *write) choose(texts *expectText) bool {
	if w.db.DryRun {
		return true // no row is read: the statement shows the zero value
	}
	isByCondition := w.isByCondition()
	if len(w.rows) == 0 || isByCondition && (w.isCreate || !w.namesRows()) {
		return w.db.Error == nil
	}
	rows, states, err := w.lockExpected()
	if err != nil {
		w.failRows(w.pointers(), err)
		return false
	}
	if isByCondition {
		return w.chooseMatched(rows, states, w.staleAmong(rows, states, texts), texts)
	}
	return w.chooseAmong(rows, states)
}

// chooseAmong has rows that were read expect the versions that they are at, where what is expected are texts. Where one is at
// none of them it refuses the write and returns false.
func (w *write) chooseAmong(rows []*row, states []rowState) bool {
	texts := w.switches.texts
	if texts == nil {
		return true
	}
	if _, isOne := texts.one(w.model.version); isOne {
		return true
	}
	if stale := w.staleAmong(rows, states, texts); len(stale) > 0 {
		w.refuseTexts(stale, texts)
		return false
	}
	for i, r := range rows {
		r.expected = states[i].version
	}
	return true
}

// isByCondition reports whether no row of the write has a key.
func (w *write) isByCondition() bool {
	return !slices.ContainsFunc(w.rows, func(r row) bool { return r.key != nil })
}

// lockExpected reads the rows of the write as they are now and locks them: by their keys or, where it has none, by the
// caller's conditions. Models of a slice that have no key are left out.
func (w *write) lockExpected() (rows []*row, states []rowState, err error) {
	failed := w.db.Error
	w.db.Error = nil
	defer func() { w.db.Error = failed }()
	if err := w.lockFirst(); err != nil {
		return nil, nil, err
	}
	if w.isByCondition() {
		return w.readMatched(clause.LockingStrengthUpdate)
	}
	rows = slices.DeleteFunc(w.pointers(), func(r *row) bool { return r.key == nil })
	states, err = w.readRows(rows, clause.LockingStrengthUpdate)
	return rows, states, err
}

// staleAmong are the refusals of the rows that are not at one of the texts.
func (w *write) staleAmong(rows []*row, states []rowState, texts *expectText) (stale []conflict.Row) {
	for i, r := range rows {
		if w.isInReach(states[i]) && texts.holds(w.model.version, states[i].version) {
			continue
		}
		stale = append(stale, conflict.Row{
			Index: r.index, PrimaryKey: w.namedKey(r), Expected: texts.expected(w.model.version),
			Actual: states[i].version, Reason: w.reasonOfText(states[i], texts), Blame: states[i].blame,
		})
	}
	return stale
}

func (w *write) reasonOfText(state rowState, texts *expectText) conflict.Reason {
	switch {
	case !w.isInReach(state):
		return conflict.ReasonDeleted
	case len(texts.versions) == 0:
		return conflict.ReasonMissing
	}
	return conflict.ReasonChanged
}

// chooseMatched makes the rows that the caller's conditions found those of the write, without the ones at another version.
// None is a refusal, as of one version.
func (w *write) chooseMatched(rows []*row, states []rowState, stale []conflict.Row, texts *expectText) bool {
	kept := w.rows[:0:0]
	for i, r := range rows {
		if w.isInReach(states[i]) && texts.holds(w.model.version, states[i].version) {
			r.index, r.before, r.expected = len(kept), states[i].version, states[i].version
			kept = append(kept, *r)
		}
	}
	if len(kept) == 1 && w.op != conflict.OpDelete {
		kept[0].model, kept[0].before = w.rows[0].model, w.rows[0].before
	}
	if len(kept) > 0 {
		w.rows = kept
		return true
	}
	if len(stale) != 1 {
		stale = []conflict.Row{w.absent(texts)}
	}
	w.refuseTexts(stale, texts)
	return false
}

// absent is the refusal of what the conditions are about, where they match no row or more than one.
func (w *write) absent(texts *expectText) conflict.Row {
	stale := conflict.Row{PrimaryKey: map[string]any{}, Expected: texts.expected(w.model.version), Reason: conflict.ReasonUnknown}
	key := w.keyInConditions()
	if key == nil {
		return stale
	}
	r := &row{model: w.rows[0].model, key: key}
	stale.PrimaryKey = w.namedKey(r)
	state, err := w.read(r)
	switch {
	case err != nil:
	case !w.isInReach(state):
		stale.Actual, stale.Reason = state.version, conflict.ReasonDeleted
	default:
		stale.Actual = state.version // other conditions did not hold
	}
	return stale
}

// refuseTexts refuses a write for what ExpectText was given. No version at all is one that was never loaded, whatever the
// row is at.
func (w *write) refuseTexts(stale []conflict.Row, texts *expectText) {
	w.counters().checked.Add(1)
	refusal := &conflict.Refusal{Op: w.op, Rows: stale, NoVersion: len(texts.versions) == 0}
	w.fail(refusal)
}

// readMatched reads the rows that the caller's conditions match, past soft deletes, with their keys.
func (w *write) readMatched(lock string) (rows []*row, states []rowState, err error) {
	own, _ := w.own.Expression.(clause.Where)
	tx := w.session()
	if lock != "" {
		tx = tx.Clauses(w.locking(lock))
	}
	selected := append(w.versionColumns(), w.deletedInSQL())
	for _, field := range w.model.PrimaryFields {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		selected = append(selected, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	selected = append(selected, w.blameColumns()...)
	found, err := tx.Clauses(
		clause.Select{Expression: clause.CommaExpression{Exprs: selected}},
		clause.Where{Exprs: []clause.Expression{group{own.Exprs}}},
	).Rows()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		version, deleted := w.newVersionScan(), 0
		key, targets := newKeyScan(w.model.PrimaryFields), []any{&deleted}
		blame := w.blameTargets()
		if err := version.scan(found, slices.Concat(targets, key.targets, blame)...); err != nil {
			return nil, nil, err
		}
		state := rowState{isThere: true, isDeleted: deleted != 0, holds: true}
		if state.blame, err = w.blameIn(blame); err != nil {
			return nil, nil, err
		}
		if state.version, err = version.value(); err != nil {
			return nil, nil, err
		}
		model := reflect.New(w.model.ModelType).Elem()
		if err := key.set(w, model); err != nil {
			return nil, nil, err
		}
		rows, states = append(rows, &row{model: model, key: w.allKeys(model)}), append(states, state)
	}
	return rows, states, found.Err()
}

// keyScan takes the primary key of one row out of a query.
type keyScan struct {
	fields  []*schema.Field
	targets []any
}

func newKeyScan(fields []*schema.Field) keyScan {
	s := keyScan{fields: fields}
	for _, field := range fields {
		s.targets = append(s.targets, field.NewValuePool.Get())
	}
	return s
}

// set gives a model the key that was scanned.
func (s keyScan) set(w *write, model reflect.Value) error {
	for i, field := range s.fields {
		if err := field.Set(w.ctx, model, s.targets[i]); err != nil {
			return err
		}
		field.NewValuePool.Put(s.targets[i])
	}
	return nil
}

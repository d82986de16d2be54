package occ

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
)

// Which row an INSERT ... ON CONFLICT meets is the database's to say: a partial index, an expression or a collation decide
// with it. The upsert of models whose rows have to be known beforehand reads and locks those rows by the same target,
// sends the caller's own statement, and then looks at the rows that it wrote.

// upsertLocked is the upsert of loaded models: it writes the rows of their conflict target, if those are at the expected
// versions, and inserts none.
func (w *write) upsertLocked(conflict clause.OnConflict, loaded []row) {
	w.counters().checked.Add(1)
	w.rows = loaded
	if w.db.DryRun {
		w.withModels(loaded, w.overwrite)
		return
	}
	w.together(func() {
		rows, states, err := w.lockTarget(conflict, w.pointers())
		defer func() { w.lookup = lookup{own: w.own} }()
		switch {
		case w.db.Error != nil:
		case err != nil:
			w.failRows(rows, err)
		case !w.chooseAmong(rows, states):
		case !w.areCurrent(rows, states):
			w.refuseRows(rows, states, nil)
		default:
			w.sendLocked(rows, states, false)
		}
	})
}

// lockTarget locks the rows of the conflict target of models and reads their states. It leaves the lookup set to the
// target, for those who name the rows.
func (w *write) lockTarget(conflict clause.OnConflict, rows []*row) ([]*row, []rowState, error) {
	if w.db.AddError(w.setTarget(conflict)) != nil {
		return nil, nil, nil
	}
	for _, r := range rows {
		if r.key = w.keyOf(r.model); r.key == nil {
			_ = w.db.AddError(w.errNoTarget())
			return nil, nil, nil
		}
	}
	states, err := w.lockRows(rows)
	return rows, states, err
}

func (w *write) errNoTarget() error {
	return fmt.Errorf("occ: model %s has a version, but nothing in the columns of the conflict: %w", w.model.Name, gorm.ErrPrimaryKeyRequired)
}

// setTarget has rows be found by the conflict target: its columns and, of a partial index, its condition.
func (w *write) setTarget(conflict clause.OnConflict) error {
	if !w.isTargetKnown(conflict) {
		return fmt.Errorf("occ: model %s: the rows of this conflict target cannot be compared: name the plain columns of a unique index in OnConflict.Columns: %w",
			w.model.Name, gorm.ErrInvalidData)
	}
	w.identity, w.target = w.conflictFields(conflict), nil
	if w.dialect.ConflictTarget {
		w.target = conflict.TargetWhere.Exprs
	}
	return nil
}

// isTargetKnown tells a conflict target that is columns of the model, from a constraint and from expressions.
func (w *write) isTargetKnown(conflict clause.OnConflict) bool {
	if !w.dialect.ConflictTarget {
		return len(w.conflictFields(conflict)) > 0 // it minds every unique key, and names none
	}
	for _, column := range conflict.Columns {
		if column.Raw || w.model.LookUpField(column.Name) == nil {
			return false
		}
	}
	return conflict.OnConstraint == "" && len(w.conflictFields(conflict)) > 0
}

// isUpdate tells an upsert of loaded models that one UPDATE by the primary key can be, from one that only the caller's own
// INSERT ... ON CONFLICT can carry.
func (w *write) isUpdate(conflict clause.OnConflict, set clause.Set) bool {
	isKeyed := w.isTargetKnown(conflict) && slices.Equal(w.conflictFields(conflict), w.model.PrimaryFields)
	hasConditions := len(conflict.TargetWhere.Exprs)+len(conflict.Where.Exprs) > 0
	if !isKeyed || hasConditions && w.dialect.ConflictTarget {
		return false
	}
	return !slices.ContainsFunc(set, func(a clause.Assignment) bool {
		column, isColumn := a.Value.(clause.Column)
		if !isColumn || column.Table != batch.Alias {
			return isExpression(a.Value)
		}
		field := w.model.LookUpField(column.Name)
		return field == nil || !field.Creatable || field.HasDefaultValue && field.DefaultValueInterface == nil
	})
}

// sendLocked sends the caller's INSERT ... ON CONFLICT for models whose rows are locked. New models may be inserted all the
// same, where the database finds no conflict.
func (w *write) sendLocked(rows []*row, states []rowState, areNew bool) {
	if w.db.AddError(w.checkKeys(rows, states)) != nil {
		return
	}
	rows, states = w.onceByKey(rows, states)
	size, affected := len(rows), int64(0)
	if !w.model.version.isAdvancedInSQL() {
		size = 1 // each has a next version of its own
	}
	for i := 0; i < len(rows) && w.db.Error == nil; i += size {
		w.sendLockedPart(rows[i:i+size], states[i:i+size], areNew)
		affected += w.db.RowsAffected
	}
	w.setRowsAffected(affected)
}

// checkKeys makes sure that the rows of the conflict target are those of the models' own primary keys, where they have
// one: else a model would hold the version of another row than the one that its key names.
func (w *write) checkKeys(rows []*row, states []rowState) error {
	for i, r := range rows {
		if w.isOwnRow(r.model, states[i]) {
			continue
		}
		other := &row{model: r.model}
		by := w.lookup
		w.lookup = lookup{}
		other.key = w.keyOf(r.model)
		named, err := w.readRows([]*row{other}, "")
		w.lookup = by
		if err != nil {
			return err
		}
		if !named[0].isThere || !w.isOwnRow(named[0].model, states[i]) {
			return fmt.Errorf("occ: model %s, element %d: the row with its conflict columns has another primary key: load that row: %w",
				w.model.Name, r.index, gorm.ErrInvalidData)
		}
	}
	return nil
}

// isOwnRow tells whether a model has the key of a row, or none.
func (w *write) isOwnRow(model reflect.Value, state rowState) bool {
	fields := w.model.PrimaryFields
	hasKey := slices.ContainsFunc(fields, func(field *schema.Field) bool {
		_, isZero := field.ValueOf(w.ctx, model)
		return !isZero
	})
	return !hasKey || w.keyText(model, fields) == w.keyText(state.model, fields)
}

// onceByKey are the rows, each once as the database tells them apart: of several models of one row, the last one is
// written and the others follow it.
func (w *write) onceByKey(rows []*row, states []rowState) (once []*row, theirs []rowState) {
	first := map[string]*row{}
	for i, r := range rows {
		key := w.keyText(states[i].model, w.model.PrimaryFields)
		if twin := first[key]; twin != nil {
			twin.copies = append(twin.copies, r)
			continue
		}
		first[key] = r
		once, theirs = append(once, r), append(theirs, states[i])
	}
	return once, theirs
}

func (w *write) sendLockedPart(rows []*row, states []rowState, areNew bool) {
	sent := make([]row, len(rows))
	for i, r := range rows {
		sent[i] = *r
		sent[i].model = r.latest()
		if w.db.AddError(w.setNextAfter(r)) != nil {
			return
		}
	}
	w.withModels(sent, func() {
		written, conflict := w.sendApart(w.nextAfter(rows[0]))
		if w.db.Error == nil {
			_ = w.db.AddError(w.learnLocked(conflict, rows, states, written, areNew))
		}
	})
}

// nextAfter is the version that a statement gives a row: nil where SQL makes it.
func (w *write) nextAfter(r *row) any {
	if w.model.version.isAdvancedInSQL() {
		return nil
	}
	return w.model.version.kind.bind(r.next)
}

// sendApart sends the upsert of the statement's models and returns the rows that came back, in models of their own: GORM
// takes the first row for the first model, and keys it has counted for those of rows.
func (w *write) sendApart(next any) (written reflect.Value, conflict clause.OnConflict) {
	if w.model.version.byDatabase && !w.hasSnapshots() {
		defer w.leaveOut(w.withoutVersions())()
	}
	numbered, err := w.numberInserted()
	defer numbered.putBack()
	if w.db.AddError(err) != nil {
		return written, conflict
	}
	conflict = w.buildUpsert(next)
	target, dest := w.stmt.ReflectValue, w.stmt.Dest
	defer func() { w.stmt.ReflectValue, w.stmt.Dest = target, dest }()
	fresh := reflect.New(reflect.SliceOf(reflect.PointerTo(w.model.ModelType)))
	w.stmt.ReflectValue, w.stmt.Dest = fresh.Elem(), fresh.Interface()
	w.plugin.gorm.create(w.db)
	return fresh.Elem(), conflict
}

// numberInserted gives the models of an upsert their first versions, unless the database does.
func (w *write) numberInserted() (numbering, error) {
	if w.model.version.byDatabase {
		return numbering{w: w}, nil
	}
	numbered, err := w.number()
	if err == nil {
		w.bindInserted()
	}
	return numbered, err
}

// learnLocked gives the models whose rows a statement has written their keys and versions. A row that was written in place
// of one that was compared is an error.
func (w *write) learnLocked(conflict clause.OnConflict, rows []*row, before []rowState, written reflect.Value, areNew bool) error {
	byKey := map[string]reflect.Value{}
	for i := range written.Len() {
		byKey[w.keyText(written.Index(i).Elem(), w.model.PrimaryFields)] = written.Index(i).Elem()
	}
	now, err := w.readByKey(before)
	if err != nil {
		return err
	}
	met := int64(0)
	for i, r := range rows {
		key := w.keyText(before[i].model, w.model.PrimaryFields)
		returned, isReturned := byKey[key]
		delete(byKey, key)
		isWritten := isReturned || !w.returns() && w.hasMoved(before[i], now[i])
		if isWritten {
			met++
			w.learnWritten(r, returned, now[i])
		} else if !areNew && len(conflict.Where.Exprs) == 0 && w.sets(conflict) {
			return w.errOtherRow(r)
		}
	}
	return w.learnStray(rows, byKey, areNew)
}

// hasMoved tells whether a locked row was written, where the statement does not say so.
func (w *write) hasMoved(before, now rowState) bool {
	if w.hasSnapshots() || w.model.version.byDatabase {
		return now.isThere
	}
	return !w.isSame(before.version, now.version)
}

// sets tells whether an upsert moves the version on.
func (w *write) sets(conflict clause.OnConflict) bool {
	return slices.ContainsFunc(conflict.DoUpdates, func(a clause.Assignment) bool { return w.isVersionColumn(a.Column.Name) })
}

func (w *write) errOtherRow(r *row) error {
	return fmt.Errorf("occ: model %s, element %d: the database met another row than the one that was compared: name the columns and the condition of one unique index in OnConflict: %w",
		w.model.Name, r.index, gorm.ErrInvalidData)
}

// readByKey reads rows that were read before by their primary keys.
func (w *write) readByKey(before []rowState) ([]rowState, error) {
	by := w.lookup
	w.lookup = lookup{}
	defer func() { w.lookup = by }()
	rows := make([]*row, len(before))
	for i, state := range before {
		rows[i] = &row{model: state.model, key: w.keyOf(state.model)}
	}
	return w.readRows(rows, "")
}

// learnWritten gives the models of a row what is stored of it now.
func (w *write) learnWritten(r *row, returned reflect.Value, now rowState) {
	for _, c := range append([]*row{r}, r.copies...) {
		for _, field := range w.model.PrimaryFields {
			if _, isZero := field.ValueOf(w.ctx, c.model); isZero {
				field.ReflectValueOf(w.ctx, c.model).Set(field.ReflectValueOf(w.ctx, now.model))
			}
		}
		for _, field := range w.model.FieldsWithDefaultDBValue {
			if returned.IsValid() && field.Readable && !field.PrimaryKey && field != w.model.version.Field {
				field.ReflectValueOf(w.ctx, c.model).Set(field.ReflectValueOf(w.ctx, returned))
			}
		}
		w.advance(c, w.learned(c, now.version))
	}
}

// learnStray is for a row that was written and is none of those that were locked: a new model was inserted beside them.
func (w *write) learnStray(rows []*row, strays map[string]reflect.Value, areNew bool) error {
	for _, stray := range strays {
		if !areNew || len(rows) != 1 {
			return w.errOtherRow(rows[0])
		}
		w.takeOver(rows[0].index, rows[0].latest(), stray)
	}
	return nil
}

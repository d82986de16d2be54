package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/utils"
)

// comparison is a snapshot in the place of an expected version: the columns of it that a write compares.
type comparison struct {
	w       *write
	image   *rowImage
	columns []int
}

// build writes the condition that the row still holds what the snapshot does. Without a snapshot there is no such row.
func (c comparison) build(builder clause.Builder) {
	plan := c.w.model.version.plan
	if c.image == nil {
		_, _ = builder.WriteString("1 = 0")
		return
	}
	for i, column := range c.columns {
		if i > 0 {
			_, _ = builder.WriteString(clause.AndWithSpace)
		}
		stored := clause.Column{Table: clause.CurrentTable, Name: plan.columns[column]}
		c.w.plugin.dialect.Holds(stored, c.image.types[column], c.image.values[column]).Build(builder)
	}
	if len(c.columns) == 0 {
		_, _ = builder.WriteString("1 = 1")
	}
}

// snapshotWrite is what a write of models with snapshots keeps besides.
type snapshotWrite struct {
	compared []int  // the columns it compares
	learned  []int  // the columns of which it knows afterwards what is stored, since it compared or wrote them
	again    func() // runs the statement once more without comparing
}

// hasSnapshots tells that snapshots are what the write compares.
func (w *write) hasSnapshots() bool { return w.model.version.plan != nil }

// comparedWith is what the condition on a row says of its version.
func (w *write) comparedWith(r *row) any {
	if !w.hasSnapshots() {
		return r.expected
	}
	return comparison{w, w.comparedImage(r), w.snapshot.compared}
}

// comparedImage is the image that a row is compared with: none if it was never loaded, if it is of another row, or if it
// lacks a column.
func (w *write) comparedImage(r *row) *rowImage {
	snapshot, _ := r.expected.(Snapshot)
	image := snapshot.image
	if image == nil || w.snapshot == nil || r.key != nil && !reflect.DeepEqual(r.key, image.key) {
		return nil
	}
	for _, column := range w.snapshot.compared {
		if !image.has(column) {
			return nil
		}
	}
	return image
}

// isUnloaded tells a row of which the model does not hold what is to be compared.
func (w *write) isUnloaded(r *row) bool {
	if w.hasSnapshots() {
		return w.comparedImage(r) == nil
	}
	return w.model.version.kind.isZero(r.expected)
}

// chooseColumns finds out which columns a write with these assignments compares; a delete has none.
func (w *write) chooseColumns(set clause.Set) {
	plan := w.model.version.plan
	w.snapshot = &snapshotWrite{compared: plan.compared}
	var written, dirty []int
	for _, assignment := range set {
		column := -1
		if field := w.model.LookUpField(assignment.Column.Name); field != nil {
			column = plan.indexOf(field.DBName)
		}
		if column < 0 {
			continue
		}
		written = append(written, column)
		if slices.Contains(plan.compared, column) && !w.isTimestamp(assignment) {
			dirty = append(dirty, column)
		}
	}
	if plan.isDirty && len(dirty) > 0 {
		w.snapshot.compared = dirty
	}
	w.snapshot.learned = append(written, w.snapshot.compared...)
}

// writeSnapshot writes if the row still holds what it was loaded with. The transaction keeps others out until the row
// has been read back.
func (w *write) writeSnapshot(set clause.Set, gormWrite func(*gorm.DB)) {
	w.chooseColumns(set)
	err := w.plugin.inTransaction(w.db, func() error {
		w.snapshot.again = func() { w.writeAgain(set, gormWrite) }
		w.whereRow(true)
		w.run(set, gormWrite)
		return w.checkSnapshot()
	})
	if err != nil && w.db.Error == nil {
		_ = w.db.AddError(err)
	}
}

func (w *write) checkSnapshot() error {
	r := &w.rows[0]
	switch {
	case w.db.DryRun:
		return w.db.Error
	case w.db.Error != nil:
		w.checkError()
	case w.db.RowsAffected == 0 && w.isSaveOfNew(r): // Save goes on to insert it
	case w.db.RowsAffected == 0:
		w.refuse(nil)
	}
	if w.db.Error != nil || w.db.RowsAffected == 0 || w.op == OpDelete && !w.wasSoftDelete() {
		return w.db.Error
	}
	return w.learnSnapshot(r, w.snapshot.learned)
}

// writeAgain is for a row that reads the same as the snapshot although the statement did not find it so: because it does
// not compare exactly, because the caller's own conditions do not hold, or because MySQL counts no row that an UPDATE
// leaves as it is. It is locked, looked at once more, and written by its key.
func (w *write) writeAgain(set clause.Set, gormWrite func(*gorm.DB)) {
	r := &w.rows[0]
	state, err := w.readSnapshot(r, clause.Locking{Strength: clause.LockingStrengthUpdate})
	if err != nil {
		w.db.Error = err
		w.checkError()
		return
	}
	if !w.isCurrent(r, state) {
		w.failRow(r, state)
		return
	}
	w.stmt.SQL.Reset()
	w.stmt.Vars = nil
	for _, name := range []string{"SET", softDeleteMark} {
		delete(w.stmt.Clauses, name)
	}
	w.whereRow(false)
	w.run(set, gormWrite)
	if w.db.Error != nil {
		w.checkError()
		return
	}
	w.isQuiet = w.db.RowsAffected == 0 && calledBySave()
}

// learnSnapshot gives a model the row as it is stored now: of the columns that it knows to be its own, or was loaded with
// unchanged; of all where columns is nil. The others keep what the model was loaded with, since that is what it holds.
func (w *write) learnSnapshot(r *row, columns []int) error {
	if !r.model.CanAddr() {
		return nil
	}
	stored, err := w.storedImage(w.keyOf(r.model))
	if err != nil {
		return err
	}
	before, _ := r.expected.(Snapshot)
	if stored != nil && columns != nil && before.image != nil {
		merged := *stored
		merged.values = slices.Clone(before.image.values)
		for _, column := range columns {
			merged.values[column] = stored.values[column]
		}
		stored = &merged
	}
	w.putSnapshot(r.model, Snapshot{stored})
	return nil
}

func (w *write) putSnapshot(model reflect.Value, snapshot Snapshot) {
	if !model.CanAddr() {
		return
	}
	field := w.model.base
	w.keep(memory{field: field, model: model, version: field.of(w.ctx, model)})
	field.put(w.ctx, model, snapshot)
}

// learnBase gives a model that has a version its Snapshot after a write. Outside a transaction the row could be somebody
// else's by now, and nothing is known.
func (w *write) learnBase(r *row) {
	if w.model.snapshot == nil {
		return
	}
	if !isTransaction(w.stmt.ConnPool) {
		w.putSnapshot(r.model, Snapshot{})
		return
	}
	_ = w.db.AddError(w.learnSnapshot(r, nil))
}

// snapshotOfStruct is the snapshot in the payload of an update, which says what it was based on; nil if none.
func (w *write) snapshotOfStruct(payload reflect.Value) any {
	if payload.Type() != w.model.ModelType {
		return nil
	}
	if snapshot := w.model.snapshot.of(payload); snapshot.image != nil {
		return snapshot
	}
	return nil
}

// insertSnapshots has GORM insert the rows, and gives their models the snapshots of what is stored.
func (w *write) insertSnapshots() {
	err := w.plugin.inTransaction(w.db, func() error {
		w.plugin.gorm.create(w.db)
		if w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0 || !w.wroteAll() {
			return w.db.Error
		}
		return w.learnInserted()
	})
	if err != nil && w.db.Error == nil {
		_ = w.db.AddError(err)
	}
}

// wroteAll tells whether every model's row was written: DO NOTHING leaves some alone, and does not say which.
func (w *write) wroteAll() bool {
	conflict, _ := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	return !conflict.DoNothing || w.plugin.dialect.ConflictTarget && w.stmt.ReflectValue.Kind() == reflect.Struct
}

// learnInserted reads the rows of all models in hand, in as few statements as their keys fit into.
func (w *write) learnInserted() error {
	const batch = 500
	var conditions []clause.Expression
	byKey := map[string][]reflect.Value{}
	collect := func(_ int, model reflect.Value) error {
		if key := w.keyOf(model); key != nil && model.Type() == w.model.ModelType {
			conditions = append(conditions, &rowCondition{model: w.model, key: slices.Clone(key)})
			byKey[utils.ToStringKey(key...)] = append(byKey[utils.ToStringKey(key...)], model)
		}
		return nil
	}
	if err := w.eachModel(collect); err != nil {
		return err
	}
	for part := range slices.Chunk(conditions, batch) {
		found, err := w.imagesOf(clause.Or(part...))
		if err != nil {
			return err
		}
		for i := range found.Len() {
			stored := w.model.snapshot.of(found.Index(i))
			for _, model := range byKey[utils.ToStringKey(stored.image.key...)] {
				w.putSnapshot(model, stored)
			}
		}
	}
	return nil
}

// storedImage reads the image of a row; nil if there is none.
func (w *write) storedImage(key []any) (*rowImage, error) {
	if key == nil {
		return nil, nil
	}
	found, err := w.imagesOf(&rowCondition{model: w.model, key: key})
	if err != nil || found.Len() == 0 {
		return nil, err
	}
	return w.model.snapshot.of(found.Index(0)).image, nil
}

// readSnapshot is read for models that are compared with their snapshots.
func (w *write) readSnapshot(r *row, options ...clause.Expression) (state rowState, err error) {
	failed := w.db.Error
	w.db.Error = nil
	defer func() { w.db.Error = failed }()

	condition := clause.Where{Exprs: []clause.Expression{&rowCondition{model: w.model, key: r.key}}}
	found := w.model.MakeSlice()
	err = w.session().Clauses(condition).Clauses(options...).Find(found.Interface()).Error
	if err != nil || found.Elem().Len() == 0 {
		return state, err
	}
	state.isThere, state.version = true, w.model.version.plan.of(found.Elem().Index(0))
	var deleted []int
	err = w.session().Clauses(condition).Clauses(clause.Select{Expression: w.deletedInSQL()}).Find(&deleted).Error
	state.isDeleted = slices.Contains(deleted, 1)
	return state, err
}

// isSameImage tells whether a row holds in the compared columns what the model was loaded with.
func (w *write) isSameImage(r *row, stored any) bool {
	image := w.comparedImage(r)
	now, _ := stored.(Snapshot)
	if image == nil || now.image == nil {
		return false
	}
	for _, column := range w.snapshot.compared {
		if !w.plugin.dialect.SameStored(now.image.types[column], image.values[column], now.image.values[column]) {
			return false
		}
	}
	return true
}

package occ

import (
	"errors"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
)

// snapshotWrite is what a write of models with snapshots keeps besides.
type snapshotWrite struct {
	compared []int  // the columns it compares
	learned  []int  // the columns of which it knows afterwards what is stored, since it compared or wrote them
	again    func() // runs the statement once more without comparing
	returned any    // the row as RETURNING gave it
}

// hasSnapshots tells that snapshots are what the write compares.
func (w *write) hasSnapshots() bool { return w.model.compares() != nil }

// comparison is a snapshot in the place of an expected version: the columns of it that a write compares.
type comparison struct {
	w       *write
	image   *rowImage
	columns []int
}

// build writes the condition that the row still holds what the snapshot does. Without a snapshot there is no such row.
func (c comparison) build(builder clause.Builder) {
	plan := c.w.model.compares()
	if c.image == nil {
		_, _ = builder.WriteString("1 = 0")
		return
	}
	for i, column := range c.columns {
		if i > 0 {
			_, _ = builder.WriteString(clause.AndWithSpace)
		}
		stored := clause.Column{Table: clause.CurrentTable, Name: plan.columns[column]}
		c.w.dialect.Holds(stored, c.image.types[column], c.image.values[column]).Build(builder)
	}
	if len(c.columns) == 0 {
		_, _ = builder.WriteString("1 = 1")
	}
}

// comparedWith is what the condition on a row says of its version.
func (w *write) comparedWith(r *row) any {
	if !w.hasSnapshots() {
		return r.expected
	}
	return comparison{w, w.comparedImage(r), w.comparedColumns()}
}

func (w *write) comparedColumns() []int {
	if w.snapshot != nil {
		return w.snapshot.compared
	}
	return w.model.compares().compared
}

// chooseColumns finds out which columns a write with these assignments compares; a delete has none.
func (w *write) chooseColumns(set clause.Set) {
	plan := w.model.compares()
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
		if slices.Contains(plan.compared, column) {
			dirty = append(dirty, column)
		}
	}
	w.snapshot = &snapshotWrite{compared: plan.compared}
	if plan.isDirty && len(dirty) > 0 {
		w.snapshot.compared = dirty
	}
	w.snapshot.learned = append(written, w.snapshot.compared...)
}

// comparedImage is the image that a row is compared with: none if it was never loaded, if it is of another row, or if it
// lacks a column.
func (w *write) comparedImage(r *row) *rowImage {
	image, _ := r.expected.(*rowImage)
	if image == nil || w.identity == nil && r.key != nil && !reflect.DeepEqual(r.key, image.key) {
		return nil
	}
	for _, column := range w.comparedColumns() {
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

// isSameImage tells whether a row holds in the compared columns what the model was loaded with.
func (w *write) isSameImage(r *row, stored any) bool {
	image := w.comparedImage(r)
	now, _ := stored.(*rowImage)
	if image == nil || now == nil {
		return false
	}
	for _, column := range w.comparedColumns() {
		if !w.dialect.SameStored(now.types[column], image.values[column], now.values[column]) {
			return false
		}
	}
	return true
}

// writeSnapshot writes if the row still holds what it was loaded with. The transaction keeps others out until the row
// has been read back.
func (w *write) writeSnapshot(set clause.Set, gormWrite func(*gorm.DB)) {
	if w.snapshot == nil {
		w.chooseColumns(set)
	}
	w.snapshot.again = func() { w.writeAgain(set, gormWrite) }
	w.within(func() error {
		w.whereRow(true)
		if w.returnsSnapshot() {
			w.runReturning(set, gormWrite)
		} else {
			w.run(set, gormWrite)
		}
		return w.checkSnapshot()
	})
}

// returnsSnapshot tells whether the statement itself can give the row as written.
func (w *write) returnsSnapshot() bool {
	_, asked := w.stmt.Clauses["RETURNING"]
	return w.dialect.UpdateReturnsWritten && !asked && w.rows[0].model.CanAddr() && (w.op != conflict.OpDelete || w.isSoftDelete())
}

// runReturning has GORM build the statement with RETURNING, and sends it: GORM would scan what it gives into the model.
func (w *write) runReturning(set clause.Set, gormWrite func(*gorm.DB)) {
	returning := clause.Returning{}
	for _, name := range w.versionNames() {
		returning.Columns = append(returning.Columns, clause.Column{Name: name})
	}
	w.stmt.Clauses["RETURNING"] = clause.Clause{Name: "RETURNING", Expression: returning}
	config := w.db.Config
	dry := *config
	dry.DryRun = true
	w.db.Config = &dry
	w.run(set, gormWrite)
	w.db.Config = config
	if w.db.Error == nil && !w.db.DryRun {
		_ = w.db.AddError(w.query())
		w.plugin.leave(w.db)
	}
}

// query sends the statement that GORM has built and keeps what it returns.
func (w *write) query() error {
	rows, err := w.stmt.ConnPool.QueryContext(w.ctx, w.stmt.SQL.String(), w.stmt.Vars...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	affected := int64(0)
	for rows.Next() {
		version := w.newVersionScan()
		if err := version.scan(rows); err != nil {
			return err
		}
		if w.snapshot.returned, err = version.value(); err != nil {
			return err
		}
		affected++
	}
	w.setRowsAffected(affected)
	return rows.Err()
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
	if w.db.Error != nil || w.db.RowsAffected == 0 || w.op == conflict.OpDelete && !w.wasSoftDelete() {
		return w.db.Error
	}
	return w.learnSnapshot(r)
}

// writeAgain is for a row that reads the same as the snapshot although the statement did not find it so: because it does
// not compare exactly, because the caller's own conditions do not hold, or because MySQL counts no row that an UPDATE
// leaves as it is. It is locked, looked at once more, and written by its key.
func (w *write) writeAgain(set clause.Set, gormWrite func(*gorm.DB)) {
	r := &w.rows[0]
	state, err := w.readWhere(&rowCondition{model: w.model, key: r.key}, w.locking(clause.LockingStrengthUpdate))
	if err != nil {
		w.db.Error = err
		w.checkError()
		return
	}
	if !w.isCurrent(r, state) {
		w.fail(&conflict.Refusal{Op: w.op, Rows: []conflict.Row{w.staleRow(r, state)}})
		return
	}
	w.startOver()
	w.whereRow(false)
	w.run(set, gormWrite)
	switch {
	case w.db.Error != nil:
		w.checkError()
	case w.db.RowsAffected > 0, w.hasOwnConditions(), w.mayBeUnchanged():
	default:
		w.fail(&conflict.Refusal{Op: w.op, Rows: w.unknown([]*row{r})})
	}
}

// startOver takes from the statement what the last attempt has left in it: GORM adds to conditions.
func (w *write) startOver() {
	w.stmt.SQL.Reset()
	w.stmt.Vars = nil
	delete(w.stmt.Clauses, "SET")
	for _, name := range []string{"WHERE", "RETURNING", softDeleteMark} {
		if c, had := w.clausesBefore(name); had {
			w.stmt.Clauses[name] = c
		} else {
			delete(w.stmt.Clauses, name)
		}
	}
}

// learnSnapshot gives a model that was written the row as it is stored now.
func (w *write) learnSnapshot(r *row) error {
	if !r.model.CanAddr() {
		return nil
	}
	stored, err := w.snapshot.returned, error(nil)
	if stored == nil {
		stored, err = w.storedSnapshot(w.keyOf(r.model))
	}
	if err == nil {
		w.advance(r, w.learned(r, stored))
	}
	return err
}

// storedSnapshot reads a row; what is not there has no snapshot.
func (w *write) storedSnapshot(key []any) (*rowImage, error) {
	if key == nil {
		return nil, nil
	}
	state, err := w.readWhere(&rowCondition{model: w.model, key: key})
	image, _ := state.version.(*rowImage)
	return image, err
}

// learned is the version to give to a model whose row was written. Of a snapshot, it is the columns that the write has
// compared or set: of the others, the model still holds what it was loaded with.
func (w *write) learned(r *row, stored any) any {
	now, ok := stored.(*rowImage)
	if !ok || now == nil {
		return stored
	}
	image := *now
	image.key = w.model.compares().keyOf(w.ctx, r.model) // which the database may have given back in another form
	before, _ := r.expected.(*rowImage)
	if w.snapshot != nil && !w.isUnloaded(r) && !w.isUnchecked(r) {
		image.values = slices.Clone(before.values)
		for _, column := range w.snapshot.learned {
			image.values[column] = now.values[column]
		}
	}
	return &image
}

// writeSnapshots writes several rows if all of them still hold what they were loaded with. They are locked and read first:
// one UPDATE cannot say of each column of each row how it is compared.
func (w *write) writeSnapshots(rows []*row, how severalWrite) {
	var states []rowState
	err := w.allOrNone(func() (err error) {
		if states, err = w.lockRows(rows); err != nil {
			return err
		}
		if !w.areCurrent(rows, states) {
			return errShort
		}
		written := w.writable(rows, states)
		if len(written) == 0 {
			w.setRowsAffected(0)
			return nil
		}
		affected := how.send(written)
		if w.db.Error != nil {
			return w.db.Error
		}
		if affected != int64(len(written)) && !w.mayBeUnchanged() && !w.areGone(written) {
			return errShort
		}
		w.setRowsAffected(max(affected, w.db.RowsAffected))
		return how.written(written)
	})
	switch {
	case errors.Is(err, errShort):
		w.refuseRows(rows, states, nil)
	case err != nil:
		w.failRows(rows, err)
	}
}

// lockRows reads rows and keeps others from writing them.
func (w *write) lockRows(rows []*row) ([]rowState, error) {
	if err := w.lockFirst(); err != nil {
		return nil, err
	}
	return w.readRows(rows, clause.LockingStrengthUpdate)
}

// insertSnapshots has GORM insert the rows, and gives their models the snapshots of what is stored.
func (w *write) insertSnapshots() {
	w.plugin.gorm.create(w.db)
	if w.db.Error == nil && !w.db.DryRun && w.db.RowsAffected > 0 {
		_ = w.db.AddError(w.learnInserted(w.candidates()))
	}
}

// learnBase gives a model that has a version its Snapshot after a write. Outside a transaction the row could be somebody
// else's by now, and nothing is known.
func (w *write) learnBase(r *row) {
	if w.model.base == nil || !r.model.CanAddr() || !isTransaction(w.stmt.ConnPool) {
		return
	}
	found := w.model.MakeSlice()
	condition := clause.Where{Exprs: []clause.Expression{&rowCondition{model: w.model, key: w.keyOf(r.model)}}}
	err := w.session().Clauses(condition).Find(found.Interface()).Error
	if w.db.AddError(err) == nil && found.Elem().Len() == 1 {
		w.putBase(r.model, w.model.snapshot.of(found.Elem().Index(0)))
	}
}

// putBase replaces the Snapshot of a model that has a version, too.
func (w *write) putBase(model reflect.Value, image *rowImage) {
	if !model.CanAddr() {
		return
	}
	field := w.model.base
	w.keep(memory{field: field, model: model, version: field.of(w.ctx, model)})
	field.put(w.ctx, model, image)
}

// snapshotOfStruct is the snapshot in the payload of an update, which says what it was based on; nil if none.
func (w *write) snapshotOfStruct(payload reflect.Value) any {
	if payload.Type() != w.model.ModelType {
		return nil
	}
	if image := w.model.snapshot.of(payload); image != nil {
		return image
	}
	return nil
}

package occ

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/conflict"
)

// isSaveOfSlice tells GORM's Save of a slice: an upsert of all columns that also sets the time of the update. With
// FullSaveAssociations, associations are saved alike.
func (w *write) isSaveOfSlice(conflict clause.OnConflict) bool {
	_, setsTime := w.stmt.Get("gorm:update_track_time")
	isSlice := w.stmt.ReflectValue.Kind() == reflect.Slice || w.stmt.ReflectValue.Kind() == reflect.Array
	if w.isLinked && conflict.UpdateAll {
		return true // FullSaveAssociations saves each model as Save does
	}
	isPlain := conflict.UpdateAll && len(conflict.Columns) == 0 && conflict.OnConstraint == "" &&
		len(conflict.Where.Exprs) == 0 && len(conflict.TargetWhere.Exprs) == 0
	return isSlice && isPlain && setsTime
}

// savedSlice is the models of a slice by what becomes of them.
type savedSlice struct {
	loaded    []*row // compared and updated
	unchecked []*row // updated whatever their version, and inserted if they are not there
	keyed     []*row // never loaded: inserted, unless they are there
	fresh     []*row // without a key: inserted
}

// saveSlice updates the loaded models of a slice and inserts the others, all or none.
func (w *write) saveSlice() {
	w.op, w.own, w.isWhole = conflict.OpUpdate, w.stmt.Clauses["WHERE"], true
	switch err := w.collectSaved(); {
	case w.db.AddError(err) != nil:
		return
	case len(w.rows) == 0:
		w.insert() // an empty slice is GORM's own error
		return
	}
	w.choosing(w.saveChosen)
}

// saveChosen saves the slice, once it is known which version each row is expected to be at.
func (w *write) saveChosen() {
	rows, agree := w.savedOnce()
	saved := w.sortSaved(rows)
	if saved.isEmpty() {
		return // the call has written all of them already
	}
	delete(w.stmt.Clauses, "ON CONFLICT")
	if w.db.AddError(w.setNexts(saved.loaded)) != nil {
		return
	}
	w.countSaved(saved)
	if !agree && !w.db.DryRun {
		w.refuseCopies()
		return
	}
	w.neverLoaded = saved.keyed
	if saved.isOfOneSort() {
		w.saveEach(saved)
		return
	}
	w.together(func() { w.saveEach(saved) })
}

// collectSaved makes rows of the models of the slice, those without a key too.
func (w *write) collectSaved() error {
	given, err := w.givenVersion(nil)
	if err != nil {
		return err
	}
	return w.eachModel(func(index int, model reflect.Value) error {
		if model.Kind() != reflect.Struct || model.Type() != w.model.ModelType {
			return fmt.Errorf("occ: element %d of the slice is no %s: %w", index, w.model.Name, gorm.ErrInvalidData)
		}
		r := row{index: index, model: model, key: w.keyOf(model), before: w.model.version.of(w.ctx, model)}
		if r.expected = r.before; w.expects && r.key != nil {
			r.expected = given
		}
		w.rows = append(w.rows, r)
		return nil
	})
}

// savedOnce are the rows of the slice, each once, less those that a save of associations has written already.
func (w *write) savedOnce() (rows []*row, agree bool) {
	rows = w.pointers()
	if w.isLinked {
		rows = w.dropWritten(rows)
	}
	w.catchUp(rows)
	return w.distinct(rows)
}

func (w *write) sortSaved(rows []*row) (s savedSlice) {
	for _, r := range rows {
		switch {
		case r.key == nil:
			s.fresh = append(s.fresh, r)
		case w.isUnchecked(r):
			s.unchecked = append(s.unchecked, r)
		case w.model.version.kind.isZero(r.expected):
			s.keyed = append(s.keyed, r)
		default:
			s.loaded = append(s.loaded, r)
		}
	}
	return s
}

func (w *write) setNexts(rows []*row) error {
	for _, r := range rows {
		if err := w.setNextOf(r); err != nil {
			return err
		}
	}
	return nil
}

func (w *write) countSaved(s savedSlice) {
	switch {
	case len(s.loaded) > 0 || len(s.keyed) > 0:
		w.counters().checked.Add(1)
	case len(s.unchecked) > 0:
		w.counters().blind.Add(1)
	}
}

// refuseCopies ends a Save of copies of one row that are at different versions. What Save would have inserted is no
// reason for it, unless it is there.
func (w *write) refuseCopies() {
	w.neverLoaded = w.sortSaved(w.pointers()).keyed
	rows := slices.DeleteFunc(w.pointers(), func(r *row) bool { return r.key == nil || slices.Contains(w.neverLoaded, r) })
	states, err := w.readRows(rows, "")
	w.refuseRows(rows, states, err)
}

func (s *savedSlice) isEmpty() bool {
	return len(s.loaded)+len(s.unchecked)+len(s.keyed)+len(s.fresh) == 0
}

func (s *savedSlice) isOfOneSort() bool {
	sorts := 0
	for _, n := range []int{len(s.loaded), len(s.unchecked), len(s.keyed) + len(s.fresh)} {
		if n > 0 {
			sorts++
		}
	}
	return sorts == 1 && len(s.unchecked) == 0
}

// saveEach writes the sorts of models one after the other; the first error ends it.
func (w *write) saveEach(s savedSlice) {
	affected := int64(0)
	for _, step := range []struct {
		rows []*row
		save func([]*row)
	}{
		{s.loaded, w.saveLoaded},
		{s.unchecked, w.saveUnchecked},
		{append(append([]*row(nil), s.keyed...), s.fresh...), w.saveNew},
	} {
		if len(step.rows) == 0 {
			continue
		}
		if w.db.DryRun && affected > 0 {
			return
		}
		step.save(step.rows)
		if w.db.Error != nil {
			return
		}
		if affected += w.db.RowsAffected; w.db.DryRun {
			affected = 1 // one statement is all that can be shown
		}
	}
	if !w.db.DryRun {
		w.setRowsAffected(affected)
	}
}

// saveLoaded is the one UPDATE of all loaded models.
func (w *write) saveLoaded(rows []*row) {
	w.writeSeveral(rows, w.savingUpdate(rows, true))
}

// saveUnchecked updates models whatever version their rows are at, and inserts those whose rows are gone.
func (w *write) saveUnchecked(rows []*row) {
	if w.db.DryRun {
		w.savingUpdate(rows, false).send(rows)
		return
	}
	states, err := w.readRows(rows, clause.LockingStrengthUpdate)
	if w.db.AddError(err) != nil {
		return
	}
	var there, gone []*row
	for i, r := range rows {
		if states[i].isThere {
			there = append(there, r)
		} else {
			gone = append(gone, r)
		}
	}
	affected := int64(0)
	if len(there) > 0 {
		w.writeAsTheyAre(there, w.savingUpdate(there, false))
		affected = w.db.RowsAffected
	}
	if len(gone) > 0 && w.db.Error == nil {
		w.insertRows(gone)
		affected += w.db.RowsAffected
	}
	w.setRowsAffected(affected)
}

// savingUpdate is the UPDATE that writes what Save writes, on a statement beside the one that inserts.
func (w *write) savingUpdate(rows []*row, compared bool) severalWrite {
	fields := w.savedFields()
	w.setUpdateTime(fields, rows)
	return w.modelsUpdate(rows, fields, nil, compared)
}

// modelsUpdate is an UPDATE that writes fields of the models in hand, each its own; with set, the fields are there for the
// assignments in it to refer to.
func (w *write) modelsUpdate(rows []*row, fields []*schema.Field, set clause.Set, compared bool) severalWrite {
	update := w.advancing(set, rows, compared, w.plugin.gorm.update)
	update.db = w.besideStatement()
	update.db.Statement.Unscoped = w.stmt.Unscoped || !compared // as GORM's upsert, which does not mind soft deletes
	for i, field := range fields {
		column := valueColumn(w, w.valueName(i, field, set != nil), field)
		if set == nil {
			update.assign(field.DBName, column, rows)
		} else {
			update.columns = append(update.columns, column)
		}
	}
	update.refer(w.proposed)
	if w.hasSnapshots() {
		w.chooseColumns(update.set)
	}
	how := update.severalWrite()
	send := how.send
	how.send = func(rows []*row) int64 {
		affected := send(rows)
		w.takeOutcome(update.db)
		return affected
	}
	return how
}

// valueColumn is the value that a field of the models in hand has.
func valueColumn(w *write, name string, field *schema.Field) batchColumn {
	return batchColumn{batch.Column{Name: name, Like: field.DBName}, func(r *row) any {
		value, _ := field.ValueOf(w.ctx, r.latest())
		return value
	}}
}

// refer adds columns to the values for conditions to refer to.
func (b *batchUpdate) refer(columns []batchColumn) {
	for _, column := range columns {
		isThere := func(other batchColumn) bool { return other.Name == column.Name }
		if !slices.ContainsFunc(b.columns, isThere) {
			b.columns = append(b.columns, column)
		}
	}
}

// valueName is what a column is called among the values: its own name, unless that makes the caller's conditions or what
// RETURNING gives ambiguous.
func (w *write) valueName(i int, field *schema.Field, isReferredTo bool) string {
	if _, returning := w.clausesBefore("RETURNING"); !isReferredTo && (returning || w.hasOwnConditions()) {
		return fmt.Sprintf("occ_value_%d", i+1)
	}
	return field.DBName
}

// besideStatement is a statement on the write's table and connection that nothing of the write itself gets into.
func (w *write) besideStatement() *gorm.DB {
	tx := w.db.Session(&gorm.Session{NewDB: true, SkipHooks: w.stmt.SkipHooks}).Model(w.model.newModel())
	stmt := inherit(tx, w.stmt).Statement
	stmt.Schema, stmt.Table, stmt.TableExpr, stmt.Unscoped = w.model.Schema, w.stmt.Table, w.stmt.TableExpr, w.stmt.Unscoped
	stmt.ConnPool, stmt.BuildClauses = w.stmt.ConnPool, w.db.Callback().Update().Clauses
	if returning, asked := w.clausesBefore("RETURNING"); asked {
		stmt.Clauses["RETURNING"] = returning
	}
	return tx
}

// takeOutcome has the write's own statement end as the one beside it did.
func (w *write) takeOutcome(beside *gorm.DB) {
	if w.db.DryRun {
		w.stmt.SQL.Reset()
		w.stmt.SQL.WriteString(beside.Statement.SQL.String())
		w.stmt.Vars = beside.Statement.Vars
	}
	w.db.Error, beside.Error = beside.Error, nil
}

// savedFields are the columns that Save of a single model writes, but not the time of creation: GORM's Save of a slice
// leaves that alone.
func (w *write) savedFields() (fields []*schema.Field) {
	columns, restricted := w.stmt.SelectAndOmitColumns(false, true)
	for _, name := range w.model.DBNames {
		field := w.model.FieldsByDBName[name]
		selected, named := columns[name]
		switch {
		case field.PrimaryKey, field.AutoCreateTime > 0, field == w.model.version.Field, !field.Updatable:
		case isUnversioned(field) && !slices.Contains(w.stmt.Selects, field.DBName) && !slices.Contains(w.stmt.Selects, field.Name):
		case named && selected, !named && (!restricted || field.AutoUpdateTime > 0):
			fields = append(fields, field)
		}
	}
	return fields
}

// setUpdateTime sets the time of the update as GORM does, one time for all.
func (w *write) setUpdateTime(fields []*schema.Field, rows []*row) {
	now := w.db.NowFunc()
	for _, field := range fields {
		if field.AutoUpdateTime == 0 {
			continue
		}
		for _, r := range rows {
			for _, r := range append([]*row{r}, r.copies...) {
				_ = w.db.AddError(field.Set(w.ctx, r.model, now))
			}
		}
	}
}

// saveNew inserts models that were not loaded. One whose row is there after all is compared like any other: it can be
// written where the row has no version yet.
func (w *write) saveNew(rows []*row) {
	isKeyless := !slices.ContainsFunc(rows, func(r *row) bool { return r.key != nil })
	if w.db.DryRun || isKeyless && len(rows) <= w.maxInserted() {
		w.insertRows(rows)
		return
	}
	err := w.allOrNone(func() error { w.insertRows(rows); return w.db.Error })
	if !w.isDuplicateKey(err) {
		_ = w.db.AddError(err)
		return
	}
	there, gone, states, readErr := w.divideByPresence(rows)
	if readErr != nil || len(there) == 0 {
		_ = w.db.AddError(err)
		return
	}
	if !w.areCurrent(there, states) {
		w.refuseRows(there, states, nil)
		return
	}
	if w.db.AddError(w.setNexts(there)) != nil {
		return
	}
	w.together(func() {
		w.saveLoaded(there)
		if affected := w.db.RowsAffected; w.db.Error == nil && len(gone) > 0 {
			w.insertRows(gone)
			w.setRowsAffected(affected + w.db.RowsAffected)
		}
	})
}

// divideByPresence tells the rows that are there, with their states, from those that are not.
func (w *write) divideByPresence(rows []*row) (there, gone []*row, states []rowState, err error) {
	var keyed []*row
	for _, r := range rows {
		if r.key != nil {
			keyed = append(keyed, r)
		} else {
			gone = append(gone, r)
		}
	}
	if len(keyed) == 0 {
		return nil, gone, nil, nil
	}
	all, err := w.readRows(keyed, "")
	if err != nil {
		return nil, nil, nil, err
	}
	for i, r := range keyed {
		if all[i].isThere {
			there, states = append(there, r), append(states, all[i])
		} else {
			gone = append(gone, r)
		}
	}
	return there, gone, states, nil
}

// insertRows has GORM insert some models of the slice, in as many statements as the database's limit on parameters asks
// for.
func (w *write) insertRows(rows []*row) {
	affected := int64(0)
	for part := range slices.Chunk(rows, w.maxInserted()) {
		began := time.Now()
		w.insertPart(part)
		affected += w.db.RowsAffected
		if w.db.Error != nil || w.db.DryRun {
			return
		}
		if len(rows) > w.maxInserted() {
			trace(w.db, began)
		}
	}
	w.setRowsAffected(affected)
}

// maxInserted is how many rows one INSERT can have. A column may take more than one parameter where it is an expression.
func (w *write) maxInserted() int {
	return max(1, w.dialect.MaxVars()/(len(w.model.DBNames)+varsInReserve))
}

// insertPart points the statement at a slice of pointers to the models, so that generated keys land where they belong.
func (w *write) insertPart(rows []*row) {
	stmt := w.stmt
	dest, target := stmt.Dest, stmt.ReflectValue
	defer func() { stmt.Dest, stmt.ReflectValue = dest, target }()
	models := reflect.New(reflect.SliceOf(reflect.PointerTo(w.model.ModelType)))
	for _, r := range rows {
		models.Elem().Set(reflect.Append(models.Elem(), r.latest().Addr()))
	}
	stmt.Dest, stmt.ReflectValue = models.Interface(), models.Elem()
	stmt.SQL.Reset()
	stmt.Vars = nil
	w.insert()
	if w.db.Error == nil && !w.db.DryRun {
		w.shareInserted(rows)
	}
}

// shareInserted gives further copies of a row what the one that was inserted has got.
func (w *write) shareInserted(rows []*row) {
	for _, r := range rows {
		for _, c := range append([]*row{r}, r.copies...) {
			if c.model.Addr().Pointer() != r.latest().Addr().Pointer() {
				w.advance(c, w.model.version.of(w.ctx, r.latest()))
			}
		}
	}
}

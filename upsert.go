package occ

import (
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
)

// upsert inserts or updates, as the caller's ON CONFLICT says. Models that are loaded, or given a version by Expect, are
// compared on the conflict columns, and never inserted; the others are not compared.
func (w *write) upsert(conflict clause.OnConflict) {
	given, err := w.givenVersion(nil)
	if w.db.AddError(err) != nil {
		return
	}
	if w.isOfPayloads() && (w.expects || !w.model.version.isAdvancedInSQL()) && !w.db.DryRun {
		w.upsertPayloads(conflict, given)
		return
	}
	loaded, others := w.divideByVersion(given)
	if len(others) > 0 && !w.model.version.isAdvancedInSQL() && !w.db.DryRun {
		w.together(func() { w.upsertKnown(conflict, loaded, others) })
		return
	}
	switch {
	case len(loaded) == 0:
		w.overwrite()
	case len(others) == 0:
		w.updateInConflict(conflict, loaded)
	default:
		w.together(func() {
			w.updateInConflict(conflict, loaded)
			if affected := w.db.RowsAffected; w.db.Error == nil && !w.db.DryRun {
				w.withModels(others, w.overwrite)
				w.setRowsAffected(affected + w.db.RowsAffected)
			}
		})
	}
}

// upsertKnown is the upsert with versions that SQL cannot move on: the rows that are there are read and locked, and
// updated as if their models had been loaded; the others are inserted.
func (w *write) upsertKnown(conflict clause.OnConflict, loaded, others []row) {
	affected := int64(0)
	if len(loaded) > 0 {
		w.updateInConflict(conflict, loaded)
		affected = w.db.RowsAffected
	}
	if w.db.Error != nil {
		return
	}
	there, states, missing, err := w.lockStored(conflict, others)
	if w.db.AddError(err) != nil {
		return
	}
	if len(there) > 0 {
		w.sendLocked(there, states, true)
		affected += w.db.RowsAffected
	}
	w.lookup = lookup{own: w.own}
	if len(missing) > 0 && w.db.Error == nil {
		delete(w.stmt.Clauses, "ON CONFLICT")
		w.withModels(missing, w.insert)
		affected += w.db.RowsAffected
	}
	w.setRowsAffected(affected)
}

// lockStored tells the models whose rows are there, with their states, from those that are not.
func (w *write) lockStored(conflict clause.OnConflict, rows []row) (there []*row, theirs []rowState, missing []row, err error) {
	if err = w.setTarget(conflict); err != nil {
		return nil, nil, nil, err
	}
	var keyed []*row
	for i := range rows {
		if rows[i].key = w.keyOf(rows[i].model); rows[i].key != nil {
			keyed = append(keyed, &rows[i])
		}
	}
	states, err := w.lockRows(keyed)
	for i, r := range keyed {
		if err == nil && states[i].isThere {
			r.expected = states[i].version
			there, theirs = append(there, r), append(theirs, states[i])
		}
	}
	for i := range rows {
		if !slices.Contains(there, &rows[i]) {
			missing = append(missing, rows[i])
		}
	}
	return there, theirs, missing, err
}

// divideByVersion tells models to be compared from those that are not.
func (w *write) divideByVersion(given any) (loaded, others []row) {
	for _, r := range w.candidates() {
		r.expected = r.before
		if w.expects {
			r.expected = given
		}
		if w.isUnchecked(&r) || !w.expects && w.model.version.kind.isZero(r.expected) {
			others = append(others, r)
		} else {
			loaded = append(loaded, r)
		}
	}
	return loaded, others
}

// updateInConflict is the upsert of loaded models: where it can be, an UPDATE of the rows that have their keys, if they are
// at the expected versions.
func (w *write) updateInConflict(conflict clause.OnConflict, loaded []row) {
	var set clause.Set
	counts := false
	w.withModels(loaded, func() { set, counts = w.assignmentsOf(conflict) })
	if w.db.Error != nil {
		return
	}
	if w.hasSnapshots() {
		w.chooseColumns(set)
	}
	if !counts || !w.isUpdate(conflict, set) {
		w.upsertLocked(conflict, loaded)
		return
	}
	w.own = clause.Clause{Name: "WHERE", Expression: conflict.Where}
	w.proposed = w.proposedColumns(conflict.Where)
	w.rows = loaded
	for i := range w.rows {
		r := &w.rows[i]
		if r.key = w.keyOf(r.model); r.key == nil {
			_ = w.db.AddError(w.errNoTarget())
			return
		}
	}
	w.choosing(func() { w.updateChosen(set) })
	w.proposed = nil
}

// updateChosen is the UPDATE, once it is known which version each row is expected to be at.
func (w *write) updateChosen(set clause.Set) {
	for i := range w.rows {
		if w.db.AddError(w.setNextAfter(&w.rows[i])) != nil {
			return
		}
	}
	how := w.modelsUpdate(w.pointers(), w.referredFields(set), set, true)
	w.counters().checked.Add(1)
	w.writeSeveral(w.pointers(), how)
}

// assignmentsOf are what GORM's own statement would set in the rows of the statement's models that are there, without the
// version. GORM gives models their defaults and times on the way.
func (w *write) assignmentsOf(conflict clause.OnConflict) (set clause.Set, counts bool) {
	given := w.stmt.Clauses["ON CONFLICT"]
	defer func() { w.stmt.Clauses["ON CONFLICT"] = given }()
	_ = callbacks.ConvertToCreateValues(w.stmt)
	w.stmt.Vars = nil
	whole, _ := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	set, counts = w.upsertAssignments(whole.DoUpdates, conflict.UpdateAll)
	w.keepUpdateTimes(set)
	return set, counts
}

// keepUpdateTimes gives models the time of the update that GORM sets in their rows alone.
func (w *write) keepUpdateTimes(set clause.Set) {
	for _, assignment := range set {
		field := w.model.LookUpField(assignment.Column.Name)
		if field == nil || field.AutoUpdateTime == 0 || isExpression(assignment.Value) {
			continue
		}
		_ = w.eachModel(func(_ int, model reflect.Value) error {
			return w.db.AddError(field.Set(w.ctx, model, assignment.Value))
		})
	}
}

// proposedColumns are the columns that the condition of an upsert may mean of the row that was to be inserted. Others are
// left out: their names would make those of the table ambiguous.
func (w *write) proposedColumns(where clause.Where) (columns []batchColumn) {
	if len(where.Exprs) == 0 {
		return nil
	}
	scratch := w.scratch()
	where.Build(scratch)
	text := strings.ToLower(scratch.SQL.String())
	if !strings.Contains(text, batch.Alias) {
		return nil
	}
	for _, field := range w.insertedFields() {
		if strings.Contains(text, strings.ToLower(field.DBName)) {
			columns = append(columns, valueColumn(w, field.DBName, field))
		}
	}
	return columns
}

// referredFields are what the assignments of an upsert may take from the row that was to be inserted: one each, or any
// where the caller wrote SQL.
func (w *write) referredFields(set clause.Set) (fields []*schema.Field) {
	for _, assignment := range set {
		column, isColumn := assignment.Value.(clause.Column)
		switch {
		case isColumn && column.Table == batch.Alias:
			if field := w.model.LookUpField(column.Name); field != nil && !slices.Contains(fields, field) {
				fields = append(fields, field)
			}
		case isExpression(assignment.Value) && !w.isVersionColumn(assignment.Column.Name):
			return w.insertedFields()
		}
	}
	return fields
}

func (w *write) insertedFields() (fields []*schema.Field) {
	for _, name := range w.model.DBNames {
		if field := w.model.FieldsByDBName[name]; field.Creatable && field != w.model.version.Field {
			fields = append(fields, field)
		}
	}
	return fields
}

// overwrite is the upsert that asks for no comparison: rows are inserted with their first version or, where they are
// there already, updated and given their next one, never one from the payload. Memory learns which version it was.
func (w *write) overwrite() {
	if w.switches.unchecked {
		w.counters().blind.Add(1)
	}
	if w.model.version.byDatabase && !w.hasSnapshots() {
		w.overwriteByDatabase()
		return
	}
	models := w.candidates()
	numbered, err := w.number()
	if w.db.AddError(err) != nil {
		return
	}
	isPanic := true
	defer func() {
		if isPanic { // a Valuer's, say
			numbered.putBack()
		}
	}()
	w.bindInserted()
	conflict := w.buildUpsert(nil)
	if w.returns() && !w.hasSnapshots() {
		w.sendUpsert(conflict, models, numbered)
	} else {
		w.within(func() error { // what is read afterwards must not be what somebody else has written
			w.sendUpsert(conflict, models, numbered)
			return w.db.Error
		})
	}
	isPanic = false
}

func (w *write) sendUpsert(conflict clause.OnConflict, models []row, numbered numbering) {
	isOfModels := len(models) > 0
	if target := w.stmt.ReflectValue; isOfModels && target.Kind() == reflect.Slice && w.returns() {
		w.overwriteSlice(conflict, target, numbered)
		return
	}
	w.plugin.gorm.create(w.db)
	switch {
	case w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0:
		w.forgetKeys(models)
		numbered.putBack()
	case !isOfModels:
	case w.returns():
		w.learnUpserted(models)
	default:
		w.learnUnreturned(conflict, models, numbered)
	}
}

// overwriteByDatabase is the upsert of rows whose versions the database writes: they are read before the transaction ends.
func (w *write) overwriteByDatabase() {
	rows, maps := w.withoutVersions()
	defer w.leaveOut(rows, maps)()
	models, skips := w.candidates(), w.mayBeSkipped()
	w.within(func() error {
		conflict := w.buildUpsert(nil)
		w.plugin.gorm.create(w.db)
		w.forgetDefaults(models) // and what RETURNING has shown, which may not be final
		if w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0 || skips {
			return w.db.Error
		}
		if w.returns() && w.db.RowsAffected == int64(len(models)) {
			return w.learnInserted(models)
		}
		return w.learnByTarget(conflict, models)
	})
}

// buildUpsert builds the statement ahead of GORM, because GORM decides on the columns of an UpdateAll while it builds. It
// has rows that are there take the version that follows on theirs, or next.
func (w *write) buildUpsert(next any) clause.OnConflict {
	stmt := w.stmt
	given, _ := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !stmt.Unscoped {
		for _, c := range w.model.CreateClauses {
			stmt.AddClause(c)
		}
	}
	stmt.AddClauseIfNotExists(clause.Insert{})
	stmt.AddClause(callbacks.ConvertToCreateValues(stmt))
	conflict, _ := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	set, counts := w.upsertAssignments(conflict.DoUpdates, given.UpdateAll)
	conflict.DoUpdates = w.withNext(set, counts, next)
	conflict.DoNothing, conflict.UpdateAll = false, false
	stmt.AddClause(conflict)
	w.addReturning(conflict)
	stmt.Build(stmt.BuildClauses...)
	return conflict
}

// upsertAssignments are the caller's without the version, which is never one from the payload. A change of nothing but
// unversioned columns does not count, and a whole row leaves them alone.
func (w *write) upsertAssignments(given clause.Set, wholeRow bool) (set clause.Set, counts bool) {
	set, counts = make(clause.Set, 0, len(given)+1), len(given) == 0
	for _, assignment := range given {
		field := w.model.LookUpField(assignment.Column.Name)
		isFree := field != nil && isUnversioned(field)
		switch {
		case w.isVersionColumn(assignment.Column.Name):
			counts = true
		case !isFree || !wholeRow:
			set = append(set, assignment)
			counts = counts || !isFree && !w.isTimestamp(assignment)
		}
	}
	return set, counts
}

// withNext adds the next version to the assignments of an upsert, unless the database writes it.
func (w *write) withNext(set clause.Set, counts bool, next any) clause.Set {
	if inSQL := w.model.version.kind.nextInSQL(w.model.version.column()); next == nil && inSQL != nil {
		next = inSQL
	}
	if !counts || next == nil || w.model.version.byDatabase {
		return set
	}
	return append(set, clause.Assignment{Column: clause.Column{Name: w.model.version.DBName}, Value: next})
}

// returns tells whether the statement that was built gives back the rows it wrote.
func (w *write) returns() bool {
	_, ok := w.stmt.Clauses["RETURNING"]
	return ok && slices.Contains(w.stmt.BuildClauses, "RETURNING")
}

// addReturning asks for what tells the written rows apart, their version, and what GORM asks for.
func (w *write) addReturning(conflict clause.OnConflict) {
	if !slices.Contains(w.stmt.BuildClauses, "RETURNING") {
		return
	}
	if w.isOfPayloads() {
		w.returnDefaults()
		return
	}
	if given, ok := w.stmt.Clauses["RETURNING"].Expression.(clause.Returning); ok && len(given.Columns) == 0 {
		return // all columns
	}
	var columns []clause.Column
	add := func(field *schema.Field) {
		if field != nil && field.Readable && !slices.Contains(columns, clause.Column{Name: field.DBName}) {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	for _, field := range slices.Concat(w.model.PrimaryFields, w.model.FieldsWithDefaultDBValue, w.conflictFields(conflict)) {
		add(field)
	}
	add(w.model.version.Field)
	w.stmt.AddClause(clause.Returning{Columns: columns})
}

// returnDefaults asks for what GORM does: maps and structs of other types need not have the other columns.
func (w *write) returnDefaults() {
	var columns []clause.Column
	for _, field := range w.stmt.Schema.FieldsWithDefaultDBValue {
		if field.Readable {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	if len(columns) > 0 {
		w.stmt.AddClauseIfNotExists(clause.Returning{Columns: columns})
	}
}

// conflictFields are what an upsert compares to find out whether a row is there.
func (w *write) conflictFields(conflict clause.OnConflict) []*schema.Field {
	if len(conflict.Columns) == 0 {
		return w.model.PrimaryFields
	}
	fields := make([]*schema.Field, 0, len(conflict.Columns))
	for _, column := range conflict.Columns {
		if field := w.model.LookUpField(column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

// overwriteSlice has the rows that were written scanned into a slice of its own, because GORM takes the first one for the
// first element even where rows were skipped, and then gives each element its row.
func (w *write) overwriteSlice(conflict clause.OnConflict, target reflect.Value, numbered numbering) {
	dest := w.stmt.Dest
	written := reflect.New(reflect.SliceOf(reflect.PointerTo(w.model.ModelType)))
	w.stmt.ReflectValue, w.stmt.Dest = written.Elem(), written.Interface()
	w.plugin.gorm.create(w.db)
	w.stmt.ReflectValue, w.stmt.Dest = target, dest
	numbered.putBack()
	if w.db.Error != nil || w.db.DryRun {
		return
	}
	rows := w.rowsByElement(target, written.Elem(), conflict)
	var taken []row
	for i := range target.Len() {
		if model := indirect(target.Index(i)); rows[i].IsValid() {
			w.takeOver(i, model, rows[i])
			taken = append(taken, row{index: i, model: model, key: w.keyOf(model)})
		}
	}
	if w.hasSnapshots() {
		_ = w.db.AddError(w.learnInserted(taken))
	}
}

// rowsByElement finds the row of each element: they come back in the order of the elements where none was left out, else by
// the conflict columns. What is left over then are elements that could not conflict, because the database gives them their
// key, and their rows, in the same order. An element whose row was written twice has the last state of it.
func (w *write) rowsByElement(target, written reflect.Value, conflict clause.OnConflict) []reflect.Value {
	rows := make([]reflect.Value, target.Len())
	if written.Len() == target.Len() {
		latest := map[string]reflect.Value{}
		for i := range rows {
			latest[w.keyText(written.Index(i).Elem(), w.model.PrimaryFields)] = written.Index(i).Elem()
		}
		for i := range rows {
			rows[i] = latest[w.keyText(written.Index(i).Elem(), w.model.PrimaryFields)]
		}
		return rows
	}
	if !w.isTargetKnown(conflict) {
		return rows
	}
	return w.rowsByTarget(target, written, w.conflictFields(conflict))
}

func (w *write) rowsByTarget(target, written reflect.Value, fields []*schema.Field) []reflect.Value {
	byKey, order := map[string]reflect.Value{}, []string{}
	for i := range written.Len() {
		row := written.Index(i).Elem()
		key := w.keyText(row, fields)
		byKey[key], order = row, append(order, key)
	}
	rows, taken := make([]reflect.Value, target.Len()), map[string]bool{}
	for i := range rows {
		key := w.keyText(indirect(target.Index(i)), fields)
		rows[i], taken[key] = byKey[key], true
	}
	left := slices.DeleteFunc(order, func(key string) bool { return taken[key] })
	isOwnKey := slices.Equal(fields, w.model.PrimaryFields)
	for i := range rows {
		if isOwnKey && !rows[i].IsValid() && len(left) > 0 && w.keyOf(indirect(target.Index(i))) == nil {
			rows[i], left = byKey[left[0]], left[1:]
		}
	}
	return rows
}

// keyText tells models apart by some of their fields.
func (w *site) keyText(model reflect.Value, fields []*schema.Field) string {
	return keyTextOf(w.ctx, fields, model)
}

// takeOver gives a model what the database decided about its row.
func (w *write) takeOver(index int, model, stored reflect.Value) {
	version := w.model.version
	r := row{index: index, model: model, before: version.of(w.ctx, model)}
	for _, field := range slices.Concat(w.model.PrimaryFields, w.model.FieldsWithDefaultDBValue) {
		field.ReflectValueOf(w.ctx, model).Set(field.ReflectValueOf(w.ctx, stored))
	}
	w.advance(&r, version.of(w.ctx, stored))
}

// learnUpserted remembers what GORM scanned into a single model.
func (w *write) learnUpserted(models []row) {
	for i := range models {
		r := &models[i]
		w.remember(r)
		w.note(r.model)
	}
	if w.hasSnapshots() {
		_ = w.db.AddError(w.learnInserted(models))
	}
}

// learnUnreturned gives models their keys and versions where the statement returns none. GORM has counted keys on from the
// first one that was generated, which is right where all rows were inserted: each counts as one then, and one that was
// updated as two.
func (w *write) learnUnreturned(conflict clause.OnConflict, models []row, numbered numbering) {
	if !w.dialect.ConflictTarget && w.db.RowsAffected == int64(len(models)) && w.sets(conflict) {
		w.learnUpserted(models)
		return
	}
	numbered.putBack()
	_ = w.db.AddError(w.learnByTarget(conflict, models))
}

// learnByTarget reads the rows of models by the columns of the conflict. A model whose row cannot be told is left without
// the key that GORM has made up, and with the version that it had.
func (w *write) learnByTarget(conflict clause.OnConflict, models []row) error {
	single := len(models) == 1 && models[0].key == nil && w.keyOf(models[0].model) != nil
	if isKeyed := slices.Equal(w.conflictFields(conflict), w.model.PrimaryFields); !single || !isKeyed {
		w.forgetKeys(models)
	}
	if err := w.setTarget(conflict); err != nil {
		return nil
	}
	defer func() { w.lookup = lookup{own: w.own} }()
	var found []*row
	for i := range models {
		if models[i].key = w.keyOf(models[i].model); models[i].key != nil {
			found = append(found, &models[i])
		}
	}
	states, err := w.readRows(found, "")
	for i, r := range found {
		if err == nil && states[i].isThere && w.isOwnRow(r.model, states[i]) {
			w.learnWritten(r, reflect.Value{}, states[i])
		}
	}
	return err
}

// forgetKeys takes back the keys that models did not have before they were sent.
func (w *write) forgetKeys(models []row) {
	key := w.model.PrioritizedPrimaryField
	for _, r := range models {
		if r.hasOwnKey || key == nil || !r.model.CanAddr() {
			continue
		}
		key.ReflectValueOf(w.ctx, r.model).SetZero()
	}
}

package occ

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
)

// guardCreate gives new rows their first version, and keeps an INSERT from overwriting rows that are there.
func (p *engine) guardCreate(db *gorm.DB) {
	w, ok := writeOf(db)
	if !ok {
		p.gorm.create(db)
		return
	}
	w.isGuarded = true
	if w.isQuiet {
		return
	}
	w.keepClauses("ON CONFLICT", "RETURNING", "VALUES")
	defer w.giveBackClauses()
	w.keepAddressable()
	w.touching(nil, w.create)
}

func (w *write) create() {
	if !w.hasSnapshots() {
		w.createAs()
		return
	}
	w.within(func() error { w.createAs(); return w.db.Error })
}

func (w *write) createAs() {
	conflict, isUpsert := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	skips, replaces := w.dialect.InsertMode(w.insertModifier())
	switch {
	case w.model.version == nil:
		w.plugin.gorm.create(w.db)
	case replaces:
		_ = w.db.AddError(fmt.Errorf("occ: model %s has a version: an INSERT with %q would replace rows without comparing it: use clause.OnConflict: %w",
			w.model.Name, w.insertModifier(), gorm.ErrInvalidData))
	case w.switches.expects && (!isUpsert || conflict.DoNothing) && !w.isSaveOfZeroPart():
		_ = w.db.AddError(fmt.Errorf("occ: model %s: Expect on a Create that updates no row: there is nothing to compare with: %w", w.model.Name, gorm.ErrInvalidData))
	case skips && !isUpsert:
		w.insertIgnoring()
	case isUpsert && conflict.UpdateAll && w.isSaveOfMissing():
		w.insertMissing()
	case isUpsert && w.isSaveOfSlice(conflict):
		w.saveSlice()
	case isUpsert && conflict.DoNothing:
		w.insertOrSkip()
	case isUpsert && w.isLinked:
		w.relink(conflict)
	case isUpsert:
		w.upsert(conflict)
	case w.isSaveOfZeroPart():
		w.saveZeroPart()
	default:
		w.insert()
	}
}

// insertModifier is what the caller put behind INSERT.
func (w *write) insertModifier() string {
	insert, _ := w.stmt.Clauses["INSERT"].Expression.(clause.Insert)
	return insert.Modifier
}

// insertIgnoring inserts models one by one where the database may leave some alone without saying which. Those keep the
// version that they had, and get no key.
func (w *write) insertIgnoring() {
	w.isWhole = true
	rows := w.candidates()
	if w.db.DryRun || len(rows) == 0 {
		w.insert() // maps, or no write at all
		return
	}
	w.together(func() {
		inserted := int64(0)
		for i := range rows {
			w.withModels(rows[i:i+1], w.insert)
			if w.db.Error != nil {
				return
			}
			if w.db.RowsAffected == 0 {
				w.forgetKeys(rows[i : i+1])
			}
			inserted += w.db.RowsAffected
		}
		w.setRowsAffected(inserted)
	})
}

// keepAddressable copies a model that was passed by value, since the first version is written to it.
func (w *write) keepAddressable() {
	passed := w.stmt.ReflectValue
	if passed.CanAddr() || (passed.Kind() != reflect.Struct && passed.Kind() != reflect.Array) {
		return
	}
	w.stmt.ReflectValue = reflect.New(passed.Type()).Elem()
	w.stmt.ReflectValue.Set(passed)
	w.stmt.Dest = w.stmt.ReflectValue.Addr().Interface()
}

// insert has GORM insert the rows with a first version where they have none of their own; whatever keeps a row from being
// inserted leaves its model as it was.
func (w *write) insert() {
	w.isWhole = true
	if w.hasSnapshots() {
		w.insertSnapshots()
		return
	}
	if w.model.version.byDatabase {
		w.insertByDatabase()
		return
	}
	defer w.selectVersion()()
	numbered, err := w.number()
	isInserted := false
	defer func() {
		if !isInserted { // or a panic: a Valuer's, say
			numbered.putBack()
		}
	}()
	if w.db.AddError(err) == nil {
		w.bindInserted()
		w.plugin.gorm.create(w.db)
	}
	if w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0 {
		return
	}
	isInserted = true
	for _, r := range numbered.rows {
		w.remember(&r)
		w.note(r.model)
	}
}

// numbering is the models and maps that were given a first version.
type numbering struct {
	w    *write
	rows []row
	maps []numberedMap
}

// numberedMap is a map and the version it had before, by whatever name of the column.
type numberedMap struct{ values, before map[string]any }

func (n numbering) putBack() {
	for _, r := range n.rows {
		n.w.model.version.put(n.w.ctx, r.model, r.before)
	}
	for _, m := range n.maps {
		maps.Copy(m.values, m.before)
		if _, preset := m.before[n.w.model.version.DBName]; !preset {
			delete(m.values, n.w.model.version.DBName)
		}
	}
}

// givenMaps are what the call was given in place of models: a map, a slice of them, or another slice or map. It is nil for
// a model, which must not be taken out of its reflect.Value: that copies it.
func (w *write) givenMaps() any {
	dest := indirect(reflect.ValueOf(w.stmt.Dest))
	if dest.Kind() != reflect.Map && dest.Kind() != reflect.Slice {
		return nil
	}
	return dest.Interface()
}

// number gives every model and map without a version its first one.
func (w *write) number() (n numbering, err error) {
	if n.w = w; w.hasSnapshots() {
		return n, nil
	}
	switch dest := w.givenMaps().(type) {
	case map[string]any:
		err = n.addMap(dest)
	case []map[string]any:
		for _, values := range dest {
			err = errors.Join(err, n.addMap(values))
		}
	default:
		err = w.eachModel(n.addModel)
	}
	if err != nil {
		n.putBack()
	}
	return n, err
}

func (w *write) eachModel(do func(index int, model reflect.Value) error) error {
	target := w.stmt.ReflectValue
	switch target.Kind() {
	case reflect.Struct:
		return do(0, target)
	case reflect.Slice, reflect.Array:
		for i := range target.Len() {
			if err := do(i, indirect(target.Index(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *numbering) addModel(index int, model reflect.Value) error {
	version := n.w.model.version
	if model.Kind() != reflect.Struct || model.Type() != n.w.model.ModelType {
		return nil
	}
	before := version.of(n.w.ctx, model)
	first, err := n.firstOr(before)
	if err != nil {
		return err
	}
	version.put(n.w.ctx, model, first)
	n.rows = append(n.rows, row{index: index, model: model, before: before, next: first})
	return nil
}

// firstOr is the first version of a row, or the preset one as the column is going to hold it.
func (n *numbering) firstOr(preset any) (any, error) {
	kind := n.w.model.version.kind
	if !kind.isZero(preset) {
		return kind.stored(preset), nil
	}
	first, err := kind.next(n.w.ctx, nil)
	if err != nil {
		return nil, n.w.versionError(err)
	}
	return first, nil
}

func (n *numbering) addMap(values map[string]any) (err error) {
	version := n.w.model.version
	m := numberedMap{values: values, before: map[string]any{}}
	preset := reflect.Zero(version.FieldType).Interface()
	for name, value := range values {
		if !n.w.isVersionColumn(name) {
			continue
		}
		m.before[name] = value
		if value == nil || isExpression(value) {
			continue
		}
		if preset, err = version.convert(value, "the version in the map"); err != nil {
			return err
		}
	}
	first, err := n.firstOr(preset)
	if err != nil {
		return err
	}
	for name := range m.before {
		delete(values, name)
	}
	values[version.DBName] = version.kind.bind(first)
	n.maps = append(n.maps, m)
	return nil
}

// selectVersion has the version inserted whatever Select and Omit say: a row without one would be at another version than
// its model. It gives back the function that undoes it.
func (w *write) selectVersion() (restore func()) {
	if w.hasSnapshots() {
		return func() {}
	}
	stmt, column := w.stmt, w.model.version.DBName
	selects, omits := stmt.Selects, stmt.Omits
	columns, restricted := stmt.SelectAndOmitColumns(true, false)
	if selected, named := columns[column]; named && selected || !named && !restricted {
		return func() {}
	}
	stmt.Omits = slices.DeleteFunc(slices.Clone(omits), w.namesVersion)
	if len(selects) > 0 {
		stmt.Selects = append(slices.Clone(selects), column)
	}
	return func() { stmt.Selects, stmt.Omits = selects, omits }
}

// namesVersion tells whether an entry of Omit means the version, in any of the ways that GORM takes it.
func (w *write) namesVersion(omitted string) bool {
	only := &gorm.Statement{DB: w.db, Schema: w.stmt.Schema, Table: w.stmt.Table, Omits: []string{omitted}}
	columns, _ := only.SelectAndOmitColumns(false, false)
	_, named := columns[w.model.version.DBName]
	return named
}

// isSaveOfMissing tells the INSERT of a Save whose UPDATE found no row.
func (w *write) isSaveOfMissing() bool {
	_, isAhead := w.stmt.Clauses[savingClause]
	return w.stmt.ReflectValue.Kind() == reflect.Struct && w.stmt.SkipHooks && !w.switches.unchecked &&
		!w.plugin.blindWrites && (isAhead || calledBySave())
}

// insertMissing inserts a model that Save did not find. If the row is there after all, because another session was faster
// or because it is soft-deleted, it is not overwritten: the write is refused.
func (w *write) insertMissing() {
	w.op = conflict.OpUpdate
	if w.db.AddError(w.identify(w.stmt.ReflectValue, nil)) != nil {
		return
	}
	w.own = w.stmt.Clauses["WHERE"]
	w.insertOnly()
	w.insert()
	switch {
	case w.db.DryRun || len(w.rows) == 0:
	case w.db.Error == nil && w.db.RowsAffected == 0:
		w.refuseUninserted()
	case w.isDuplicateKey(w.db.Error):
		w.refuseDuplicate()
	}
}

// refuseUninserted ends an INSERT that wrote nothing. Where the row is not there either, a trigger may have left it out:
// that it was deleted would be a guess.
func (w *write) refuseUninserted() {
	if state, err := w.read(&w.rows[0]); err == nil && !state.isThere {
		w.fail(&conflict.Refusal{Op: w.op, Rows: w.unknown(w.pointers())})
		return
	}
	w.refuse(nil)
}

// insertOnly makes an upsert an INSERT that leaves a row of the same key alone. Other unique keys stay an error.
func (w *write) insertOnly() {
	if !w.dialect.ConflictTarget {
		delete(w.stmt.Clauses, "ON CONFLICT")
		return
	}
	only := clause.OnConflict{DoNothing: true}
	for _, field := range w.model.PrimaryFields {
		only.Columns = append(only.Columns, clause.Column{Name: field.DBName})
	}
	w.stmt.AddClause(only)
}

func (w *write) isDuplicateKey(err error) bool {
	return err != nil && (errors.Is(err, gorm.ErrDuplicatedKey) || w.dialect.IsDuplicateKey(err))
}

// refuseDuplicate turns the database's duplicate key into a refusal where the key is the primary key.
func (w *write) refuseDuplicate() {
	if state, err := w.read(&w.rows[0]); err == nil && state.isThere {
		w.refuse(nil)
	}
}

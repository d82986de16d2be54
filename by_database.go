package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
)

// writeByDatabase writes what the database gives a version itself, and reads that version: with the statement where it can
// return it, else before the transaction ends, for afterwards it could be somebody else's.
func (w *write) writeByDatabase(set clause.Set, gormWrite func(*gorm.DB)) {
	r := &w.rows[0]
	if w.dialect.UpdateReturnsWritten && w.canReturn(r) {
		w.returnVersion()
		w.run(set, gormWrite)
		r.next = w.model.version.of(w.ctx, r.model)
		if w.db.Error != nil {
			w.putBack()
		}
		w.check()
		return
	}
	r.next = r.before
	w.within(func() error {
		w.run(set, gormWrite)
		w.check()
		if w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0 || (w.op == conflict.OpDelete && !w.wasSoftDelete()) {
			return w.db.Error
		}
		return w.learnVersion(r)
	})
}

// canReturn tells whether what a statement returns ends up in the model of the row, and in nothing else.
func (w *write) canReturn(r *row) bool {
	target := w.stmt.ReflectValue
	return r.key != nil && target.Kind() == reflect.Struct && target.CanAddr() && r.model.CanAddr() &&
		target.Addr().Pointer() == r.model.Addr().Pointer() && (w.op != conflict.OpDelete || w.stmt.Dest == r.model.Addr().Interface())
}

// returnVersion has the statement return the version, besides what the caller and GORM want returned.
func (w *write) returnVersion(others ...clause.Column) {
	version := clause.Column{Name: w.model.version.DBName}
	c, asked := w.stmt.Clauses["RETURNING"]
	returning, _ := c.Expression.(clause.Returning)
	switch {
	case !asked:
		returning.Columns = others
	case len(returning.Columns) == 0 && !w.model.version.isXmin():
		return // all columns
	case len(returning.Columns) == 0:
		returning.Columns = []clause.Column{{Name: "*", Raw: true}}
	}
	if !slices.Contains(returning.Columns, version) {
		returning.Columns = append(slices.Clone(returning.Columns), version)
	}
	w.stmt.Clauses["RETURNING"] = clause.Clause{Name: "RETURNING", Expression: returning}
}

// mayBeUnchanged tells a database that does not count rows that it found and that hold already what they were to be set
// to; with a version of the plugin's own there are none.
func (w *write) mayBeUnchanged() bool {
	return (w.model.version.byDatabase || w.keepsVersion) && w.op != conflict.OpDelete && w.dialect.CountsChangedRows
}

// orNothing gives an UPDATE that sets nothing else something to set.
func (w *write) orNothing(set clause.Set) clause.Set {
	if len(set) > 0 || w.op == conflict.OpDelete || len(w.model.PrimaryFields) == 0 {
		return set
	}
	key := clause.Column{Name: w.model.PrimaryFields[0].DBName}
	return clause.Set{{Column: key, Value: key}}
}

// insertByDatabase leaves the version out of the INSERT where the model has none, and reads what the database made of it.
func (w *write) insertByDatabase() {
	rows, maps := w.withoutVersions()
	defer w.leaveOut(rows, maps)()
	if w.dialect.InsertReturnsWritten && len(rows) > 0 && !w.mayBeSkipped() {
		w.returnVersion(w.defaultColumns()...)
		w.plugin.gorm.create(w.db)
		w.keepLearned(rows)
		return
	}
	w.within(func() error {
		w.plugin.gorm.create(w.db)
		w.forgetDefaults(rows)
		if w.db.Error != nil || w.db.DryRun || w.db.RowsAffected == 0 || w.mayBeSkipped() {
			return w.db.Error
		}
		return w.learnInserted(rows)
	})
}

// forgetDefaults takes back the default of the column, which GORM gives models while it builds an INSERT.
func (w *write) forgetDefaults(rows []row) {
	for _, r := range rows {
		w.model.version.put(w.ctx, r.model, r.before)
	}
}

// mayBeSkipped tells an INSERT of several rows that may leave some alone, so that what it returns is not the models' in
// their order. Of those models no version is known; they have to be loaded.
func (w *write) mayBeSkipped() bool {
	conflict, isUpsert := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	return isUpsert && w.stmt.ReflectValue.Kind() != reflect.Struct && (conflict.DoNothing || len(conflict.Where.Exprs) > 0)
}

// withoutVersions are the models whose version the database has to make, and the maps.
func (w *write) withoutVersions() (rows []row, maps []map[string]any) {
	version := w.model.version
	switch dest := w.givenMaps().(type) {
	case map[string]any:
		return nil, []map[string]any{dest}
	case []map[string]any:
		return nil, dest
	}
	_ = w.eachModel(func(index int, model reflect.Value) error {
		if model.Kind() == reflect.Struct && model.Type() == w.model.ModelType {
			if before := version.of(w.ctx, model); version.kind.isZero(before) {
				rows = append(rows, row{index: index, model: model, before: before})
			}
		}
		return nil
	})
	return rows, maps
}

// leaveOut keeps the version out of the INSERT, for all rows or, with the database's default, for some of them. It gives
// back the function that undoes it.
func (w *write) leaveOut(rows []row, maps []map[string]any) (restore func()) {
	for _, values := range maps {
		w.leaveOutOfMap(values)
	}
	n := 1
	if kind := w.stmt.ReflectValue.Kind(); kind == reflect.Slice || kind == reflect.Array {
		n = w.stmt.ReflectValue.Len()
	}
	stmt, column := w.stmt, w.model.version.DBName
	switch {
	case len(maps) > 0:
		return func() {}
	case len(rows) < n:
		w.insertedVersions(w.defaultFor(rows))
		return w.selectVersion()
	}
	selects, omits := stmt.Selects, stmt.Omits
	stmt.Selects = slices.DeleteFunc(slices.Clone(selects), w.namesVersion)
	stmt.Omits = append(slices.Clone(omits), column)
	return func() { stmt.Selects, stmt.Omits = selects, omits }
}

func (w *write) leaveOutOfMap(values map[string]any) {
	for name, value := range values {
		if !w.isVersionColumn(name) || isExpression(value) {
			continue
		}
		if version, err := w.model.version.kind.convert(value); value == nil || err == nil && w.model.version.kind.isZero(version) {
			delete(values, name)
		}
	}
}

func (w *write) defaultFor(rows []row) func(index int, version any) any {
	return func(index int, version any) any {
		for _, r := range rows {
			if r.index == index {
				return w.db.DefaultValueOf(w.model.version.Field)
			}
		}
		return w.model.version.kind.bind(version)
	}
}

func (w *write) defaultColumns() (columns []clause.Column) {
	for _, field := range w.model.FieldsWithDefaultDBValue {
		if field.Readable {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	return columns
}

// keepLearned notes that models have been given versions, for the transaction may still be rolled back.
func (w *write) keepLearned(rows []row) {
	for _, r := range rows {
		if w.db.Error != nil || w.db.RowsAffected == 0 {
			w.model.version.put(w.ctx, r.model, r.before)
		} else {
			w.remember(&r)
		}
	}
}

func (w *write) learnInserted(rows []row) error {
	inserted := make([]*row, 0, len(rows))
	for i := range rows {
		if rows[i].key = w.keyOf(rows[i].model); rows[i].key != nil {
			inserted = append(inserted, &rows[i])
		}
	}
	return w.learnVersions(inserted)
}

// readNext reads the versions that the database has given rows.
func (w *write) readNext(rows []*row) error {
	states, err := w.readRows(rows, "")
	if err != nil {
		return err
	}
	for i, r := range rows {
		r.next = states[i].version
	}
	return nil
}

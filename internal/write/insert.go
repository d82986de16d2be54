package write

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// insert has GORM insert the rows with a first version where they have none of their own; whatever keeps a row from being
// inserted leaves its model as it was.
func (c *Call) insert() (int64, error) {
	switch {
	case c.Model.Compares() != nil:
		return c.insertSnapshots()
	case c.Model.Version.ByDatabase:
		return c.insertByDatabase()
	}
	defer c.selectVersion()()
	numbered, err := c.number()
	isInserted := false
	defer func() {
		if !isInserted { // or a panic: a Valuer's, say
			numbered.putBack()
		}
	}()
	if err != nil {
		return 0, err
	}
	c.bindInserted()
	affected, err := execute(c.DB, c.Plugin.Gorm.create)
	if err != nil || c.DB.DryRun || affected == 0 {
		return 0, err
	}
	isInserted = true
	c.inserts += len(numbered.rows)
	for i := range numbered.rows {
		c.remember(&numbered.rows[i], true)
		c.note(numbered.rows[i].Model)
	}
	return affected, nil
}

// insertSnapshots has GORM insert the rows, and gives their models the snapshots of what is stored.
func (c *Call) insertSnapshots() (int64, error) {
	affected, err := execute(c.DB, c.Plugin.Gorm.create)
	if err != nil || c.DB.DryRun || affected == 0 {
		return 0, err
	}
	return affected, c.inserted(c.candidates()).learnInserted()
}

// inserted is the plan of rows that were inserted.
func (c *Call) inserted(hand []rows.Row) *plan {
	p := c.planOf(hand)
	p.isWhole = true
	return p
}

// insertByDatabase leaves the version out of the INSERT where the model has none, and reads what the database made of it.
func (c *Call) insertByDatabase() (int64, error) {
	hand, _ := c.withoutVersions()
	if c.Dialect.InsertReturnsWritten && len(hand) > 0 && !c.mayBeSkipped() && !c.hidesXmin() {
		c.returnVersion(c.defaultColumns()...)
		affected, err := c.createWithoutVersions()
		c.keepLearned(hand, err == nil && affected > 0)
		return affected, err
	}
	return c.within(func() (int64, error) {
		affected, err := c.createWithoutVersions()
		c.forgetDefaults(hand)
		if err != nil || c.DB.DryRun || affected == 0 || c.mayBeSkipped() {
			return affected, err
		}
		return affected, c.inserted(hand).learnInserted()
	})
}

// createWithoutVersions has GORM insert the rows, and leave the version out of those whose models have none. Where the database
// takes no DEFAULT among values, the others are inserted by themselves.
func (c *Call) createWithoutVersions() (int64, error) {
	hand, maps := c.withoutVersions()
	all := c.collect(c.Stmt.ReflectValue, nil)
	if c.Dialect.TakesDefault || len(hand) == 0 || len(hand) == len(all) {
		defer c.leaveOut(hand, maps)()
		return execute(c.DB, c.Plugin.Gorm.create)
	}
	preset := slices.DeleteFunc(all, func(r rows.Row) bool { return c.Model.Version.Kind.IsZero(r.Before) })
	return c.allOrNone(func() (int64, error) {
		return inTurn(
			func() (int64, error) { return c.withModels(modelsOf(hand), c.createWithoutVersions) },
			func() (int64, error) { return c.withModels(modelsOf(preset), c.createWithoutVersions) },
		)
	})
}

// hidesXmin reports whether an INSERT cannot return a row's xmin: PostgreSQL passes it on to a partition.
func (c *Call) hidesXmin() bool {
	return c.Model.Version.IsXmin() && !c.DB.DryRun && c.IsPartitioned()
}

// forgetDefaults takes back the default of the column, which GORM gives models while it builds an INSERT.
func (c *Call) forgetDefaults(hand []rows.Row) {
	for _, r := range hand {
		c.Model.Version.Put(c.Ctx, r.Model, r.Before)
	}
}

// keepLearned notes that models have been given versions, for the transaction may still be rolled back; those that were not
// inserted get their own back.
func (c *Call) keepLearned(hand []rows.Row, areInserted bool) {
	if !areInserted {
		c.forgetDefaults(hand)
		return
	}
	for i := range hand {
		c.remember(&hand[i], true)
	}
}

// mayBeSkipped reports whether an INSERT of several rows may leave some alone, so that what it returns is not the models' in
// their order. Of those models no version is known; they have to be loaded.
func (c *Call) mayBeSkipped() bool {
	conflict, isUpsert := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	return isUpsert && c.Stmt.ReflectValue.Kind() != reflect.Struct && (conflict.DoNothing || len(conflict.Where.Exprs) > 0)
}

// withoutVersions returns the models whose version the database has to make, and the maps.
func (c *Call) withoutVersions() (hand []rows.Row, maps []map[string]any) {
	switch dest := c.givenMaps().(type) {
	case map[string]any:
		return nil, []map[string]any{dest}
	case []map[string]any:
		return nil, dest
	}
	return slices.DeleteFunc(c.collect(c.Stmt.ReflectValue, nil), func(r rows.Row) bool {
		return !c.Model.Version.Kind.IsZero(r.Before) && !c.wasDeleted(r.Model, r.Before)
	}), nil
}

// leaveOut keeps the version out of the INSERT, for all rows or, with the database's default, for some of them. It returns the
// function that undoes it.
func (c *Call) leaveOut(hand []rows.Row, maps []map[string]any) (restore func()) {
	for _, values := range maps {
		c.leaveOutOfMap(values)
	}
	if len(maps) == 0 && c.isOfPayloads() {
		return c.leaveOutOfOthers()
	}
	n := 1
	if kind := c.Stmt.ReflectValue.Kind(); kind == reflect.Slice || kind == reflect.Array {
		n = c.Stmt.ReflectValue.Len()
	}
	stmt, column := c.Stmt, c.Model.Version.DBName
	switch {
	case len(maps) > 0:
		return c.defaultOfMaps(maps)
	case len(hand) < n:
		c.insertedVersions(c.defaultFor(hand))
		return c.selectVersion()
	}
	selects, omits := stmt.Selects, stmt.Omits
	stmt.Selects = slices.DeleteFunc(slices.Clone(selects), c.namesVersion)
	stmt.Omits = append(slices.Clone(omits), column)
	return func() { stmt.Selects, stmt.Omits = selects, omits }
}

// defaultOfMaps has maps without a version hold the database's default where others bring one: GORM fills in NULL.
func (c *Call) defaultOfMaps(values []map[string]any) (restore func()) {
	isWithout := func(values map[string]any) bool {
		for name := range values {
			if c.isVersionColumn(name) {
				return false
			}
		}
		return true
	}
	without := slices.DeleteFunc(slices.Clone(values), func(values map[string]any) bool { return !isWithout(values) })
	if len(without) == len(values) || !c.Dialect.TakesDefault {
		return func() {}
	}
	column := c.Model.Version.DBName
	for _, values := range without {
		values[column] = c.DB.DefaultValueOf(c.Model.Version.Field)
	}
	return func() {
		for _, values := range without {
			delete(values, column)
		}
	}
}

// leaveOutOfOthers keeps the version out of the INSERT of another type's structs that have none.
func (c *Call) leaveOutOfOthers() (restore func()) {
	var versions []any
	isPreset := false
	_ = eachModel(c.Stmt.ReflectValue, func(_ int, other reflect.Value) error {
		version, err := c.versionOfOther(other)
		if err != nil || c.Model.Version.Kind.IsZero(version) {
			if version = nil; c.Dialect.TakesDefault {
				version = c.DB.DefaultValueOf(c.Model.Version.Field)
			}
			versions = append(versions, version)
			return nil
		}
		isPreset = true
		versions = append(versions, c.Model.Version.Kind.Bind(version))
		return nil
	})
	if isPreset {
		c.insertVersions(versions)
		return func() {}
	}
	omits := c.Stmt.Omits
	c.Stmt.Omits = append(slices.Clone(omits), c.Model.Version.DBName)
	return func() { c.Stmt.Omits = omits }
}

func (c *Call) leaveOutOfMap(values map[string]any) {
	for name, value := range values {
		if !c.isVersionColumn(name) || clauses.IsExpression(value) {
			continue
		}
		if version, err := c.Model.Version.Kind.Convert(value); value == nil || err == nil && c.Model.Version.Kind.IsZero(version) {
			delete(values, name)
		}
	}
}

func (c *Call) defaultFor(hand []rows.Row) func(index int, version any) any {
	return func(index int, version any) any {
		for _, r := range hand {
			if r.Index == index {
				return c.DB.DefaultValueOf(c.Model.Version.Field)
			}
		}
		return c.Model.Version.Kind.Bind(version)
	}
}

// numbering is the models and maps that were given a first version.
type numbering struct {
	c      *Call
	rows   []rows.Row
	maps   []numberedMap
	others []any // the versions of structs of another type, which are not written to
}

// numberedMap is a map and the version it had before, by whatever name of the column.
type numberedMap struct{ values, before map[string]any }

func (n numbering) putBack() {
	for _, r := range n.rows {
		n.c.Model.Version.Put(n.c.Ctx, r.Model, r.Before)
	}
	for _, m := range n.maps {
		maps.Copy(m.values, m.before)
		if _, preset := m.before[n.c.Model.Version.DBName]; !preset {
			delete(m.values, n.c.Model.Version.DBName)
		}
	}
}

// number gives every model and map without a version its first one.
func (c *Call) number() (n numbering, err error) {
	if n.c = c; c.Model.Compares() != nil {
		return n, nil
	}
	switch dest := c.givenMaps().(type) {
	case map[string]any:
		err = n.addMap(dest)
	case []map[string]any:
		for _, values := range dest {
			err = errors.Join(err, n.addMap(values))
		}
	default:
		err = eachModel(c.Stmt.ReflectValue, n.addModel)
	}
	if err != nil {
		n.putBack()
	}
	if len(n.others) > 0 {
		c.insertVersions(n.others)
	}
	return n, err
}

func (n *numbering) addModel(index int, model reflect.Value) error {
	version := n.c.Model.Version
	if !n.c.isOurs(model) {
		return n.addOther(model)
	}
	before := version.Of(n.c.Ctx, model)
	first, err := n.c.firstOf(model, before)
	if err != nil {
		return err
	}
	version.Put(n.c.Ctx, model, first)
	n.rows = append(n.rows, rows.Row{Index: index, Model: model, Before: before, Next: first})
	return nil
}

// addOther gives a struct of another type on the table its version, in the statement alone.
func (n *numbering) addOther(other reflect.Value) error {
	preset, err := n.c.versionOfOther(other)
	if err != nil {
		return err
	}
	first, err := n.c.firstOr(preset)
	if err == nil {
		n.others = append(n.others, n.c.Model.Version.Kind.Bind(first))
	}
	return err
}

// firstOf returns the version that a model is inserted with. A row that was deleted through it goes on from its last one.
func (c *Call) firstOf(model reflect.Value, before any) (next any, err error) {
	if !c.wasDeleted(model, before) {
		return c.firstOr(before)
	}
	if next, err = c.NextKind(before).Next(c.Ctx, before); err != nil {
		return nil, c.versionError(err)
	}
	return next, nil
}

// firstOr returns the first version of a row, or the preset one as the column is going to hold it.
func (c *Call) firstOr(preset any) (any, error) {
	kind := c.NextKind(nil)
	if !kind.IsZero(preset) {
		return kind.Stored(preset), nil
	}
	first, err := kind.Next(c.Ctx, nil)
	if err != nil {
		return nil, c.versionError(err)
	}
	return first, nil
}

func (n *numbering) addMap(values map[string]any) (err error) {
	version := n.c.Model.Version
	m := numberedMap{values: values, before: map[string]any{}}
	preset := reflect.Zero(version.FieldType).Interface()
	for name, value := range values {
		if !n.c.isVersionColumn(name) {
			continue
		}
		m.before[name] = value
		if value == nil || clauses.IsExpression(value) {
			continue
		}
		if preset, err = version.Convert(value, "the version in the map"); err != nil {
			return err
		}
	}
	first, err := n.c.firstOr(preset)
	if err != nil {
		return err
	}
	for name := range m.before {
		delete(values, name)
	}
	values[version.DBName] = version.Kind.Bind(first)
	n.maps = append(n.maps, m)
	return nil
}

// selectVersion has the version inserted whatever Select and Omit say: a row without one would be at another version than
// its model. It returns the function that undoes it.
func (c *Call) selectVersion() (restore func()) {
	if c.Model.Compares() != nil {
		return func() {}
	}
	stmt, column := c.Stmt, c.Model.Version.DBName
	selects, omits := stmt.Selects, stmt.Omits
	columns, restricted := stmt.SelectAndOmitColumns(true, false)
	if selected, named := columns[column]; named && selected || !named && !restricted {
		return func() {}
	}
	stmt.Omits = slices.DeleteFunc(slices.Clone(omits), c.namesVersion)
	if len(selects) > 0 {
		stmt.Selects = append(slices.Clone(selects), column)
	}
	return func() { stmt.Selects, stmt.Omits = selects, omits }
}

// namesVersion reports whether an entry of Omit means the version, in any of the ways that GORM takes it.
func (c *Call) namesVersion(omitted string) bool {
	only := &gorm.Statement{DB: c.DB, Schema: c.Stmt.Schema, Table: c.Stmt.Table, Omits: []string{omitted}}
	columns, _ := only.SelectAndOmitColumns(false, false)
	_, named := columns[c.Model.Version.DBName]
	return named
}

// bindInserted has an INSERT hold the version as the column needs it, where GORM would bind the field's value.
func (c *Call) bindInserted() {
	if !c.Model.Version.BindInsert || c.Stmt.Clauses["VALUES"].Builder != nil {
		return
	}
	c.insertedVersions(func(_ int, value any) any { return c.Model.Version.Kind.Bind(value) })
}

// insertedVersions has the values of the version column changed when GORM builds the VALUES of an INSERT, the one place
// at which they are at hand.
func (c *Call) insertedVersions(change func(index int, version any) any) {
	column := c.Model.Version.DBName
	c.Stmt.Clauses["VALUES"] = clause.Clause{Builder: func(found clause.Clause, builder clause.Builder) {
		values, _ := found.Expression.(clause.Values)
		for i := range values.Columns {
			if values.Columns[i].Name != column {
				continue
			}
			for n, row := range values.Values {
				row[i] = change(n, row[i])
			}
		}
		found.Builder = nil
		found.Build(builder)
	}}
}

// insertVersions has an INSERT of another type's structs hold these versions, in a column of its own where the type has none.
func (c *Call) insertVersions(versions []any) {
	column := clause.Column{Name: c.Model.Version.DBName}
	c.Stmt.Clauses["VALUES"] = clause.Clause{Builder: func(found clause.Clause, builder clause.Builder) {
		values, _ := found.Expression.(clause.Values)
		at := slices.IndexFunc(values.Columns, func(found clause.Column) bool { return found.Name == column.Name })
		if at < 0 {
			values.Columns = append(slices.Clone(values.Columns), column)
		}
		for i := range values.Values {
			if at < 0 {
				values.Values[i] = append(values.Values[i], versions[i])
			} else {
				values.Values[i][at] = versions[i]
			}
		}
		found.Builder, found.Expression = nil, values
		found.Build(builder)
	}}
}

// insertModels has GORM insert some of the call's models.
func (c *Call) insertModels(models []reflect.Value) (int64, error) {
	return c.withModels(models, func() (int64, error) {
		if c.Model.Version.ByDatabase {
			return c.createWithoutVersions()
		}
		defer c.selectVersion()()
		return execute(c.DB, c.Plugin.Gorm.create)
	})
}

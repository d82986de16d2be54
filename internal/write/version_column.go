package write

import (
	"cmp"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// versionColumn is the version's column in an INSERT.
type versionColumn struct{ *rows.Site }

// include has the version inserted whatever Select and Omit say: a row without one would be at another version than its
// model. It returns the function that undoes it.
func (v versionColumn) include() (restore func()) {
	if v.Model.Compares() != nil {
		return func() {}
	}
	stmt, column := v.Stmt, v.Model.Version.DBName
	selects, omits := stmt.Selects, stmt.Omits
	columns, restricted := stmt.SelectAndOmitColumns(true, false)
	if selected, named := columns[column]; named && selected || !named && !restricted {
		return func() {}
	}
	stmt.Omits = slices.DeleteFunc(slices.Clone(omits), v.isNamedBy)
	if len(selects) > 0 {
		stmt.Selects = append(slices.Clone(selects), column)
	}
	return func() { stmt.Selects, stmt.Omits = selects, omits }
}

// omit keeps the version out of the INSERT. It returns the function that undoes it.
func (v versionColumn) omit() (restore func()) {
	stmt := v.Stmt
	selects, omits := stmt.Selects, stmt.Omits
	stmt.Selects = slices.DeleteFunc(slices.Clone(selects), v.isNamedBy)
	stmt.Omits = append(slices.Clone(omits), v.Model.Version.DBName)
	return func() { stmt.Selects, stmt.Omits = selects, omits }
}

// isNamedBy reports whether an entry of Omit means the version, in any of the ways that GORM takes it.
func (v versionColumn) isNamedBy(omitted string) bool {
	only := &gorm.Statement{DB: v.DB, Schema: v.Stmt.Schema, Table: v.Stmt.Table, Omits: []string{omitted}}
	columns, _ := only.SelectAndOmitColumns(false, false)
	_, named := columns[v.Model.Version.DBName]
	return named
}

// bind has an INSERT hold the version as the column needs it, where GORM would bind the field's value.
func (v versionColumn) bind() {
	if !v.Model.Version.BindInsert || v.Stmt.Clauses["VALUES"].Builder != nil {
		return
	}
	v.change(func(_ int, value any) any { return v.Model.Version.Kind.Bind(value) })
}

// change has the values of the column changed.
func (v versionColumn) change(to func(index int, version any) any) {
	v.changeValues(func(values *clause.Values) {
		at := v.in(values.Columns)
		if at < 0 {
			return
		}
		for n, row := range values.Values {
			row[at] = to(n, row[at])
		}
	})
}

// fill has an INSERT of another type's structs hold these versions, in a column of its own where the type has none.
func (v versionColumn) fill(versions []any) {
	v.changeValues(func(values *clause.Values) {
		at := v.in(values.Columns)
		if at < 0 {
			values.Columns = append(slices.Clone(values.Columns), clause.Column{Name: v.Model.Version.DBName})
		}
		for i := range values.Values {
			if at < 0 {
				values.Values[i] = append(values.Values[i], versions[i])
			} else {
				values.Values[i][at] = versions[i]
			}
		}
	})
}

// in returns the place of the column among others; -1 where it is none of them.
func (v versionColumn) in(columns []clause.Column) int {
	return slices.IndexFunc(columns, func(column clause.Column) bool { return column.Name == v.Model.Version.DBName })
}

// changeValues has the VALUES of an INSERT changed when GORM builds them, the one place at which they are at hand.
func (v versionColumn) changeValues(change func(values *clause.Values)) {
	v.Stmt.Clauses["VALUES"] = clause.Clause{Builder: func(found clause.Clause, builder clause.Builder) {
		if values, ok := found.Expression.(clause.Values); ok {
			change(&values)
			found.Expression = values
		}
		found.Builder = nil
		found.Build(builder)
	}}
}

// unversioned are the models and maps of an INSERT whose version the database makes.
type unversioned struct {
	versionColumn
	hand []rows.Row
	maps []map[string]any
}

func (c *Call) unversioned() unversioned {
	u := unversioned{versionColumn: versionColumn{&c.Site}}
	areMaps := false
	if u.maps, areMaps = givenMaps(c.Stmt); !areMaps {
		u.hand = slices.DeleteFunc(c.collect(c.Stmt.ReflectValue, nil), func(r rows.Row) bool {
			return !c.Model.Version.Kind.IsZero(r.Before) && !c.Plugin.deleted.have(&c.Site, r.Model, r.Before)
		})
	}
	return u
}

// leaveOut keeps the version out of the INSERT, for all rows or, with the database's default, for some of them. It returns the
// function that undoes it.
func (u unversioned) leaveOut() (restore func()) {
	for _, values := range u.maps {
		u.dropFrom(values)
	}
	n := 1
	if kind := u.Stmt.ReflectValue.Kind(); kind == reflect.Slice || kind == reflect.Array {
		n = u.Stmt.ReflectValue.Len()
	}
	switch {
	case len(u.maps) > 0:
		return u.leaveOutOfMaps()
	case isOfPayloads(u.Site):
		return u.leaveOutOfOthers()
	case len(u.hand) < n:
		u.change(u.orDefault)
		return u.include()
	}
	return u.omit()
}

// dropFrom takes a version that is zero out of a map.
func (u unversioned) dropFrom(values map[string]any) {
	for name, value := range values {
		if !u.Model.IsVersionColumn(name) || clauses.IsExpression(value) {
			continue
		}
		if version, err := u.Model.Version.Kind.Convert(value); value == nil || err == nil && u.Model.Version.Kind.IsZero(version) {
			delete(values, name)
		}
	}
}

// leaveOutOfMaps has maps without a version hold the database's default where others bring one: GORM fills in NULL.
func (u unversioned) leaveOutOfMaps() (restore func()) {
	brings := func(values map[string]any) bool {
		for name := range values {
			if u.Model.IsVersionColumn(name) {
				return true
			}
		}
		return false
	}
	without := slices.DeleteFunc(slices.Clone(u.maps), brings)
	if len(without) == len(u.maps) || !u.Dialect.TakesDefault {
		return func() {}
	}
	column := u.Model.Version.DBName
	for _, values := range without {
		values[column] = u.inDatabase()
	}
	return func() {
		for _, values := range without {
			delete(values, column)
		}
	}
}

// leaveOutOfOthers keeps the version out of the INSERT of another type's structs that have none.
func (u unversioned) leaveOutOfOthers() (restore func()) {
	var versions []any
	isPreset := false
	_ = eachModel(u.Stmt.ReflectValue, func(_ int, other reflect.Value) error {
		version, err := versionOfOther(u.Site, other)
		if err != nil || u.Model.Version.Kind.IsZero(version) {
			if version = nil; u.Dialect.TakesDefault {
				version = u.inDatabase()
			}
			versions = append(versions, version)
			return nil
		}
		isPreset = true
		versions = append(versions, u.Model.Version.Kind.Bind(version))
		return nil
	})
	if isPreset {
		u.fill(versions)
		return func() {}
	}
	omits := u.Stmt.Omits
	u.Stmt.Omits = append(slices.Clone(omits), u.Model.Version.DBName)
	return func() { u.Stmt.Omits = omits }
}

// orDefault returns the version of an element, or the database's default where it is one of those without.
func (u unversioned) orDefault(index int, version any) any {
	byIndex := func(r rows.Row, index int) int { return cmp.Compare(r.Index, index) } // in whose order they were collected
	if _, isWithout := slices.BinarySearchFunc(u.hand, index, byIndex); isWithout {
		return u.inDatabase()
	}
	return u.Model.Version.Kind.Bind(version)
}

// inDatabase is the version that the database makes, as a value.
func (u unversioned) inDatabase() any { return u.DB.DefaultValueOf(u.Model.Version.Field) }

package write

import (
	"errors"
	"maps"
	"reflect"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// newVersions are the versions that rows are inserted with.
type newVersions struct {
	*rows.Site
	deleted *deletedModels
}

func (c *Call) newVersions() newVersions { return newVersions{&c.Site, &c.Plugin.deleted} }

// of returns the version that a model is inserted with. A row that was deleted through it goes on from its last one.
func (v newVersions) of(model reflect.Value, before any) (next any, err error) {
	if v.deleted.have(v.Site, model, before) {
		return v.NextAfter(before)
	}
	return v.firstOr(before)
}

// firstOr returns the first version of a row, or the preset one as the column is going to hold it.
func (v newVersions) firstOr(preset any) (any, error) {
	kind := v.NextKind(nil)
	if !kind.IsZero(preset) {
		return kind.Stored(preset), nil
	}
	return v.NextAfter(nil)
}

// ofRows returns the versions to insert: a preset one is kept, and the database makes its own.
func (v newVersions) ofRows(hand []rows.Row) ([]any, error) {
	versions := make([]any, len(hand))
	for i, r := range hand {
		if versions[i] = r.Before; v.Model.Version.ByDatabase {
			continue
		}
		version, err := v.of(r.Model, r.Before)
		if err != nil {
			return nil, err
		}
		versions[i] = version
	}
	return versions, nil
}

// numbering is the models and maps that were given a first version.
type numbering struct {
	newVersions
	rows   []rows.Row
	maps   []numberedMap
	others []any // the versions of structs of another type, which are not written to
}

// numberedMap is a map and the version it had before, by whatever name of the column.
type numberedMap struct{ values, before map[string]any }

// number gives every model and map of the statement that has no version its first one.
func number(versions newVersions) (n numbering, err error) {
	if n.newVersions = versions; n.Model.Compares() != nil {
		return n, nil
	}
	given, areMaps := givenMaps(n.Stmt)
	for _, values := range given {
		err = errors.Join(err, n.addMap(values))
	}
	if !areMaps {
		err = eachModel(n.Stmt.ReflectValue, n.addModel)
	}
	if err != nil {
		n.putBack()
	}
	if len(n.others) > 0 {
		versionColumn{n.Site}.fill(n.others)
	}
	return n, err
}

func (n numbering) putBack() {
	putVersionsBack(n.Site, n.rows)
	for _, m := range n.maps {
		maps.Copy(m.values, m.before)
		if _, preset := m.before[n.Model.Version.DBName]; !preset {
			delete(m.values, n.Model.Version.DBName)
		}
	}
}

func (n *numbering) addModel(index int, model reflect.Value) error {
	if !n.Model.IsModel(model) {
		return n.addOther(model)
	}
	before := n.Model.Version.Of(n.Ctx, model)
	first, err := n.of(model, before)
	if err != nil {
		return err
	}
	n.Model.Version.Put(n.Ctx, model, first)
	n.rows = append(n.rows, rows.Row{Index: index, Model: model, Before: before, Next: first})
	return nil
}

// addOther gives a struct of another type on the table its version, in the statement alone.
func (n *numbering) addOther(other reflect.Value) error {
	preset, err := versionOfOther(n.Site, other)
	if err != nil {
		return err
	}
	first, err := n.firstOr(preset)
	if err == nil {
		n.others = append(n.others, n.Model.Version.Kind.Bind(first))
	}
	return err
}

func (n *numbering) addMap(values map[string]any) (err error) {
	version := n.Model.Version
	m := numberedMap{values: values, before: map[string]any{}}
	preset := reflect.Zero(version.FieldType).Interface()
	for name, value := range values {
		if !n.Model.IsVersionColumn(name) {
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
	first, err := n.firstOr(preset)
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

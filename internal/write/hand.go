package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// eachModel calls do for what a call was given: each element of a slice, or the one model.
func eachModel(target reflect.Value, do func(index int, model reflect.Value) error) error {
	switch target.Kind() {
	case reflect.Struct:
		return do(0, target)
	case reflect.Slice, reflect.Array:
		for i := range target.Len() {
			if err := do(i, value.Indirect(target.Index(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

// collect makes rows of the models that a call was given, with their keys, whether or not they have one, and the versions
// that they hold, which is what they are expected to be at. What is of another type is left out.
func (c *Call) collect(target reflect.Value, hand []rows.Row) []rows.Row {
	if kind := target.Kind(); kind == reflect.Slice || kind == reflect.Array {
		hand = slices.Grow(hand, target.Len())
	}
	_ = eachModel(target, func(index int, model reflect.Value) error {
		if c.Model.IsModel(model) {
			hand = append(hand, c.rowOf(index, model))
		}
		return nil
	})
	return hand
}

func (c *Call) rowOf(index int, model reflect.Value) rows.Row {
	r := rows.Row{Index: c.switches.Touch.IndexOf(index), Model: model, Key: c.KeyOf(model)}
	if version := c.Model.Version; version != nil {
		r.Before = version.Of(c.Ctx, model)
		r.Expected = r.Before
	}
	return r
}

// candidates returns the models that an INSERT is about, with or without a key.
func (c *Call) candidates() []rows.Row {
	hand := c.collect(c.Stmt.ReflectValue, nil)
	for i := range hand {
		hand[i].HasOwnKey = hasGivenKey(&c.Site, hand[i].Model)
	}
	return hand
}

// hasGivenKey reports whether a model has the part of its key that the database would generate.
func hasGivenKey(s *rows.Site, model reflect.Value) bool {
	key := s.Model.PrioritizedPrimaryField
	if key == nil {
		return true
	}
	_, isZero := key.ValueOf(s.Ctx, model)
	return !isZero
}

// planFor finds out which rows the call is about and which version each is expected to be at: the first of Expect, the
// payload's and the model's own. Models in which nothing says which row they are of are left out.
func (c *Call) planFor(target reflect.Value, payload any) (*plan, error) {
	given, expects, err := c.givenVersion(payload)
	if err != nil {
		return nil, err
	}
	p := c.planOf(c.collect(target, c.room.rows[:0]))
	p.expects = expects
	if p.Model.Version == nil {
		p.rows = slices.DeleteFunc(p.rows, func(r rows.Row) bool { return r.Key == nil })
		return p, nil
	}
	for i := range p.rows {
		if expects {
			p.rows[i].Expected = given
		}
	}
	p.rows = slices.DeleteFunc(p.rows, func(r rows.Row) bool {
		return r.Key == nil && !expects && p.Model.Version.Kind.IsZero(r.Expected)
	})
	if isSeveral := target.Kind() == reflect.Slice || target.Kind() == reflect.Array; isSeveral && len(p.rows) > 0 {
		return p, p.dropKeyless()
	}
	if expects && len(p.rows) == 0 { // a table without a model, or one of another type: the write goes by its conditions
		p.rows = append(p.rows, rows.Row{Model: reflect.Zero(p.Model.ModelType), Expected: given})
	}
	return p, nil
}

// dropKeyless leaves out the elements of a slice that name no row, as GORM does. One that has a version all the same is a
// mistake; where Expect gives the version and no element has a key, the write goes by its conditions.
func (p *plan) dropKeyless() error {
	keyed := slices.DeleteFunc(slices.Clone(p.rows), func(r rows.Row) bool { return r.Key == nil })
	switch {
	case len(keyed) == len(p.rows) || len(p.rows) == 1:
		return nil
	case p.expects && len(keyed) == 0:
		p.rows = p.rows[:1]
		return nil
	case p.expects:
		p.rows = keyed
		return nil
	}
	first := slices.IndexFunc(p.rows, func(r rows.Row) bool { return r.Key == nil })
	err := fmt.Errorf("occ: element %d of the %s slice has a version but no primary key: %w",
		p.rows[first].Index, p.Model.Name, gorm.ErrPrimaryKeyRequired)
	if _, hasConditions := p.Stmt.Clauses["WHERE"]; !hasConditions && len(keyed) == 0 {
		return fmt.Errorf("%w: %w", gorm.ErrMissingWhereClause, err)
	}
	return err
}

// pointersTo returns pointers to rows.
func pointersTo(hand []rows.Row) []*rows.Row {
	pointers := make([]*rows.Row, len(hand))
	for i := range hand {
		pointers[i] = &hand[i]
	}
	return pointers
}

// keyed returns the rows that have a key.
func keyed(hand []*rows.Row) []*rows.Row {
	return slices.DeleteFunc(slices.Clone(hand), func(r *rows.Row) bool { return r.Key == nil })
}

// setNext asks for the version after the expected one of every row. An error stops the write before anything is sent.
func (p *plan) setNext(hand ...*rows.Row) error {
	if p.switches.Unchecked && !p.Model.Version.IsAdvancedInSQL() {
		return nil // the rows are read first
	}
	for _, r := range hand {
		if err := p.SetNextAfter(r, r.Expected); err != nil {
			return err
		}
	}
	return nil
}

// givenMap returns the map that a statement was given in place of a model. A model must not be taken out of its reflect.Value:
// that copies it.
func givenMap(stmt *gorm.Statement) (values map[string]any, isMap bool) {
	dest := value.Indirect(reflect.ValueOf(stmt.Dest))
	if dest.Kind() != reflect.Map {
		return nil, false
	}
	values, isMap = dest.Interface().(map[string]any)
	return values, isMap
}

// givenMaps returns the maps that a statement was given in place of models: one, or a slice of them.
func givenMaps(stmt *gorm.Statement) (maps []map[string]any, areMaps bool) {
	if values, isMap := givenMap(stmt); isMap {
		return []map[string]any{values}, true
	}
	dest := value.Indirect(reflect.ValueOf(stmt.Dest))
	if dest.Kind() != reflect.Slice {
		return nil, false
	}
	maps, areMaps = dest.Interface().([]map[string]any)
	return maps, areMaps
}

// conflictFields returns what an upsert compares to find out whether a row is there.
func conflictFields(m *model.Model, conflict clause.OnConflict) []*schema.Field {
	if len(conflict.Columns) == 0 {
		return m.PrimaryFields
	}
	fields := make([]*schema.Field, 0, len(conflict.Columns))
	for _, column := range conflict.Columns {
		if field := m.LookUpField(column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

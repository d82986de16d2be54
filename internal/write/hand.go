package write

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

func (c *Call) setNexts(rows []*rows.Row) error {
	for _, r := range rows {
		if err := c.setNextOf(r); err != nil {
			return err
		}
	}
	return nil
}

// candidates are the models that an INSERT is about, with or without a key.
func (c *Call) candidates() (hand []rows.Row) {
	_ = c.eachModel(func(index int, model reflect.Value) error {
		if model.Kind() == reflect.Struct && model.Type() == c.Model.ModelType {
			r := rows.Row{Index: index, Model: model, Key: c.KeyOf(model), HasOwnKey: c.hasGivenKey(model)}
			if c.Model.Version != nil {
				r.Before = c.Model.Version.Of(c.Ctx, model)
			}
			hand = append(hand, r)
		}
		return nil
	})
	return hand
}

func (c *Call) unloaded(rows []rows.Row) (unloaded []rows.Row) {
	for _, r := range rows {
		if c.Model.Version.Kind.IsZero(r.Before) {
			unloaded = append(unloaded, r)
		}
	}
	return unloaded
}

// firstVersions are the versions to insert: a preset one is kept, and the database makes its own.
func (c *Call) firstVersions(rows []rows.Row) ([]any, error) {
	kind, firsts := c.Model.Version.Kind, make([]any, len(rows))
	for i, r := range rows {
		firsts[i] = r.Before
		if !kind.IsZero(r.Before) || c.Model.Version.ByDatabase {
			continue
		}
		first, err := kind.Next(c.Ctx, nil)
		if err != nil {
			return nil, c.versionError(err)
		}
		firsts[i] = first
	}
	return firsts, nil
}

// dropKeyless leaves out the elements of a slice that name no row, as GORM does. One that has a version all the same is a
// mistake; where Expect gives the version and no element has a key, the write goes by its conditions.
func (c *Call) dropKeyless() error {
	keyed := slices.DeleteFunc(slices.Clone(c.rows), func(r rows.Row) bool { return r.Key == nil })
	switch {
	case len(keyed) == len(c.rows) || len(c.rows) == 1:
		return nil
	case c.expects && len(keyed) == 0:
		c.rows = c.rows[:1]
		return nil
	case c.expects:
		c.rows = keyed
		return nil
	}
	first := slices.IndexFunc(c.rows, func(r rows.Row) bool { return r.Key == nil })
	err := fmt.Errorf("occ: element %d of the %s slice has a version but no primary key: %w",
		c.rows[first].Index, c.Model.Name, gorm.ErrPrimaryKeyRequired)
	if _, hasConditions := c.Stmt.Clauses["WHERE"]; !hasConditions && len(keyed) == 0 {
		return fmt.Errorf("%w: %w", gorm.ErrMissingWhereClause, err)
	}
	return err
}

// partition separates the rows that are compared from those that the caller has not compared.
func (c *Call) partition() (compared, unchecked []*rows.Row) {
	for _, r := range c.pointers() {
		if c.isUnchecked(r) {
			unchecked = append(unchecked, r)
		} else {
			compared = append(compared, r)
		}
	}
	return compared, unchecked
}

// identify finds out which rows the call is about and which version each is expected to be at: the first of Expect, the
// payload's and the model's own.
func (c *Call) identify(target reflect.Value, payload any) error {
	given, err := c.givenVersion(payload)
	if err != nil {
		return err
	}
	c.rows = c.room.rows[:0]
	switch {
	case target.Kind() == reflect.Struct && target.Type() == c.Model.ModelType:
		return c.AddRow(0, target, given)
	case target.Kind() == reflect.Slice, target.Kind() == reflect.Array:
		for i := range target.Len() {
			if err := c.AddRow(i, value.Indirect(target.Index(i)), given); err != nil {
				return err
			}
		}
		if len(c.rows) > 0 {
			return c.dropKeyless()
		}
	}
	if c.expects && len(c.rows) == 0 { // a table without a model, or one of another type: the write goes by its conditions
		c.rows = append(c.rows, rows.Row{Model: reflect.Zero(c.Model.ModelType), Expected: given})
	}
	return nil
}

// AddRow adds a model to the rows of the write, unless nothing in it says which row it is.
func (c *Call) AddRow(index int, model reflect.Value, given any) error {
	if model.Kind() != reflect.Struct || model.Type() != c.Model.ModelType {
		return nil
	}
	version := c.Model.Version
	if version == nil {
		c.addUnversioned(index, model)
		return nil
	}
	r := rows.Row{Index: c.switches.Touch.IndexOf(index), Model: model, Key: c.KeyOf(model), Before: version.Of(c.Ctx, model)}
	r.Expected = r.Before
	if c.expects {
		r.Expected = given
	}
	if r.Key == nil && !c.expects && version.Kind.IsZero(r.Expected) {
		return nil
	}
	c.rows = append(c.rows, r)
	return nil
}

// addUnversioned adds a row that is not compared: its write touches its parents.
func (c *Call) addUnversioned(index int, model reflect.Value) {
	if key := c.KeyOf(model); key != nil {
		c.rows = append(c.rows, rows.Row{Index: index, Model: model, Key: key})
	}
}

// setNext asks for the version after the expected one of every row. An error stops the write before anything is sent.
func (c *Call) setNext() (err error) {
	for i := range c.rows {
		if err = c.setNextOf(&c.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Call) setNextOf(r *rows.Row) error {
	if c.switches.Unchecked && !c.Model.Version.IsAdvancedInSQL() {
		return nil // the row is read first
	}
	return c.setNextAfter(r)
}

// setNextAfter asks for the version after the expected one of a row, unless the database gives it.
func (c *Call) setNextAfter(r *rows.Row) (err error) {
	if c.Model.Version.ByDatabase {
		return nil
	}
	if r.Next, err = c.Model.Version.Kind.Next(c.Ctx, r.Expected); err != nil {
		return c.versionError(err)
	}
	return nil
}

package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// giveReturned gives the models of rows the columns that the caller asked RETURNING for.
func (c *Call) giveReturned(returned []reflect.Value, rows []*rows.Row) error {
	if len(returned) == 0 {
		return nil
	}
	given, _ := c.clausesBefore("RETURNING")
	returning, _ := given.Expression.(clause.Returning)
	byKey := make(map[string]reflect.Value, len(returned))
	for _, model := range returned {
		byKey[value.KeyText(c.KeyOf(model))] = model
	}
	for _, r := range rows {
		model, ok := byKey[value.KeyText(r.Key)]
		if !ok {
			continue
		}
		if err := c.copyColumns(returning.Columns, model, r); err != nil {
			return err
		}
	}
	return nil
}

// copyColumns copies columns, all of them where none is named, from a model to those of a row. The version is not copied:
// it is advanced.
func (c *Call) copyColumns(columns []clause.Column, from reflect.Value, to *rows.Row) error {
	names := make([]string, 0, len(columns))
	for _, column := range columns {
		names = append(names, column.Name)
	}
	if len(names) == 0 || slices.Contains(names, "*") {
		names = c.Model.DBNames
	}
	for _, name := range names {
		field := c.Model.LookUpField(name)
		if field == nil || !field.Readable || field == c.Model.Version.Field {
			continue
		}
		value, _ := field.ValueOf(c.Ctx, from)
		for _, r := range append([]*rows.Row{to}, to.Copies...) {
			if !r.Model.CanAddr() {
				continue
			}
			if err := field.Set(c.Ctx, r.Model, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Call) learnInserted(hand []rows.Row) error {
	inserted := make([]*rows.Row, 0, len(hand))
	for i := range hand {
		if hand[i].Key = c.KeyOf(hand[i].Model); hand[i].Key != nil {
			inserted = append(inserted, &hand[i])
		}
	}
	return c.learnVersions(inserted)
}

// readNext reads the versions that the database has given rows.
func (c *Call) readNext(rows []*rows.Row) error {
	states, err := c.ReadRows(rows, "")
	if err != nil {
		return err
	}
	for i, r := range rows {
		r.Next = states[i].Version
	}
	return nil
}

// learnUnchanged is for a row that may hold already what it was to be set to, so that it was not counted. Where there were
// conditions too, they may not have held, and the model must not learn a version that goes with values it has never seen.
func (c *Call) learnUnchanged(r *rows.Row) error {
	if !c.mayBeUnchanged() || c.HasOwnConditions() || r.Key == nil || !r.Model.CanAddr() {
		return nil
	}
	state, err := c.Read(r)
	if err == nil && c.isInReach(state) {
		c.advance(r, c.learned(r, state.Version))
	}
	return err
}

func (c *Call) learnVersion(r *rows.Row) error {
	if r.Key == nil && c.payload != nil {
		r = c.payload
	}
	if r.Key == nil || !r.Model.CanAddr() {
		return nil
	}
	state, err := c.Read(r)
	if err == nil && state.IsThere {
		c.advance(r, c.learned(r, state.Version))
	}
	return err
}

// followStored reads the versions that rows are at and locks them; each row's next version is the one after it. Rows that
// are gone are left out.
func (c *Call) followStored(rows []*rows.Row) (there []*rows.Row, err error) {
	failed := c.DB.Error
	c.DB.Error = nil
	defer func() { c.DB.Error = failed }()
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	states, err := c.ReadRows(rows, clause.LockingStrengthUpdate)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if !states[i].IsThere {
			continue
		}
		if r.Next, err = c.Model.Version.Kind.Next(c.Ctx, states[i].Version); err != nil {
			return nil, c.versionError(err)
		}
		there = append(there, r)
	}
	return there, nil
}

// learnVersions gives the models of rows the versions that the rows have now, in the transaction that wrote them.
func (c *Call) learnVersions(rows []*rows.Row) error {
	states, err := c.ReadRows(rows, "")
	if err != nil {
		return err
	}
	for i, r := range rows {
		if r.Next = c.learned(r, states[i].Version); states[i].IsThere {
			c.advanceAll(rows[i : i+1])
		}
	}
	return nil
}

// learnSnapshot gives a model that was written the row as it is stored now.
func (c *Call) learnSnapshot(r *rows.Row) error {
	if !r.Model.CanAddr() {
		return nil
	}
	stored, err := c.snapshot.returned, error(nil)
	if stored == nil {
		stored, err = c.storedSnapshot(c.KeyOf(r.Model))
	}
	if err == nil {
		c.advance(r, c.learned(r, stored))
	}
	return err
}

// storedSnapshot reads a row; what is not there has no snapshot.
func (c *Call) storedSnapshot(key []any) (*snapshot.Image, error) {
	if key == nil {
		return nil, nil
	}
	state, err := c.ReadWhere(&rows.Condition{Model: c.Model, Key: key})
	image, _ := state.Version.(*snapshot.Image)
	return image, err
}

// lockRows reads rows and keeps others from writing them.
func (c *Call) lockRows(rows []*rows.Row) ([]rows.State, error) {
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	return c.ReadRows(rows, clause.LockingStrengthUpdate)
}

// learnBase gives a model that has a version its Snapshot after a write. Outside a transaction the row could be somebody
// else's by now, and nothing is known.
func (c *Call) learnBase(r *rows.Row) {
	if c.Model.Base == nil || !r.Model.CanAddr() || !tx.IsTransaction(c.Stmt.ConnPool) {
		return
	}
	found := c.Model.MakeSlice()
	condition := clause.Where{Exprs: []clause.Expression{&rows.Condition{Model: c.Model, Key: c.KeyOf(r.Model)}}}
	err := c.Session().Clauses(condition).Find(found.Interface()).Error
	if c.DB.AddError(err) == nil && found.Elem().Len() == 1 {
		c.putBase(r.Model, c.Model.Snapshot.Of(found.Elem().Index(0)))
	}
}

package write

import (
	"cmp"
	"fmt"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
)

// relink saves the children of a has-one or has-many with their owner. GORM has given them the owner's key already and
// writes that to every row; here, a row that has it is left alone, one that has another is compared, so that a child is
// not pulled back from where somebody else has moved it, and one that is not there is inserted if it was never loaded, or if its
// owner is inserted too.
func (c *Call) relink(given clause.OnConflict) (int64, error) {
	if c.DB.DryRun {
		return c.insert()
	}
	fields, by := c.assignedFields(given), rows.Lookup{Identity: c.uniqueFields()}
	missing, moved, err := c.sortChildren(by, fields)
	if err != nil {
		return 0, err
	}
	delete(c.Stmt.Clauses, "ON CONFLICT")
	move := func() (int64, error) { return c.moveChildren(by, fields, moved) }
	insert := func() (int64, error) { return c.insertChildren(by, missing) }
	switch {
	case len(moved) == 0:
		return insert()
	case len(missing) == 0:
		return move()
	}
	return c.allOrNone(func() (int64, error) { return inTurn(move, insert) })
}

// assignedFields returns what GORM would write to a child that is there: its foreign key.
func (c *Call) assignedFields(conflict clause.OnConflict) (fields []*schema.Field) {
	for _, assignment := range conflict.DoUpdates {
		if field := c.Model.LookUpField(assignment.Column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

// sortChildren divides the children into those that are not there, those that belong to another owner, and the rest. Keys
// are compared by the database, which may take others for equal than Go does. The rows are not locked: a lock on one that
// is not there would keep others from inserting it.
func (c *Call) sortChildren(by rows.Lookup, fields []*schema.Field) (missing, moved []rows.Row, err error) {
	children := c.candidates()
	for i := range children {
		children[i].Key = c.KeyBy(by.Fields(c.Model), children[i].Model)
		if children[i].Key == nil {
			missing = append(missing, children[i])
		}
	}
	found := keyed(pointersTo(children))
	states, err := c.readLinks(by, fields, found)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range found {
		switch {
		case !states[i].IsThere && (by.Identity != nil || c.Model.Version.Kind.IsZero(r.Before) || c.isOfNewOwners()):
			missing = append(missing, *r)
		case !states[i].IsThere, !states[i].Holds:
			moved = append(moved, *r)
		}
	}
	slices.SortFunc(missing, func(a, b rows.Row) int { return cmp.Compare(a.Index, b.Index) })
	return missing, moved, nil
}

// readLinks reads children, and whether they hold the foreign keys that their models do.
func (c *Call) readLinks(by rows.Lookup, fields []*schema.Field, hand []*rows.Row) ([]rows.State, error) {
	if len(hand) == 0 {
		return nil, nil
	}
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	by.AsShown = true
	for i, field := range fields {
		by.Proposed = append(by.Proposed, valueColumn(c, fmt.Sprintf("occ_link_%d", i+1), field))
	}
	by.Own = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: c.ColumnsMatch(by.Proposed)}}
	return c.ReadRows(rows.Query{Lookup: by}, hand)
}

// uniqueFields returns the columns of a unique index of a model that has no primary key; nil where there is none.
func (c *Call) uniqueFields() (fields []*schema.Field) {
	if len(c.Model.PrimaryFields) > 0 {
		return nil
	}
	for _, index := range c.Model.ParseIndexes() {
		if index.Class != "UNIQUE" || index.Where != "" {
			continue
		}
		for _, option := range index.Fields {
			if fields = append(fields, option.Field); option.Expression != "" {
				fields = nil
				break
			}
		}
		if len(fields) > 0 {
			return fields
		}
	}
	return nil
}

// insertChildren inserts children. One whose primary key is there is refused: somebody else has inserted it meanwhile.
func (c *Call) insertChildren(by rows.Lookup, hand []rows.Row) (int64, error) {
	if len(hand) == 0 {
		return 0, nil
	}
	affected, err := c.withModels(modelsOf(hand), c.insert)
	if !c.isDuplicateKey(err) {
		return affected, err
	}
	p := c.planOf(hand)
	p.op, p.by = conflict.OpUpdate, by
	there, _, states, readErr := p.divideByPresence(p.pointers())
	if readErr != nil || len(there) == 0 {
		return 0, err
	}
	return 0, p.refuseRows(there, states)
}

// moveChildren gives children that are there to their new owner, each compared with its own version.
func (c *Call) moveChildren(by rows.Lookup, fields []*schema.Field, hand []rows.Row) (int64, error) {
	p := c.planOf(hand)
	p.op, p.by = conflict.OpUpdate, by
	p.catchUp(p.pointers())
	return p.writePartitioned(func(hand []*rows.Row, compared bool) severalWrite {
		return p.modelsUpdate(hand, fields, nil, compared)
	})
}

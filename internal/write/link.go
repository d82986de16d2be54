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
// not pulled back from where somebody else has moved it, and one that is not there is inserted if it was never loaded.
func (c *Call) relink(conflict clause.OnConflict) {
	if c.DB.DryRun {
		c.insert()
		return
	}
	fields := c.assignedFields(conflict)
	c.Identity = c.uniqueFields()
	defer func() { c.Identity = nil }()
	missing, moved, err := c.sortChildren(fields)
	if c.DB.AddError(err) != nil {
		return
	}
	delete(c.Stmt.Clauses, "ON CONFLICT")
	switch {
	case len(moved) == 0:
		c.insertChildren(missing)
	case len(missing) == 0:
		c.moveChildren(fields, moved)
	default:
		c.together(func() {
			c.moveChildren(fields, moved)
			if affected := c.DB.RowsAffected; c.DB.Error == nil {
				c.insertChildren(missing)
				c.setRowsAffected(affected + c.DB.RowsAffected)
			}
		})
	}
}

// assignedFields are what GORM would write to a child that is there: its foreign key.
func (c *Call) assignedFields(conflict clause.OnConflict) (fields []*schema.Field) {
	for _, assignment := range conflict.DoUpdates {
		if field := c.Model.LookUpField(assignment.Column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

// sortChildren tells the children that are not there, and those that belong to another owner, from the rest. Keys are
// compared by the database, which may take others for equal than Go does. The rows are not locked: a lock on one that is
// not there would keep others from inserting it.
func (c *Call) sortChildren(fields []*schema.Field) (missing, moved []rows.Row, err error) {
	children := c.candidates()
	var keyed []*rows.Row
	for i := range children {
		if children[i].Expected = children[i].Before; children[i].Key != nil {
			keyed = append(keyed, &children[i])
		} else {
			missing = append(missing, children[i])
		}
	}
	states, err := c.readLinks(fields, keyed)
	for i, r := range keyed {
		switch {
		case err != nil:
		case !states[i].IsThere && (c.Identity != nil || c.Model.Version.Kind.IsZero(r.Before)):
			missing = append(missing, *r)
		case !states[i].IsThere, !states[i].Holds:
			moved = append(moved, *r)
		}
	}
	slices.SortFunc(missing, func(a, b rows.Row) int { return cmp.Compare(a.Index, b.Index) })
	return missing, moved, err
}

// readLinks reads children, and whether they hold the foreign keys that their models do.
func (c *Call) readLinks(fields []*schema.Field, hand []*rows.Row) ([]rows.State, error) {
	if len(hand) == 0 {
		return nil, nil
	}
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	by := c.Lookup
	defer func() { c.Lookup = by }()
	c.AsShown, c.Proposed = true, nil
	for i, field := range fields {
		c.Proposed = append(c.Proposed, valueColumn(c, fmt.Sprintf("occ_link_%d", i+1), field))
	}
	c.Own = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: rows.ColumnsMatch(c.Proposed)}}
	return c.ReadRows(hand, "")
}

// uniqueFields are the columns of a unique index of a model that has no primary key; nil where there is none.
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

func (c *Call) insertChildren(rows []rows.Row) {
	if len(rows) == 0 {
		return
	}
	c.withModels(rows, c.insert)
	if c.isDuplicateKey(c.DB.Error) {
		c.refuseDuplicates(rows)
	}
}

// refuseDuplicates turns the database's duplicate key into a refusal of the rows whose primary key is there: somebody
// else has inserted them meanwhile.
func (c *Call) refuseDuplicates(rows []rows.Row) {
	c.Op, c.Own, c.rows = conflict.OpUpdate, clause.Clause{}, rows
	there, _, states, err := c.divideByPresence(c.pointers())
	if err == nil && len(there) > 0 {
		c.refuseRows(there, states, nil)
	}
}

// moveChildren gives children that are there to their new owner, each compared with its own version.
func (c *Call) moveChildren(fields []*schema.Field, hand []rows.Row) {
	c.Op, c.Own, c.rows = conflict.OpUpdate, clause.Clause{}, hand
	c.catchUp(c.pointers())
	c.writePartitioned(func(rows []*rows.Row, compared bool) severalWrite {
		return c.modelsUpdate(rows, fields, nil, compared)
	})
}

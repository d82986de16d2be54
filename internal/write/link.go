package write

import (
	"cmp"
	"fmt"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
)

// link is the save of the children of a has-one or has-many with their owner. GORM has given them the owner's key already.
type link struct {
	call    *Call
	by      rows.Lookup     // how children are found
	fields  []*schema.Field // their foreign key
	missing []rows.Row      // children that are to be inserted
	moved   []rows.Row      // children that belong to another owner
}

// relink saves children with their owner. GORM would write the owner's key to every row. Here, a row that has it is left
// alone. One that has another is compared: somebody else may have moved the child there. One that is not there is inserted if it
// was never loaded, or if its owner is inserted too.
func (c *Call) relink(given clause.OnConflict) (int64, error) {
	if c.DB.DryRun {
		return c.insert()
	}
	l := link{call: c, by: rows.Lookup{Identity: uniqueFields(c.Model)}, fields: assignedFields(c.Model, given)}
	if err := l.sort(); err != nil {
		return 0, err
	}
	delete(c.Stmt.Clauses, "ON CONFLICT")
	switch {
	case len(l.moved) == 0:
		return l.insert()
	case len(l.missing) == 0:
		return l.move()
	}
	return c.allOrNone(func() (int64, error) { return inTurn(l.move, l.insert) })
}

// assignedFields returns the fields that an upsert writes to a row that is there.
func assignedFields(m *model.Model, conflict clause.OnConflict) (fields []*schema.Field) {
	for _, assignment := range conflict.DoUpdates {
		if field := m.LookUpField(assignment.Column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

// uniqueFields returns the columns of a unique index of a model that has no primary key; nil where there is none.
func uniqueFields(m *model.Model) (fields []*schema.Field) {
	if len(m.PrimaryFields) > 0 {
		return nil
	}
	for _, index := range m.ParseIndexes() {
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

// sort finds the children that are not there, and those that belong to another owner. Keys are compared by the database: it
// may take others for equal than Go does. The rows are not locked: a lock on one that is not there would keep others from
// inserting it.
func (l *link) sort() error {
	c := l.call
	children := c.candidates()
	for i := range children {
		children[i].Key = c.KeyBy(l.by.Fields(c.Model), children[i].Model)
		if children[i].Key == nil {
			l.missing = append(l.missing, children[i])
		}
	}
	found := keyed(pointersTo(children))
	states, err := l.read(found)
	if err != nil {
		return err
	}
	for i, r := range found {
		switch {
		case !states[i].IsThere && l.inserts(r):
			l.missing = append(l.missing, *r)
		case !states[i].IsThere, !states[i].Holds:
			l.moved = append(l.moved, *r)
		}
	}
	slices.SortFunc(l.missing, func(a, b rows.Row) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

// inserts reports whether a child that is not there is inserted.
func (l *link) inserts(r *rows.Row) bool {
	return l.by.Identity != nil || l.call.Model.Version.Kind.IsZero(r.Before) || l.call.isOfNewOwners()
}

// read reads children, and whether they hold the foreign keys that their models do.
func (l *link) read(hand []*rows.Row) ([]rows.State, error) {
	if len(hand) == 0 {
		return nil, nil
	}
	c := l.call
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	by := l.by
	by.AsShown = true
	for i, field := range l.fields {
		by.Proposed = append(by.Proposed, valueColumn(c, fmt.Sprintf("occ_link_%d", i+1), field))
	}
	by.Own = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: c.ColumnsMatch(by.Proposed)}}
	return c.ReadRows(rows.Query{Lookup: by}, hand)
}

// insert inserts children. One whose primary key is there is refused: somebody else has inserted it meanwhile.
func (l *link) insert() (int64, error) {
	if len(l.missing) == 0 {
		return 0, nil
	}
	c := l.call
	affected, err := withModels(&c.Site, modelsOf(l.missing), c.insert)
	if !isDuplicateKey(c.Dialect, err) {
		return affected, err
	}
	p := l.planOf(l.missing)
	there, _, states, readErr := p.divideByPresence(p.pointers())
	if readErr != nil || len(there) == 0 {
		return 0, err
	}
	return 0, p.refuseRows(there, states)
}

// move gives children that are there to their new owner, each compared with its own version.
func (l *link) move() (int64, error) {
	p := l.planOf(l.moved)
	p.catchUp(p.pointers())
	return p.writePartitioned(func(hand []*rows.Row, compared bool) severalWrite {
		return p.modelsUpdate(hand, l.fields, nil, compared)
	})
}

// planOf makes the plan for some of the children.
func (l *link) planOf(hand []rows.Row) *plan {
	p := l.call.planOf(hand)
	p.op, p.by = conflict.OpUpdate, l.by
	return p
}

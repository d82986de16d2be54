package occ

import (
	"cmp"
	"fmt"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
)

// relink saves the children of a has-one or has-many with their owner. GORM has given them the owner's key already and
// writes that to every row; here, a row that has it is left alone, one that has another is compared, so that a child is
// not pulled back from where somebody else has moved it, and one that is not there is inserted if it was never loaded.
func (w *write) relink(conflict clause.OnConflict) {
	if w.db.DryRun {
		w.insert()
		return
	}
	fields := w.assignedFields(conflict)
	w.identity = w.uniqueFields()
	defer func() { w.identity = nil }()
	missing, moved, err := w.sortChildren(fields)
	if w.db.AddError(err) != nil {
		return
	}
	delete(w.stmt.Clauses, "ON CONFLICT")
	switch {
	case len(moved) == 0:
		w.insertChildren(missing)
	case len(missing) == 0:
		w.moveChildren(fields, moved)
	default:
		w.together(func() {
			w.moveChildren(fields, moved)
			if affected := w.db.RowsAffected; w.db.Error == nil {
				w.insertChildren(missing)
				w.setRowsAffected(affected + w.db.RowsAffected)
			}
		})
	}
}

// assignedFields are what GORM would write to a child that is there: its foreign key.
func (w *write) assignedFields(conflict clause.OnConflict) (fields []*schema.Field) {
	for _, assignment := range conflict.DoUpdates {
		if field := w.model.LookUpField(assignment.Column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

// sortChildren tells the children that are not there, and those that belong to another owner, from the rest. Keys are
// compared by the database, which may take others for equal than Go does. The rows are not locked: a lock on one that is
// not there would keep others from inserting it.
func (w *write) sortChildren(fields []*schema.Field) (missing, moved []row, err error) {
	children := w.candidates()
	var keyed []*row
	for i := range children {
		if children[i].expected = children[i].before; children[i].key != nil {
			keyed = append(keyed, &children[i])
		} else {
			missing = append(missing, children[i])
		}
	}
	states, err := w.readLinks(fields, keyed)
	for i, r := range keyed {
		switch {
		case err != nil:
		case !states[i].isThere && (w.identity != nil || w.model.version.kind.isZero(r.before)):
			missing = append(missing, *r)
		case !states[i].isThere, !states[i].holds:
			moved = append(moved, *r)
		}
	}
	slices.SortFunc(missing, func(a, b row) int { return cmp.Compare(a.index, b.index) })
	return missing, moved, err
}

// readLinks reads children, and whether they hold the foreign keys that their models do.
func (w *write) readLinks(fields []*schema.Field, rows []*row) ([]rowState, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	if err := w.lockFirst(); err != nil {
		return nil, err
	}
	by := w.lookup
	defer func() { w.lookup = by }()
	w.asShown, w.proposed = true, nil
	for i, field := range fields {
		w.proposed = append(w.proposed, valueColumn(w, fmt.Sprintf("occ_link_%d", i+1), field))
	}
	w.own = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: columnsMatch(w.proposed)}}
	return w.readRows(rows, "")
}

// uniqueFields are the columns of a unique index of a model that has no primary key; nil where there is none.
func (w *write) uniqueFields() (fields []*schema.Field) {
	if len(w.model.PrimaryFields) > 0 {
		return nil
	}
	for _, index := range w.model.ParseIndexes() {
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

func (w *write) insertChildren(rows []row) {
	if len(rows) == 0 {
		return
	}
	w.withModels(rows, w.insert)
	if w.isDuplicateKey(w.db.Error) {
		w.refuseDuplicates(rows)
	}
}

// refuseDuplicates turns the database's duplicate key into a refusal of the rows whose primary key is there: somebody
// else has inserted them meanwhile.
func (w *write) refuseDuplicates(rows []row) {
	w.op, w.own, w.rows = conflict.OpUpdate, clause.Clause{}, rows
	there, _, states, err := w.divideByPresence(w.pointers())
	if err == nil && len(there) > 0 {
		w.refuseRows(there, states, nil)
	}
}

// moveChildren gives children that are there to their new owner, each compared with its own version.
func (w *write) moveChildren(fields []*schema.Field, rows []row) {
	w.op, w.own, w.rows = conflict.OpUpdate, clause.Clause{}, rows
	w.catchUp(w.pointers())
	w.writePartitioned(func(rows []*row, compared bool) severalWrite {
		return w.modelsUpdate(rows, fields, nil, compared)
	})
}

package occ

import (
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

// sortChildren tells the children that are not there, and those that belong to another owner, from the rest.
func (w *write) sortChildren(fields []*schema.Field) (missing, moved []row, err error) {
	children := w.candidates()
	stored, err := w.stored(w.snapshotSession(), children, fields)
	for _, r := range children {
		r.expected = r.before
		row, isThere := stored[w.keyText(r.model, w.model.PrimaryFields)]
		switch {
		case r.key == nil, !isThere && w.model.version.kind.isZero(r.before):
			missing = append(missing, r)
		case !isThere, w.keyText(row, fields) != w.keyText(r.model, fields):
			moved = append(moved, r)
		}
	}
	return missing, moved, err
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

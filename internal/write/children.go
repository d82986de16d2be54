package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/rows"
)

// childWrite is a write of children that also writes the next version of their parents: of those that they had before, and of
// those that they have now.
type childWrite struct {
	plan   *plan
	set    clause.Set
	before []reflect.Value // models of the children that have the keys of their parents
}

// touching runs a write of children and touches their parents.
func (p *plan) touching(set clause.Set, write func() (int64, error)) (int64, error) {
	if len(p.Model.Touches) == 0 || p.DB.DryRun {
		return write()
	}
	w := childWrite{plan: p, set: set}
	if err := w.begin(); err != nil {
		return 0, err
	}
	affected, err := write()
	if err != nil || affected == 0 {
		return 0, err
	}
	for _, relation := range p.Model.Touches {
		if err := w.touch(parents{p.Call, relation}); err != nil {
			return 0, err
		}
	}
	return affected, nil
}

// begin reads the children, and locks parents where the write would lock them otherwise.
func (w *childWrite) begin() (err error) {
	if w.before, err = w.children(); err != nil {
		return err
	}
	if !w.plan.isCreate() || !w.plan.Dialect.ForeignKeyLocksParent {
		return nil
	}
	for _, relation := range w.plan.Model.Touches {
		if err := (parents{w.plan.Call, relation}).lockOfCreated(); err != nil {
			return err
		}
	}
	return nil
}

// touch touches the parents that the children had, and those that they have now.
func (w *childWrite) touch(of parents) error {
	after, err := w.childrenAfter(of)
	if err != nil {
		return err
	}
	return of.touch(append(slices.Clone(w.before), after...))
}

// children reads the keys of the rows that the write is about, and of their parents.
func (w *childWrite) children() ([]reflect.Value, error) {
	p := w.plan
	if p.isCreate() {
		return w.inConflict()
	}
	if len(p.rows) > 0 {
		return w.byKey(p.by, p.pointers())
	}
	if err := p.LockFirst(); err != nil {
		return nil, err
	}
	states, err := p.ReadMatching(p.matching(), w.foreignKeys()...)
	return there(states), err
}

// inConflict returns the rows that an upsert may be about to move from one parent to another.
func (w *childWrite) inConflict() ([]reflect.Value, error) {
	p := w.plan
	conflict, ok := p.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !ok || conflict.DoNothing {
		return nil, nil
	}
	by, err := byTarget(&p.Site, conflict)
	if err != nil {
		return nil, err
	}
	models, err := p.proposed(
		func(values map[string]any) (reflect.Value, error) { return modelOfMap(&p.Site, values) },
		func(other reflect.Value) (reflect.Value, error) { return modelOfStruct(&p.Site, other) },
	)
	if err != nil {
		return nil, err
	}
	hand := make([]rows.Row, len(models))
	for i, model := range models {
		hand[i] = rows.Row{Index: i, Model: model, Key: p.KeyBy(by.Fields(p.Model), model)}
	}
	return w.byKey(by, pointersTo(hand))
}

func (w *childWrite) byKey(by rows.Lookup, hand []*rows.Row) ([]reflect.Value, error) {
	hand = keyed(hand)
	if len(hand) == 0 {
		return nil, nil
	}
	if err := w.plan.LockFirst(); err != nil {
		return nil, err
	}
	by.Own = clause.Clause{} // whatever the conditions say: the row is the child
	states, err := w.plan.ReadRows(rows.Query{Lookup: by, Fields: w.foreignKeys()}, hand)
	return there(states), err
}

// there returns the models of the rows that are there.
func there(states []rows.State) (models []reflect.Value) {
	for _, state := range states {
		if state.IsThere {
			models = append(models, state.Model)
		}
	}
	return models
}

func (w *childWrite) foreignKeys() (fields []*schema.Field) {
	for _, relation := range w.plan.Model.Touches {
		for _, reference := range relation.References {
			fields = append(fields, reference.ForeignKey)
		}
	}
	return fields
}

// childrenAfter returns the children as they are now, where the write may have given them another parent.
func (w *childWrite) childrenAfter(of parents) (after []reflect.Value, err error) {
	if w.plan.isCreate() {
		return of.created()
	}
	moves := slices.ContainsFunc(w.set, func(assignment clause.Assignment) bool {
		return of.isForeignKey(w.plan.Model.FieldOf(assignment.Column.Name))
	})
	if !moves {
		return nil, nil
	}
	hand := make([]*rows.Row, len(w.before))
	for i, child := range w.before {
		hand[i] = &rows.Row{Model: child, Key: w.plan.AllKeys(child)}
	}
	return w.byKey(rows.Lookup{}, hand)
}

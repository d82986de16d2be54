package occ

import (
	"reflect"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// payload is one element of what an upsert was given in place of models: a map, or a struct of another type on the table.
type payload struct {
	target reflect.Value // as the statement takes it
	dest   any
	model  reflect.Value // a model of the row that holds what the element does
}

// isOfPayloads tells an upsert of maps, or of another type's structs.
func (w *write) isOfPayloads() bool { return len(w.candidates()) == 0 }

// upsertPayloads is the upsert of what is no model, where SQL cannot move the version on or where the call says which
// version it expects: each row is read and locked before it is written.
func (w *write) upsertPayloads(conflict clause.OnConflict, expected any) {
	w.together(func() {
		affected := int64(0)
		for index, p := range w.payloads() {
			if w.db.Error != nil {
				return
			}
			w.pointAt(p.target, p.dest, func() { w.upsertPayload(conflict, p, index, expected) })
			affected += w.db.RowsAffected
		}
		w.setRowsAffected(affected)
	})
}

func (w *write) upsertPayload(conflict clause.OnConflict, p payload, index int, expected any) {
	there, states, missing, err := w.lockStored(conflict, []row{{index: index, model: p.model}})
	defer func() { w.lookup = lookup{own: w.own} }()
	switch {
	case err != nil:
		_ = w.db.AddError(err)
	case w.expects && !w.switches.unchecked && !w.isExpected(there, missing, states, expected):
	case len(there) == 0:
		given := w.stmt.Clauses["ON CONFLICT"]
		delete(w.stmt.Clauses, "ON CONFLICT")
		w.insert()
		w.stmt.Clauses["ON CONFLICT"] = given
	case w.db.AddError(w.setNextAfter(there[0])) == nil:
		w.sendPayload(w.nextAfter(there[0]))
	}
}

// isExpected compares the row of an element with the version that the call expects.
func (w *write) isExpected(there []*row, missing []row, states []rowState, expected any) bool {
	w.counters().checked.Add(1)
	rows := there
	for i := range missing {
		rows, states = append(rows, &missing[i]), append(states, rowState{})
	}
	rows[0].expected = expected
	if w.areCurrent(rows, states) {
		return true
	}
	w.refuseRows(rows, states, nil)
	return false
}

func (w *write) sendPayload(next any) {
	numbered, err := w.numberInserted()
	defer numbered.putBack()
	if w.db.AddError(err) == nil {
		w.buildUpsert(next)
		w.plugin.gorm.create(w.db)
	}
}

// payloads are the elements of the statement, each with a model of its row.
func (w *write) payloads() (payloads []payload) {
	addMap := func(values map[string]any) {
		payloads = append(payloads, payload{reflect.ValueOf(values), values, w.modelOfMap(values)})
	}
	switch dest := w.givenMaps().(type) {
	case map[string]any:
		addMap(dest)
	case []map[string]any:
		for _, values := range dest {
			addMap(values)
		}
	default:
		_ = w.eachModel(func(_ int, other reflect.Value) error {
			payloads = append(payloads, payload{other, other.Addr().Interface(), w.modelOfStruct(other)})
			return nil
		})
	}
	return payloads
}

// modelOfMap is a model that has what a map says of the columns.
func (w *write) modelOfMap(values map[string]any) reflect.Value {
	model := reflect.New(w.model.ModelType).Elem()
	for name, value := range values {
		w.setColumn(model, w.model.LookUpField(name), value)
	}
	return model
}

// modelOfStruct is a model that has what another type's struct says of the columns.
func (w *write) modelOfStruct(other reflect.Value) reflect.Value {
	model := reflect.New(w.model.ModelType).Elem()
	for _, field := range w.stmt.Schema.FieldsByDBName {
		value, isZero := field.ValueOf(w.ctx, other)
		if !isZero {
			w.setColumn(model, w.model.LookUpField(field.DBName), value)
		}
	}
	return model
}

func (w *write) setColumn(model reflect.Value, field *schema.Field, value any) {
	if field != nil && field != w.model.version.Field && value != nil && !isExpression(value) {
		_ = w.db.AddError(field.Set(w.ctx, model, value))
	}
}

// pointAt has do see one element of the statement alone.
func (w *write) pointAt(target reflect.Value, dest any, do func()) {
	stmt := w.stmt
	before, beforeDest := stmt.ReflectValue, stmt.Dest
	defer func() { stmt.ReflectValue, stmt.Dest = before, beforeDest }()
	stmt.ReflectValue, stmt.Dest = target, dest
	stmt.SQL.Reset()
	stmt.Vars = nil
	w.db.RowsAffected = 0
	do()
}

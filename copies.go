package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm/schema"
)

// A graph of associations can hold one row several times: a parent that was loaded with each of its children, a root that
// its parts point back to. The row counts once in a call: the model that is written first is compared, the others are
// taken for written with it if they are at the version it was at, and have its version afterwards.

// rowID is a row of a table, whatever model holds it.
type rowID struct {
	schema *schema.Schema
	key    string
}

// written finds the models that the call under way has written by their rows. It follows the journal's memories.
type written struct {
	from, to int // the memories that are in rows
	rows     map[rowID][]memory
}

// writtenRows are the rows that the call under way has written.
func (j *journal) writtenRows() map[rowID][]memory {
	if j.calls == 0 {
		return nil
	}
	if w := &j.rows; w.rows == nil || w.from != j.began || w.to > len(j.memories) {
		*w = written{from: j.began, to: j.began, rows: map[rowID][]memory{}}
	}
	for ; j.rows.to < len(j.memories); j.rows.to++ {
		if m := j.memories[j.rows.to]; m.field.putImage == nil && m.key != "" {
			id := rowID{m.field.Schema, m.key}
			j.rows.rows[id] = append(j.rows.rows[id], m)
		}
	}
	return j.rows.rows
}

// journal is the journal of the write's transaction; after GORM has committed that, it is still known to the unit.
func (w *write) journal() *journal {
	if w.unit != nil {
		return w.unit.journal
	}
	return w.plugin.journals.of(w.stmt.ConnPool)
}

// writtenInCall are the models of a row that the call under way has written, in their order.
func (w *write) writtenInCall(s *schema.Schema, model reflect.Value) []memory {
	j := w.journal()
	if j == nil || len(j.memories) <= j.began || !model.CanAddr() {
		return nil
	}
	key := keyOfModel(w.ctx, s, model)
	if key == "" {
		return nil // it could be any row
	}
	return j.writtenRows()[rowID{s, key}]
}

// standsFor tells whether a model is at the version that its row had before the call, or has now.
func (w *write) standsFor(versions *versionField, model reflect.Value, written []memory) bool {
	kind, mine := versions.kind, versions.of(w.ctx, model)
	before, now := written[0].version, versions.of(w.ctx, written[len(written)-1].model)
	return kind.isZero(mine) && kind.isZero(before) || kind.isSame(mine, before) || kind.isSame(mine, now)
}

// dropWritten leaves out the models of an association whose rows the call has written already.
func (w *write) dropWritten(rows []*row) (left []*row) {
	for _, r := range rows {
		written := w.writtenInCall(w.model.Schema, r.model)
		isWhole := slices.ContainsFunc(written, func(m memory) bool { return m.isWhole })
		if r.key == nil || !isWhole || !w.standsFor(w.model.version, r.model, written) {
			left = append(left, r)
			continue
		}
		w.follow(w.model, r.model, written)
	}
	return left
}

// follow gives a further model of a written row the row's version.
func (w *write) follow(m *model, model reflect.Value, written []memory) {
	last := written[len(written)-1].model
	if last.Addr().Pointer() == model.Addr().Pointer() {
		return
	}
	version := m.version.of(w.ctx, last)
	if j := w.journal(); j != nil {
		key := keyOfModel(w.ctx, m.Schema, model)
		j.memories = append(j.memories, memory{field: m.version, model: model, version: m.version.of(w.ctx, model), key: key})
	}
	m.version.put(w.ctx, model, version)
}

// isPartOfCall tells the write that was called for and its associations from what hooks write meanwhile.
func (w *write) isPartOfCall() bool {
	return w.isLinked || w.unit != nil && w.unit.journal.calls == 1
}

// catchUp has models expect the version that a copy of theirs has written in the same call.
func (w *write) catchUp(rows []*row) {
	if w.expects || w.model.version == nil || !w.isPartOfCall() {
		return
	}
	for _, r := range rows {
		if written := w.writtenInCall(w.model.Schema, r.model); r.key != nil && len(written) > 0 && w.standsFor(w.model.version, r.model, written) {
			r.expected = w.model.version.of(w.ctx, written[len(written)-1].model)
		}
	}
}

// followCopies gives further models of the rows that the call has written their versions.
func (w *write) followCopies() {
	j := w.journal()
	if w.db.Error != nil || j == nil || len(j.memories) <= j.began {
		return
	}
	w.followAssociations(w.stmt.ReflectValue)
	if w.unit == nil || j.calls > 1 {
		return
	}
	for id, written := range j.writtenRows() {
		for _, m := range written[:len(written)-1] {
			w.follow(w.plugin.modelOfSchema(id.schema), m.model, written)
		}
	}
}

// followAssociations gives the models that GORM has left out, because others of the same rows were saved, the versions of
// their rows.
func (w *write) followAssociations(target reflect.Value) {
	if !target.IsValid() {
		return
	}
	for _, relation := range w.model.relations {
		if m := w.plugin.modelOfSchema(relation.FieldSchema); m.version != nil {
			w.eachAssociated(relation, target, func(model reflect.Value) {
				if written := w.writtenInCall(m.Schema, model); len(written) > 0 && w.standsFor(m.version, model, written) {
					w.follow(m, model, written)
				}
			})
		}
	}
}

// eachAssociated visits the models that an association of the given ones holds.
func (w *write) eachAssociated(relation *schema.Relationship, owners reflect.Value, visit func(model reflect.Value)) {
	for _, owner := range elements(owners) {
		if !owner.IsValid() || owner.Kind() != reflect.Struct || owner.Type() != w.model.ModelType || !owner.CanAddr() {
			continue
		}
		for _, model := range elements(relation.Field.ReflectValueOf(w.ctx, owner)) {
			if model.IsValid() && model.Kind() == reflect.Struct && model.Type() == relation.FieldSchema.ModelType && model.CanAddr() {
				visit(model)
			}
		}
	}
}

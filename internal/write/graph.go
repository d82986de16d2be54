package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// journal returns that of the write's transaction; after GORM has committed that, it is still known to the unit.
func (c *Call) journal() *tx.Journal {
	if c.unit != nil {
		return c.unit.Journal
	}
	return c.Plugin.Journals.Of(c.Stmt.ConnPool)
}

// writtenInCall returns the models of a row that the call under way has written, in their order.
func (c *Call) writtenInCall(s *schema.Schema, model reflect.Value) []tx.Memory {
	j := c.journal()
	if j == nil || len(j.Memories) <= j.Began || !model.CanAddr() {
		return nil
	}
	key := value.KeyOfModel(c.Ctx, s, model)
	if key == "" {
		return nil // it could be any row
	}
	return j.WrittenRows()[tx.RowID{Schema: s, Key: key}]
}

// isOfWritten reports whether a model is at the version that its row had before the call, or has now.
func (c *Call) isOfWritten(versions *kind.Field, model reflect.Value, written []tx.Memory) bool {
	kind, mine := versions.Kind, versions.Of(c.Ctx, model)
	before, now := written[0].Version, versions.Of(c.Ctx, written[len(written)-1].Model)
	return kind.IsZero(mine) && kind.IsZero(before) || kind.IsSame(mine, before) || kind.IsSame(mine, now)
}

// dropWritten leaves out the models of an association whose rows the call has written already.
func (p *plan) dropWritten(hand []*rows.Row) (left []*rows.Row) {
	for _, r := range hand {
		written := p.writtenInCall(p.Model.Schema, r.Model)
		isWhole := slices.ContainsFunc(written, func(m tx.Memory) bool { return m.IsWhole })
		if r.Key == nil || !isWhole || !p.isOfWritten(p.Model.Version, r.Model, written) {
			left = append(left, r)
			continue
		}
		p.follow(p.Model, r.Model, written)
	}
	return left
}

// follow gives a further model of a written row the row's version.
func (c *Call) follow(m *model.Model, model reflect.Value, written []tx.Memory) {
	last := written[len(written)-1].Model
	if last.Addr().Pointer() == model.Addr().Pointer() {
		return
	}
	version := m.Version.Of(c.Ctx, last)
	if j := c.journal(); j != nil {
		c.keepIn(j, tx.Memory{Field: m.Version, Model: model, Version: m.Version.Of(c.Ctx, model)})
	}
	m.Version.Put(c.Ctx, model, version)
}

// isPartOfCall reports whether the write was called for, or is of its associations, and is not what a hook writes meanwhile.
func (c *Call) isPartOfCall() bool {
	return c.isLinked || c.unit != nil && c.unit.Journal.Calls == 1
}

// catchUp has models expect the version that a copy of theirs has written in the same call.
func (p *plan) catchUp(hand []*rows.Row) {
	if p.expects || p.Model.Version == nil || !p.isPartOfCall() {
		return
	}
	for _, r := range hand {
		if written := p.writtenInCall(p.Model.Schema, r.Model); r.Key != nil && len(written) > 0 && p.isOfWritten(p.Model.Version, r.Model, written) {
			r.Expected = p.Model.Version.Of(p.Ctx, written[len(written)-1].Model)
		}
	}
}

// followCopies gives further models of the rows that the call has written their versions.
func (c *Call) followCopies() {
	j := c.journal()
	if c.DB.Error != nil || j == nil || len(j.Memories) <= j.Began {
		return
	}
	c.followAssociations(c.Stmt.ReflectValue)
	if c.unit == nil || j.Calls > 1 {
		return
	}
	for id, written := range j.WrittenRows() {
		for _, m := range written[:len(written)-1] {
			c.follow(c.Plugin.ModelOfSchema(id.Schema), m.Model, written)
		}
	}
}

// followAssociations gives the models that GORM has left out, because others of the same rows were saved, the versions of
// their rows.
func (c *Call) followAssociations(target reflect.Value) {
	if !target.IsValid() {
		return
	}
	for _, relation := range c.Model.Relations {
		if m := c.Plugin.ModelOfSchema(relation.FieldSchema); m.Version != nil {
			c.eachAssociated(relation, target, func(model reflect.Value) {
				if written := c.writtenInCall(m.Schema, model); len(written) > 0 && c.isOfWritten(m.Version, model, written) {
					c.follow(m, model, written)
				}
			})
		}
	}
}

// eachAssociated visits the models that an association of the given ones holds.
func (c *Call) eachAssociated(relation *schema.Relationship, owners reflect.Value, visit func(model reflect.Value)) {
	for _, owner := range value.Elements(owners) {
		if !owner.IsValid() || !c.isOurs(owner) || !owner.CanAddr() {
			continue
		}
		for _, model := range value.Elements(relation.Field.ReflectValueOf(c.Ctx, owner)) {
			if model.IsValid() && model.Kind() == reflect.Struct && model.Type() == relation.FieldSchema.ModelType && model.CanAddr() {
				visit(model)
			}
		}
	}
}

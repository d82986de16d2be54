package write

import (
	"context"
	"reflect"
	"slices"

	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// copies are the models of the rows that a call and its parts have written.
type copies struct {
	ctx     context.Context
	journal *tx.Journal // nil where the call keeps none
}

func (c *Call) copies() copies { return copies{c.Ctx, c.journal()} }

// journal returns that of the write's transaction; after GORM has committed that, it is still known to the unit.
func (c *Call) journal() *tx.Journal {
	if c.unit != nil {
		return c.unit.Journal
	}
	return c.Plugin.Journals.Of(c.Stmt.ConnPool)
}

// isEmpty reports whether the call has written no models so far.
func (c copies) isEmpty() bool { return c.journal == nil || len(c.journal.Memories) <= c.journal.Began }

// of returns the models of a row that the call has written, in their order.
func (c copies) of(s *schema.Schema, model reflect.Value) []tx.Memory {
	if c.isEmpty() || !model.CanAddr() {
		return nil
	}
	key := value.KeyOfModel(c.ctx, s, model)
	if key == "" {
		return nil // it could be any row
	}
	return c.journal.WrittenRows()[tx.RowID{Schema: s, Key: key}]
}

// agree reports whether a model is at the version that its row had before the call, or has now.
func (c copies) agree(versions *kind.Field, model reflect.Value, written []tx.Memory) bool {
	kind, mine := versions.Kind, versions.Of(c.ctx, model)
	before, now := written[0].Version, versions.Of(c.ctx, written[len(written)-1].Model)
	return kind.IsZero(mine) && kind.IsZero(before) || kind.IsSame(mine, before) || kind.IsSame(mine, now)
}

// advance gives a further model of a written row the row's version.
func (c copies) advance(m *model.Model, model reflect.Value, written []tx.Memory) {
	last := written[len(written)-1].Model
	if last.Addr().Pointer() == model.Addr().Pointer() {
		return
	}
	version := m.Version.Of(c.ctx, last)
	if c.journal != nil {
		c.journal.Keep(c.ctx, tx.Memory{Field: m.Version, Model: model, Version: m.Version.Of(c.ctx, model)})
	}
	m.Version.Put(c.ctx, model, version)
}

// dropWritten leaves out the models of an association whose rows the call has written already.
func (p *plan) dropWritten(hand []*rows.Row) (left []*rows.Row) {
	copies := p.copies()
	for _, r := range hand {
		written := copies.of(p.Model.Schema, r.Model)
		isWhole := slices.ContainsFunc(written, func(m tx.Memory) bool { return m.IsWhole })
		if r.Key == nil || !isWhole || !copies.agree(p.Model.Version, r.Model, written) {
			left = append(left, r)
			continue
		}
		copies.advance(p.Model, r.Model, written)
	}
	return left
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
	copies := p.copies()
	for _, r := range hand {
		written := copies.of(p.Model.Schema, r.Model)
		if r.Key != nil && len(written) > 0 && copies.agree(p.Model.Version, r.Model, written) {
			r.Expected = p.Model.Version.Of(p.Ctx, written[len(written)-1].Model)
		}
	}
}

// advanceCopies gives further models of the rows that the call has written their versions.
func (c *Call) advanceCopies() {
	copies := c.copies()
	if c.DB.Error != nil || copies.isEmpty() {
		return
	}
	c.advanceAssociations(copies)
	if c.unit == nil || copies.journal.Calls > 1 {
		return
	}
	for id, written := range copies.journal.WrittenRows() {
		for _, m := range written[:len(written)-1] {
			copies.advance(c.Plugin.ModelOfSchema(id.Schema), m.Model, written)
		}
	}
}

// advanceAssociations gives the models that GORM has left out, because others of the same rows were saved, the versions of
// their rows.
func (c *Call) advanceAssociations(copies copies) {
	owners := slices.DeleteFunc(value.Elements(c.Stmt.ReflectValue), func(owner reflect.Value) bool {
		return !owner.IsValid() || !c.Model.IsModel(owner) || !owner.CanAddr()
	})
	for _, relation := range c.Model.Relations {
		m := c.Plugin.ModelOfSchema(relation.FieldSchema)
		if m.Version == nil {
			continue
		}
		for _, owner := range owners {
			copies.advanceParts(m, relation.Field.ReflectValueOf(c.Ctx, owner))
		}
	}
}

// advanceParts gives the models that an association holds the versions of their rows.
func (c copies) advanceParts(m *model.Model, parts reflect.Value) {
	for _, part := range value.Elements(parts) {
		if !part.IsValid() || !m.IsModel(part) || !part.CanAddr() {
			continue
		}
		if written := c.of(m.Schema, part); len(written) > 0 && c.agree(m.Version, part, written) {
			c.advance(m, part, written)
		}
	}
}

package write

import (
	"reflect"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// advanceAll gives the models of rows the versions that were written.
func (c *Call) advanceAll(rows []*rows.Row) {
	for _, r := range rows {
		c.advance(r, r.Next)
		for _, twin := range r.Copies {
			c.advance(twin, r.Next)
		}
	}
}

// putBase replaces the Snapshot of a model that has a version, too.
func (c *Call) putBase(model reflect.Value, image *snapshot.Image) {
	if !model.CanAddr() {
		return
	}
	field := c.Model.Base
	c.keep(tx.Memory{Field: field, Model: model, Version: field.Of(c.Ctx, model)})
	field.Put(c.Ctx, model, image)
}

// Note keeps a model that the call has written, or is going to delete, from being touched too.
func (c *Call) note(model reflect.Value) {
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil && j.Calls > 0 {
		j.Note(model)
	}
}

// advance gives a model in memory the version that was written, and the payload too where that is one of the row.
func (c *Call) advance(r *rows.Row, version any) {
	c.advanceModel(r, version)
	if c.payload != nil && r == &c.rows[0] {
		c.advanceModel(c.payload, version)
	}
}

// putBack gives the models in memory the versions they had: nothing was written.
func (c *Call) putBack() {
	if c.Model.Version == nil {
		return
	}
	for _, r := range c.rows {
		c.Model.Version.Put(c.Ctx, r.Model, r.Before)
	}
}

func (c *Call) remember(r *rows.Row) {
	if !r.Model.CanAddr() {
		return
	}
	c.keep(tx.Memory{Field: c.Model.Version, Model: r.Model, Version: r.Before, IsWhole: c.isWhole})
}

func (c *Call) keep(m tx.Memory) {
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil {
		m.Key = value.KeyOfModel(c.Ctx, c.Model.Schema, m.Model)
		j.Memories = append(j.Memories, m)
		return
	}
	if c.memories == nil {
		c.memories = c.room.memories[:0]
	}
	c.memories = append(c.memories, m)
}

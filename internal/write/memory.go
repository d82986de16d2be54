package write

import (
	"reflect"
	"slices"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/snapshot"
	"github.com/gorm-occ/occ/internal/tx"
)

// advance gives the models of a row the version that was written.
func (p *plan) advance(r *rows.Row, version any) {
	p.advanceModel(r, version, p.isWhole)
	for _, twin := range r.Copies {
		p.advanceModel(twin, version, p.isWhole)
	}
}

// advanceAll gives the models of rows the versions that were written.
func (p *plan) advanceAll(hand []*rows.Row) {
	for _, r := range hand {
		p.advance(r, r.Next)
	}
}

func (c *Call) advanceModel(r *rows.Row, version any, isWhole bool) {
	c.remember(r, isWhole)
	c.note(r.Model)
	c.Model.Version.Put(c.Ctx, r.Model, version)
	if base := c.Model.Base; base != nil && base != c.Model.Version {
		c.putBase(r.Model, nil)
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

// putBack gives the models in memory the versions they had: nothing was written.
func (p *plan) putBack() {
	if p.Model.Version == nil {
		return
	}
	putVersionsBack(&p.Site, p.rows)
}

// note keeps a model that the call has written, or is going to delete, from being touched too.
func (c *Call) note(model reflect.Value) {
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil && j.Calls > 0 {
		j.Note(model)
	}
}

// remember keeps the version that a model had, for the transaction may be rolled back. isWhole says that all columns of the
// row were written.
func (c *Call) remember(r *rows.Row, isWhole bool) {
	if !r.Model.CanAddr() {
		return
	}
	m := tx.Memory{Field: c.Model.Version, Model: r.Model, Version: r.Before, IsWhole: isWhole}
	if c.renames {
		m.Renamed = slices.Clone(r.Key)
	}
	c.keep(m)
}

// keep remembers what a rollback puts back: in the journal of the transaction where there is one, else in the call.
func (c *Call) keep(m tx.Memory) {
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil {
		j.Keep(c.Ctx, m)
		return
	}
	if c.memories == nil {
		c.memories = c.room.memories[:0]
	}
	c.memories = append(c.memories, m)
}

func (c *Call) markOfJournal() int {
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil {
		return len(j.Memories)
	}
	return 0
}

// noteUnnamed has the journal know of a write that no model in memory names: rows that conditions have found, say. What RETURNING
// has made models of is put back with it.
func (c *Call) noteUnnamed(mark int) {
	if c.DB.Error != nil || c.DB.RowsAffected == 0 || c.Model.Version == nil {
		return
	}
	j := c.Plugin.Journals.Of(c.Stmt.ConnPool)
	names := func(m tx.Memory) bool { return m.Model.IsValid() && !m.IsLoaded && m.Field.Schema == c.Model.Schema }
	if j != nil && slices.ContainsFunc(j.Memories[min(mark, len(j.Memories)):], names) || len(c.memories) > 0 {
		return
	}
	if j != nil {
		j.NoteUnnamed(c.Model.Version)
	}
	if _, returning := c.before.of("RETURNING"); returning && !c.removes() {
		c.rememberReturned()
	}
}

// rememberReturned has a rollback leave no version in the models that RETURNING has filled: none of them was loaded before.
func (c *Call) rememberReturned() {
	_ = eachModel(c.Stmt.ReflectValue, func(_ int, model reflect.Value) error {
		if c.Model.IsModel(model) && model.CanAddr() {
			c.keep(tx.Memory{Field: c.Model.Version, Model: model})
		}
		return nil
	})
}

package write

import (
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// A model whose row was deleted keeps its version, and a Create keeps the version that a model brings. Together they would
// set a row back to a version that others still hold. So the models whose rows were deleted are remembered, as long as they are
// in memory. Such a row is inserted with the version after its last one.

// deletedModels are the models whose rows were deleted, by their addresses.
type deletedModels struct {
	n       atomic.Int64
	byModel sync.Map // uintptr to *deletedModel
}

type deletedModel struct {
	at      uintptr
	table   string
	key     string
	version any
}

// add remembers a model until it is collected.
func (d *deletedModels) add(model reflect.Value, table, key string, version any) {
	pointer := (*byte)(model.Addr().UnsafePointer())
	deleted := &deletedModel{at: model.Addr().Pointer(), table: table, key: key, version: version}
	if _, had := d.byModel.Swap(deleted.at, deleted); !had {
		d.n.Add(1)
	}
	runtime.AddCleanup(pointer, d.forget, deleted)
}

func (d *deletedModels) forget(deleted *deletedModel) {
	if d.byModel.CompareAndDelete(deleted.at, deleted) {
		d.n.Add(-1)
	}
}

// rememberDeleted keeps the models of rows that were deleted, with the versions that the rows had.
func (p *plan) rememberDeleted() {
	if version := p.Model.Version; version == nil || version.PutImage != nil || version.IsXmin() {
		return
	}
	for i := range p.rows {
		for _, r := range p.rows[i].All() {
			if r.Key != nil && r.Model.CanAddr() && !p.Model.Version.Kind.IsZero(r.Before) {
				p.Plugin.deleted.add(r.Model, p.Stmt.Table, value.KeyText(r.Key), r.Before)
			}
		}
	}
}

// have reports whether a model that brings a version is at the last one of its row, which was deleted through it.
func (d *deletedModels) have(s *rows.Site, model reflect.Value, version any) bool {
	if d.n.Load() == 0 || !model.CanAddr() || s.Model.Version.Kind.IsZero(version) {
		return false
	}
	found, ok := d.byModel.Load(model.Addr().Pointer())
	if !ok {
		return false
	}
	deleted := found.(*deletedModel)
	return deleted.table == s.Stmt.Table && deleted.key == value.KeyTextOf(s.Ctx, s.Model.PrimaryFields, model) &&
		s.Model.Version.Kind.IsSame(deleted.version, version)
}

// ownerSetting is where the parts of a graph find the call that saves their owners.
const ownerSetting = "occ:owner"

// isOfNewOwners reports whether a call saves parts of models that are inserted along with them. Then a part that is not there is
// inserted too, with the version that it brings. Parts of owners that were there before are never inserted again.
func (c *Call) isOfNewOwners() bool { return c.owner != nil && c.owner.insertsAll() }

// insertsAll reports whether all models of a call are inserted by it, as far as that is known.
func (c *Call) insertsAll() bool {
	if !c.isCreate() {
		return false
	}
	hand := c.candidates()
	if c.inserts > 0 {
		return c.inserts >= len(hand)
	}
	if _, isUpsert := c.Stmt.Clauses["ON CONFLICT"]; !isUpsert || !slices.ContainsFunc(hand, func(r rows.Row) bool { return r.Key != nil }) {
		return true
	}
	if c.isGuarded || c.Model.Version == nil || !c.isOfNewOwners() {
		return false
	}
	_, there, err := divideByKey(&c.Site, rows.Lookup{AsShown: true}, hand)
	return err == nil && len(there) == 0
}

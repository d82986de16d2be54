package write

import (
	"reflect"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// guardDelete makes the DELETE, or the UPDATE of a soft delete, conditional on the version; a soft delete writes the next
// one. GORM adds the conditions on the key.
func (e *Engine) guardDelete(db *gorm.DB) {
	w, ok := callOf(db)
	if !ok {
		e.Gorm.delete(db)
		return
	}
	w.isGuarded = true
	w.keepClauses("WHERE", "SET", "RETURNING", softDeleteMark)
	defer w.giveBackClauses()
	if db.AddError(w.identify(w.deleted(), nil)) != nil {
		return
	}
	w.Own = db.Statement.Clauses["WHERE"]
	w.choosing(func() { w.touching(nil, w.delete) })
}

func (c *Call) delete() {
	db, p := c.DB, c.Plugin
	switch {
	case c.Model.Version == nil:
		p.Gorm.delete(db)
	case len(c.rows) > 1:
		c.deleteSeveral()
	case len(c.rows) == 0 || c.isBlind():
		c.writeUnchecked(nil, p.Gorm.delete)
	default:
		if db.AddError(c.setNext()) != nil {
			return
		}
		c.writeCompared(c.andVersion(nil, c.rows[0].Next), p.Gorm.delete)
	}
}

// deleted is the model or models that a delete is about: what was passed to Delete or, where that names no row, the
// statement's model, as GORM has it. One passed by value is copied, since GORM's soft delete writes to it.
func (c *Call) deleted() reflect.Value {
	passed := c.Stmt.ReflectValue
	if passed.Kind() == reflect.Slice || passed.Kind() == reflect.Array {
		return c.deletedOf(passed)
	}
	if passed.Kind() != reflect.Struct {
		return passed
	}
	if !passed.CanAddr() {
		passed = reflect.New(passed.Type()).Elem()
		passed.Set(c.Stmt.ReflectValue)
		c.Stmt.ReflectValue, c.Stmt.Dest = passed, passed.Addr().Interface()
	}
	model := value.Indirect(reflect.ValueOf(c.Stmt.Model))
	if passed.Type() != c.Model.ModelType || c.KeyOf(passed) == nil && model.IsValid() {
		return model
	}
	return passed
}

// deletedOf is a slice that was passed to Delete, unless none of its elements names a row: it may be there only to be
// filled by RETURNING.
func (c *Call) deletedOf(passed reflect.Value) reflect.Value {
	for i := range passed.Len() {
		elem := value.Indirect(passed.Index(i))
		if elem.Type() != c.Model.ModelType || c.KeyOf(elem) != nil {
			return passed
		}
	}
	if model := value.Indirect(reflect.ValueOf(c.Stmt.Model)); model.IsValid() {
		return model
	}
	return passed
}

// deleteSeveral is the DELETE of the models of a slice.
func (c *Call) deleteSeveral() {
	c.keepClauses("UPDATE", "DELETE", "FROM")
	fromValues := c.Dialect.ValuesFirst() && model.IsPlainFrom(c.Stmt)
	c.writePartitioned(func(rows []*rows.Row, compared bool) severalWrite {
		if !c.isSoftDelete() {
			remove := batchDelete{w: c, isCompared: compared && !c.hasSnapshots(), fromValues: fromValues}
			return severalWrite{send: remove.run, written: remove.giveReturned}
		}
		update := c.advancing(nil, rows, compared, c.Plugin.Gorm.delete)
		update.behindSet = true
		return update.severalWrite()
	})
}

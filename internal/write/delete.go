package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// guardDelete makes the DELETE, or the UPDATE of a soft delete, conditional on the version; a soft delete writes the next
// one. GORM adds the conditions on the key.
func (e *Engine) guardDelete(db *gorm.DB) {
	c, ok := callOf(db)
	if !ok {
		e.Gorm.delete(db)
		return
	}
	c.guard(c.delete, "WHERE", "SET", "RETURNING", softDeleteMark)
}

func (c *Call) delete() (int64, error) {
	p, err := c.planFor(deleted(&c.Site), nil)
	if err == nil {
		err = p.checkModifiers()
	}
	if err != nil {
		return 0, err
	}
	p.by.Own = c.Stmt.Clauses["WHERE"]
	affected, err := p.choosing(func() (int64, error) { return p.touching(nil, p.delete) })
	if err == nil && affected > 0 && c.removes() && !c.DB.DryRun {
		p.rememberDeleted()
	}
	return affected, err
}

// delete deletes the rows of the plan, once it is known which version each is expected to be at.
func (p *plan) delete() (int64, error) {
	switch {
	case p.Model.Version == nil:
		return p.execute(p.DB, p.Plugin.Gorm.delete)
	case len(p.rows) > 1:
		return p.deleteSeveral()
	case len(p.rows) == 0 || p.isBlind():
		return p.writeUnchecked(nil, p.Plugin.Gorm.delete)
	}
	if err := p.setNext(&p.rows[0]); err != nil {
		return 0, err
	}
	return p.writeCompared(p.andVersion(nil, p.rows[0].Next), p.Plugin.Gorm.delete)
}

// deleted returns the model or models that a delete is about: what was passed to Delete or, where that names no row, the
// statement's model, as in GORM. One passed by value is copied, since GORM's soft delete writes to it.
func deleted(s *rows.Site) reflect.Value {
	passed := s.Stmt.ReflectValue
	if passed.Kind() == reflect.Slice || passed.Kind() == reflect.Array {
		return deletedOf(s, passed)
	}
	if passed.Kind() != reflect.Struct {
		return passed
	}
	if !passed.CanAddr() {
		passed = reflect.New(passed.Type()).Elem()
		passed.Set(s.Stmt.ReflectValue)
		s.Stmt.ReflectValue, s.Stmt.Dest = passed, passed.Addr().Interface()
	}
	model := value.Indirect(reflect.ValueOf(s.Stmt.Model))
	if passed.Type() != s.Model.ModelType || s.KeyOf(passed) == nil && model.IsValid() {
		return model
	}
	return passed
}

// deletedOf returns a slice that was passed to Delete, unless none of its elements names a row: it may be there only to be
// filled by RETURNING.
func deletedOf(s *rows.Site, passed reflect.Value) reflect.Value {
	for i := range passed.Len() {
		elem := value.Indirect(passed.Index(i))
		if elem.Type() != s.Model.ModelType || s.KeyOf(elem) != nil {
			return passed
		}
	}
	if model := value.Indirect(reflect.ValueOf(s.Stmt.Model)); model.IsValid() {
		return model
	}
	return passed
}

// deleteSeveral is the DELETE of the models of a slice.
func (p *plan) deleteSeveral() (int64, error) {
	p.before.keep("UPDATE", "DELETE", "FROM")
	fromValues := p.deletesFromValues()
	return p.writePartitioned(func(hand []*rows.Row, compared bool) severalWrite {
		if !p.isSoftDelete() {
			remove := batchDelete{p: p, isCompared: compared && p.Model.Compares() == nil, fromValues: fromValues}
			how := severalWrite{send: remove.run, written: remove.giveReturned}
			if remove.isCompared && fromValues && p.takesAtOnce() {
				how.sendAtOnce = remove.runAtOnce
			}
			return how
		}
		update := p.advancing(nil, hand, compared, p.Plugin.Gorm.delete)
		update.behindSet = true
		return update.severalWrite()
	})
}

// deletesFromValues reports whether the DELETE of a slice takes its rows from a table of values.
func (p *plan) deletesFromValues() bool {
	if !model.IsPlainFrom(p.Stmt) {
		return false
	}
	fields := p.by.Fields(p.Model)
	if p.Model.Version != nil && p.Model.Compares() == nil {
		fields = append(slices.Clip(fields), p.Model.Version.Field)
	}
	return p.Dialect.ValuesFirst || len(p.rows) > 1 && p.TakesArrays(fields...)
}

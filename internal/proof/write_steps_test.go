package proof

import (
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// save is Save of one model.
type save struct {
	chain
	v variable
}

func saves() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return save{chain: chains().Draw(t, "chain"), v: anyVariable().Draw(t, "variable")}
	})
}

func (s save) isAllowed(w *world) bool { return s.chain.isAllowed(w, s.v.id()) }

func (s save) run(m *machine) result { return answer(s.on(m).Save(m.models[s.v])) }

func (s save) foretell(w *world) outcome {
	h, columns := w.models[s.v], allColumns&^seenColumn
	row, isThere := w.rows[h.id]
	if s.isBlind(w, h) {
		return s.overwrite(w, h)
	}
	isNew := s.expected(w, h) == 0 && s.expect == "" && (w.kind.snapshot == nil || h.base == nil)
	if isNew && !isThere {
		return w.insert(h)
	}
	return w.write(h, s.chain, columns, func(r *values) { r.take(h.values, columns) }, occ.OpUpdate, row)
}

// overwrite is what Unchecked asks for: a row that is gone is inserted, as GORM's Save does.
func (s save) overwrite(w *world, h *held) outcome {
	row, isThere := w.rows[h.id]
	switch {
	case !isThere:
		return w.insert(h)
	case s.sees(row) && s.holds(row):
		w.store(h.id, func(r *values) { r.take(h.values, allColumns&^seenColumn) }, true)
	default: // GORM goes on to an upsert, which knows no conditions
		w.store(h.id, func(r *values) { r.take(h.values, allColumns&^seenColumn) }, true)
	}
	w.learn(h, allColumns)
	return outcome{affected: unsaid}
}

func (s save) source(db string) string { return call("%s.Save(%s).Error", s.from(db), s.v) }

// insert is the INSERT of one model whose row is not there.
func (w *world) insert(h *held) outcome {
	row := h.values
	switch {
	case row.version == 0 || w.kind.xmin, h.last == row.version && w.kind.triggers:
		row.version = w.first()
	case h.last == row.version: // holders of the deleted row are to be refused
		row.version = w.next(row.version)
	}
	w.rows[h.id] = row
	w.learn(h, allColumns)
	return written(1)
}

// write is a compared UPDATE of one row.
func (w *world) write(h *held, c chain, columns set, change func(*values), op occ.Op, row values) outcome {
	if r := w.lookAt(h, c.expected(w, h), columns, c.unscoped); r != nil {
		return outcome{failure: refusedAs, op: op, refused: []refusal{*r}}
	}
	if !c.holds(row) {
		return written(0)
	}
	w.store(h.id, change, true)
	w.learn(h, columns)
	return written(1)
}

// update writes some columns of one model's row.
type update struct {
	chain
	v     variable
	form  string
	price int
}

var updateForms = []string{
	"Update", "UpdateColumn", "map", "UpdateColumns", "struct", "Expr", "Select", "Omit", "self", "by value", "based on",
}

func updates() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return update{
			chain: aliases().Draw(t, "chain"), v: anyVariable().Draw(t, "variable"),
			form: rapid.SampledFrom(updateForms).Draw(t, "form"), price: prices().Draw(t, "price"),
		}
	})
}

func (s update) isAllowed(w *world) bool {
	h := w.models[s.v]
	switch s.form {
	case "self":
		if h.price == 0 || h.name == "" || h.gone != 0 {
			return false
		}
	case "based on":
		if w.kind.snapshot != nil || w.models[s.twin()].version == 0 {
			return false
		}
	}
	return s.chain.isAllowed(w, s.v.id())
}

// twin is the other session's model of the row.
func (s update) twin() variable {
	return variable(map[byte]string{'a': "b", 'b': "a"}[s.v[0]] + string(s.v[1:]))
}

func (s update) run(m *machine) result {
	r, tx := m.models[s.v], s.on(m)
	both := map[string]any{"price": s.price, "name": "new"}
	switch s.form {
	case "Update":
		return answer(tx.Model(r).Update("price", s.price))
	case "UpdateColumn":
		return answer(tx.Model(r).UpdateColumn("price", s.price))
	case "map":
		return answer(tx.Model(r).Updates(both))
	case "UpdateColumns":
		return answer(tx.Model(r).UpdateColumns(both))
	case "struct":
		payload := m.world.kind.make(0)
		payload.columns().Price = s.price
		return answer(tx.Model(r).Updates(payload))
	case "Expr":
		return answer(tx.Model(r).Update("price", gorm.Expr("price + ?", s.price)))
	case "Select":
		return answer(tx.Model(r).Select("price").Updates(both))
	case "Omit":
		return answer(tx.Model(r).Omit("price").Updates(both))
	case "self":
		return answer(tx.Updates(r))
	case "by value":
		return answer(tx.Model(reflect.ValueOf(r).Elem().Interface()).Update("price", s.price))
	}
	return answer(tx.Model(r).Updates(map[string]any{"price": s.price, "Version": m.versionOf(s.twin())}))
}

func (s update) foretell(w *world) outcome {
	h, c := w.models[s.v], s.chain
	columns, to := s.payload(h)
	if s.form == "based on" && c.expect == "" {
		c.expect = s.twin()
	}
	given := values{}
	if c.expect != "" {
		given.version = w.models[c.expect].version
	}
	target := h
	if s.form == "by value" {
		target = &held{values: h.values, id: h.id, base: h.base, has: h.has}
	} else if s.form != "Expr" {
		h.take(to, columns)
	}
	row := w.rows[h.id]
	change := func(r *values) {
		if s.form == "Expr" {
			to.price = r.price + s.price
		}
		r.take(to, columns)
	}
	if !c.isBlind(w, target) {
		return w.write(target, c, columns, change, occ.OpUpdate, row)
	}
	if _, isThere := w.rows[h.id]; !isThere || !c.sees(row) || !c.holds(row) {
		return written(0)
	}
	w.store(h.id, change, true)
	if s.form != "by value" {
		w.learn(target, allColumns) // the row's version, whatever was loaded of it
	}
	return written(1)
}

// payload is the columns that are written, and what with.
func (s update) payload(h *held) (set, values) {
	switch s.form {
	case "map", "UpdateColumns":
		return priceColumn | nameColumn, values{price: s.price, name: "new"}
	case "Omit":
		return nameColumn, values{name: "new"}
	case "self":
		return priceColumn | nameColumn, h.values
	}
	return priceColumn, values{price: s.price}
}

func (s update) source(db string) string {
	both := fmt.Sprintf(`map[string]any{"price": %d, "name": "new"}`, s.price)
	from := s.from(db)
	switch s.form {
	case "map":
		return call("%s.Model(%s).Updates(%s).Error", from, s.v, both)
	case "struct":
		return call("%s.Model(%s).Updates(&Item{Price: %d}).Error", from, s.v, s.price)
	case "Expr":
		return call(`%s.Model(%s).Update("price", gorm.Expr("price + ?", %d)).Error`, from, s.v, s.price)
	case "Select", "Omit":
		return call(`%s.Model(%s).%s("price").Updates(%s).Error`, from, s.v, s.form, both)
	case "UpdateColumns":
		return call("%s.Model(%s).UpdateColumns(%s).Error", from, s.v, both)
	case "self":
		return call("%s.Updates(%s).Error", from, s.v)
	case "by value":
		return call(`%s.Model(*%s).Update("price", %d).Error`, from, s.v, s.price)
	case "based on":
		return call(`%s.Model(%s).Updates(map[string]any{"price": %d, "Version": %s.Version}).Error`, from, s.v, s.price, s.twin())
	}
	return call(`%s.Model(%s).%s("price", %d).Error`, from, s.v, s.form, s.price)
}

// see writes an unversioned column, which neither compares nor bumps.
type see struct {
	v variable
	n int
}

func sees() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return see{v: anyVariable().Draw(t, "variable"), n: prices().Draw(t, "seen")}
	})
}

func (s see) isAllowed(w *world) bool { return !w.kind.xmin }

func (s see) run(m *machine) result { return answer(m.db.Model(m.models[s.v]).Update("seen", s.n)) }

func (s see) foretell(w *world) outcome {
	h := w.models[s.v]
	h.seen = s.n
	row, isThere := w.rows[h.id]
	if !isThere || row.gone != 0 {
		return written(0)
	}
	isSame := row.seen == s.n && w.database == "mysql"
	w.store(h.id, func(r *values) { r.seen = s.n }, false)
	if isSame {
		return outcome{affected: unsaid} // MariaDB counts rows that change
	}
	return written(1)
}

func (s see) source(db string) string {
	return call(`%s.Model(%s).Update("seen", %d).Error`, db, s.v, s.n)
}

// remove is Delete of one model: soft, or hard with Unscoped.
type remove struct {
	chain
	v variable
}

func removes() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return remove{chain: aliases().Draw(t, "chain"), v: anyVariable().Draw(t, "variable")}
	})
}

func (s remove) isAllowed(w *world) bool { return s.chain.isAllowed(w, s.v.id()) && s.canDelete(w) }

// run forgets the time that GORM's soft delete leaves in memory, whether it wrote the row or not.
func (s remove) run(m *machine) result {
	defer func() { m.models[s.v].columns().DeletedAt = gorm.DeletedAt{} }()
	return answer(s.on(m).Delete(m.models[s.v]))
}

func (s remove) foretell(w *world) outcome {
	h := w.models[s.v]
	gone := w.number()
	defer func() { h.gone = 0 }()
	row, isThere := w.rows[h.id]
	if !s.isBlind(w, h) {
		if r := w.lookAt(h, s.expected(w, h), allColumns, s.unscoped); r != nil {
			return outcome{failure: refusedAs, op: occ.OpDelete, refused: []refusal{*r}}
		}
	}
	if !isThere || !s.sees(row) || !s.holds(row) {
		return written(0)
	}
	if w.erase(h.id, s.unscoped, gone) {
		w.learn(h, allColumns)
	} else {
		h.last = h.version
	}
	return written(1)
}

// erase deletes a row; it reports whether the row is there still, soft-deleted.
func (w *world) erase(id int, hard bool, gone int) (isThere bool) {
	if hard {
		delete(w.rows, id)
		return false
	}
	w.store(id, func(row *values) { row.gone = gone }, true)
	return true
}

func (s remove) source(db string) string {
	return call("%s.Delete(%s).Error", s.from(db), s.v) + fmt.Sprintf("\n%s.DeletedAt = gorm.DeletedAt{}", s.v)
}

// listed is variables as arguments.
func listed(vs []variable) string {
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}

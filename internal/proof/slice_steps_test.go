package proof

import (
	"fmt"
	"slices"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// several are models for one call; a row may be among them twice.
func several() *rapid.Generator[[]variable] { return rapid.SliceOfN(anyVariable(), 1, 4) }

// distinct are models of different rows.
func distinct() *rapid.Generator[[]variable] {
	return rapid.SliceOfNDistinct(anyVariable(), 1, 3, func(v variable) int { return v.id() })
}

func idsOf(vs []variable) (ids []int) {
	for _, v := range vs {
		ids = append(ids, v.id())
	}
	return ids
}

// isHalfBlind tells models of which WithBlindWrites leaves some without a comparison, and others not.
func (w *world) isHalfBlind(vs []variable) bool {
	zeros := 0
	for _, v := range vs {
		if w.models[v].version == 0 {
			zeros++
		}
	}
	return w.kind.blind && zeros > 0 && zeros < len(vs)
}

// group sorts models by their rows, in the order of the first of each.
func (w *world) group(vs []variable) (groups [][]*held) {
	at := map[int]int{}
	for _, v := range vs {
		i, isKnown := at[v.id()]
		if !isKnown {
			i = len(groups)
			at[v.id()] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], w.models[v])
	}
	return groups
}

// compareAll compares each model with its row. All of them are refused or none; the refusal names the rows that are
// not as expected, each once, unless its models are at two versions.
func (w *world) compareAll(op occ.Op, vs []variable, c chain, columns set, isSave bool) ([][]*held, *outcome) {
	groups := w.group(vs)
	o := outcome{failure: refusedAs, op: op}
	agree := w.agree(vs, c, columns)
	seen := map[int]bool{}
	for i, v := range vs {
		h := w.models[v]
		if agree && seen[h.id] && op != occ.OpVerify {
			continue
		}
		seen[h.id] = true
		r := w.lookAt(h, c.expected(w, h), columns, c.unscoped)
		if r != nil && (agree || !isSave || r.actual != nil || !w.isNew(h)) {
			r.index = i
			o.refused = append(o.refused, *r)
		}
	}
	if len(o.refused) > 0 {
		return groups, &o
	}
	return groups, nil
}

// agree reports whether all models of a row are at one version, as far as a write of columns compares it.
func (w *world) agree(vs []variable, c chain, columns set) bool {
	for _, g := range w.group(vs) {
		for _, h := range g[1:] {
			if !w.isAlike(g[0], h, c, columns) {
				return false
			}
		}
	}
	return true
}

// isAlike reports whether two models of a row are at one version.
func (w *world) isAlike(a, b *held, c chain, columns set) bool {
	if w.kind.snapshot == nil {
		return c.expected(w, a) == c.expected(w, b)
	}
	if a.base == nil || b.base == nil {
		return a.base == b.base
	}
	compared := w.kind.snapshot(columns)
	if compared == 0 {
		compared = allColumns &^ seenColumn
	}
	return a.has&compared == b.has&compared && a.base.differs(*b.base)&a.has&compared == 0
}

// isNew tells a model that was never loaded.
func (w *world) isNew(h *held) bool {
	return h.version == 0 && (w.kind.snapshot == nil || h.base == nil)
}

func (w *world) learnAll(group []*held, wrote set) {
	for _, h := range group {
		w.learn(h, wrote)
	}
}

// saveAll is Save of a slice.
type saveAll struct {
	chain
	vs []variable
}

func saveAlls() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return saveAll{chain: chains().Draw(t, "chain"), vs: several().Draw(t, "models")}
	})
}

func (s saveAll) isAllowed(w *world) bool {
	if w.kind.blind && slices.ContainsFunc(s.vs, func(v variable) bool { return w.models[v].version == 0 }) {
		return false // those are not compared; Save of one model is
	}
	if s.unchecked && !w.agree(s.vs, s.chain, allColumns) {
		return false // refused, although nothing is compared: which of the two would be the row?
	}
	return s.chain.isAllowed(w, idsOf(s.vs)...)
}

func (s saveAll) run(m *machine) result { return answer(s.on(m).Save(m.list(s.vs))) }

func (s saveAll) foretell(w *world) outcome {
	columns := allColumns &^ seenColumn
	isNew := func(g []*held) bool {
		_, isThere := w.rows[g[0].id]
		return !isThere && (s.unchecked || s.expect == "" && !slices.ContainsFunc(g, func(h *held) bool { return !w.isNew(h) }))
	}
	var compared []variable
	for _, v := range s.vs {
		if !isNew(w.group(slices.DeleteFunc(slices.Clone(s.vs), func(o variable) bool { return o.id() != v.id() }))[0]) {
			compared = append(compared, v)
		}
	}
	if !s.unchecked {
		if _, refused := w.compareAll(occ.OpUpdate, compared, s.chain, columns, s.expect == ""); refused != nil {
			for i := range refused.refused {
				r := &refused.refused[i]
				r.index = nth(s.vs, compared, r.index)
			}
			return *refused
		}
	}
	affected := int64(0)
	for _, g := range w.group(s.vs) {
		last := g[len(g)-1]
		switch {
		case isNew(g):
			w.insert(last)
		case !s.holds(w.rows[last.id]):
			continue
		default:
			w.store(last.id, func(row *values) { row.take(last.values, columns) }, true)
		}
		affected++
		w.learnAll(g, allColumns)
	}
	return written(affected)
}

// nth is where among all the i-th of some stands.
func nth(all, some []variable, i int) int {
	left := 0
	for at, v := range all {
		if slices.ContainsFunc(some, func(o variable) bool { return o.id() == v.id() }) {
			if left == i {
				return at
			}
			left++
		}
	}
	return -1
}

func (s saveAll) source(db string) string {
	return call("%s.Save(&[]*Item{%s}).Error", s.from(db), listed(s.vs))
}

// updateAll is Model of a slice and Update.
type updateAll struct {
	chain
	vs    []variable
	price int
}

func updateAlls() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return updateAll{chain: aliases().Draw(t, "chain"), vs: several().Draw(t, "models"), price: prices().Draw(t, "price")}
	})
}

func (s updateAll) isAllowed(w *world) bool {
	return !w.isHalfBlind(s.vs) && s.chain.isAllowed(w, idsOf(s.vs)...)
}

func (s updateAll) run(m *machine) result {
	return answer(s.on(m).Model(m.list(s.vs)).Update("price", s.price))
}

func (s updateAll) foretell(w *world) outcome {
	for _, v := range s.vs {
		w.models[v].price = s.price
	}
	return w.writeAll(occ.OpUpdate, s.vs, s.chain, priceColumn, func(id int) bool {
		w.store(id, func(row *values) { row.price = s.price }, true)
		return true
	})
}

// writeAll writes the rows of several models; those whose rows the caller's conditions leave out stay as they are.
func (w *world) writeAll(op occ.Op, vs []variable, c chain, columns set, write func(id int) (isThere bool)) outcome {
	groups, learned := w.group(vs), columns
	if c.isBlind(w, w.heldIn(vs)...) {
		learned = allColumns // the model has the row's version then, whatever was loaded of it
	} else {
		if _, refused := w.compareAll(op, vs, c, columns, false); refused != nil {
			return *refused
		}
	}
	affected := int64(0)
	for _, g := range groups {
		row, isThere := w.rows[g[0].id]
		if !isThere || !c.sees(row) || !c.holds(row) {
			continue
		}
		if affected++; write(g[0].id) {
			w.learnAll(g, learned)
		}
	}
	return written(affected)
}

func (w *world) heldIn(vs []variable) (models []*held) {
	for _, v := range vs {
		models = append(models, w.models[v])
	}
	return models
}

func (s updateAll) source(db string) string {
	return call("%s.Model(&[]*Item{%s}).Update(\"price\", %d).Error", s.from(db), listed(s.vs), s.price)
}

// removeAll is Delete of a slice.
type removeAll struct {
	chain
	vs []variable
}

func removeAlls() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return removeAll{chain: aliases().Draw(t, "chain"), vs: several().Draw(t, "models")}
	})
}

func (s removeAll) isAllowed(w *world) bool {
	return s.canDelete(w) && !w.isHalfBlind(s.vs) && s.chain.isAllowed(w, idsOf(s.vs)...)
}

// run forgets the time that GORM's soft delete leaves in memory, whether it wrote the row or not.
func (s removeAll) run(m *machine) result {
	defer func() {
		for _, v := range s.vs {
			m.models[v].columns().DeletedAt = gorm.DeletedAt{}
		}
	}()
	return answer(s.on(m).Delete(m.list(s.vs)))
}

func (s removeAll) foretell(w *world) outcome {
	gone := w.number()
	o := w.writeAll(occ.OpDelete, s.vs, s.chain, allColumns, func(id int) bool { return w.erase(id, s.unscoped, gone) })
	for _, h := range w.heldIn(s.vs) {
		h.gone = 0
		if s.unscoped && o.failure == none && o.affected > 0 {
			h.last = h.version
		}
	}
	return o
}

func (s removeAll) source(db string) string {
	forgotten := ""
	for _, v := range s.vs {
		forgotten += fmt.Sprintf("\n%s.DeletedAt = gorm.DeletedAt{}", v)
	}
	return call("%s.Delete(&[]*Item{%s}).Error", s.from(db), listed(s.vs)) + forgotten
}

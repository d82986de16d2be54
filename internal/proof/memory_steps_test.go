package proof

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// always is for steps that are possible in every state.
type always struct{}

func (always) isAllowed(*world) bool { return true }

// fresh makes a model that was never loaded, maybe with a version of the application's own.
type fresh struct {
	v     variable
	price int
	early int // how many versions before the last of the counter; 0: none is preset
}

func freshes() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		s := fresh{v: anyVariable().Draw(t, "variable"), price: prices().Draw(t, "price")}
		if rapid.IntRange(0, 3).Draw(t, "preset") > 0 {
			s.early = rapid.IntRange(1, 3).Draw(t, "early")
		}
		return s
	})
}

func (s fresh) isAllowed(w *world) bool { return s.early == 0 || w.kind.canPreset() }

func (s fresh) run(m *machine) result {
	r := m.world.kind.make(s.v.id())
	r.columns().Name, r.columns().Price = s.name(), s.price
	if s.early != 0 {
		m.world.kind.preset(r, version(m.world.kind.last-int64(s.early)+1))
	}
	m.models[s.v] = r
	return result{}
}

func (s fresh) foretell(w *world) outcome {
	h := &held{id: s.v.id(), values: values{name: s.name(), price: s.price}}
	if s.early != 0 {
		h.version = version(w.kind.last - int64(s.early) + 1)
	}
	w.models[s.v] = h
	return written(0)
}

func (s fresh) name() string { return string(s.v[:1]) }

func (s fresh) source(string) string {
	preset := ""
	if s.early != 0 {
		preset = fmt.Sprintf("\n%s.Version = last - %d", s.v, s.early-1)
	}
	return fmt.Sprintf("%s = &Item{ID: %d, Name: %q, Price: %d}%s", s.v, s.v.id(), s.name(), s.price, preset)
}

// change changes a model in memory.
type change struct {
	always
	v           variable
	price, seen int
}

func changes() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return change{v: anyVariable().Draw(t, "variable"), price: prices().Draw(t, "price"), seen: rapid.IntRange(0, 2).Draw(t, "seen")}
	})
}

func (s change) run(m *machine) result {
	c := m.models[s.v].columns()
	c.Price, c.Seen = s.price, s.seen
	return result{}
}

func (s change) foretell(w *world) outcome {
	h := w.models[s.v]
	h.price, h.seen = s.price, s.seen
	return written(0)
}

func (s change) source(string) string {
	return fmt.Sprintf("%s.Price, %s.Seen = %d, %d", s.v, s.v, s.price, s.seen)
}

// load reads a row into a new model, or into the same memory again; partial leaves out the version.
type load struct {
	v                        variable
	again, partial, unscoped bool
	aside                    bool // by a session outside of the transaction
}

func loads() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		s := load{v: anyVariable().Draw(t, "variable")}
		switch rapid.SampledFrom([]string{"", "", "", "again", "partial", "unscoped", "aside"}).Draw(t, "how") {
		case "again":
			s.again = true
		case "partial":
			s.partial = true
		case "unscoped":
			s.unscoped = true
		case "aside":
			s.aside = true
		}
		return s
	})
}

// isAllowed leaves out what GORM reads wrongly: NULL leaves the field of a model that is used again as it was.
func (s load) isAllowed(w *world) bool {
	row, isThere := w.rows[s.v.id()]
	return !s.again || !isThere || row.version != 0 || w.models[s.v].version == 0
}

func (s load) run(m *machine) result {
	if r := m.models[s.v]; s.again {
		*r.columns() = Columns{ID: s.v.id()}
	} else {
		m.models[s.v] = m.world.kind.make(s.v.id())
	}
	tx := m.db
	if s.aside {
		tx = m.outer
	}
	if s.unscoped {
		tx = tx.Unscoped()
	}
	if s.partial {
		tx = tx.Select("id", "price")
	}
	return answer(tx.First(m.models[s.v]))
}

func (s load) foretell(w *world) outcome {
	h, before := w.models[s.v], version(0)
	if s.again {
		before = h.version
		*h = held{id: h.id, last: h.last, values: values{version: h.version}, base: h.base, has: h.has}
	} else {
		h = &held{id: h.id}
		w.models[s.v] = h
	}
	rows := w.rows
	if s.aside {
		rows = w.stored()
	}
	row, isThere := rows[h.id]
	switch {
	case !isThere || row.gone != 0 && !s.unscoped:
		return outcome{failure: notFound}
	case s.partial:
		h.load(h.id, row, priceColumn, false)
	default:
		h.load(h.id, row, allColumns, true)
		if !s.aside {
			w.loaded(h, before)
		}
	}
	return written(1)
}

func (s load) source(db string) string {
	if s.aside {
		db = "db"
	}
	if s.unscoped {
		db += ".Unscoped()"
	}
	if s.partial {
		db += `.Select("id", "price")`
	}
	if s.again {
		return fmt.Sprintf("%s.Name, %s.Price, %s.Seen, %s.DeletedAt = \"\", 0, 0, gorm.DeletedAt{}\nstep(%s.First(%s).Error)", s.v, s.v, s.v, s.v, db, s.v)
	}
	return fmt.Sprintf("%s = &Item{ID: %d}\nstep(%s.First(%s).Error)", s.v, s.v.id(), db, s.v)
}

// current has a variable hold what occ.Current reads of the row of another.
type current struct {
	always
	v variable
}

func currents() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step { return current{v: anyVariable().Draw(t, "variable")} })
}

func (s current) run(m *machine) result {
	r, err := m.world.kind.current(m.db, m.models[s.v])
	if err == nil {
		m.models[s.v] = r
	}
	return only(err)
}

func (s current) foretell(w *world) outcome {
	row, isThere := w.rows[s.v.id()]
	if !isThere {
		return outcome{failure: notFound}
	}
	h := &held{}
	h.load(s.v.id(), row, allColumns, true)
	w.loaded(h, 0)
	w.models[s.v] = h
	return outcome{affected: unsaid}
}

func (s current) source(db string) string {
	return fmt.Sprintf("if row, err := occ.Current(%s, %s); err == nil {\n%s = row\n} else {\nstep(err)\n}", db, s.v, s.v)
}

// touch is occ.Touch, or occ.Verify, of several models.
type touch struct {
	vs       []variable
	verifies bool
}

func touches() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return touch{vs: several().Draw(t, "models"), verifies: rapid.Bool().Draw(t, "verify")}
	})
}

func (s touch) isAllowed(w *world) bool {
	if w.isHalfBlind(s.vs) {
		return false
	}
	return w.kind.snapshot == nil && (s.verifies || !w.kind.triggers) || s.verifies
}

func (s touch) run(m *machine) result {
	do := occ.Touch
	if s.verifies {
		do = occ.Verify
	}
	models := make([]any, len(s.vs))
	for i, v := range s.vs {
		models[i] = m.models[v]
	}
	return only(do(m.db, models...))
}

func (s touch) foretell(w *world) outcome {
	op := occ.OpTouch
	if s.verifies {
		op = occ.OpVerify
	}
	if s.verifies {
		if _, refused := w.compareAll(op, s.vs, chain{}, allColumns, false); refused != nil {
			return *refused
		}
		return outcome{affected: unsaid}
	}
	o := w.writeAll(op, s.vs, chain{}, 0, func(id int) bool {
		w.store(id, func(*values) {}, true)
		return true
	})
	o.affected = unsaid
	return o
}

func (s touch) source(db string) string {
	name := map[bool]string{true: "Verify", false: "Touch"}[s.verifies]
	return call("occ.%s(%s, %s)", name, db, listed(s.vs))
}

// rebase saves mine on top of what others have written since base.
type rebase struct{ base, mine variable }

func rebases() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return rebase{base: anyVariable().Draw(t, "base"), mine: anyVariable().Draw(t, "mine")}
	})
}

func (s rebase) isAllowed(w *world) bool {
	return s.base != s.mine && s.base.id() == s.mine.id() && w.kind.snapshot == nil && w.models[s.base].version == w.models[s.mine].version && w.models[s.base].gone == 0 && w.models[s.mine].gone == 0
}

func (s rebase) run(m *machine) result {
	return only(m.world.kind.rebase(m.db, m.models[s.base], m.models[s.mine]))
}

func (s rebase) foretell(w *world) outcome {
	base, mine := w.models[s.base], w.models[s.mine]
	theirs, isThere := w.rows[mine.id]
	if !isThere || theirs.gone != 0 {
		r := w.lookAt(mine, mine.version, 0, false)
		return outcome{failure: refusedAs, op: occ.OpUpdate, refused: []refusal{*r}}
	}
	changed, foreign := base.differs(mine.values), base.differs(theirs)
	if changed&foreign&mine.differs(theirs) != 0 {
		return outcome{failure: inConflict}
	}
	merged := theirs
	merged.take(mine.values, changed&^seenColumn)
	if merged.differs(theirs) != 0 {
		w.store(mine.id, func(row *values) { *row = merged }, true)
	}
	w.remember(mine)
	mine.values = w.rows[mine.id]
	return outcome{affected: unsaid}
}

func (s rebase) source(db string) string { return call("occ.Rebase(%s, %s, %s)", db, s.base, s.mine) }

// raw is SQL that the plugin does not see.
type raw struct {
	id, price int
	forgets   bool // the version becomes NULL
}

func raws() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return raw{id: rapid.SampledFrom(ids).Draw(t, "id"), price: prices().Draw(t, "price"), forgets: rapid.Bool().Draw(t, "forgets")}
	})
}

func (s raw) isAllowed(w *world) bool {
	if s.forgets {
		return w.kind.isNull
	}
	return w.kind.triggers || w.kind.xmin || w.kind.snapshot != nil
}

func (s raw) sql(table string) string {
	if s.forgets {
		return fmt.Sprintf("UPDATE %s SET version = NULL WHERE id = %d", table, s.id)
	}
	return fmt.Sprintf("UPDATE %s SET price = %d WHERE id = %d", table, s.price, s.id)
}

func (s raw) run(m *machine) result { return only(m.db.Exec(s.sql(m.quoted())).Error) }

func (s raw) foretell(w *world) outcome {
	w.isRaw = true
	if row, isThere := w.rows[s.id]; isThere && s.forgets {
		row.version = 0
		w.rows[s.id] = row
	} else if isThere {
		w.store(s.id, func(row *values) { row.price = s.price }, w.kind.triggers || w.kind.xmin)
	}
	return outcome{affected: unsaid}
}

func (s raw) source(db string) string { return call("%s.Exec(%q).Error", db, s.sql("items")) }

package proof

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gorm-occ/occ"
)

// seat is the columns of a row, without its key and its version.
type seat struct {
	code  string
	hall  int
	taken bool
	guest string
}

func seatOf(p *Place) seat { return seat{p.Code, p.Hall, p.Taken, p.Guest} }

func (s seat) give(p *Place) { p.Code, p.Hall, p.Taken, p.Guest = s.code, s.hall, s.taken, s.guest }

// seated is a stored row. Its version is read; what it has to be is known by the one before.
type seated struct {
	seat
	version any
}

// guest is a model in memory.
type guest struct {
	seat
	id      int
	version any
	base    *seat // of a snapshot: the row as it was loaded
}

func (g *guest) isNew() bool { return g.version == nil && g.base == nil }

// seats is what occ promises of rows with two unique keys, and of the models in memory.
type seats struct {
	kind    seating
	by      target
	like    string // what the database is like
	product string
	set     settings
	rows    map[int]seated
	held    map[variable]*guest
}

// end is how a call ends.
type end string

const (
	writes  end = "written"
	undoes  end = "undone"
	lacks   end = "record not found"
	fails   end = "an error"
	refuses end = "refused"
	depends end = "an error, or written as a whole" // of models that get in each other's way
)

// fate is what is promised of a call.
type fate struct {
	end     end
	refused []unseated
	lots    []lot // of an upsert, where it is written
	vs      []variable
}

func (f fate) String() string {
	if f.end == refuses {
		return fmt.Sprint(f.end, f.refused)
	}
	return string(f.end)
}

// unseated is a row that a write is refused for.
type unseated struct {
	index   int
	actual  any
	isThere bool
	isNew   bool // the model was never loaded
}

func (r unseated) fits(k seating, got occ.StaleRow) bool {
	if got.Index != r.index || !k.snapshot && plain(got.Actual) != r.actual {
		return false
	}
	switch {
	case !r.isThere:
		return got.Reason == occ.ReasonDeleted
	case r.isNew:
		return got.Reason == occ.ReasonMissing
	}
	return got.Reason == occ.ReasonChanged || got.Reason == occ.ReasonAhead
}

// lot is what becomes of one model of an upsert.
type lot struct {
	end     lotEnd
	row     int      // that is inserted or written
	refused unseated // of one that is refused
	isLoose bool     // the library need not know which row it was
}

type lotEnd string

const (
	skipped  lotEnd = "skipped"
	inserted lotEnd = "inserted"
	updated  lotEnd = "updated"
	broken   lotEnd = "an error"
	stale    lotEnd = "refused"
)

// isAt reports whether a row is as a model was loaded.
func (w *seats) isAt(g *guest, row seated) bool {
	if w.kind.snapshot {
		return g.base != nil && *g.base == row.seat
	}
	return g.version == row.version
}

// bySecond finds the row that has the same other key, among those that are in the index.
func (w *seats) bySecond(s seat, rows map[int]seated) (id int, isThere bool) {
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if w.by.holds(rows[id].seat) && w.by.matches(rows[id].seat, s) {
			return id, true
		}
	}
	return 0, false
}

// clashes reports whether a row would have the other key of another row.
func (w *seats) clashes(id int, s seat, rows map[int]seated) bool {
	for other, row := range rows {
		if other != id && w.by.holds(s) && w.by.holds(row.seat) && w.by.matches(row.seat, s) {
			return true
		}
	}
	return false
}

// set is what an upsert writes of a model into a row that is there.
func (s sitting) set(row, g seat) seat {
	switch s.form {
	case "guest":
		row.guest = g.guest
	case "guest and taken":
		row.guest, row.taken = g.guest, g.taken
	case "UpdateAll":
		return g
	}
	return row
}

func (s sitting) doesNothing() bool { return s.form == "DoNothing" || s.form == "DoNothing at all" }

// lotOf is what becomes of a model where the rows are as they are.
func (w *seats) lotOf(s sitting, g *guest, rows map[int]seated) lot {
	switch {
	case s.doesNothing():
		return w.skipping(s, g, rows)
	case !g.isNew():
		return w.comparing(s, g, rows)
	case w.kind.readFirst:
		return w.reading(s, g, rows)
	}
	return w.meeting(s, g, rows)
}

// write is the update of a row, unless it gets another row's other key.
func (w *seats) write(s sitting, id int, g *guest, rows map[int]seated) lot {
	if w.clashes(id, s.set(rows[id].seat, g.seat), rows) {
		return lot{end: broken}
	}
	return lot{end: updated, row: id}
}

func (w *seats) insert(g *guest, rows map[int]seated) lot {
	if _, isThere := rows[g.id]; isThere || w.clashes(g.id, g.seat, rows) {
		return lot{end: broken}
	}
	return lot{end: inserted, row: g.id, isLoose: w.product == "mysql" && w.by.isEmpty(g.seat)} // it returns no rows
}

// comparing is the upsert of a loaded model: the row of its target is compared, and has to be its own.
func (w *seats) comparing(s sitting, g *guest, rows map[int]seated) lot {
	id, isThere := g.id, false
	if _, isThere = rows[g.id]; !s.byKey {
		if !w.by.isPlain() || w.by.isEmpty(g.seat) {
			return lot{end: broken}
		}
		id, isThere = w.bySecond(g.seat, rows)
	}
	switch {
	case !isThere:
		return lot{end: stale}
	case !w.isAt(g, rows[id]):
		return lot{end: stale, refused: unseated{isThere: true, actual: rows[id].version}}
	case id != g.id, !s.byKey && !w.by.holds(g.seat): // the database would not meet that row
		return lot{end: broken}
	}
	return w.write(s, id, g, rows)
}

// reading is the upsert of a new model whose row is read first, for its next version.
func (w *seats) reading(s sitting, g *guest, rows map[int]seated) lot {
	id, isThere := g.id, false
	if _, isThere = rows[g.id]; !s.byKey {
		if !w.by.isPlain() {
			return lot{end: broken}
		}
		id, isThere = w.bySecond(g.seat, rows)
		isThere = isThere && !w.by.isEmpty(g.seat) // else it has no such key
	}
	switch {
	case !isThere:
		return w.insert(g, rows)
	case id != g.id, !s.byKey && !w.by.holds(g.seat):
		return lot{end: broken}
	}
	return w.write(s, id, g, rows)
}

// meeting is the upsert of a new model as the database has it.
func (w *seats) meeting(s sitting, g *guest, rows map[int]seated) lot {
	_, hasKey := rows[g.id]
	other, isMet := w.bySecond(g.seat, rows)
	isMet = isMet && w.by.holds(g.seat)
	switch {
	case w.like == "mariadb" && hasKey: // whatever the target is
		l := w.write(s, g.id, g, rows)
		l.isLoose = !s.byKey
		return l
	case w.like == "mariadb" && isMet:
		l := w.write(s, other, g, rows)
		l.isLoose = s.byKey || w.product == "mysql"
		return l
	case s.byKey && hasKey:
		return w.write(s, g.id, g, rows)
	case !s.byKey && isMet:
		return w.write(s, other, g, rows)
	}
	return w.insert(g, rows)
}

// skipping is DO NOTHING.
func (w *seats) skipping(s sitting, g *guest, rows map[int]seated) lot {
	_, hasKey := rows[g.id]
	isMet := w.clashes(0, g.seat, rows)
	any := s.form == "DoNothing at all" || w.like == "mariadb"
	if any && (hasKey || isMet) || s.byKey && hasKey || !s.byKey && isMet {
		return lot{end: skipped}
	}
	return w.insert(g, rows)
}

// foretell says how a step ends.
func (w *seats) foretell(s sitting) fate {
	g := w.held[s.v]
	row, isThere := w.rows[g.id]
	switch s.call {
	case "upsert":
		f := w.foretellUpsert(s)
		f.vs = s.vs
		if f.end == writes && s.within == "one that is undone" {
			f.end = undoes
		}
		return f
	case "load":
		if _, isThere := w.rows[s.v.id()]; !isThere {
			return fate{end: lacks}
		}
	case "update":
		if !isThere {
			return fate{end: refuses, refused: []unseated{{}}}
		}
		if !w.isAt(g, row) {
			return fate{end: refuses, refused: []unseated{{isThere: true, actual: row.version, isNew: g.isNew()}}}
		}
	}
	return fate{end: writes}
}

// foretellUpsert looks at each model by itself, and at all of them one after the other: where that differs, they get in
// each other's way.
func (w *seats) foretellUpsert(s sitting) fate {
	f, rows, areApart := fate{end: writes}, maps.Clone(w.rows), true
	isBroken := false
	for i, v := range s.vs {
		g := w.held[v]
		l := w.lotOf(s, g, w.rows)
		areApart = areApart && l == w.lotOf(s, g, rows) && !w.meets(s.vs[:i], g)
		switch l.end {
		case stale:
			l.refused.index = i
			f.refused = append(f.refused, l.refused)
		case broken:
			isBroken = true
		case inserted:
			rows[l.row] = seated{seat: g.seat}
		case updated:
			rows[l.row] = seated{seat: s.set(rows[l.row].seat, g.seat), version: "another"}
		}
		areApart = areApart && !slices.ContainsFunc(f.lots, func(o lot) bool { return o.row != 0 && o.row == l.row })
		f.lots = append(f.lots, l)
	}
	switch {
	case !areApart, w.set.batch > 0 && len(f.refused) > 0 && len(s.vs) > w.set.batch, isBroken && len(f.refused) > 0, isBroken && s.doesNothing() && len(s.vs) > 1:
		f.end = depends
	case isBroken:
		f.end = fails
	case len(f.refused) > 0:
		f.end = refuses
	}
	return f
}

// meets reports whether a model has the key of one before it.
func (w *seats) meets(before []variable, g *guest) bool {
	return slices.ContainsFunc(before, func(v variable) bool {
		return w.held[v].id == g.id || w.by.matches(w.held[v].seat, g.seat)
	})
}

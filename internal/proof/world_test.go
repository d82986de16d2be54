package proof

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gorm-occ/occ"
)

// version is that of a counter as it is. Those of other kinds are numbered in the order in which they arise; which value
// stands for a number is learned where it is first seen, and must not stand for another one of the same row. 0 is the
// zero value and NULL.
type version int64

// set is a set of columns.
type set uint8

const (
	nameColumn set = 1 << iota
	priceColumn
	seenColumn
	goneColumn
)

const allColumns = nameColumn | priceColumn | seenColumn | goneColumn

// values are a row's columns, stored or in memory. gone is 0 or tells soft deletes apart.
type values struct {
	name        string
	price, seen int
	gone        int
	version     version
}

// held is a model in memory.
type held struct {
	values
	id   int
	last version  // of the row that was deleted through it
	base *values  // of a snapshot: the row as it was loaded
	has  set      // the columns of it that were loaded
	or   *version // what memory may hold as well, where the plugin cannot know which of its rows a write has reached
}

// world is what occ promises of the rows and of the models in memory.
type world struct {
	kind     kind
	isRaw    bool // SQL that the plugin does not see has written
	database string
	set      settings
	rows     map[int]values
	models   map[variable]*held
	numbers  int // of versions and soft deletes
	levels   []*level

	known map[known]any       // what versions stand for
	later map[version]version // of times: which one a version has to be later than
}

type known struct {
	id      int
	version version
}

// level is an open transaction or savepoint.
type level struct {
	follows bool // memory is put back with it: an occ.Transaction
	rows    map[int]values
	undo    []func() (stays bool) // a rollback of more may undo it again
	saved   *level                // what SavePoint has set in it
	mark    int                   // of a savepoint: how much there was to undo
}

func newWorld(k kind, database string) *world {
	return &world{
		kind: k, database: database, rows: map[int]values{}, models: map[variable]*held{},
		known: map[known]any{}, later: map[version]version{},
	}
}

func (w *world) number() int { w.numbers++; return w.numbers }

func (w *world) first() version {
	if w.kind.last != 0 {
		return 1
	}
	return version(w.number())
}

// next is the version after v.
func (w *world) next(v version) version {
	if w.kind.last == 0 {
		n := version(w.number())
		w.later[n] = v
		return n
	}
	if int64(v) == w.kind.last {
		return 1
	}
	return v + 1
}

// means reports whether a version of a row may stand for value, and remembers it.
func (w *world) means(id int, v version, value any) bool {
	switch {
	case v == 0 || value == nil:
		return v == 0 && value == nil
	case w.kind.last != 0:
		return value == int64(v)
	}
	if meant, ok := w.known[known{id, v}]; ok {
		return meant == value
	}
	for other, meant := range w.known {
		if other.id == id && meant == value {
			return false
		}
	}
	w.known[known{id, v}] = value
	at, isTime := value.(time.Time)
	before, ok := w.known[known{id, w.later[v]}].(time.Time)
	return !isTime || !ok || at.After(before)
}

// isAhead tells a version of a model that is newer than the row's; a counter may have started again in between.
func (w *world) isAhead(id int, mine, stored version) bool {
	at, isTime := w.known[known{id, mine}].(time.Time)
	if isTime {
		other, ok := w.known[known{id, stored}].(time.Time)
		return ok && at.After(other)
	}
	if w.kind.last == 0 || mine == stored {
		return false
	}
	if mine > stored {
		return int64(mine-stored) < w.kind.last/2
	}
	return w.kind.last-int64(stored-mine) < w.kind.last/2
}

// outcome is what a step leaves besides rows and memory.
type outcome struct {
	failure  failure
	op       occ.Op
	refused  []refusal
	affected int64 // rows; unsaid where nothing is promised
}

const unsaid = -1

type failure string

const (
	none       failure = ""
	refusedAs  failure = "refused"
	duplicate  failure = "another error" // of the database
	notFound   failure = "record not found"
	inConflict failure = "merge conflict"
	undone     failure = "undone"
	panicked   failure = "panic"
)

// refusal is a row that a write was refused for.
type refusal struct {
	index    int
	id       int // 0: no key was named
	expected version
	actual   *version // nil where there is none
	reason   occ.Reason
}

func written(n int64) outcome { return outcome{affected: n} }

// lookAt compares a model with its row; nil says that the row is as the model expects it.
func (w *world) lookAt(h *held, expected version, wrote set, unscoped bool) *refusal {
	r := &refusal{id: h.id, expected: expected}
	row, isThere := w.rows[h.id]
	if isThere {
		r.actual = &row.version
	}
	switch {
	case !isThere || row.gone != 0 && !unscoped:
		r.reason = occ.ReasonDeleted
	case w.kind.snapshot != nil:
		return w.compare(h, row, r, w.kind.snapshot(wrote))
	case expected == row.version:
		return nil
	case expected == 0:
		r.reason = occ.ReasonMissing
	case w.isAhead(h.id, expected, row.version):
		r.reason = occ.ReasonAhead
	default:
		r.reason = occ.ReasonChanged
	}
	return r
}

// compare compares the columns of a row with those that a model was loaded with.
func (w *world) compare(h *held, row values, r *refusal, columns set) *refusal {
	if h.base == nil || h.has&columns != columns {
		r.reason = occ.ReasonMissing
		return r
	}
	if h.base.differs(row)&columns != 0 {
		r.reason = occ.ReasonChanged
		return r
	}
	return nil
}

func (v values) differs(o values) (columns set) {
	if v.name != o.name {
		columns |= nameColumn
	}
	if v.price != o.price {
		columns |= priceColumn
	}
	if v.seen != o.seen {
		columns |= seenColumn
	}
	if v.gone != o.gone {
		columns |= goneColumn
	}
	return columns
}

// take sets some columns to those of another.
func (v *values) take(o values, columns set) {
	if columns&nameColumn != 0 {
		v.name = o.name
	}
	if columns&priceColumn != 0 {
		v.price = o.price
	}
	if columns&seenColumn != 0 {
		v.seen = o.seen
	}
	if columns&goneColumn != 0 {
		v.gone = o.gone
	}
}

// store writes a row that is there: its columns and, unless they do not count, its next version.
func (w *world) store(id int, change func(row *values), counts bool) {
	row := w.rows[id]
	before := row
	change(&row)
	changed := row.differs(before)&^seenColumn != 0
	if counts && !w.kind.triggers || changed && w.kind.triggers || w.kind.xmin {
		row.version = w.next(before.version)
	}
	w.rows[id] = row
}

// learn gives a model the version that its row has now, and the snapshot of what was written.
func (w *world) learn(h *held, wrote set) {
	w.remember(h)
	row := w.rows[h.id]
	h.version = row.version
	if w.kind.snapshot != nil {
		base := values{}
		if h.base != nil {
			base = *h.base
		}
		base.take(row, wrote)
		h.base, h.has = &base, h.has|wrote
	}
}

// load makes a model what a query of some columns gives.
func (h *held) load(id int, row values, columns set, withVersion bool) {
	*h = held{id: id, last: h.last}
	h.take(row, columns)
	h.base, h.has = &row, columns
	if withVersion {
		h.version = row.version
	}
}

// remember has a rollback of occ.Transaction put a model's version back.
func (w *world) remember(h *held) {
	if !w.isFollowed() {
		return
	}
	top, v, base, has := w.levels[len(w.levels)-1], h.version, h.base, h.has
	top.undo = append(top.undo, func() bool {
		h.version, h.base, h.has, h.or = v, base, has, nil
		return false
	})
}

// loaded has a rollback of occ.Transaction take away a version that the transaction itself has written.
func (w *world) loaded(h *held, before version) {
	if !w.isFollowed() || w.kind.snapshot != nil {
		return
	}
	top := w.levels[len(w.levels)-1]
	top.undo = append(top.undo, func() bool {
		if row, isThere := w.rows[h.id]; isThere && row.version == h.version || w.isRaw {
			h.or = &before
			return true
		}
		h.version = before
		return false
	})
}

func (w *world) isFollowed() bool {
	return slices.ContainsFunc(w.levels, func(l *level) bool { return l.follows })
}

// stored are the rows that a session outside of the transaction sees.
func (w *world) stored() map[int]values {
	if len(w.levels) > 0 {
		return w.levels[0].rows
	}
	return w.rows
}

// session is what the counterexample calls the session: db, or the transaction it is in.
func (w *world) session() string {
	if len(w.levels) == 0 {
		return "db"
	}
	return fmt.Sprint("tx", len(w.levels))
}

func (w *world) begin(follows bool) {
	w.levels = append(w.levels, &level{follows: follows, rows: maps.Clone(w.rows)})
}

// end ends the transaction or savepoint that was begun last.
func (w *world) end(commits bool) {
	isFollowed, l := w.isFollowed(), w.levels[len(w.levels)-1]
	w.levels = w.levels[:len(w.levels)-1]
	switch {
	case !commits:
		w.rows = l.rows
		if isFollowed {
			l.putBack(0)
		}
		if w.isFollowed() {
			outer := w.levels[len(w.levels)-1]
			outer.undo = append(outer.undo, l.undo...)
		}
	case w.isFollowed():
		outer := w.levels[len(w.levels)-1]
		outer.undo = append(outer.undo, l.undo...)
	}
}

func (l *level) putBack(mark int) {
	var staying []func() bool
	for _, undo := range slices.Backward(l.undo[mark:]) {
		if undo() {
			staying = append(staying, undo)
		}
	}
	slices.Reverse(staying)
	l.undo = append(l.undo[:mark], staying...)
}

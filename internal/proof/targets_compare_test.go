package proof

import (
	"errors"
	"fmt"
	"maps"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// compare compares what a step has left with what is promised, and takes it over.
func (u *usher) compare(s sitting, want fate, err error) (difference string) {
	if difference = u.compareError(want, err); difference != "" {
		return difference
	}
	stored, err2 := u.stored()
	if err2 != nil {
		return fmt.Sprintf("reading the rows: %v", err2)
	}
	before := u.rows
	u.rows = stored
	switch {
	case want.end == depends && err == nil:
		return u.compareWhole(s, before)
	case s.call == "upsert" && want.end != writes:
		return errorsIn(u.compareKept(before), u.compareMemory(s, false, nil))
	case s.call == "upsert":
		return errorsIn(u.compareLots(s, want.lots, before), u.compareMemory(s, true, want.lots))
	}
	return errorsIn(u.compareStep(s, want, before), u.compareMemory(s, err == nil, nil))
}

// errorsIn is the first difference.
func errorsIn(differences ...string) string {
	for _, d := range differences {
		if d != "" {
			return d
		}
	}
	return ""
}

// compareError compares an error with what is promised.
func (u *usher) compareError(want fate, err error) string {
	var refused *occ.StaleDataError
	isRefused := errors.As(err, &refused)
	ok := true
	switch want.end {
	case writes:
		ok = err == nil
	case undoes:
		ok = errors.Is(err, errUndone)
	case lacks:
		ok = errors.Is(err, gorm.ErrRecordNotFound)
	case fails:
		ok = err != nil && !isRefused && !errors.Is(err, errUndone)
	case refuses:
		ok = isRefused && len(refused.Rows) == len(want.refused)
		for i := 0; ok && i < len(want.refused); i++ {
			ok = want.refused[i].fits(u.kind, refused.Rows[i])
		}
	}
	if !ok {
		return fmt.Sprintf("want %s, got the error: %v", want, err)
	}
	return ""
}

func (u *usher) stored() (map[int]seated, error) {
	models, err := u.kind.all(u.db)
	rows := map[int]seated{}
	for _, m := range models {
		rows[m.place().ID] = seated{seatOf(m.place()), u.kind.versionOf(m)}
	}
	return rows, err
}

// compareKept wants the rows to be as they were.
func (u *usher) compareKept(before map[int]seated) string {
	if !maps.Equal(before, u.rows) {
		return fmt.Sprintf("want the rows as they were, %v, got %v", before, u.rows)
	}
	return ""
}

// compareStep is for what writes one row, and no upsert.
func (u *usher) compareStep(s sitting, want fate, before map[int]seated) string {
	id, after := s.v.id(), maps.Clone(before)
	row, isThere := after[id]
	if s.call == "update" {
		id = u.held[s.v].id
		row, isThere = after[id]
	}
	switch {
	case s.call == "erase":
		delete(after, id)
		return u.compareRows(before, after, nil)
	case want.end == writes && isThere && (s.call == "write" || s.call == "update"):
		row.guest = s.seat.guest
		after[id] = row
		return u.compareRows(before, after, map[int]bool{id: true})
	}
	return u.compareKept(before)
}

// compareLots wants each model of an upsert to have had its lot, and all other rows to be as they were.
func (u *usher) compareLots(s sitting, lots []lot, before map[int]seated) string {
	after, moved := maps.Clone(before), map[int]bool{}
	for i, l := range lots {
		g := u.held[s.vs[i]]
		switch l.end {
		case inserted:
			after[l.row] = seated{g.seat, g.version}
			moved[l.row] = true
		case updated:
			after[l.row] = seated{s.set(before[l.row].seat, g.seat), before[l.row].version}
			moved[l.row] = true
		}
	}
	return u.compareRows(before, after, moved)
}

// compareRows compares the columns of all rows with what they should be, and the versions of those that were written with
// those before.
func (u *usher) compareRows(before, after map[int]seated, moved map[int]bool) string {
	if len(after) != len(u.rows) {
		return fmt.Sprintf("want the rows %v, got %v", after, u.rows)
	}
	for id, want := range after {
		got, isThere := u.rows[id]
		if !isThere || got.seat != want.seat {
			return fmt.Sprintf("want row %d to be %v, got %v", id, want, got)
		}
		old, wasThere := before[id]
		isMoved := moved[id] && !(u.kind.triggers && wasThere && old.seat == want.seat)
		if !u.isNextVersion(old.version, got.version, want.version, wasThere, isMoved) {
			return fmt.Sprintf("row %d was at version %v, and is at %v", id, old.version, got.version)
		}
	}
	return ""
}

// isNextVersion reports whether a row may be at a version: preset is that of a model that was inserted with one.
func (u *usher) isNextVersion(before, now, preset any, wasThere, isMoved bool) bool {
	switch {
	case u.kind.snapshot:
		return true
	case !isMoved:
		return now == before
	case !wasThere && preset != nil:
		return now == preset
	case !u.kind.counts:
		return now != nil && now != before
	case !wasThere:
		return now == int64(1)
	}
	return now == before.(int64)+1
}

// compareWhole is for models that get in each other's way: what holds of any mix of rows, written as a whole.
func (u *usher) compareWhole(s sitting, before map[int]seated) string {
	for i, v := range s.vs {
		if l := u.lotOf(s, u.held[v], before); l.end == stale {
			return fmt.Sprintf("element %d is stale, and written", i)
		}
	}
	for id, row := range before {
		now, isThere := u.rows[id]
		switch {
		case !isThere:
			return fmt.Sprintf("row %d is gone", id)
		case now.seat != row.seat && !u.kind.snapshot && now.version == row.version:
			return fmt.Sprintf("row %d was written, and is still at version %v", id, now.version)
		}
	}
	for _, v := range s.vs {
		u.takeOver(v)
	}
	return ""
}

// takeOver has the model in the world be what the one in memory is.
func (u *usher) takeOver(v variable) {
	if u.kind.snapshot { // which row it is of is not known
		m := u.kind.make(v.id())
		u.held[v].seat.give(m.place())
		u.models[v] = m
		u.held[v].base = nil
	}
	g, m := u.held[v], u.models[v]
	g.id, g.seat, g.version = m.place().ID, seatOf(m.place()), u.kind.versionOf(m)
}

// foretellMemory gives the models of the world what those in memory should hold after a step.
func (u *usher) foretellMemory(s sitting, isWritten bool, lots []lot) {
	g := u.held[s.v]
	switch s.call {
	case "fresh":
		*g = guest{id: s.v.id(), seat: s.seat}
	case "change":
		g.seat = s.seat
	case "load":
		*g = guest{id: s.v.id()}
		if row, isThere := u.rows[g.id]; isThere {
			g.seat = row.seat
			u.learn(g)
		}
	case "update":
		g.guest = s.seat.guest
		if isWritten {
			u.learn(g)
		}
	}
	for i, l := range lots {
		g, m := u.held[s.vs[i]], u.models[s.vs[i]]
		switch {
		case l.isLoose && u.kind.versionOf(m) == g.version:
			u.takeOver(s.vs[i])
		case l.end == inserted || l.end == updated:
			g.id = l.row
			u.learn(g)
			row := u.rows[l.row] // of which the statement may return the columns of the target
			if m.place().Code == row.code {
				g.code = row.code
			}
			if m.place().Hall == row.hall {
				g.hall = row.hall
			}
		}
	}
	for _, v := range s.vs {
		if !isWritten { // the version alone is put back, not what else the statement has returned
			p := u.models[v].place()
			u.held[v].id, u.held[v].code, u.held[v].hall = p.ID, p.Code, p.Hall
		}
	}
}

// learn gives a model the version, or the snapshot, of its row.
func (u *usher) learn(g *guest) {
	row := u.rows[g.id]
	g.version = row.version
	if u.kind.snapshot {
		g.base = &row.seat
	}
}

// compareMemory compares the models in memory with what they should hold.
func (u *usher) compareMemory(s sitting, isWritten bool, lots []lot) string {
	u.foretellMemory(s, isWritten, lots)
	for _, v := range variables {
		g, m := u.held[v], u.models[v]
		if m.place().ID != g.id || seatOf(m.place()) != g.seat || u.kind.versionOf(m) != g.version {
			return fmt.Sprintf("want %s in memory to be %+v, got %+v", v, *g, m)
		}
	}
	return ""
}

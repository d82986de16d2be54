package proof

import (
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// sitting is a call on rows with two unique keys.
type sitting struct {
	call   string
	v      variable
	vs     []variable // of an upsert
	seat   seat
	byKey  bool   // the target is the primary key, else the other unique key
	form   string // what an upsert sets
	one    bool   // no slice
	within string // what the upsert is part of
}

// GoString keeps rapid from printing what the lines say better.
func (sitting) GoString() string { return "a call" }

var upsertForms = []string{"guest", "guest and taken", "UpdateAll", "DoNothing", "DoNothing at all"}

// sittings are mostly upserts of models that others have written since.
func sittings() *rapid.Generator[[]sitting] {
	seats := rapid.Custom(func(t *rapid.T) seat {
		return seat{
			code: rapid.SampledFrom([]string{"a", "b", "A"}).Draw(t, "code"), hall: rapid.IntRange(1, 2).Draw(t, "hall"),
			taken: rapid.SampledFrom([]bool{true, true, false}).Draw(t, "taken"), guest: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "guest"),
		}
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sitting {
		s := sitting{v: anyVariable().Draw(t, "variable"), seat: seats.Draw(t, "seat")}
		s.call = rapid.SampledFrom([]string{"upsert", "fresh", "upsert", "load", "upsert", "change", "upsert", "write", "update", "erase"}).Draw(t, "call")
		if s.call == "upsert" {
			s.vs = distinct().Draw(t, "models")
			s.byKey = rapid.IntRange(0, 3).Draw(t, "by key") == 3
			s.form = rapid.SampledFrom(upsertForms).Draw(t, "form")
			s.one = len(s.vs) == 1 && rapid.Bool().Draw(t, "one")
			s.within = rapid.SampledFrom([]string{"", "", "", "a transaction", "one that is undone"}).Draw(t, "within")
		}
		return s
	}), 1, 14)
}

func (s sitting) conflict(t target, table string) clause.OnConflict {
	c := t.conflict(table)
	if s.byKey {
		c = clause.OnConflict{Columns: []clause.Column{{Name: "id"}}}
	}
	switch s.form {
	case "guest":
		c.DoUpdates = clause.AssignmentColumns([]string{"guest"})
	case "guest and taken":
		c.DoUpdates = clause.AssignmentColumns([]string{"guest", "taken"})
	case "UpdateAll":
		c.UpdateAll = true
	case "DoNothing":
		c.DoNothing = true
	default:
		c = clause.OnConflict{DoNothing: true}
	}
	return c
}

// usher runs a program against a database and against the model, and writes down what it does.
type usher struct {
	*seats
	db     *gorm.DB
	models map[variable]placed
	lines  []string
}

// do runs a step; it tells what differs from what is promised.
func (u *usher) do(s sitting, ends map[end]int) (difference string) {
	u.lines = append(u.lines, s.source(u.by))
	want := u.foretell(s)
	err := u.run(s)
	if s.call == "upsert" {
		ends[want.end]++
	}
	u.lines[len(u.lines)-1] += fmt.Sprintf(" // %s; got %v", want, err)
	return u.compare(s, want, err)
}

func (u *usher) run(s sitting) error {
	m := u.models[s.v]
	switch s.call {
	case "fresh":
		u.models[s.v] = u.kind.make(s.v.id())
		s.seat.give(u.models[s.v].place())
		return nil
	case "change":
		s.seat.give(m.place())
		return nil
	case "load":
		u.models[s.v] = u.kind.make(s.v.id())
		return u.db.First(u.models[s.v]).Error
	case "write":
		return u.db.Model(u.kind.model()).Where("id = ?", s.v.id()).Update("guest", s.seat.guest).Error
	case "erase":
		return u.db.Delete(u.kind.model(), s.v.id()).Error
	case "update":
		return u.db.Model(m).Update("guest", s.seat.guest).Error
	}
	return u.upsert(s)
}

// upsert runs an upsert, by itself or in a transaction.
func (u *usher) upsert(s sitting) error {
	upsert := func(db *gorm.DB) error {
		tx := db.Clauses(s.conflict(u.by, u.db.NamingStrategy.TableName("")))
		if s.one {
			return tx.Create(u.models[s.vs[0]]).Error
		}
		models := make([]placed, len(s.vs))
		for i, v := range s.vs {
			models[i] = u.models[v]
		}
		return tx.Create(u.kind.list(models)).Error
	}
	switch s.within {
	case "a transaction":
		return occ.Transaction(u.db, upsert)
	case "one that is undone":
		return occ.Transaction(u.db, func(tx *gorm.DB) error {
			if err := upsert(tx); err != nil {
				return err
			}
			return errUndone
		})
	}
	return upsert(u.db)
}

func (s sitting) source(by target) string {
	seat := fmt.Sprintf("Code: %q, Hall: %d, Taken: %t, Guest: %q", s.seat.code, s.seat.hall, s.seat.taken, s.seat.guest)
	switch s.call {
	case "fresh":
		return fmt.Sprintf("%s = &Place{ID: %d, %s}", s.v, s.v.id(), seat)
	case "change":
		return fmt.Sprintf("%s: %s", s.v, seat)
	case "load":
		return fmt.Sprintf("%s = &Place{ID: %d}; db.First(%s)", s.v, s.v.id(), s.v)
	case "write":
		return fmt.Sprintf("db.Model(&Place{}).Where(\"id = %d\").Update(\"guest\", %q)", s.v.id(), s.seat.guest)
	case "erase":
		return fmt.Sprintf("db.Delete(&Place{}, %d)", s.v.id())
	case "update":
		return fmt.Sprintf("db.Model(%s).Update(\"guest\", %q)", s.v, s.seat.guest)
	}
	name := by.name
	if s.byKey {
		name = "id"
	}
	models := listed(s.vs)
	if !s.one {
		models = "[" + models + "]"
	}
	return strings.TrimSpace(fmt.Sprintf("upsert %s on conflict of %s, %s %s", models, name, s.form, s.within))
}

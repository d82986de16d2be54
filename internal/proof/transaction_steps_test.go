package proof

import (
	"errors"
	"fmt"
	"maps"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

var errUndone = errors.New("undone")

// transaction runs steps in a transaction or, inside one, in a savepoint: by occ.Transaction, which puts memory back
// with the rows, or by gorm.DB.Transaction, which does not.
type transaction struct {
	always
	steps        []step
	plain, fails bool
}

func transactions(steps *rapid.Generator[step], depth int) *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		inner := steps
		if depth > 0 {
			inner = rapid.OneOf(steps, steps, steps, savepoints(), transactions(steps, depth-1))
		}
		return transaction{
			steps: rapid.SliceOfN(inner, 1, 6).Draw(t, "steps"),
			plain: rapid.Bool().Draw(t, "plain"), fails: rapid.Bool().Draw(t, "fails"),
		}
	})
}

func (transaction) run(*machine) result     { panic("a transaction is run step by step") }
func (transaction) foretell(*world) outcome { panic("a transaction is foretold step by step") }
func (transaction) source(string) string    { panic("a transaction is printed step by step") }

func (t transaction) begins(db, tx string) string {
	if t.plain {
		return fmt.Sprintf("step(%s.Transaction(func(%s *gorm.DB) error {", db, tx)
	}
	return fmt.Sprintf("step(occ.Transaction(%s, func(%s *gorm.DB) error {", db, tx)
}

func (m *machine) transact(t transaction) {
	if m.world.kind.xmin || m.world.set.mayRefuse() {
		return // the copies of a transaction cannot be told apart; what is refused could not be undone
	}
	outside, before := m.world.session(), m.db
	body := func(tx *gorm.DB) error {
		m.world.begin(!t.plain)
		m.line("%s", t.begins(outside, m.world.session()))
		m.db = tx
		m.do(t.steps)
		if t.fails {
			m.line("return errUndone")
			return errUndone
		}
		m.line("return nil")
		return nil
	}
	run := func() error { return occ.Transaction(before, body) }
	if t.plain {
		run = func() error { return before.Transaction(body) }
	}
	err := run()
	m.db = before
	isPutBack := m.world.isFollowed()
	m.world.end(!t.fails)
	m.line("}))")
	want := outcome{affected: unsaid}
	if t.fails {
		want.failure = undone
	}
	m.steps++
	if t.fails && !isPutBack {
		m.loadAside()
	}
	m.settle(want, only(err))
}

// savepoint sets a savepoint in the transaction, or goes back to it.
type savepoint struct{ back bool }

func savepoints() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step { return savepoint{back: rapid.Bool().Draw(t, "back")} })
}

func (s savepoint) isAllowed(w *world) bool {
	return len(w.levels) > 0 && (!s.back || w.levels[len(w.levels)-1].saved != nil)
}

func (s savepoint) run(m *machine) result {
	if s.back {
		err := m.db.RollbackTo(m.world.savepoint()).Error
		if !m.world.isFollowed() {
			m.loadAside()
		}
		return only(err)
	}
	return only(m.db.SavePoint(m.world.savepoint()).Error)
}

// savepoint is the name of the level's own: on MariaDB another one of the same name replaces it.
func (w *world) savepoint() string { return w.session() }

func (s savepoint) foretell(w *world) outcome {
	top := w.levels[len(w.levels)-1]
	if !s.back {
		top.saved = &level{rows: maps.Clone(w.rows)}
		top.saved.mark = len(top.undo)
		return outcome{affected: unsaid}
	}
	w.rows = maps.Clone(top.saved.rows)
	if w.isFollowed() {
		top.putBack(top.saved.mark)
	}
	return outcome{affected: unsaid}
}

func (s savepoint) source(db string) string {
	if s.back {
		return call("%s.RollbackTo(%q).Error", db, db)
	}
	return call("%s.SavePoint(%q).Error", db, db)
}

package proof

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestTheProofFails breaks what is to be proven: random programs have to find it, or they prove nothing.
func TestTheProofFails(t *testing.T) {
	t.Parallel()
	for name, sabotage := range map[string]func(db *gorm.DB) error{
		"where no UPDATE is compared": func(db *gorm.DB) error {
			return db.Callback().Update().Before("*").Register("sabotage", uncheck)
		},
		"where no DELETE is compared": func(db *gorm.DB) error {
			return db.Callback().Delete().Before("*").Register("sabotage", uncheck)
		},
		"where no upsert is compared": func(db *gorm.DB) error {
			return db.Callback().Create().Before("*").Register("sabotage", uncheck)
		},
		"where another plugin has taken the place of the plugin's callback": func(db *gorm.DB) error {
			plain, err := gorm.Open(db.Dialector, &gorm.Config{Logger: db.Logger})
			if err != nil {
				return err
			}
			update := db.Callback().Update()
			return errors.Join(update.Replace("gorm:update", plain.Callback().Update().Get("gorm:update")),
				update.Replace("occ:guarded_update", func(*gorm.DB) {}))
		},
		"where a refusal is not reported": func(db *gorm.DB) error {
			return db.Callback().Update().After("*").Register("sabotage", func(tx *gorm.DB) { tx.Error = nil })
		},
		"where memory is not told the version": func(db *gorm.DB) error {
			return db.Callback().Update().After("*").Register("sabotage", func(tx *gorm.DB) {
				if h, isItem := tx.Statement.Model.(*Versioned[occ.Version]); isItem && h.Version > 1 {
					h.Version--
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, k := testdb.One(t, "sqlite"), kinds("sqlite")[0]
			db := k.open(t, database.Open(t).Dialector, "items")
			require.NoError(t, sabotage(db))
			failed := recorder{TB: t}

			failed.checkOften(func(t *rapid.T) { runProgram(t, k, db, programs().Draw(t, "program")) })

			require.NotEmpty(t, failed.messages, "no program found it")
			require.Contains(t, strings.Join(failed.messages, "\n"), "func TestCounterexample(t *testing.T)")
		})
	}
}

// TestTheProofFailsWhereTheColumnIsNotAsked has columns that hold less since the plugin has asked for their types.
func TestTheProofFailsWhereTheColumnIsNotAsked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "mariadb"} {
		database := testdb.One(t, name)
		for _, k := range storedOtherwise(name)[:2] {
			t.Run(name+"/"+k.name, func(t *testing.T) {
				t.Parallel()
				wide := k
				wide.stored = ""
				db := wide.open(t, database.Open(t).Dialector, "items")
				require.NoError(t, db.Model(k.model()).Where("1 = 1").Update("name", "a").Error)
				k.storeAs(t, db, "items")
				failed := recorder{TB: t}

				failed.find(func(t *rapid.T) { runProgram(t, k, db, programs().Draw(t, "program")) })
			})
		}
	}
}

// TestTheProofFailsWithoutThePlugin runs programs on plain GORM, whose versions nobody moves.
func TestTheProofFailsWithoutThePlugin(t *testing.T) {
	t.Parallel()
	k := kinds("sqlite")[0]
	db := k.open(t, testdb.One(t, "sqlite").Open(t).Dialector, "items")
	plain, err := gorm.Open(db.Dialector, &gorm.Config{Logger: db.Logger, NamingStrategy: db.NamingStrategy})
	require.NoError(t, err)
	failed := recorder{TB: t}

	failed.find(func(t *rapid.T) { runProgram(t, k, plain, programs().Draw(t, "program")) })
}

// TestTheProofFailsWhereATargetIsTakenForAnother breaks what the plugin knows of conflict targets.
func TestTheProofFailsWhereATargetIsTakenForAnother(t *testing.T) {
	t.Parallel()
	byName := map[string]target{}
	for _, by := range allTargets("sqlite") {
		byName[by.name] = by
	}
	for name, sabotage := range map[string]struct {
		target string
		see    func(clause.OnConflict) clause.OnConflict // what the plugin sees of the clause; the database has all of it
	}{
		"for the primary key": {"code", func(c clause.OnConflict) clause.OnConflict {
			c.Columns = []clause.Column{{Name: "id"}}
			return c
		}},
		"for one without its condition": {"code of those taken", func(c clause.OnConflict) clause.OnConflict {
			c.TargetWhere = clause.Where{}
			return c
		}},
		"for one of plain columns": {"lower(code)", func(c clause.OnConflict) clause.OnConflict {
			c.Columns = []clause.Column{{Name: "code"}}
			return c
		}},
		"for one of its columns": {"hall and code", func(c clause.OnConflict) clause.OnConflict {
			c.Columns = c.Columns[:1]
			return c
		}},
	} {
		for _, k := range testdb.Every(allSeatings(), 2) { // by SQL, by a generator, and by snapshots
			t.Run(name+"/"+k.name, func(t *testing.T) {
				t.Parallel()
				h, failed := openHouse(t, testdb.One(t, "sqlite")), recorder{TB: t}
				h.sabotage = func(db *gorm.DB) error {
					return db.Callback().Create().Before("*").Register("sabotage", mistake(sabotage.see))
				}

				failed.find(func(t *rapid.T) { h.run(t, k, byName[sabotage.target]) })
			})
		}
	}
}

// mistake has the plugin see another ON CONFLICT than the database.
func mistake(see func(clause.OnConflict) clause.OnConflict) func(tx *gorm.DB) {
	return func(tx *gorm.DB) {
		given, isUpsert := tx.Statement.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
		if !isUpsert || given.DoNothing || len(given.Columns) > 0 && given.Columns[0].Name == "id" {
			return
		}
		tx.Statement.Clauses["ON CONFLICT"] = clause.Clause{Name: "ON CONFLICT", Expression: see(given), Builder: func(c clause.Clause, b clause.Builder) {
			conflict, _ := c.Expression.(clause.OnConflict)
			conflict.Columns, conflict.TargetWhere = given.Columns, given.TargetWhere
			c.Builder, c.Expression = nil, conflict
			c.Build(b)
		}}
	}
}

// takenForTransaction is a pool that looks like a transaction, and is none: nothing that is sent can be undone.
type takenForTransaction struct{ gorm.ConnPool }

func (*takenForTransaction) Commit() error   { return nil }
func (*takenForTransaction) Rollback() error { return nil }

func (p *takenForTransaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if strings.HasPrefix(query, "SAVEPOINT") || strings.HasPrefix(query, "ROLLBACK TO") || strings.HasPrefix(query, "RELEASE") {
		query, args = "SELECT 1", nil
	}
	return p.ConnPool.ExecContext(ctx, query, args...)
}

// TestTheProofFailsWhereAPoolIsTakenForATransaction has no step of a program that needs a transaction for itself.
func TestTheProofFailsWhereAPoolIsTakenForATransaction(t *testing.T) {
	t.Parallel()
	k, failed := kinds("sqlite")[0], recorder{TB: t}
	db := k.open(t, testdb.One(t, "sqlite").Open(t).Dialector, "items")
	db.Statement.ConnPool = &takenForTransaction{db.Statement.ConnPool}
	withoutTransactions := rapid.SliceOfN(steps(), 1, 16)

	failed.find(func(t *rapid.T) { runProgram(t, k, db, withoutTransactions.Draw(t, "program")) })
}

// uncheck has a statement ask for no comparison.
func uncheck(tx *gorm.DB) {
	occ.Unchecked().(gorm.StatementModifier).ModifyStatement(tx.Statement)
}

// recorder is a test that keeps what rapid reports instead of failing.
type recorder struct {
	testing.TB
	messages []string
}

type stopped struct{}

func (r *recorder) Name() string              { return strings.ReplaceAll(r.TB.Name(), "/", " ") + " sabotaged" }
func (r *recorder) Helper()                   {}
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Log(...any)                {}
func (r *recorder) Errorf(f string, a ...any) { r.messages = append(r.messages, fmt.Sprintf(f, a...)) }
func (r *recorder) Error(a ...any)            { r.messages = append(r.messages, fmt.Sprint(a...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); r.FailNow() }
func (r *recorder) Fatal(a ...any)            { r.Error(a...); r.FailNow() }
func (r *recorder) Fail()                     { r.messages = append(r.messages, "failed") }
func (r *recorder) FailNow()                  { r.Fail(); panic(stopped{}) }
func (r *recorder) Failed() bool              { return len(r.messages) > 0 }

// mostChecks is how often rapid's programs are run where none of them fails.
const mostChecks = 200

// checkOften checks programs until one fails.
func (r *recorder) checkOften(property func(*rapid.T)) {
	for i := 0; i < mostChecks && !r.Failed(); i++ {
		r.check(property)
	}
}

// find wants a program to fail, and has rapid not shrink it.
func (r *recorder) find(property func(*rapid.T)) {
	r.TB.Helper()
	ran, isFound := 0, false
	r.checkOften(func(t *rapid.T) {
		if isFound {
			return
		}
		ran++
		defer func() { isFound = t.Failed() }()
		property(t)
	})
	require.True(r.TB, isFound, "no program found it")
	r.TB.Logf("found by program %d", ran)
}

// check is rapid.Check, which ends the test that it fails.
func (r *recorder) check(property func(*rapid.T)) {
	defer func() {
		if failure := recover(); failure != nil {
			if _, ok := failure.(stopped); !ok {
				panic(failure)
			}
		}
	}()
	rapid.Check(r, property)
}

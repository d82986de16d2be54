package proof

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
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

			failed.check(func(t *rapid.T) { runProgram(t, k, db, programs().Draw(t, "program")) })

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
		for _, k := range storedOtherwise(name)[1:2] { // a time: few programs come to the end of a counter
			t.Run(name+"/"+k.name, func(t *testing.T) {
				t.Parallel()
				wide := k
				wide.stored = ""
				db := wide.open(t, database.Open(t).Dialector, "items")
				require.NoError(t, db.Model(k.model()).Where("1 = 1").Update("name", "a").Error)
				k.storeAs(t, db, "items")
				failed := recorder{TB: t}

				failed.check(func(t *rapid.T) { runProgram(t, k, db, programs().Draw(t, "program")) })

				require.NotEmpty(t, failed.messages, "no program found it")
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

	failed.check(func(t *rapid.T) { runProgram(t, k, plain, programs().Draw(t, "program")) })

	require.NotEmpty(t, failed.messages)
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

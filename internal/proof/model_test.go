package proof

import (
	"flag"
	"os"
	"testing"

	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ/internal/testdb"
)

// steps are all steps on one table.
func steps() *rapid.Generator[step] {
	return rapid.OneOf(
		saves(), updates(), loads(), loads(), creates(), freshes(), changes(), removes(),
		saveAlls(), updateAlls(), removeAlls(), criterias(), upserts(), findOrCreates(),
		touches(), currents(), rebases(), sees(), raws(), updates(), saves(), saveAlls(),
	)
}

// program is the steps of the sessions in their order.
type program []step

// GoString keeps rapid from printing what the counterexample says better.
func (program) GoString() string { return "the program" }

func programs() *rapid.Generator[program] {
	one := steps()
	several := rapid.SliceOfN(rapid.OneOf(one, one, one, one, one, one, transactions(one, 2)), 1, 16)
	return rapid.Map(several, func(steps []step) program { return steps })
}

// TestMain has rapid write no files: a counterexample is a test by itself.
func TestMain(m *testing.M) {
	must(flag.Set("rapid.nofailfile", "true"))
	must(flag.Set("rapid.shrinktime", "10s"))
	if !testdb.IsLong() {
		must(flag.Set("rapid.checks", "25"))
	}
	os.Exit(testdb.Main(m).Run())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestEveryWritePath runs random programs of two sessions on three rows.
func TestEveryWritePath(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			s, all := openSite(t, database), kinds(database.Like)
			rapid.Check(t, func(t *rapid.T) {
				s.run(t, rapid.SampledFrom(all).Draw(t, "kind"))
			})
			t.Logf("%d steps in %d tables", s.steps, len(s.opened))
		})
	}
}

// runProgram runs a program in an empty table; it tells how many steps of it were possible.
func runProgram(t rapid.TB, k kind, db *gorm.DB, steps program) int {
	t.Helper()
	return runMachine(t, newMachine(k, db), steps)
}

func runMachine(t rapid.TB, m *machine, steps program) int {
	t.Helper()
	if err := m.outer.Exec("DELETE FROM " + m.quoted() + " WHERE id > 0").Error; err != nil {
		t.Fatalf("emptying the table: %v", err)
	}
	if difference := m.differs(steps); difference != "" {
		t.Fatalf("%s\n\n%s", difference, m.counterexample(difference))
	}
	return m.steps
}

package proof

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/internal/testdb"
)

// everyForm is a program of all steps in all of their forms.
func everyForm(k kind) (all program) {
	all = program{
		fresh{v: "a1", price: 3}, fresh{v: "b1", price: 2, early: 1}, change{v: "a1", price: 2, seen: 1},
		load{v: "a1"}, load{v: "a1", again: true}, load{v: "b2", partial: true}, load{v: "b2", unscoped: true}, load{v: "a3", aside: true},
		create{vs: []variable{"a2"}}, create{vs: []variable{"a1", "a3"}, form: "slice"}, create{vs: []variable{"a1"}, form: "batches"},
		create{vs: []variable{"b3"}, form: "map"}, current{v: "a1"}, rebase{"a1", "b1"}, raw{id: 1, price: 4}, raw{id: 1, forgets: true},
		touch{vs: []variable{"a1", "b2"}}, touch{vs: []variable{"a1"}, verifies: true},
		save{v: "a1", chain: chain{unscoped: true, below: 3}}, save{v: "a1", chain: chain{unchecked: true}},
		save{v: "a1", chain: chain{expect: "a1"}}, see{v: "a1", n: 1}, remove{v: "a1"},
		saveAll{vs: []variable{"a1", "b2"}}, updateAll{vs: []variable{"a1", "b2"}, price: 3}, removeAll{vs: []variable{"a1", "b2"}},
		findOrCreate{v: "b3"}, findOrCreate{v: "b3", assign: 2}, update{v: "a3", form: "Update", price: 2, chain: chain{alias: true}},
	}
	for _, form := range updateForms {
		all = append(all, update{v: "a3", form: form, price: 1})
	}
	for _, form := range []string{"DoNothing", "DoUpdates", "UpdateAll"} {
		all = append(all, upsert{vs: []variable{"a1", "a2"}, form: form}, upsert{vs: []variable{"b1"}, form: form, one: true})
	}
	for _, form := range criteriaForms {
		all = append(all, criteria{form: form, id: 3, price: 2, chain: chain{below: 3, expect: map[bool]variable{true: "a3"}[form == "G and Expect"]}})
	}
	inner := transaction{steps: []step{savepoint{}, update{v: "a3", form: "Update", price: 4}, savepoint{back: true}}, plain: true}
	return append(all, transaction{steps: []step{inner, load{v: "b1", aside: true}, save{v: "a2"}}, fails: true})
}

// TestACounterexampleIsGo prints a program of every step, of every kind.
func TestACounterexampleIsGo(t *testing.T) {
	t.Parallel()
	database := testdb.One(t, "sqlite")
	dialector := database.Open(t).Dialector
	for i, k := range kinds(database.Like) {
		m := newMachine(k, k.open(t, dialector, fmt.Sprint("items_", i)))
		require.Empty(t, m.differs(everyForm(k)), k.name)

		text := m.counterexample("nothing")

		_, err := parser.ParseFile(token.NewFileSet(), "counterexample_test.go", text, parser.AllErrors)
		require.NoError(t, err, text)
		if dir := os.Getenv("COUNTEREXAMPLES"); dir != "" { // for go vet, which takes them as they are
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("counterexample", i, "_test.go")), []byte(text), 0o600))
		}
	}
}

// TestACounterexampleReads compares a program with the text it is to be.
func TestACounterexampleReads(t *testing.T) {
	t.Parallel()
	k := kinds("sqlite")[1]
	m := newMachine(k, k.open(t, testdb.One(t, "sqlite").Open(t).Dialector, "items"))

	difference := m.differs(program{
		fresh{v: "a1", price: 2, early: 1}, save{v: "a1"}, load{v: "b1"}, save{v: "b1"},
		transaction{steps: []step{
			update{v: "a1", form: "Update", price: 4},
			savepoint{}, removeAll{vs: []variable{"b1", "a1"}},
		}, fails: true},
	})

	require.Empty(t, difference)
	want, err := os.ReadFile(filepath.Join("testdata", "counterexample.txt"))
	require.NoError(t, err)
	require.Equal(t, string(want), m.counterexample("want this, got that"))
}

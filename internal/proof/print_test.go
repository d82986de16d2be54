package proof

import (
	"fmt"
	"go/format"
	"strings"
)

const snippet = `package occ_test

import (
%s)

%s
// On %s, the version %s: %s
func TestCounterexample(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(%s))
		require.NoError(t, db.AutoMigrate(&Item{}))
		%sstep := func(err error) {
			t.Helper()
			var rows []Item
			require.NoError(t, db.Unscoped().Order("id").Find(&rows).Error)
			t.Logf("%%v\n\tcommitted: %%+v", err, rows)
		}
		%s
		t.Logf("in memory: %%+v", []Item{%s})
	})
}
`

// generated is what a counterexample with a generator declares.
const generated = `
// numbered is a generator.
type numbered struct{ n int }

func (g *numbered) Next(context.Context, any) (any, error) {
	g.n++
	return fmt.Sprint("rev-", g.n), nil
}
`

// counterexample is the program so far as a test that runs it. What was promised stands behind each line; the last one
// is the one that went wrong.
func (m *machine) counterexample(difference string) string {
	k, setup := m.world.kind, ""
	if k.triggers {
		setup = "require.NoError(t, occ.CreateTriggers(db, &Item{}))\n"
	}
	program := strings.Join(append(m.declared(), m.closed()...), "\n")
	inMemory := strings.Join(m.used("*"), ", ")
	where := strings.TrimRight(fmt.Sprintf("%s, in %s, %s", m.world.database, m.table(), m.world.set), ", ")
	text := fmt.Sprintf(snippet, "", m.types(program), where, k.name, strings.ReplaceAll(difference, "\n", " "),
		k.plugin(), setup, program, inMemory)
	text = strings.Replace(text, "import (\n", "import (\n"+imports(text), 1)
	formatted, err := format.Source([]byte(text))
	if err != nil {
		return text // as it is, rather than nothing
	}
	return string(formatted)
}

func (k kind) plugin() string {
	switch {
	case k.blind:
		return "occ.New(occ.WithBlindWrites())"
	case k.name == "generator":
		return `occ.New(occ.WithGenerator("mine", &numbered{}))`
	}
	return "occ.New()"
}

// types are what the program needs to be declared.
func (m *machine) types(program string) string {
	types := fmt.Sprintf(declaration, m.world.kind.field) + "\n"
	if m.world.kind.name == "generator" {
		types += generated
	}
	if strings.Contains(program, "errUndone") {
		types = "var errUndone = errors.New(\"undone\")\n\n" + types
	}
	if strings.Contains(program, "= last - ") {
		types = fmt.Sprintf("const last = %d\n\n", m.world.kind.last) + types
	}
	return types
}

// imports are those that the text needs.
func imports(text string) string {
	var b strings.Builder
	for _, group := range [][]string{
		{"context", "database/sql", "errors", "fmt", "testing", "time"},
		{"github.com/google/uuid", "github.com/stretchr/testify/require", "gorm.io/gorm", "gorm.io/gorm/clause"},
		{"github.com/gorm-occ/occ", "github.com/gorm-occ/occ/internal/testdb"},
	} {
		for _, path := range group {
			if strings.Contains(text, path[strings.LastIndex(path, "/")+1:]+".") {
				fmt.Fprintf(&b, "\t%q\n", path)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// closed is the lines and the ends of the transactions that were open when the last of them was run.
func (m *machine) closed() []string {
	lines := append([]string(nil), m.lines...)
	for range m.world.levels {
		lines = append(lines, "return nil", "}))")
	}
	return lines
}

// used are the variables that the program uses.
func (m *machine) used(prefix string) (names []string) {
	text := strings.Join(m.lines, "\n")
	for _, v := range variables {
		if strings.Contains(text, string(v)) {
			names = append(names, prefix+string(v))
		}
	}
	return names
}

func (m *machine) declared() (lines []string) {
	for _, name := range m.used("") {
		lines = append(lines, fmt.Sprintf("%s := &Item{ID: %d}", name, variable(name).id()))
	}
	return lines
}

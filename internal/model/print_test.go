package model

import (
	"fmt"
	"go/format"
	"math"
	"strings"
)

const snippet = `package occ_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

%s

// %s: on %s, version %s.
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

// counterexample is the program so far as a test that runs it; the last line is the one that went wrong.
func (m *machine) counterexample(difference string) string {
	k := m.world.kind
	setup, plugin := "", "occ.New()"
	if k.blind {
		plugin = "occ.New(occ.WithBlindWrites())"
	}
	if k.name == "generator" {
		plugin = `occ.New(occ.WithGenerator("mine", &numbered{}))`
	}
	if k.triggers {
		setup = "require.NoError(t, occ.CreateTriggers(db, &Item{}))\n"
	}
	program := strings.Join(m.declared(), "\n") + "\n" + strings.Join(m.closed(), "\n")
	text := fmt.Sprintf(snippet, fmt.Sprintf(declaration, k.field), strings.ReplaceAll(difference, "\n", " "), m.world.database, k.name,
		plugin, setup, program, strings.Join(m.used("*"), ", "))
	if formatted, err := format.Source([]byte(m.withImports(text))); err == nil {
		return string(formatted)
	}
	return text
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

// withImports leaves out what the program does not use, and adds what it does.
func (m *machine) withImports(text string) string {
	program := text[strings.Index(text, ")\n"):]
	if !strings.Contains(program, "clause.") {
		text = strings.Replace(text, "\t\"gorm.io/gorm/clause\"\n", "", 1)
	}
	if !strings.Contains(program, "context.") && m.world.kind.name != "generator" {
		text = strings.Replace(text, "\t\"context\"\n", "", 1)
	}
	if strings.Contains(program, "errUndone") {
		text = strings.Replace(text, "\ntype Item", "\nvar errUndone = errors.New(\"undone\")\n\ntype Item", 1)
	} else {
		text = strings.Replace(text, "\t\"errors\"\n", "", 1)
	}
	if strings.Contains(program, "= last - ") {
		text = strings.Replace(text, "\ntype Item", fmt.Sprintf("\nconst last = %d\n\ntype Item", m.world.kind.last), 1)
	}
	return text
}

var _ = math.MaxInt8

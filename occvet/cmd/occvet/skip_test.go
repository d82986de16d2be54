package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis/unitchecker"
)

func TestSkip(t *testing.T) {
	const plain, tagged = "package p\n", "package p\n\ntype T struct {\n\tV int `gorm:\"version\"`\n}\n"
	for name, c := range map[string]struct {
		source, imported string // the imported package's facts
		isChecked        bool   // for diagnostics
		want             bool
	}{
		"a dependency without GORM":                         {source: plain, want: true},
		"a dependency with a tag of GORM's":                 {source: tagged},
		"a dependency that imports what something is known": {source: plain, imported: "facts"},
		"a package to check":                                {source: plain, isChecked: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) string {
				file := filepath.Join(dir, name)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return file
			}
			facts := filepath.Join(dir, "facts")
			unit, err := json.Marshal(unitchecker.Config{
				GoFiles: []string{write("p.go", c.source)}, PackageVetx: map[string]string{"q": write("q.vetx", c.imported)},
				VetxOnly: !c.isChecked, VetxOutput: facts,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := skip([]string{"-unread", write("unit.cfg", string(unit))}); got != c.want {
				t.Errorf("skipped: %v", got)
			}
			if text, err := os.ReadFile(facts); (err == nil) != c.want || len(text) > 0 {
				t.Errorf("facts: %q, %v", text, err)
			}
		})
	}
	for _, arguments := range [][]string{nil, {"./..."}, {"-V=full"}, {filepath.Join(t.TempDir(), "none.cfg")}} {
		if skip(arguments) {
			t.Errorf("%q is skipped", arguments)
		}
	}
}

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommand runs the command as its users do: by go vet and by itself, in a module of its own.
func TestCommand(t *testing.T) {
	command := filepath.Join(t.TempDir(), "occvet")
	if out, err := exec.Command("go", "build", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const (
		unread = "the error of this write of Product is never read"
		facts  = "it tells whether a write was refused (Product)" // known from another package
		byKey  = "names one Product in a condition"
	)
	for name, c := range map[string]struct {
		args       []string
		want, none []string
	}{
		"go vet":                  {[]string{"go", "vet", "-vettool=" + command, "./unread", "./bykey"}, []string{unread, facts}, []string{byKey}},
		"go vet, one beside":      {[]string{"go", "vet", "-vettool=" + command, "-bykey.on", "./unread", "./bykey"}, []string{unread, byKey}, nil},
		"go vet, one alone":       {[]string{"go", "vet", "-vettool=" + command, "-bykey", "./unread", "./bykey"}, []string{byKey}, []string{unread}},
		"the command":             {[]string{command, "./unread", "./bykey"}, []string{unread, facts}, []string{byKey}},
		"the command, one alone":  {[]string{command, "-bykey", "./unread", "./bykey"}, []string{byKey}, []string{unread}},
		"the command, all others": {[]string{command, "-unread=false", "-bykey.on", "./unread", "./bykey"}, []string{byKey}, []string{unread}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := exec.Command(c.args[0], c.args[1:]...)
			run.Dir = filepath.Join("..", "..", "testdata")
			out, err := run.CombinedOutput()
			if err == nil {
				t.Error("findings, and the status is 0")
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
			for _, none := range c.none {
				if strings.Contains(string(out), none) {
					t.Errorf("%q is in\n%s", none, out)
				}
			}
		})
	}
}

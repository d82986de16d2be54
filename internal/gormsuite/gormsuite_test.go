package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const printed = `=== RUN   TestSame
--- PASS: TestSame (0.00s)
=== RUN   TestOther
=== RUN   TestOther/sub
    create_test.go:12: it is another
--- FAIL: TestOther (0.01s)
    --- FAIL: TestOther/sub (0.01s)
=== RUN   TestLeftOut
--- SKIP: TestLeftOut (0.00s)
=== RUN   TestThatPanics
panic: here
`

func TestReadTellsHowEachTestEnds(t *testing.T) {
	t.Parallel()
	o := read([]byte(printed))

	require.Equal(t, map[string]string{"TestSame": "PASS", "TestOther": "FAIL", "TestLeftOut": "SKIP"}, o.ends)
	require.Equal(t, []string{"create_test.go:12: it is another"}, o.messages["TestOther"])
	require.Equal(t, 1, o.passed())
}

func TestEveryDifferenceFromTheControlIsFound(t *testing.T) {
	t.Parallel()
	control := outcome{ends: map[string]string{"TestSame": "PASS", "TestOther": "PASS", "TestLeftOut": "PASS", "TestThatPanics": "PASS", "TestFails": "FAIL"}}

	require.Empty(t, control.differing(control))
	require.Equal(t, []string{"TestFails", "TestLeftOut", "TestOther", "TestThatPanics"}, read([]byte(printed)).differing(control))
	require.Equal(t, []string{"TestFails", "TestLeftOut", "TestOther", "TestThatPanics"}, control.differing(read([]byte(printed))))
}

const models = `package tests_test

type A struct {
	ID int
}
type B struct{ Code string ` + "`gorm:\"primary_key\"`" + ` }
type C struct {
	gorm.Model // with a comment
}
type Author struct {
	ID int
}
type D struct{ Name string }

func TestA(t *testing.T) {
	type E struct { ID int }
	_, _ = A{}, 1
}

func TestB(t *testing.T) { _ = A{} }
`

func TestModelsGetAVersionOnTheirOwnLines(t *testing.T) {
	t.Parallel()
	some, err := addVersions([]byte(models), false)
	require.NoError(t, err)
	all, err := addVersions([]byte(models), true)
	require.NoError(t, err)

	require.Equal(t, 4, bytes.Count(some, []byte("occ.Version")))
	require.Equal(t, 6, bytes.Count(all, []byte("occ.Version")))
	require.Contains(t, string(some), `package tests_test; import "github.com/gorm-occ/occ"`)
	require.Equal(t, bytes.Count([]byte(models), []byte("\n")), bytes.Count(some, []byte("\n")))
	for _, content := range [][]byte{some, all} {
		_, err = addVersions(content, false)
		require.NoError(t, err, "it is Go")
	}
}

func TestAnEditStaysInItsFunction(t *testing.T) {
	t.Parallel()
	d := difference{test: "TestA", edits: []edit{{old: "A{}", new: "A{ID: 1}"}}}

	edited, err := d.apply([]byte(models))

	require.NoError(t, err)
	require.Contains(t, string(edited), "_, _ = A{ID: 1}, 1")
	require.Contains(t, string(edited), "func TestB(t *testing.T) { _ = A{} }")
	for _, e := range []edit{{old: "A{}", times: 2}, {old: "no such text"}, {in: "TestC", old: "A{}"}} {
		_, err = difference{test: "TestA", edits: []edit{e}}.apply([]byte(models))
		require.Error(t, err)
	}
}

func TestADifferenceIsListedOnceWithItsReason(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	for _, d := range differences {
		require.NotEmpty(t, d.reason, d.test)
		require.NotEmpty(t, d.edits, d.test)
		require.False(t, tests[d.test], d.test)
		tests[d.test] = true
	}
}

func TestPostgresDSN(t *testing.T) {
	t.Parallel()
	require.Equal(t, "host=h dbname=test dbname=other", postgresDSN("host=h dbname=test", "other"))
	require.Equal(t, "postgres://u@h:1/other?sslmode=disable", postgresDSN("postgres://u@h:1/test?sslmode=disable", "other"))
}

// TestItIsSkippedInWordsWithoutARepository takes git away, so that nothing can be cloned.
func TestItIsSkippedInWordsWithoutARepository(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\necho no network >&2\nexit 128\n"), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("GORM_SOURCE", "")
	var out, complaints bytes.Buffer

	status := run(t.Context(), nil, &out, &complaints)

	require.Equal(t, alike, status, complaints.String())
	require.Contains(t, out.String(), "skipped: GORM's own suite: https://github.com/go-gorm/gorm does not answer: no network")
	require.Equal(t, unusable, run(t.Context(), []string{"-source", dir}, &out, &complaints), "a clone that is none")
	require.Equal(t, unusable, run(t.Context(), []string{"-no-such-flag"}, &out, &complaints))
}

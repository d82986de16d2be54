package main

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/work"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what was written with a file of testdata.
func golden(t *testing.T, name, written string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(written), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), written)
}

func rounds(microseconds ...int) []time.Duration {
	var all []time.Duration
	for _, us := range microseconds {
		all = append(all, time.Duration(us)*time.Microsecond)
	}
	return all
}

// example is an entry with figures of every sort.
func example(server, name string) *Entry {
	return &Entry{
		Database: server, Work: name, Setting: "GORM's defaults", Baseline: peers.NameByHand, Date: "2026-01-02",
		Peers: []Figures{
			{Peer: peers.NameGORM, Counts: Counts{3, 2, 0}, Time: rounds(95, 190, 76), Bytes: 5232, Allocs: 70},
			{Peer: peers.NameByHand, Counts: Counts{3, 2, 1}, Time: rounds(100, 200, 80), Bytes: 6900, Allocs: 100},
			{Peer: "optimisticlock", Wrong: "a stale write is not refused", Counts: Counts{3, 2, 0}},
			{Peer: peers.NameOcc, Counts: Counts{3, 2, 0}, Time: rounds(80, 190, 68), Bytes: 5552, Allocs: 75},
			{Peer: peers.NameLean, Counts: Counts{1, 0, 0}, Time: rounds(40, 80, 36), Bytes: 3000, Allocs: 55},
			{Peer: peers.SingleStatement + "json_each", Note: "and a note", Time: rounds(60, 100, 40), Bytes: 1000, Allocs: 10},
			{Peer: peers.SingleStatement + "VALUES", Counts: Counts{3, 2, 0}, Time: rounds(50, 120, 41), Bytes: 1000, Allocs: 10},
		},
	}
}

func TestTheTableShowsRatiosOfRoundsAndWhoIsWrong(t *testing.T) {
	golden(t, "table.txt", plainTable(table(example(peers.SQLite, work.Update))))
}

func TestTheReportIsWrittenFromResults(t *testing.T) {
	out := t.TempDir()
	results := &Results{Machines: map[string]Machine{peers.SQLite: {
		Cores: 2, System: "linux/amd64", Go: "go1.25.0", GORM: "v1.31.2", Server: "SQLite 3.45", Command: "go run ./compare",
	}}}
	results.put(example(peers.SQLite, work.Update))
	results.put(example(peers.MariaDB, work.Batch(100)))

	require.NoError(t, writeReport(results, out))

	golden(t, "benchmarks.md", read(t, out, "benchmarks.md"))
	chart := read(t, out, "benchmarks", "update-of-one-column.svg")
	golden(t, "update-of-one-column.svg", chart)
	requireXML(t, chart)
	require.FileExists(t, filepath.Join(out, "benchmarks", "save-of-100-loaded-rows.svg"))
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

func requireXML(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestTheOpeningIsTheRangeOfAllSingleWrites(t *testing.T) {
	results := &Results{}
	require.Equal(t, "What a compared write costs has not been measured yet.", opening(results))

	slow := example(peers.MariaDB, work.Save)
	slow.of(peers.NameOcc).Time = rounds(110, 220, 88)
	results.put(example(peers.SQLite, work.Update))
	results.put(slow)
	results.put(example(peers.PostgreSQL, work.Batch(100)))

	require.Equal(t, "A compared Update or Save of one row takes 0.85 to 1.10 times as long as the same write with a check by hand, "+
		"and 0.40 to 0.40 times with `WithLeanTransactions` (SQLite, MariaDB; the median in each setting).", opening(results))
}

func TestATargetIsMetOnlyByTheWorstOfItsFigures(t *testing.T) {
	results := &Results{}
	good, bad := example(peers.SQLite, work.Update), example(peers.SQLite, work.Save)
	bad.of(peers.NameOcc).Time = rounds(105, 210, 84)
	time, leanTime, leanAllocs := targets()[0], targets()[1], targets()[2]

	require.Equal(t, "not measured", time.judge(results, peers.SQLite).String())
	results.put(good)
	require.Equal(t, "met: 0.85", time.judge(results, peers.SQLite).String())
	require.Equal(t, "met: 0.40", leanTime.judge(results, peers.SQLite).String())
	require.Equal(t, "**missed: 0.55** in 1 of 1, worst: Update of one column, GORM's defaults", leanAllocs.judge(results, peers.SQLite).String())
	results.put(bad)
	results.put(example(peers.SQLite, work.SaveWide))
	require.Equal(t, "**missed: 1.05** in 1 of 3, worst: Save of 5 columns, GORM's defaults",
		time.judge(results, peers.SQLite).String())
	require.Equal(t, "not measured", time.judge(results, peers.MariaDB).String())
}

func TestABatchIsComparedWithTheFastestStatementAndWithTheLoop(t *testing.T) {
	e := example(peers.SQLite, work.Batch(100))

	require.Equal(t, peers.SingleStatement+"VALUES", fastest(e, isByHand))
	require.InDelta(t, 1.6, ofBestByHand(e).Median, 0.01)
	require.InDelta(t, 1.18, againstLoop(e).Median, 0.01)
	e.Peers = append(e.Peers, Figures{Peer: peers.NameSQL, Time: rounds(40, 80, 32)})
	require.Equal(t, peers.NameSQL, fastest(e, isByHand))
	require.Equal(t, peers.SingleStatement+"VALUES", fastest(e, isStatement))
	e.of(peers.NameOcc).Wrong, e.of(peers.NameOcc).Time = "it loses writes", nil
	require.Zero(t, againstLoop(e))
}

func TestWritesWithoutATransactionAreThoseOfTheirSetting(t *testing.T) {
	e := example(peers.SQLite, work.Update)
	require.Zero(t, withoutTransaction(e))

	e.Setting = peers.Setting{SkipDefaultTransaction: true}.String()
	require.InDelta(t, 0.89, withoutTransaction(e).Median, 0.01)
}

func TestAHotRowIsJudgedByTimeAndByAttempts(t *testing.T) {
	e := &Entry{Database: peers.SQLite, Work: work.Hot(16), Peers: []Figures{
		{Peer: work.LockFirst, Time: rounds(100, 200, 80), Attempts: 1},
		{Peer: work.Adaptive, Time: rounds(120, 240, 96), Attempts: 1.04},
	}}
	require.InDelta(t, 1.2, adaptive(e).Median, 0.01)
	require.InDelta(t, 1.04, attempts(e).Median, 0.001)

	e.of(work.Adaptive).Wrong, e.of(work.Adaptive).Time = "it loses writes", nil
	require.Zero(t, adaptive(e))
	require.Zero(t, attempts(e))
}

func TestAFloorIsMissedBelowIt(t *testing.T) {
	floor := target{Works: []string{work.Update}, limit: always(3), isFloor: true, measure: statements}
	results := &Results{}
	results.put(example(peers.SQLite, work.Update))
	require.False(t, floor.judge(results, peers.SQLite).IsMet)

	results.Entries[0].of(peers.NameOcc).Statements = 5
	require.True(t, floor.judge(results, peers.SQLite).IsMet)
}

func TestTheCostOfARowIsFlatUpToTheLimit(t *testing.T) {
	results := &Results{}
	few, many := example(peers.SQLite, work.Batch(100)), example(peers.SQLite, work.Batch(10000))
	results.put(few)
	require.False(t, flat(results, peers.SQLite).IsKnown)

	many.of(peers.NameOcc).Time = rounds(8000, 19000, 9000)
	results.put(many)
	require.True(t, flat(results, peers.SQLite).IsMet)
	many.of(peers.NameOcc).Time = rounds(12000, 19000, 11000)
	require.False(t, flat(results, peers.SQLite).IsMet)
}

func TestARunKeepsWhatItHasNotMeasured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks", "results.json")
	first, err := readResults(path)
	require.NoError(t, err)
	first.put(example(peers.SQLite, work.Update))
	first.put(example(peers.MariaDB, work.Update))
	require.NoError(t, first.write(path))

	second, err := readResults(path)
	require.NoError(t, err)
	again := example(peers.MariaDB, work.Update)
	again.Date = "2026-03-04"
	second.put(again)

	require.Equal(t, []*Entry{example(peers.SQLite, work.Update), again}, second.Entries)
	require.Equal(t, "2026-01-02 to 2026-03-04", second.dates())
}

func TestRenderingMeasuresNothing(t *testing.T) {
	out := t.TempDir()
	o, err := parse([]string{"-render", "-out", out})
	require.NoError(t, err)
	require.ErrorContains(t, run(t.Context(), o), "no results")
	results := &Results{}
	results.put(example(peers.SQLite, work.Update))
	require.NoError(t, results.write(o.file("results.json")))

	require.NoError(t, run(t.Context(), o))

	require.Contains(t, read(t, out, "benchmarks.md"), "takes 0.85 to 0.85 times as long")
	again, err := readResults(o.file("results.json"))
	require.NoError(t, err)
	require.Equal(t, results.Entries, again.Entries)
}

func TestAPartOfTheReportCanBeMeasured(t *testing.T) {
	out := t.TempDir()
	o, err := parse([]string{"-quick", "-db", "sqlite", "-work", "^Delete$", "-out", out})
	require.NoError(t, err)
	results := &Results{}
	results.put(example(peers.SQLite, work.Update))
	require.NoError(t, results.write(o.file("results.json")))

	require.NoError(t, run(t.Context(), o))

	again, err := readResults(o.file("results.json"))
	require.NoError(t, err)
	require.Len(t, again.Entries, 2)
	require.Equal(t, results.Entries[0], again.Entries[0])
	require.Equal(t, work.Delete, again.Entries[1].Work)
	require.Contains(t, read(t, out, "benchmarks.md"), "go run ./compare -db=sqlite -quick=true -work=^Delete$")
}

func TestAnInterruptedRunRemovesItsDatabases(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	o, err := parse([]string{"-quick", "-db", "sqlite"})
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()

	require.ErrorIs(t, run(ctx, o), context.Canceled)

	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOptions(t *testing.T) {
	o, err := parse([]string{"-quick", "-db", "sqlite,mariadb", "-work", "hot"})
	require.NoError(t, err)
	require.Equal(t, []string{"sqlite", "mariadb"}, o.databases)
	require.Empty(t, o.out)
	require.Equal(t, []string{work.Hot(1), work.Hot(4)}, names(chosen(work.All(), o.works.MatchString, o.quick)))

	o, err = parse(nil)
	require.NoError(t, err)
	require.Equal(t, peers.Servers(), o.databases)
	require.Equal(t, filepath.Join("..", "docs"), o.out)
	require.Len(t, chosen(work.All(), o.works.MatchString, o.quick), len(work.All()))
}

func names(works []work.Work) []string {
	var all []string
	for _, w := range works {
		all = append(all, w.Name)
	}
	return all
}

func TestASurveyCountsStatementsApartFromTheRace(t *testing.T) {
	isUpdate := regexp.MustCompile("^" + work.Update + "$").MatchString
	w := chosen(work.All(), isUpdate, true)[0]

	s := newSurvey(peers.SQLite, race.Plan{Rounds: 1})
	t.Cleanup(func() { require.NoError(t, s.close()) })

	e, err := s.measure(w, w.Settings[0])

	require.NoError(t, err)
	for _, f := range e.Peers {
		require.Empty(t, f.Wrong, f.Peer)
		require.Len(t, f.Time, 1, f.Peer)
		want := Counts{Statements: 3, Ends: 2}
		if f.Peer == peers.NameLean {
			want = Counts{Statements: 1}
		}
		require.Equal(t, want, f.Counts, f.Peer)
	}
}

package history

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// a is one operation of a history on a single row, whose versions count. Unless a test says otherwise, each begins
// when the one before it has ended.
type a = Operation

// of gives operations their times, in the order they are written; overlapping ones are given theirs by the test.
func of(operations ...Operation) map[string][]Operation {
	for i := range operations {
		o := &operations[i]
		o.Row, o.Call, o.Counts = "row", string(o.Action), true
		if o.Outcome == "" {
			o.Outcome = Done
		}
		if o.Began == 0 {
			o.Began, o.Ended = int64(10*i+1), int64(10*i+5)
		}
	}
	return map[string][]Operation{"row": operations}
}

func TestHistoriesThatAreRight(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]map[string][]Operation{
		"one writer after the other": of(
			a{Action: Create, Version: "1", Value: 1}, a{Action: Read, Version: "1", Value: 1},
			a{Action: Write, Expected: "1", Version: "2", Value: 2, Adds: 1}, a{Action: Verify, Expected: "2"},
			a{Action: Write, Expected: "1", Outcome: Changed, Version: "2", Value: 3},
			a{Action: Blind, Version: "3", Value: 4, Adds: 1}, a{Action: Read, Version: "3", Value: 4, Count: 2}),
		"a refused write while the other is under way": of(
			a{Action: Create, Version: "1", Value: 1},
			a{Action: Write, Expected: "1", Version: "2", Value: 2, Adds: 1, Began: 11, Ended: 30},
			a{Action: Write, Expected: "1", Outcome: Changed, Version: "2", Value: 3, Began: 12, Ended: 20},
			a{Action: Read, Version: "1", Value: 1, Began: 13, Ended: 14},
			a{Action: Read, Version: "2", Value: 2, Count: 1, Began: 40, Ended: 41}),
		"a row that is deleted and created again": of(
			a{Action: Create, Version: "1", Value: 1}, a{Action: Delete, Expected: "1"}, a{Action: Read, Outcome: Gone},
			a{Action: Write, Expected: "1", Outcome: Gone, Value: 2}, a{Action: Put, Version: "1", Value: 3},
			a{Action: Write, Expected: "9", Outcome: Ahead, Version: "1", Value: 4}, a{Action: Put, Version: "2", Value: 5},
			a{Action: Read, Version: "2", Value: 5}),
		"an unknown outcome that happened": of(
			a{Action: Create, Version: "1", Value: 1}, a{Action: Write, Outcome: Unknown, Expected: "1", Value: 2, Adds: 1},
			a{Action: Read, Version: "2", Value: 2, Count: 1}),
		"an unknown outcome that happened later": of(
			a{Action: Create, Version: "1", Value: 1}, a{Action: Write, Outcome: Unknown, Expected: "1", Value: 2, Adds: 1},
			a{Action: Read, Version: "1", Value: 1}, a{Action: Read, Version: "2", Value: 2, Count: 1}),
		"an unknown outcome that did not happen": of(
			a{Action: Create, Version: "1", Value: 1}, a{Action: Write, Outcome: Unknown, Expected: "1", Value: 2, Adds: 1},
			a{Action: Write, Expected: "1", Version: "2", Value: 3, Adds: 1}, a{Action: Read, Version: "2", Value: 3, Count: 1}),
		"a delete of unknown outcome": of(
			a{Action: Create, Version: "1", Value: 1}, a{Action: Delete, Outcome: Unknown, Expected: "1"},
			a{Action: Read, Version: "1", Value: 1}, a{Action: Read, Outcome: Gone}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, Result{}, Check(rows, time.Minute))
		})
	}
}

func TestHistoriesThatAreWrong(t *testing.T) {
	t.Parallel()
	created := a{Action: Create, Version: "1", Value: 1}
	first := a{Action: Write, Expected: "1", Version: "2", Value: 2, Adds: 1}
	for name, rows := range map[string]map[string][]Operation{
		"a lost update": of(created, first, a{Action: Write, Expected: "1", Version: "2", Value: 3, Adds: 1}),
		"a write of a version that was not there":  of(created, a{Action: Write, Expected: "3", Version: "4", Value: 3}),
		"a version that was skipped":               of(created, a{Action: Write, Expected: "1", Version: "3", Value: 3}),
		"a read of what was overwritten":           of(created, first, a{Action: Read, Version: "1", Value: 1}),
		"a read of a value that nobody wrote":      of(created, first, a{Action: Read, Version: "2", Value: 7, Count: 1}),
		"a refusal although the row was current":   of(created, a{Action: Write, Expected: "1", Outcome: Changed, Version: "1"}),
		"a refusal that names a version not there": of(created, a{Action: Write, Expected: "1", Outcome: Changed, Version: "5"}),
		"a refusal of a row as if it was deleted":  of(created, a{Action: Write, Expected: "1", Outcome: Gone}),
		"a write of a deleted row":                 of(created, a{Action: Delete, Expected: "1"}, first),
		"a second insert":                          of(created, a{Action: Create, Version: "1", Value: 3}),
		"a count that is too low": of(created, first, a{Action: Write, Expected: "2", Version: "3", Value: 3, Adds: 1, Count: 1},
			a{Action: Read, Version: "3", Value: 3, Count: 1}),
		"an unknown outcome that happened twice": of(created, a{Action: Write, Outcome: Unknown, Expected: "1", Value: 2},
			a{Action: Read, Version: "2", Value: 2}, a{Action: Write, Expected: "2", Version: "3", Value: 3}, a{Action: Read, Version: "2", Value: 2}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			result := Check(rows, time.Minute)

			require.Len(t, result.Failures, 1)
			require.NotEmpty(t, result.Failures[0].Operations)
			require.Subset(t, rows["row"], result.Failures[0].Operations)
			require.Equal(t, "row", result.Failures[0].Row)
		})
	}
}

func TestOfALongHistoryTheLostUpdateIsShown(t *testing.T) {
	t.Parallel()
	operations := []Operation{{Action: Create, Version: "1", Value: 1}}
	for i := range 200 {
		o := Operation{Action: Write, Value: int64(i + 2)}
		o.Expected, o.Version = strconv.Itoa(i+1), strconv.Itoa(i+2)
		operations = append(operations, o, Operation{Action: Read, Version: o.Version, Value: o.Value})
		if i == 120 {
			operations = append(operations, Operation{Session: 1, Action: Write, Expected: o.Expected, Version: o.Version, Value: 1000})
		}
	}

	result := Check(of(operations...), time.Minute)

	require.Len(t, result.Failures, 1)
	shown := result.Failures[0].Operations
	require.Len(t, shown, 1+2*neighbours, "%s", result.Failures[0])
	require.Contains(t, shown, operations[241], "the write that was lost")
	require.Contains(t, shown, operations[243], "the write that lost it")
}

func TestAPictureIsAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	result := Check(of(a{Action: Create, Version: "1", Value: 1}, a{Action: Write, Outcome: Unknown, Expected: "1", Value: 2},
		a{Action: Read, Version: "7", Value: 1}), time.Minute)
	require.Len(t, result.Failures, 1)

	path, err := result.Failures[0].Picture(dir)

	require.NoError(t, err)
	require.Equal(t, dir, filepath.Dir(path))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "version 7")
	_, err = result.Failures[0].Picture(filepath.Join(dir, "none"))
	require.Error(t, err)
}

func TestARecorderGivesEachRowItsHistoryOnce(t *testing.T) {
	t.Parallel()
	r := NewRecorder()
	r.Add(Operation{Row: "a"}, Operation{Row: "b"})
	r.Add(Operation{Row: "a", Session: 1})

	require.Equal(t, map[string][]Operation{"a": {{Row: "a"}, {Row: "a", Session: 1}}, "b": {{Row: "b"}}}, r.Take())
	require.Empty(t, r.Take())
	require.Positive(t, r.Now())
}

package race_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/race"
)

// runner is a contestant that writes down its turns.
func runner(name string, turns *[]string) race.Contestant {
	nothing := func() error { return nil }
	return race.Contestant{
		Name: name, MaxOps: 1, Verify: nothing, Close: nothing,
		Prepare: func(int) error { return nil },
		Run: func(int) error {
			*turns = append(*turns, name)
			return nil
		},
	}
}

func TestEveryRoundBeginsWithAnotherContestant(t *testing.T) {
	var turns []string

	results := race.Run([]race.Contestant{runner("a", &turns), runner("b", &turns), runner("c", &turns)}, race.Plan{Rounds: 4, Budget: time.Minute})

	require.Equal(t, "abc abc bac cab acb", words(turns), "a trial each, then four rounds")
	for _, r := range results {
		require.Len(t, r.Time, 4)
		require.Len(t, r.Allocs, 4)
	}
}

func TestABudgetEndsTheRaceAfterTheLeastRounds(t *testing.T) {
	var turns []string

	results := race.Run([]race.Contestant{runner("a", &turns)}, race.Plan{Rounds: 1000, Budget: -time.Second})

	require.Len(t, results[0].Time, race.MinRounds)
}

func TestAContestantThatDoesNotDoTheWorkIsWrongAndHasNoFigures(t *testing.T) {
	lost := errors.New("the data are not there")
	for name, break_ := range map[string]func(c *race.Contestant){
		"it does not prove that it refuses": func(c *race.Contestant) { c.Prove = func() error { return lost } },
		"it fails":                          func(c *race.Contestant) { c.Run = func(int) error { return lost } },
		"its data do not arrive":            func(c *race.Contestant) { c.Verify = func() error { return lost } },
		"its data do not arrive later":      func(c *race.Contestant) { c.Verify = failing(3, lost) },
	} {
		t.Run(name, func(t *testing.T) {
			var turns []string
			wrong, right := runner("wrong", &turns), runner("right", &turns)
			break_(&wrong)

			results := race.Run([]race.Contestant{wrong, right}, race.Plan{Rounds: 5, Budget: time.Minute})

			require.Equal(t, race.Result{Name: "wrong", Wrong: lost.Error()}, results[0])
			require.Len(t, results[1].Time, 5)
		})
	}
}

func TestASliceHasAsManyOperationsAsFit(t *testing.T) {
	var most int
	c := runner("a", new([]string))
	c.MinOps, c.MaxOps = 2, 20
	c.Run = func(n int) error {
		most = max(most, n)
		return nil
	}

	results := race.Run([]race.Contestant{c}, race.Plan{Rounds: 1, Slice: time.Minute})

	require.Equal(t, 20, most)
	require.Equal(t, 20, results[0].Ops)
}

// failing is right until it was called n times.
func failing(n int, err error) func() error {
	return func() error {
		if n--; n < 0 {
			return err
		}
		return nil
	}
}

// words puts a space behind every third turn.
func words(turns []string) string {
	var all strings.Builder
	for i, turn := range turns {
		if i > 0 && i%3 == 0 {
			all.WriteByte(' ')
		}
		all.WriteString(turn)
	}
	return all.String()
}

package history

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

// shrink leaves the fewest operations that it can of a history that fails. It only leaves out what cannot be the reason:
// if the whole history had been right, the rest of it would be too.
func shrink(operations []Operation, limit time.Duration) []Operation {
	fails := func(some []Operation) bool { return verdict(some, limit) == porcupine.Illegal }
	operations = slices.SortedFunc(slices.Values(operations), func(a, b Operation) int { return cmp.Compare(a.Began, b.Began) })
	operations = beginning(operations, fails)
	if window, ok := byVersion(operations, fails); ok {
		operations = window
	}
	operations = ending(operations, fails)
	return withoutReads(operations, fails)
}

// beginning cuts off what comes after the history has failed for the first time.
func beginning(operations []Operation, fails func([]Operation) bool) []Operation {
	ends := make([]int64, len(operations))
	for i, o := range operations {
		ends[i] = o.Ended
	}
	slices.Sort(ends)
	i := sort.Search(len(ends)-1, func(i int) bool { return fails(until(operations, ends[i])) })
	return until(operations, ends[i])
}

// until is the history as it was at a moment: of what was still going on, the outcome was not known.
func until(operations []Operation, moment int64) (rest []Operation) {
	for _, o := range operations {
		switch {
		case o.Began > moment:
		case o.Ended <= moment:
			rest = append(rest, o)
		case o.isEffective():
			o.Outcome = Unknown
			rest = append(rest, o)
		}
	}
	return rest
}

// ending cuts off what had ended before anything of the rest began.
func ending(operations []Operation, fails func([]Operation) bool) []Operation {
	rest, ended := operations, int64(0)
	for i, o := range operations {
		if o.Began > ended && fails(operations[i:]) {
			rest = operations[i:]
		}
		ended = max(ended, o.end())
	}
	return rest
}

// byVersion leaves the operations on the fewest versions in succession. Versions have to count: those before then came
// before, those after came after.
func byVersion(operations []Operation, fails func([]Operation) bool) ([]Operation, bool) {
	newest := int64(0)
	for _, o := range operations {
		if !o.Counts || o.Action == Delete || o.Action == Put || o.Outcome == Gone || o.Outcome == Ahead {
			return nil, false
		}
		at, _ := o.at()
		newest = max(newest, at)
	}
	last := int64(sort.Search(int(newest), func(last int) bool { return fails(between(operations, 0, int64(last))) }))
	first := int64(sort.Search(int(last), func(i int) bool { return fails(between(operations, last-int64(i), last)) }))
	window := between(operations, last-first, last)
	return window, fails(window)
}

func between(operations []Operation, first, last int64) (window []Operation) {
	for _, o := range operations {
		at, ok := o.at()
		switch {
		case ok && at >= first && at <= last:
			window = append(window, o)
		case !ok && o.isEffective():
			o.Outcome = Unknown // it may be of any version
			window = append(window, o)
		}
	}
	return window
}

// at is the version of the row that an operation met.
func (o Operation) at() (version int64, ok bool) {
	met := o.Version
	if o.Action == Write || o.Action == Verify && o.Outcome == Done {
		met = o.Expected
	}
	if o.Outcome == Changed {
		met = o.Version
	}
	version, err := strconv.ParseInt(met, 10, 64)
	if o.Action == Create || o.Action == Blind {
		version--
	}
	return version, err == nil && o.Outcome != Refused && (o.Outcome != Unknown || o.Action == Write)
}

// withoutReads leaves out, one after the other, what has not changed the row.
func withoutReads(operations []Operation, fails func([]Operation) bool) []Operation {
	for i := len(operations) - 1; i >= 0; i-- {
		if operations[i].isEffective() {
			continue
		}
		if rest := slices.Delete(slices.Clone(operations), i, i+1); fails(rest) {
			operations = rest
		}
	}
	return operations
}

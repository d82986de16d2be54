package history

import (
	"fmt"
	"slices"
	"strconv"
)

// sums are what the writes of a row add up to. Those of unknown outcome may count or not.
type sums struct {
	added, mayBeAdded   int64
	writes, mayBeWrites int64
}

// tally checks what is told of a row in the end: that it counts what was added to it, that no version was given twice,
// and that every write took one. Of rows that were deleted meanwhile it says nothing.
func tally(name string, operations []Operation) (Failure, bool) {
	if slices.ContainsFunc(operations, func(o Operation) bool { return o.Action == Delete || o.Action == Put || o.Outcome == Gone }) {
		return Failure{}, true
	}
	given := map[string]Operation{}
	for _, o := range operations {
		if !o.isEffective() || o.Outcome == Unknown || o.Version == "" {
			continue
		}
		if other, twice := given[o.Version]; twice {
			return Failure{name, "two writes gave the row the same version", []Operation{other, o}}, false
		}
		given[o.Version] = o
	}
	last, ok := lastRead(operations)
	if !ok {
		return Failure{}, true
	}
	return add(operations).compare(name, last)
}

// lastRead is a read of the row that nothing follows.
func lastRead(operations []Operation) (last Operation, ok bool) {
	for _, o := range operations {
		if o.Began >= last.Began {
			last = o
		}
	}
	for _, o := range operations {
		if o.Outcome != Unknown && o != last && o.Ended > last.Began {
			return last, false
		}
	}
	return last, last.Action == Read && last.Outcome == Done
}

func add(operations []Operation) (s sums) {
	for _, o := range operations {
		switch {
		case !o.isEffective():
		case o.Outcome == Unknown:
			s.mayBeAdded, s.mayBeWrites = s.mayBeAdded+o.Adds, s.mayBeWrites+1
		default:
			s.added, s.writes = s.added+o.Adds, s.writes+1
		}
	}
	return s
}

func (s sums) compare(name string, last Operation) (Failure, bool) {
	if last.Count < s.added || last.Count > s.added+s.mayBeAdded {
		rule := fmt.Sprintf("lost update: %d were added (and %d perhaps), the row counts %d", s.added, s.mayBeAdded, last.Count)
		return Failure{name, rule, []Operation{last}}, false
	}
	version, err := strconv.ParseInt(last.Version, 10, 64)
	if last.Counts && err == nil && (version < s.writes || version > s.writes+s.mayBeWrites) {
		rule := fmt.Sprintf("%d writes (and %d perhaps) left the row at version %d", s.writes, s.mayBeWrites, version)
		return Failure{name, rule, []Operation{last}}, false
	}
	return Failure{}, true
}

package history

import (
	"cmp"
	"fmt"

	"github.com/anishathalye/porcupine"
)

// row is the state of a register. What is not known of it matches whatever is seen of it next.
type row struct {
	known   bool // whether there is a row
	isThere bool
	version string // empty: not known
	value   int64  // 0: not known
	count   int64
	counted bool // whether the count is known
}

// register is what a row has to behave like.
var register = porcupine.Model{
	Init: func() any { return row{} },
	Step: func(state, input, _ any) (bool, any) {
		ok, next := step(state.(row), input.(Operation))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return input.(Operation).String() },
	DescribeState:     func(state any) string { return state.(row).String() },
}

func (r row) String() string {
	switch {
	case !r.known:
		return "not known"
	case !r.isThere:
		return "no row"
	}
	return fmt.Sprintf("version %s, value %d, count %d", r.version, r.value, r.count)
}

// step reports whether o can have happened to r, and what has become of the row then.
func step(r row, o Operation) (bool, row) {
	switch o.Outcome {
	case Done:
		return done(r, o)
	case Gone:
		return r.mayBeGone(), row{known: true}
	case Changed, Ahead:
		return refused(r, o)
	case Unknown:
		if ok, next := done(r, o.unobserved(r)); ok {
			return true, next
		}
		return true, r // it did not happen
	}
	return true, r
}

// unobserved is an operation whose outcome nobody saw, as if r had been its row.
func (o Operation) unobserved(r row) Operation {
	switch o.Action {
	case Write:
		o.Version = o.next(o.Expected)
	case Blind, Put:
		o.Version = o.next(r.version)
	}
	return o
}

func done(r row, o Operation) (bool, row) {
	switch o.Action {
	case Create:
		return r.mayBeGone(), o.inserted()
	case Read:
		return r.mayBeAt(o.Version) && r.mayHold(o), row{true, true, o.Version, o.Value, o.Count, true}
	case Verify:
		return r.mayBeAt(o.Expected), r.at(cmp.Or(o.Expected, r.version))
	case Delete:
		return r.mayBeAt(o.Expected), row{known: true}
	case Write:
		return r.mayBeAt(o.Expected) && o.follows(o.Expected), o.written(r, o.Expected)
	case Put:
		if r.known && !r.isThere {
			return true, o.inserted()
		}
	}
	return r.mayBeThere() && o.follows(r.version), o.written(r, r.version)
}

func (o Operation) inserted() row {
	return row{known: true, isThere: true, version: o.Version, value: o.Value, counted: true}
}

// written is what o has made of r, which was at version.
func (o Operation) written(r row, version string) row {
	r = r.at(cmp.Or(o.Version, o.next(version)))
	if r.count += o.Adds; o.Count != 0 {
		r.count, r.counted = o.Count, true
	}
	if o.Value != 0 {
		r.value = o.Value
	}
	return r
}

func (r row) at(version string) row {
	r.known, r.isThere, r.version = true, true, version
	return r
}

func (r row) mayHold(o Operation) bool {
	return (r.value == 0 || r.value == o.Value) && (!r.counted || r.count == o.Count)
}

// follows reports whether the version that o wrote can be the one after version.
func (o Operation) follows(version string) bool {
	next := o.next(version)
	return next == "" || o.Version == "" || o.Version == next
}

func refused(r row, o Operation) (bool, row) {
	isOther := o.Expected == "" || o.Version != o.Expected && r.version != o.Expected
	return isOther && r.mayBeAt(o.Version), r.at(cmp.Or(o.Version, r.version))
}

func (r row) mayBeThere() bool { return !r.known || r.isThere }
func (r row) mayBeGone() bool  { return !r.known || !r.isThere }

func (r row) mayBeAt(version string) bool {
	return r.mayBeThere() && (r.version == "" || version == "" || r.version == version)
}

package history

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Failure is a row whose history cannot be explained.
type Failure struct {
	Row        string
	Rule       string      // what was broken
	Operations []Operation // that show it
}

// Result is what became of a check.
type Result struct {
	Failures  []Failure
	Undecided int // rows whose history was not decided in time
}

// Check checks the histories of rows, each for no longer than limit.
func Check(rows map[string][]Operation, limit time.Duration) (result Result) {
	for name, operations := range rows {
		switch verdict(operations, limit) {
		case porcupine.Illegal:
			result.Failures = append(result.Failures, Failure{name, "not linearizable", unexplained(operations, limit)})
			continue
		case porcupine.Unknown:
			result.Undecided++
		}
		if failure, ok := tally(name, operations); !ok {
			result.Failures = append(result.Failures, failure)
		}
	}
	return result
}

func verdict(operations []Operation, limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register, calls(operations), limit)
}

// neighbours is how many operations are shown before and after the first that cannot be explained.
const neighbours = 8

// unexplained returns the first operation that the longest explanation leaves out, among those that ended right before
// it and began right after it.
func unexplained(operations []Operation, limit time.Duration) []Operation {
	_, info := porcupine.CheckOperationsVerbose(register, calls(operations), limit)
	explained := map[Operation]bool{}
	for _, explanation := range info.PartialLinearizationsOperations()[0] {
		if len(explanation) > len(explained) {
			clear(explained)
			for _, call := range explanation {
				explained[call.Input.(Operation)] = true
			}
		}
	}
	operations = slices.SortedFunc(slices.Values(operations), func(a, b Operation) int { return cmp.Compare(a.end(), b.end()) })
	first := slices.IndexFunc(operations, func(o Operation) bool { return !explained[o] })
	return operations[max(0, first-neighbours):min(len(operations), first+neighbours+1)]
}

func calls(operations []Operation) []porcupine.Operation {
	calls := make([]porcupine.Operation, len(operations))
	for i, o := range operations {
		calls[i] = porcupine.Operation{ClientId: o.Session, Input: o, Call: o.Began, Return: o.end()}
	}
	return calls
}

// end is when an operation has certainly happened, if ever.
func (o Operation) end() int64 {
	if o.Outcome == Unknown {
		return never
	}
	return o.Ended
}

func (f Failure) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", f.Row, f.Rule)
	for _, o := range f.Operations {
		fmt.Fprintf(&text, "\n  %s .. %s  %s", moment(o.Began), moment(o.end()), o)
	}
	return text.String()
}

func moment(nanoseconds int64) string {
	if nanoseconds == never {
		return "         ?"
	}
	return fmt.Sprintf("%10.3fms", float64(nanoseconds)/1e6)
}

// Picture saves the history as a page to look at in a browser, in a new file in dir, os.TempDir() if that is empty.
func (f Failure) Picture(dir string) (path string, err error) {
	operations := slices.Clone(f.Operations)
	last := int64(0)
	for _, o := range operations {
		last = max(last, o.Began, o.Ended)
	}
	for i := range operations {
		if operations[i].Outcome == Unknown {
			operations[i].Ended = last + 1
		}
	}
	_, info := porcupine.CheckOperationsVerbose(register, drawn(operations), time.Second)
	file, err := os.CreateTemp(dir, "history-*.html")
	if err != nil {
		return "", err
	}
	if err := porcupine.Visualize(register, info, file); err != nil {
		_ = file.Close()
		return "", err
	}
	return file.Name(), file.Close()
}

func drawn(operations []Operation) []porcupine.Operation {
	drawn := calls(operations)
	for i := range drawn {
		drawn[i].Return = operations[i].Ended
	}
	return drawn
}

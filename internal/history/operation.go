// Package history records what concurrent sessions did to rows and what they saw of them, and checks that it can be
// explained: that every row behaved as a register that is written by compare-and-set.
package history

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"
)

// Action is what a call does to its row.
type Action string

// The actions. A call that is compared names the version it expects.
const (
	Create Action = "create" // a row that is not there
	Read   Action = "read"
	Verify Action = "verify" // compared, and leaves the row alone
	Write  Action = "write"  // compared
	Delete Action = "delete" // compared
	Blind  Action = "blind"  // writes whatever version is there
	Put    Action = "put"    // inserts, or writes whatever version is there
)

// Outcome is what a call said about itself.
type Outcome string

// The outcomes. A call that certainly did nothing is not recorded at all.
const (
	Done    Outcome = "done"
	Gone    Outcome = "gone"    // there is no such row
	Changed Outcome = "changed" // refused: the row is at another version
	Ahead   Outcome = "ahead"   // refused: the row is at an earlier version
	Refused Outcome = "refused" // for a reason that says nothing about the row
	Unknown Outcome = "unknown" // the connection or the context ended: it may have happened, even later
)

// never is when a call of an unknown outcome ends.
const never = math.MaxInt64

// Operation is one call on one row.
type Operation struct {
	Session      int
	Row          string
	Call         string // as a reader knows it, "Save" say
	Action       Action
	Outcome      Outcome
	Expected     string // the version it was compared with
	Version      string // the row's: read, written, or the one that was the reason to refuse; empty where the call did not say
	Value        int64  // written or read, and never twice for a row; 0 where the call leaves it alone or does not say
	Count        int64  // read, or written whatever it was before
	Adds         int64  // to the row's count
	Counts       bool   // versions are 1, 2, 3...
	Began, Ended int64
}

func (o Operation) String() string {
	text := fmt.Sprintf("session %d: %s (%s", o.Session, o.Call, o.Action)
	if o.Expected != "" {
		text += " at version " + o.Expected
	}
	if o.Value != 0 && o.Action != Read {
		text += fmt.Sprintf(" of value %d", o.Value)
	}
	text += ") -> " + string(o.Outcome)
	if o.Version != "" {
		text += ", version " + o.Version
	}
	if o.Action == Read && o.Outcome == Done {
		text += fmt.Sprintf(", value %d, count %d", o.Value, o.Count)
	}
	return text
}

// isEffective tells an operation that has changed its row, or may have.
func (o Operation) isEffective() bool {
	return o.Action != Read && o.Action != Verify && (o.Outcome == Done || o.Outcome == Unknown)
}

// next is the version after version, empty where that cannot be told.
func (o Operation) next(version string) string {
	n, err := strconv.ParseInt(version, 10, 64)
	if !o.Counts || err != nil {
		return ""
	}
	return strconv.FormatInt(n+1, 10)
}

// Recorder collects operations of several goroutines.
type Recorder struct {
	start      time.Time
	mu         sync.Mutex
	operations []Operation
}

// NewRecorder returns a recorder whose time begins now.
func NewRecorder() *Recorder { return &Recorder{start: time.Now()} }

// Now is the time in which operations begin and end.
func (r *Recorder) Now() int64 { return int64(time.Since(r.start)) }

// Add records an operation that has ended.
func (r *Recorder) Add(operations ...Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, operations...)
}

// Take gives what was recorded since the last call, by row.
func (r *Recorder) Take() map[string][]Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := map[string][]Operation{}
	for _, o := range r.operations {
		rows[o.Row] = append(rows[o.Row], o)
	}
	r.operations = nil
	return rows
}

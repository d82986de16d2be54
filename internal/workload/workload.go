// Package workload has sessions write the same rows at the same time, in every way that GORM and the library have, and
// checks what they were told against the rows.
package workload

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/history"
)

// Config is what a workload is made of. There has to be a level, and a session.
type Config struct {
	Sessions   int
	Seed       uint64
	Levels     []sql.IsolationLevel // of transactions
	Slots      int                  // rows of each kind at a time
	Operations int                  // of each session in an epoch; 0: as many as there is time for
	Length     time.Duration        // of an epoch, at most
	Limit      time.Duration        // for the check of a row's history
	Disturbs   int                  // every how many epochs contexts end and connections are killed; 0: never
}

// Anomaly is something that the library has promised not to let happen.
type Anomaly struct {
	Rule, Text string
	Failure    *history.Failure // nil where there is no history to show
}

// Totals are counted since the workload began.
type Totals struct {
	Operations, Writes, Refusals, Retries, Anomalies, Undecided, Unknown atomic.Int64
}

// Workload is a database with tables of its own.
type Workload struct {
	Config
	db        *gorm.DB
	dialect   string
	registers []register
	slots     []*slot
	byRow     sync.Map // slots of all rows of an epoch
	recorder  *history.Recorder
	values    atomic.Int64
	ids       atomic.Uint64
	epochs    int
	totals    Totals
	disturbed atomic.Bool
	mu        sync.Mutex
	anomalies []Anomaly
	found     chan struct{} // closed at the first anomaly
}

// New makes the tables of a workload in an empty database.
func New(db *gorm.DB, c Config) (*Workload, error) {
	w := &Workload{Config: c, db: db, dialect: db.Name(), registers: registers(db), recorder: history.NewRecorder(), found: make(chan struct{})}
	if err := db.Use(occ.New()); err != nil {
		return nil, err
	}
	for _, r := range w.registers {
		if err := db.AutoMigrate(r.model()); err != nil {
			return nil, fmt.Errorf("%s: %w", r.about().name, err)
		}
		if r.about().counts && r.about().byDatabase {
			if err := occ.CreateTriggers(db, r.model()); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// Totals are what was counted so far.
func (w *Workload) Totals() *Totals { return &w.totals }

// Found is closed as soon as there is an anomaly.
func (w *Workload) Found() <-chan struct{} { return w.found }

// Anomalies gives those that were found since the last call.
func (w *Workload) Anomalies() []Anomaly {
	w.mu.Lock()
	defer w.mu.Unlock()
	anomalies := w.anomalies
	w.anomalies = nil
	return anomalies
}

const maxAnomalies = 100

// Report adds an anomaly that was found outside of the histories.
func (w *Workload) Report(rule, text string) { w.add(Anomaly{Rule: rule, Text: text}) }

func (w *Workload) add(a Anomaly) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.totals.Anomalies.Add(1) == 1 {
		close(w.found)
	}
	if len(w.anomalies) < maxAnomalies {
		w.anomalies = append(w.anomalies, a)
	}
}

func (w *Workload) count(o history.Operation) {
	w.totals.Operations.Add(1)
	switch {
	case o.Outcome == history.Unknown:
		w.totals.Unknown.Add(1)
	case isWritten(o):
		w.totals.Writes.Add(1)
	case o.Action != history.Read && o.Outcome != history.Done:
		w.totals.Refusals.Add(1)
	}
}

func (w *Workload) next() int64 { return w.values.Add(1) }

func (w *Workload) isDisturbed() bool { return w.disturbed.Load() }

// context is that of one call, which may end soon.
func (s *session) context(parent context.Context) (context.Context, context.CancelFunc) {
	if s.isDisturbed() && s.chance(10) {
		return context.WithTimeout(parent, time.Duration(s.random.IntN(3000))*time.Microsecond)
	}
	return parent, func() {}
}

func (t *Totals) String() string {
	return fmt.Sprintf("%d operations, %d writes, %d refusals, %d retries, %d of unknown outcome, %d rows undecided, %d anomalies",
		t.Operations.Load(), t.Writes.Load(), t.Refusals.Load(), t.Retries.Load(), t.Unknown.Load(), t.Undecided.Load(), t.Anomalies.Load())
}

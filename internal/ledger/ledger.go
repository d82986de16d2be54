// Package ledger has writers change rows of a cluster, and each attempt write into a ledger what it does, in the same
// transaction. What each writer was told is then held against the ledger and the rows, on every node: what was acknowledged
// is there, what failed is not, nothing is there twice, and each row's version tells the number of its writes.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Account is a row that all writers change. Each change adds 1 to what it holds.
type Account struct {
	ID     uint `gorm:"autoIncrement:false"`
	Amount int64
	occ.Version
	Card *Card
}

// Card is a row of an account's, and is saved with it.
type Card struct {
	ID        uint `gorm:"autoIncrement:false"`
	AccountID uint
	Amount    int64
	occ.Version
}

// Entry is what an attempt has done to a row.
type Entry struct {
	Attempt string `gorm:"primaryKey;size:40"`
	Row     string `gorm:"primaryKey;size:40"`
	Version int64  // that the row has now
	Adds    int64
	Path    string `gorm:"size:60"`
}

// Outcome is what a writer was told of an attempt.
type Outcome int

// The outcomes.
const (
	Acknowledged Outcome = iota
	Failed
	Unknown
)

const accounts = 6

// Cards is how many rows [New] makes last.
const Cards = accounts

// Totals are counted while writers write.
type Totals struct{ Calls, Acknowledged, Failed, Retried, Unknown, Unavailable atomic.Int64 }

func (t *Totals) String() string {
	return fmt.Sprintf("%d calls: %d acknowledged, %d failed, %d of unknown outcome, %d found no server; %d attempts run again",
		t.Calls.Load(), t.Acknowledged.Load(), t.Failed.Load(), t.Unknown.Load(), t.Unavailable.Load(), t.Retried.Load())
}

// Ledger is what writers were told.
type Ledger struct {
	Totals
	mu       sync.Mutex
	outcomes map[string]Outcome // by attempt
	errs     map[string]int     // by text
}

// New makes the tables, and the rows at their first version.
func New(db *gorm.DB) (*Ledger, error) {
	if err := db.AutoMigrate(&Account{}, &Card{}, &Entry{}); err != nil {
		return nil, err
	}
	for id := uint(1); id <= accounts; id++ {
		account := Account{ID: id, Card: &Card{ID: id}}
		if err := db.Create(&account).Error; err != nil {
			return nil, err
		}
	}
	return &Ledger{outcomes: map[string]Outcome{}, errs: map[string]int{}}, nil
}

// Begins is who begins a writer's transactions.
type Begins int

// The plugin always, or GORM too.
const (
	OnlyOurs Begins = iota
	GORMsToo
)

// Write has one writer write through db until ctx ends.
func (l *Ledger) Write(ctx context.Context, name string, db *gorm.DB, begins Begins, seed uint64) {
	w := writer{ledger: l, name: name, db: db, begins: begins, random: rand.New(rand.NewPCG(seed, 1))}
	for n := 0; ctx.Err() == nil; n++ {
		w.call(n)
	}
}

type writer struct {
	ledger *Ledger
	name   string
	db     *gorm.DB
	begins Begins
	random *rand.Rand
}

const callTimeout = 30 * time.Second

// call is one call of Retry, of Transaction, or of GORM's own Transaction.
func (w *writer) call(n int) {
	w.ledger.Calls.Add(1)
	p := paths[w.random.IntN(len(paths))]
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var attempts []string
	arrived := false // the last attempt came as far as its COMMIT
	work := func(tx *gorm.DB) error {
		attempt := fmt.Sprintf("%s-%d-%d", w.name, n, len(attempts))
		attempts, arrived = append(attempts, attempt), false
		err := w.attempt(tx, attempt, p)
		arrived = err == nil
		return err
	}
	var err error
	switch way := w.random.IntN(4); {
	case way == 0:
		err = occ.Transaction(w.db.WithContext(ctx), work)
	case way == 1 && w.begins == GORMsToo:
		err = w.db.WithContext(ctx).Transaction(work)
	default:
		again := occ.WithRetryHook(func(int, error, time.Duration) { arrived = false }) // what it tries again has failed
		err = occ.Retry(ctx, w.db, work, append(w.options(), again)...)
	}
	w.ledger.tell(attempts, outcomeOf(err, arrived), err)
}

func (w *writer) options() (options []occ.RetryOption) {
	for _, option := range []occ.RetryOption{occ.WithCommitCheck(), occ.WithLockAfter(2), occ.WithAdaptiveLock()} {
		if w.random.IntN(2) == 0 {
			options = append(options, option)
		}
	}
	return options
}

// outcomeOf is what a caller can make of an error. Before COMMIT, any error says that nothing was carried out.
func outcomeOf(err error, arrived bool) Outcome {
	switch {
	case err == nil:
		return Acknowledged
	case !arrived || saysSo(err):
		return Failed
	}
	return Unknown
}

// tell notes what a call has said of its attempts: all but the last one have failed.
func (l *Ledger) tell(attempts []string, last Outcome, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.errs[short(err)]++
	}
	if len(attempts) == 0 {
		l.Unavailable.Add(1)
		return
	}
	for _, attempt := range attempts[:len(attempts)-1] {
		l.outcomes[attempt] = Failed
		l.Retried.Add(1)
	}
	l.outcomes[attempts[len(attempts)-1]] = last
	[]*atomic.Int64{&l.Acknowledged, &l.Failed, &l.Unknown}[last].Add(1)
}

func short(err error) string {
	var gaveUp *occ.RetryError
	if errors.As(err, &gaveUp) {
		err = gaveUp.Err
	}
	var refused *occ.StaleDataError
	if errors.As(err, &refused) {
		return "stale data: " + string(refused.Rows[0].Reason)
	}
	return err.Error()[:min(len(err.Error()), 160)]
}

// Errors are the texts of what calls ended with, the most frequent first, with their numbers.
func (l *Ledger) Errors(limit int) (texts []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range l.errs {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int { return l.errs[b] - l.errs[a] })
	texts = texts[:min(len(texts), limit)]
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%6d %s", l.errs[text], text)
	}
	return texts
}

const marker = "the end"

// End writes a row behind which there is none.
func (l *Ledger) End(db *gorm.DB) error {
	return db.Create(&Entry{Attempt: marker, Row: marker}).Error
}

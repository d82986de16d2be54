package occ

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"gorm.io/gorm"
)

// Retry runs fc in a [Transaction], and again in a new one as long as another transaction got in its way: for
// read-modify-write work that can be done anew from what is stored now, such as moving money or counting. So fc must
// load what it writes, through its tx, and must leave nothing behind outside the database that may not happen twice.
// What a person has edited is not for Retry: show them the conflict, see [Rebase].
//
// It runs fc again after [ErrStaleData] and after what databases report in its place: serialization failures, deadlocks,
// lock timeouts and SQLite's busy, from a statement or from COMMIT. It does not after any other error, among them
// [ErrVersionMissing] and [ErrMergeConflict], which would only repeat themselves, an end of a context, and a connection
// that was lost: if that happened in COMMIT, the transaction may have been carried out.
//
// It gives up after 10 attempts ([WithMaxAttempts]), when the backoff says so ([WithBackOff]), and as soon as ctx ends,
// also while it waits. Every error after the first attempt has begun is a [*RetryError], which wraps the last attempt's
// and, where ctx has ended, ctx.Err() too. Every failed attempt is rolled back as [Transaction] says.
//
// Inside an open transaction, which it cannot run again, it returns [gorm.ErrInvalidTransaction] and runs nothing. With
// gorm.io/plugin/dbresolver the transaction is one of the primary's, also where db was set to read.
func Retry(ctx context.Context, db *gorm.DB, fc func(tx *gorm.DB) error, opts ...RetryOption) error {
	p, err := pluginOf(db)
	if err != nil {
		return err
	}
	r, err := newRetry(p, opts)
	switch {
	case err != nil:
		return err
	case fc == nil:
		return errNoFunction
	case db.Error != nil:
		return db.Error
	case isTransaction(db.Statement.ConnPool):
		return fmt.Errorf("occ: Retry cannot run an open transaction again, only one of its own: %w", gorm.ErrInvalidTransaction)
	}
	return r.run(ctx, onPrimary(db.WithContext(ctx)), fc)
}

// RetryOption changes how [Retry] goes about it.
type RetryOption func(*retry)

// WithMaxAttempts has Retry give up after n attempts, the first one included; the default is 10. Less than 1 is an error
// of Retry, which then runs nothing.
func WithMaxAttempts(n int) RetryOption { return func(r *retry) { r.maxAttempts = n } }

// WithBackOff has Retry wait as a new BackOff of each call says, which ends the retrying by [backoff.Stop]. The default
// is exponential with full jitter: a wait between 0 and 4 ms after the first attempt, and a range twice as wide after each
// further one, up to 1 s.
func WithBackOff(newBackOff func() backoff.BackOff) RetryOption {
	return func(r *retry) { r.newBackOff = newBackOff }
}

// WithLockAfter has attempts after the n-th, all of them where n is 0, lock the rows of versioned models as fc reads
// them: optimistic first, pessimistic where there is contention. Such an attempt waits for its turn, and is then not
// refused for a row that it has read: under READ COMMITTED, and on MariaDB and SQLite at any isolation level. On
// PostgreSQL under REPEATABLE READ and SERIALIZABLE, a row that was written since the transaction began is still an error
// that is retried. The default is not to lock. A negative n is an error of Retry.
//
// Locked is what GORM reads into the rows' own model: First, Take, Last, Find, Preload, their likes in gorm.G. Joins,
// grouped, distinct and aggregate queries, sub-queries, raw SQL and Rows are left as they are, and so is a query with a
// locking clause of its own. Transactions that lock several rows in different orders can meet in a deadlock, which is
// retried. SQLite has no locks on rows: there, such an attempt begins by taking the lock on the whole database.
func WithLockAfter(n int) RetryOption {
	return func(r *retry) { r.lockAfter, r.mayLock = n, true }
}

// WithRetryHook has hook called before each wait, on Retry's goroutine: the place to log or to count. Attempt is the one
// that failed, counted from 1, with err, and wait what is going to be waited before the next one. It is not called for
// an attempt that no other follows.
func WithRetryHook(hook func(attempt int, err error, wait time.Duration)) RetryOption {
	return func(r *retry) { r.hook = hook }
}

// WithTxOptions has Retry begin its transactions with opts, an isolation level say; nil is the default ones.
func WithTxOptions(opts *sql.TxOptions) RetryOption {
	return func(r *retry) { r.txOptions = opts }
}

// RetryError is what [Retry] returns when it gives up.
type RetryError struct {
	Attempts int   // how often fc was to be run; 0 where the context had ended before
	Err      error // of the last attempt, with ctx.Err() where the context has ended
}

// Error is one line: the number of attempts and the last error.
func (e *RetryError) Error() string {
	if e.Attempts == 1 {
		return fmt.Sprintf("occ: gave up after 1 attempt: %v", e.Err)
	}
	return fmt.Sprintf("occ: gave up after %d attempts: %v", e.Attempts, e.Err)
}

// Unwrap gives the last attempt's error.
func (e *RetryError) Unwrap() error { return e.Err }

// retry is one call of Retry.
type retry struct {
	plugin      *engine
	maxAttempts int
	newBackOff  func() backoff.BackOff
	lockAfter   int
	mayLock     bool
	hook        func(attempt int, err error, wait time.Duration)
	txOptions   *sql.TxOptions
	backOff     backoff.BackOff
}

func newRetry(p *engine, opts []RetryOption) (*retry, error) {
	r := &retry{plugin: p, maxAttempts: 10, newBackOff: fullJitter}
	for _, opt := range opts {
		opt(r)
	}
	switch {
	case r.maxAttempts < 1:
		return nil, fmt.Errorf("occ: WithMaxAttempts(%d): at least 1 is needed", r.maxAttempts)
	case r.lockAfter < 0:
		return nil, fmt.Errorf("occ: WithLockAfter(%d): attempts are counted from 0", r.lockAfter)
	case r.newBackOff == nil:
		return nil, errors.New("occ: WithBackOff(nil): there is no function that makes a BackOff")
	}
	if r.backOff = r.newBackOff(); r.backOff == nil {
		return nil, errors.New("occ: WithBackOff: the function made a nil BackOff")
	}
	r.backOff.Reset()
	return r, nil
}

// fullJitter waits anywhere between 0 and an interval that doubles, so that writers which met once do not meet again at
// every step.
func fullJitter() backoff.BackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: 2 * time.Millisecond, MaxInterval: 500 * time.Millisecond, Multiplier: 2,
		RandomizationFactor: 1, // from 0 to twice the interval
	}
}

func (r *retry) run(ctx context.Context, db *gorm.DB, fc func(tx *gorm.DB) error) error {
	if ctx.Err() != nil {
		return &RetryError{Attempts: 0, Err: ctx.Err()}
	}
	for attempt := 1; ; attempt++ {
		err := r.plugin.transact(db, fc, r.locksIn(attempt), r.txOptions)
		if err == nil {
			return nil
		}
		wait, again := r.next(ctx, attempt, err)
		if again && r.hook != nil {
			r.hook(attempt, err, wait)
		}
		if !again || !pass(ctx, wait) {
			return &RetryError{Attempts: attempt, Err: withContext(ctx, err)}
		}
		r.plugin.countRetry(err)
	}
}

func (r *retry) locksIn(attempt int) bool { return r.mayLock && attempt > r.lockAfter }

// next tells whether there is to be another attempt after err, and how long to wait before it.
func (r *retry) next(ctx context.Context, attempt int, err error) (wait time.Duration, again bool) {
	if attempt >= r.maxAttempts || ctx.Err() != nil || !r.plugin.mayRetry(err) {
		return 0, false
	}
	wait = r.backOff.NextBackOff()
	return wait, wait != backoff.Stop
}

// mayRetry tells whether err says that the transaction was not carried out, and that a new one may be.
func (p *engine) mayRetry(err error) bool {
	for _, final := range []error{ErrVersionMissing, ErrMergeConflict, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return false
		}
	}
	return errors.Is(err, ErrStaleData) || p.dialect.IsTransient(err)
}

func (p *engine) countRetry(err error) {
	var refused *StaleDataError
	if errors.As(err, &refused) {
		p.countersOf(refused.Table).retried.Add(1)
	}
}

// pass waits, and tells whether ctx has lasted that long.
func pass(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// withContext adds that ctx has ended, unless err says so.
func withContext(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w; the last attempt: %w", ended, err)
	}
	return err
}

// onPrimary has a transaction begin where gorm.io/plugin/dbresolver writes, if it is there; within the transaction the
// resolver leaves everything where it is.
func onPrimary(db *gorm.DB) *gorm.DB {
	resolve := db.Callback().Query().Get("gorm:db_resolver")
	if resolve == nil {
		return db
	}
	tx := db.Set(readPrimary, true)
	resolve(tx)
	return tx.Session(&gorm.Session{})
}

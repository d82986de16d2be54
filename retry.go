package occ

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/cenkalti/backoff/v5"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/write"
)

// Retry runs fc in a [Transaction], and runs it again in a new one where it failed because of another transaction. It is
// for work that reads, computes and writes, such as moving money or counting, and that can be done again from what is stored
// now. So fc must load what it writes, through its tx, and must have no effect outside the database that may not happen
// twice. Do not use Retry for what a person has edited: show them the conflict, see [Rebase].
//
// It runs fc again after [ErrStaleData], and also after serialization failures, deadlocks, lock timeouts, conflicts of
// clusters and SQLite's busy, whether a statement or COMMIT reports them. It also does where no transaction could begin,
// because the server could not be reached, accepted no more connections, or its node was out of its cluster (Galera's 1047,
// from a statement too). It does not run fc again after any other error. Among those are [ErrVersionMissing],
// [ErrMergeConflict] and the error of occhttp.Check, which would only occur again, the end of a context, and a connection that
// was lost once the transaction had begun. If it was lost in COMMIT, the transaction may have been carried out;
// [WithCommitCheck] finds out.
//
// It gives up after 10 attempts ([WithMaxAttempts]), when the backoff says so ([WithBackOff]), and as soon as ctx ends, also
// while it waits. It also gives up when three attempts in a row were refused at the same version of the same row: fc then does
// not load it again. Every error after the first attempt has begun is a [*RetryError], which wraps the last attempt's and,
// where ctx has ended, ctx.Err() too. Every failed attempt is rolled back as [Transaction] says.
//
// Inside an open transaction, which it cannot run again, it returns [gorm.ErrInvalidTransaction] and runs nothing. With
// gorm.io/plugin/dbresolver the transaction runs on the primary, also where db was set to read.
func Retry(ctx context.Context, db *gorm.DB, fc func(tx *gorm.DB) error, opts ...RetryOption) error {
	p, err := pluginOf(db)
	if err != nil {
		return err
	}
	if ctx == nil {
		return errNoContext
	}
	r := &retry{plugin: p.engine.Load(), reports: p.retryReports, maxAttempts: 10, newBackOff: fullJitter, reconnect: reconnecting()}
	err = errNoReturn // a panic or runtime.Goexit in fc
	defer func() { r.end(ctx, err) }()
	err = r.start(ctx, db, fc, opts)
	return err
}

var errNoContext = errors.New("occ: Retry was given no context: it is nil")

var errNoReturn = errors.New("occ: the function of Retry did not return: it panicked, or ended its goroutine")

// end reports how the call went to those who asked for it.
func (r *retry) end(ctx context.Context, err error) {
	r.report.Err = err
	for _, report := range r.reports {
		report(ctx, r.report)
	}
}

func (r *retry) start(ctx context.Context, db *gorm.DB, fc func(tx *gorm.DB) error, opts []RetryOption) error {
	err := r.configure(opts)
	switch {
	case err != nil:
		return err
	case fc == nil:
		return errNoFunction
	case db.Error != nil:
		return db.Error
	case tx.IsTransaction(db.Statement.ConnPool):
		return fmt.Errorf("occ: Retry cannot run an open transaction again, only one of its own: %w", gorm.ErrInvalidTransaction)
	}
	return r.run(ctx, onPrimary(session.Own(db).WithContext(ctx)), fc)
}

// RetryOption configures one call of [Retry].
type RetryOption func(*retry)

// WithMaxAttempts has Retry give up after n attempts, the first one included; the default is 10. Less than 1 is an error
// of Retry, which then runs nothing.
func WithMaxAttempts(n int) RetryOption { return func(r *retry) { r.maxAttempts = n } }

// WithBackOff sets how long Retry waits between attempts. Each call of Retry makes a new BackOff; [backoff.Stop] ends the
// call. The default is exponential with full jitter: between 0 and 4 ms after the first attempt, and a range twice as wide
// after each further one, up to 1 s. Where no transaction could begin, because there was no server, the default waits longer:
// 0.1 s at first, and up to 1 s later. So 10 attempts outlast a failover of 4 seconds.
func WithBackOff(newBackOff func() backoff.BackOff) RetryOption {
	return func(r *retry) { r.newBackOff, r.reconnect = newBackOff, nil }
}

// WithLockAfter has attempts after the n-th lock the rows of versioned models as fc reads them; if n is 0, all attempts do.
// The first attempts are optimistic, later ones pessimistic. An attempt that locks waits for other writers, and is then not
// refused for a row that it has read: under READ COMMITTED, and on MariaDB and SQLite at any isolation level. On
// PostgreSQL under REPEATABLE READ and SERIALIZABLE, a row that was written since the transaction began is still an error
// that is retried. The default is not to lock. A negative n is an error of Retry.
//
// It locks what GORM reads into the rows' own model: by First, Take, Last, Find and Preload, and the same calls of gorm.G.
// Joins, grouped, distinct and aggregate queries, sub-queries, raw SQL and Rows are left as they are, and so is a query with a
// locking clause of its own. Transactions that lock several rows in different orders can meet in a deadlock, which is
// retried. SQLite has no locks on rows: there, such an attempt begins by taking the lock on the whole database. In a Galera
// cluster the locks are those of one node: a write at another one rolls the attempt back, which is retried.
func WithLockAfter(n int) RetryOption {
	return func(r *retry) { r.lockAfter, r.mayLock = n, true }
}

// WithRetryHook has hook called before each wait, on Retry's goroutine, to log or to count. Attempt is the number of the
// attempt that failed, counted from 1; err is its error; wait is the time until the next one. It is not called after the last
// attempt.
func WithRetryHook(hook func(attempt int, err error, wait time.Duration)) RetryOption {
	return func(r *retry) { r.hook = hook }
}

// WithTxOptions has Retry begin its transactions with opts, for an isolation level for example. Nil is the default.
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

// RetryReport is what [WithRetryReport] is told about one call of [Retry].
type RetryReport struct {
	Attempts int           // how often fc was to be run; 0 where nothing was run at all
	Waited   time.Duration // between the attempts, all waits together
	Locked   bool          // an attempt locked rows as it read them; see [WithLockAfter] and [WithAdaptiveLock]
	Err      error         // what Retry returned: nil, or why it gave up
}

// WithRetryReport has report called once for each call of [Retry] on the plugin's gorm.DB, when it has ended, on the
// goroutine that called it and with its context, which may have ended. It is for measuring attempts and waits. Given
// several times, all are called in order; nil is none. Where fc panics, Err says that it did not return.
func WithRetryReport(report func(context.Context, RetryReport)) Option {
	return func(p *Plugin) {
		if report != nil {
			p.retryReports = append(p.retryReports, report)
		}
	}
}

// retry is one call of Retry.
type retry struct {
	plugin      *write.Engine
	maxAttempts int
	newBackOff  func() backoff.BackOff
	lockAfter   int
	mayLock     bool
	hook        func(attempt int, err error, wait time.Duration)
	txOptions   *sql.TxOptions
	backOff     backoff.BackOff
	reconnect   backoff.BackOff // in place of backOff while no server is there; nil where the caller has said how to wait
	report      RetryReport
	reports     []func(context.Context, RetryReport) // who is told of it

	checksCommit bool
	adapts       bool
	last         *StaleDataError // of the last attempt
	repeated     int             // how many attempts before it were refused the same
}

func (r *retry) configure(opts []RetryOption) error {
	for _, opt := range opts {
		if opt != nil {
			opt(r)
		}
	}
	switch {
	case r.maxAttempts < 1:
		return fmt.Errorf("occ: WithMaxAttempts(%d): at least 1 is needed", r.maxAttempts)
	case r.lockAfter < 0:
		return fmt.Errorf("occ: WithLockAfter(%d): attempts are counted from 0", r.lockAfter)
	case r.newBackOff == nil:
		return errors.New("occ: WithBackOff(nil): there is no function that makes a BackOff")
	}
	if r.backOff = r.newBackOff(); r.backOff == nil {
		return errors.New("occ: WithBackOff: the function made a nil BackOff")
	}
	r.backOff.Reset()
	return nil
}

// fullJitter waits anywhere between 0 and an interval that doubles, so that writers which met once do not meet again at
// every step.
func fullJitter() backoff.BackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: 2 * time.Millisecond, MaxInterval: 500 * time.Millisecond, Multiplier: 2,
		RandomizationFactor: 1, // from 0 to twice the interval
	}
}

// reconnecting waits for a server that is about to come back or to be replaced: with 10 attempts for 5 seconds at least.
func reconnecting() backoff.BackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.25,
	}
	b.Reset()
	return b
}

// run has attempts follow each other until one is carried out or no other may follow.
func (r *retry) run(ctx context.Context, db *gorm.DB, fc func(tx *gorm.DB) error) error {
	if ctx.Err() != nil {
		return &RetryError{Attempts: 0, Err: ctx.Err()}
	}
	for r.report.Attempts = 1; ; r.report.Attempts++ {
		attempt := r.attempt()
		err := attempt.run(db, fc)
		r.report.Locked = r.report.Locked || attempt.locked
		if err == nil {
			return nil
		}
		r.notice(err)
		wait, again := r.next(ctx, attempt, err)
		if again && r.hook != nil {
			r.hook(r.report.Attempts, err, wait)
		}
		if !again || !r.pass(ctx, wait) {
			return &RetryError{Attempts: r.report.Attempts, Err: r.because(ctx, err)}
		}
		attempt.countRetry(err)
	}
}

// attempt is the transaction of the attempt that comes next.
func (r *retry) attempt() *transaction {
	locks := r.mayLock && r.report.Attempts > r.lockAfter
	return &transaction{plugin: r.plugin, options: []*sql.TxOptions{r.txOptions}, locks: locks, adapts: r.adapts, checks: r.checksCommit}
}

// next reports whether there is to be another attempt after err, and how long to wait before it.
func (r *retry) next(ctx context.Context, attempt *transaction, err error) (wait time.Duration, again bool) {
	if r.report.Attempts >= r.maxAttempts || ctx.Err() != nil || r.isStuck() || !attempt.mayRetry(err) {
		return 0, false
	}
	if r.reconnect != nil && attempt.foundNoServer(err) {
		return r.reconnect.NextBackOff(), true
	}
	wait = r.backOff.NextBackOff()
	return wait, wait != backoff.Stop
}

// mayRetry reports whether err says that the transaction was not carried out, and that a new one may be.
func (t *transaction) mayRetry(err error) bool {
	if t.foundNoServer(err) || errors.Is(err, errRolledBack) {
		return true
	}
	for _, final := range []error{ErrVersionMissing, ErrMergeConflict, conflict.ErrFinal, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return false
		}
	}
	return errors.Is(err, ErrStaleData) || t.plugin.Dialect.IsTransient(err) || t.stage != beginning && t.plugin.Dialect.IsNotReady(err)
}

// foundNoServer reports whether the transaction was not begun because no server was there that takes one.
func (t *transaction) foundNoServer(err error) bool {
	return t.stage == beginning && t.plugin.Dialect.IsUnavailable(err)
}

// maxRepeats is how many attempts may be refused one like the other before no further one can go better. A row that was
// deleted and inserted again meanwhile can look so once.
const maxRepeats = 3

var errStuck = errors.New("occ: attempt after attempt was refused at the same version of the same row, so fc does not load what it writes: " +
	"load it in fc, through its tx, and a parent anew after a write of its child has touched it")

// notice compares the refusal of an attempt with that of the attempt before.
func (r *retry) notice(err error) {
	var refused *StaleDataError
	if errors.As(err, &refused); refused != nil && isSameRefusal(r.last, refused) {
		r.repeated++
	} else {
		r.repeated = 0
	}
	r.last = refused
}

func (r *retry) isStuck() bool { return r.repeated+1 >= maxRepeats }

// isSameRefusal reports whether two refusals are of the same rows at the same versions, as far as they say. A Snapshot is
// no version in this: a row can be what it was before.
func isSameRefusal(before, now *StaleDataError) bool {
	if before == nil || now.Err != nil || before.Op != now.Op || before.Table != now.Table || len(before.Rows) != len(now.Rows) {
		return false
	}
	for i, row := range now.Rows {
		_, isSnapshot := row.Expected.(Snapshot)
		isKnown := row.Reason != ReasonUnknown && row.Reason != ""
		if isSnapshot || !isKnown || !isSameRow(before.Rows[i], row) {
			return false
		}
	}
	return true
}

func isSameRow(a, b StaleRow) bool {
	return a.Index == b.Index && reflect.DeepEqual(a.PrimaryKey, b.PrimaryKey) && reflect.DeepEqual(a.Expected, b.Expected)
}

// countRetry counts an attempt that is run again: for the table of the refusal, or for those that were written where the
// database reported the conflict at COMMIT.
func (t *transaction) countRetry(err error) {
	var refused *StaleDataError
	switch {
	case t.stage == committing:
		for _, table := range t.written {
			t.plugin.Counters.Of(table, table).Retried.Add(1)
		}
	case !errors.As(err, &refused):
	case error(refused) == t.refusal:
		t.refused.Retried.Add(1)
	default:
		t.plugin.Counters.Of(refused.Table, "").Retried.Add(1)
	}
}

// because is the last attempt's error, with what else kept another one from being made.
func (r *retry) because(ctx context.Context, err error) error {
	if r.isStuck() && r.maxAttempts > r.report.Attempts && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", errStuck, err)
	}
	return withContext(ctx, err)
}

func (r *retry) pass(ctx context.Context, wait time.Duration) bool {
	if wait > 0 {
		began := time.Now()
		defer func() { r.report.Waited += time.Since(began) }()
	}
	return sleep(ctx, wait)
}

// sleep waits, and reports whether ctx has lasted that long.
func sleep(ctx context.Context, wait time.Duration) bool {
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
	tx := db.Set(rows.ReadPrimary, true)
	resolve(tx)
	return tx.Session(&gorm.Session{})
}

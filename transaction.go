package occ

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/stats"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/write"
)

// Transaction is db.Transaction that also restores the versions in memory when it is rolled back. It runs fc in a transaction,
// which is committed if fc returns nil. It is rolled back if fc returns an error, panics or calls runtime.Goexit, or if the
// commit fails. Whenever it is
// rolled back, the version of every model that was written in it, through slices and associations too, is what it was
// before; the models' other fields keep what the caller assigned.
//
// Inside a transaction it is a savepoint: an error undoes what fc has written, in the database and in memory, and no
// more; if the outer one is an occ.Transaction too, its rollback undoes the rest. With DisableNestedTransaction, fc runs
// in the outer transaction as it is, and an error undoes nothing before that one ends. In a transaction that was begun
// by db.Begin or db.Transaction, versions are not restored when that one is rolled back later.
//
// Going back to a savepoint that was set inside fc, by gorm.DB.Transaction, SavePoint and RollbackTo, or raw SQL, also
// puts versions back.
//
// Some errors of a statement end the whole transaction: deadlocks (1213) and, under innodb_snapshot_isolation, changed
// records (1020) on MariaDB and MySQL, any error on PostgreSQL until fc goes back to a savepoint, a full disk or an
// interrupt on SQLite. Transaction then returns an error that wraps the statement's, even if fc returned nil. Where
// the database would carry out further statements outside of a transaction, they are refused. This works for all statements
// that go through GORM, raw SQL included. It does not for statements sent through tx.Statement.ConnPool, nor for errors that
// Scan of a gorm.DB.Row reports: return those errors.
//
// As with db.Transaction, tx is for one goroutine at a time. A db without the plugin is an error, and fc is not run. If
// the connection was lost in the commit, it is unknown whether the transaction was carried out. The versions are restored, so
// that a write that is tried again is refused if the first one was carried out.
func Transaction(db *gorm.DB, fc func(tx *gorm.DB) error, opts ...*sql.TxOptions) error {
	p, err := engineOf(db)
	if err != nil {
		return err
	}
	if fc == nil {
		return errNoFunction
	}
	if db.Error != nil {
		return db.Error
	}
	if tx.IsTransaction(db.Statement.ConnPool) {
		return p.Nest(session.Own(db), fc)
	}
	return (&transaction{plugin: p, options: opts}).run(db, fc)
}

var errNoFunction = errors.New("occ: there is no function to run in the transaction: it is nil")

// transaction is one that the plugin begins and ends itself.
type transaction struct {
	plugin  *write.Engine
	options []*sql.TxOptions
	locks   bool // the rows that fc reads are locked
	adapts  bool // those of them that are contended are
	checks  bool // a COMMIT without an answer is looked after

	stage   stage
	written []string             // the tables whose models were written, where COMMIT failed
	refusal error                // the last one in it
	refused *stats.TableCounters // of the table of refusal
	locked  bool                 // something was locked as it was read
}

// stage is how far a transaction has come.
type stage int

const (
	beginning stage = iota
	running
	committing
)

// run runs fc in the transaction.
func (t *transaction) run(db *gorm.DB, fc func(tx *gorm.DB) error) (err error) {
	pooled := rows.Unprepared(db.Statement.ConnPool)
	t.checks = t.checks && knowsOutcomes(db.Statement.Context, t.plugin, pooled)
	begun := db.Begin(t.options...)
	if begun.Error != nil {
		return tx.OfBegin(db.Statement.Context, begun.Error)
	}
	pool := begun.Statement.ConnPool
	if !tx.IsTransaction(pool) {
		begun.Rollback()
		return fmt.Errorf("occ: a transaction of type %T cannot be told from others: %w", pool, gorm.ErrInvalidTransaction)
	}
	j, _ := t.plugin.Journals.Begin(pool)
	j.IsWatched = true
	committed := false
	defer func() { // also of a panic, which goes on, and of runtime.Goexit
		if !committed {
			_ = t.plugin.RollBack(pool)
			if t.stage == committing {
				t.written = j.Tables()
			}
			j.RollBackTo(begun.Statement.Context, 0)
		}
		t.refusal, t.refused, t.locked = j.Refusal, j.Refused, j.Locked
		t.plugin.Journals.End(pool)
	}()
	err = t.through(begun, pooled, j, fc)
	committed = err == nil
	return err
}

// through goes through the stages of a transaction that has begun.
func (t *transaction) through(tx *gorm.DB, pooled gorm.ConnPool, j *tx.Journal, fc func(tx *gorm.DB) error) error {
	j.Adapts = t.adapts
	if t.locks || t.adapts && locksDatabase(t.plugin) {
		if err := t.plugin.Lock(tx, j); err != nil {
			return err
		}
	}
	t.stage = running
	if err := fc(tx); err != nil {
		return err
	}
	return t.commit(tx, pooled)
}

// locksDatabase reports whether there is nothing smaller to be locked than the database, and a contended row in it.
func locksDatabase(p *write.Engine) bool {
	return len(p.Dialect.LockAtBegin) > 0 && p.Hot.Any(time.Now())
}

// commit commits what can be committed. GORM's tx may have collected an error that fc did not return: it is one of the
// transaction.
func (t *transaction) commit(session *gorm.DB, pooled gorm.ConnPool) error {
	if err := errors.Join(t.plugin.EndOf(session), session.Error); err != nil {
		return err
	}
	ctx, pool := session.Statement.Context, session.Statement.ConnPool
	var check *commitCheck
	if t.checks {
		mark, err := t.plugin.Dialect.Mark(ctx, tx.ConnectionOf(pool))
		if err != nil {
			return err
		}
		check = &commitCheck{t.plugin.Dialect, pooled, mark}
	}
	t.stage = committing
	return check.settle(ctx, t.plugin.Commit(ctx, pool))
}

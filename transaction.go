package occ

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Transaction is db.Transaction that also rolls memory back: fc runs in a transaction, which is committed if fc returns
// nil and rolled back if it returns an error, panics or calls runtime.Goexit, or if the commit fails. Whenever it is
// rolled back, the version of every model that was written in it, through slices and associations too, is what it was
// before; the models' other fields keep what the caller assigned.
//
// Inside a transaction it is a savepoint: an error undoes what fc has written, in the database and in memory, and no
// more; if the outer one is an occ.Transaction too, its rollback undoes the rest. With DisableNestedTransaction, fc runs
// in the outer transaction as it is, and an error undoes nothing before that one ends. In a transaction that was begun
// by db.Begin or db.Transaction, what comes after the savepoint is not followed.
//
// Going back to a savepoint that was set inside fc, by gorm.DB.Transaction, SavePoint and RollbackTo, or raw SQL, also
// puts versions back.
//
// Some errors of a statement end the whole transaction: deadlocks (1213) and, under innodb_snapshot_isolation, changed
// records (1020) on MariaDB and MySQL, any error on PostgreSQL until fc goes back to a savepoint, a full disk or an
// interrupt on SQLite. Transaction then returns an error that wraps the statement's, even if fc returned nil, and where
// the database would carry out further statements by themselves they are refused. This is seen for what goes through
// GORM, raw SQL included, but not for statements sent through tx.Statement.ConnPool, or for what Scan reports of a
// gorm.DB.Row: return those errors.
//
// As with db.Transaction, tx is for one goroutine at a time. A db without the plugin is an error, and fc is not run. An
// error of the commit itself leaves open what became of the transaction if the connection was lost in it; the versions
// are put back, so that a write that is tried again is refused if the first one was carried out.
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
	if isTransaction(db.Statement.ConnPool) {
		return p.nest(db, fc)
	}
	return (&transaction{plugin: p, options: opts}).run(db, fc)
}

var errNoFunction = errors.New("occ: there is no function to run in the transaction: it is nil")

// nest runs fc in a savepoint.
func (p *journals) nest(db *gorm.DB, fc func(tx *gorm.DB) error) error {
	if db.DisableNestedTransaction {
		return fc(db.Session(&gorm.Session{}))
	}
	if err := p.endOf(db); err != nil {
		return err
	}
	return p.atomically(db.Session(&gorm.Session{Initialized: true}), func() error {
		p.of(db.Statement.ConnPool).isWatched = true
		if err := fc(db.Session(&gorm.Session{})); err != nil {
			return err
		}
		return p.endOf(db)
	})
}

// transaction is one that the plugin begins and ends itself.
type transaction struct {
	plugin  *engine
	options []*sql.TxOptions
	locks   bool // the rows that fc reads are locked
	adapts  bool // those of them that are contended are
	checks  bool // a COMMIT without an answer is looked after

	stage   stage
	written []string       // the tables whose models were written, where COMMIT failed
	refusal error          // the last one in it
	refused *tableCounters // of the table of refusal
	locked  bool           // something was locked as it was read
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
	pooled := unprepared(db.Statement.ConnPool)
	t.checks = t.checks && knowsOutcomes(db.Statement.Context, t.plugin, pooled)
	tx := db.Begin(t.options...)
	if tx.Error != nil {
		return tx.Error
	}
	pool := tx.Statement.ConnPool
	if !isTransaction(pool) {
		tx.Rollback()
		return fmt.Errorf("occ: a transaction of type %T cannot be told from others: %w", pool, gorm.ErrInvalidTransaction)
	}
	j, _ := t.plugin.journals.begin(pool)
	j.isWatched = true
	committed := false
	defer func() { // also of a panic, which goes on, and of runtime.Goexit
		if !committed {
			_ = rollBack(pool)
			if t.stage == committing {
				t.written = j.tables()
			}
			j.rollBackTo(tx.Statement.Context, 0)
		}
		t.refusal, t.refused, t.locked = j.refusal, j.refused, j.locked
		t.plugin.journals.end(pool)
	}()
	err = t.through(tx, pooled, j, fc)
	committed = err == nil
	return err
}

// through goes through the stages of a transaction that has begun.
func (t *transaction) through(tx *gorm.DB, pooled gorm.ConnPool, j *journal, fc func(tx *gorm.DB) error) error {
	j.adapts = t.adapts
	if t.locks || t.adapts && locksDatabase(t.plugin) {
		if err := t.plugin.lock(tx, j); err != nil {
			return err
		}
	}
	t.stage = running
	if err := fc(tx); err != nil {
		return err
	}
	return t.commit(tx, pooled)
}

// locksDatabase tells whether there is nothing smaller to be locked than the database, and a contended row in it.
func locksDatabase(p *engine) bool {
	return len(p.dialect.LockAtBegin) > 0 && p.hot.any(time.Now())
}

// commit commits what can be committed. GORM's tx may have collected an error that fc did not return: it is one of the
// transaction.
func (t *transaction) commit(tx *gorm.DB, pooled gorm.ConnPool) error {
	if err := errors.Join(t.plugin.endOf(tx), tx.Error); err != nil {
		return err
	}
	ctx, pool := tx.Statement.Context, tx.Statement.ConnPool
	var check *commitCheck
	if t.checks {
		mark, err := t.plugin.dialect.Mark(ctx, connectionOf(pool))
		if err != nil {
			return err
		}
		check = &commitCheck{t.plugin.dialect, pooled, mark}
	}
	t.stage = committing
	return check.settle(ctx, becauseOf(ctx, pool.(gorm.TxCommitter).Commit()))
}

// becauseOf says why a transaction is done already: database/sql rolls back as soon as the context ends.
func becauseOf(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && errors.Is(err, sql.ErrTxDone) && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// endOf tells why tx cannot be committed; nil if it can.
func (p *journals) endOf(tx *gorm.DB) error {
	j := p.of(tx.Statement.ConnPool)
	if j == nil {
		return nil
	}
	p.lookAtUnread(tx, j)
	return j.ended()
}

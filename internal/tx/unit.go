package tx

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"gorm.io/gorm"
)

// Unit is what one call writes, where that may be several rows. All of it is written or none, and versions in memory are
// those of the rows. It is GORM's default transaction where the call has one, a savepoint in a transaction of the caller's, and a
// transaction of its own where there is none.
type Unit struct {
	journals    *Journals
	pool        gorm.ConnPool // the transaction
	outside     gorm.ConnPool // what the statement ran on before, if the unit began a transaction
	Savepoint   string
	Journal     *Journal
	Mark        int
	OwnsJournal bool
	holds       bool // refusals are reported when the unit has ended
}

// Hold has the reports of refusals wait for the end of the unit.
func (u *Unit) Hold() {
	if !u.holds {
		u.holds = true
		u.Journal.Holds++
	}
}

// reportPending reports the refusals that have waited, if no other unit has to end before.
func (u *Unit) reportPending() {
	if !u.holds {
		return
	}
	if u.Journal.Holds--; u.Journal.Holds > 0 {
		return
	}
	pending := u.Journal.Pending
	u.Journal.Pending = nil
	for _, report := range pending {
		report()
	}
}

var savepoints atomic.Uint64

// OpenUnit starts a unit on the statement's connection. With nothing to be undone by itself, because an outer unit or
// GORM's default transaction does that, it only keeps track of memory.
func (js *Journals) OpenUnit(db *gorm.DB, undoneByOthers bool) (*Unit, error) {
	u := &Unit{journals: js, pool: db.Statement.ConnPool}
	switch {
	case undoneByOthers:
	case IsTransaction(u.pool):
		u.Savepoint = fmt.Sprintf("occ_%d", savepoints.Add(1))
		if err := u.exec(db, js.Dialect.Savepoint(u.Savepoint)); err != nil {
			return nil, err
		}
	default:
		tx := db.Session(&gorm.Session{NewDB: true}).Begin()
		if tx.Error != nil {
			return nil, OfBegin(db.Statement.Context, tx.Error)
		}
		if !IsTransaction(tx.Statement.ConnPool) {
			tx.Rollback()
			return nil, NotATransaction(tx.Statement.ConnPool)
		}
		u.pool, u.outside = tx.Statement.ConnPool, u.pool
		db.Statement.ConnPool = u.pool
	}
	u.Journal, u.OwnsJournal = js.Begin(u.pool)
	u.Mark = len(u.Journal.Memories)
	if u.Savepoint != "" {
		js.mark(u.Journal, u.Savepoint)
	}
	if undoneByOthers || u.outside != nil {
		u.Hold()
	}
	return u, nil
}

// startedTransaction is the setting by which GORM knows that the transaction was begun for the write itself.
const startedTransaction = "gorm:started_transaction"

// SetDefault notes, as GORM does, that the transaction was begun for the write itself, and on which pool it was.
func SetDefault(db *gorm.DB, pool gorm.ConnPool) { db.InstanceSet(startedTransaction, pool) }

// PoolOfDefault is the pool that SetDefault was told; nil where GORM's own callback has begun the transaction.
func PoolOfDefault(db *gorm.DB) gorm.ConnPool {
	noted, _ := db.InstanceGet(startedTransaction)
	pool, _ := noted.(gorm.ConnPool)
	return pool
}

// UnsetDefault leaves GORM no transaction to end.
func UnsetDefault(db *gorm.DB) {
	db.Statement.Settings.Delete(fmt.Sprintf("%p", db.Statement) + startedTransaction)
}

// IsDefault reports whether the transaction was begun for the write itself.
func IsDefault(db *gorm.DB) bool {
	_, isDefault := db.InstanceGet(startedTransaction)
	return isDefault
}

// NotATransaction refuses what would have to be all or nothing where it cannot be.
func NotATransaction(pool gorm.ConnPool) error {
	return fmt.Errorf("occ: a write of several rows needs a transaction, and %T does not begin one: use a connection of the database itself: %w",
		pool, gorm.ErrInvalidTransaction)
}

// Close ends the unit: with failed, rows and memory are what they were before it. Its own error says that the rows were
// not written although the call went well.
func (u *Unit) Close(db *gorm.DB, failed bool) error {
	err := u.end(db, failed)
	if failed || err != nil {
		u.Journal.RollBackTo(db.Statement.Context, u.Mark)
	}
	if (failed || err != nil) && u.Savepoint != "" {
		u.journals.lookAtUnread(db, u.Journal) // a deadlock among them is why there is no savepoint any more
		u.Journal.wentBack(err)
	}
	if u.Savepoint != "" {
		u.Journal.release(u.Savepoint) // and what the caller has set since, which is gone with it
	}
	if u.OwnsJournal {
		u.journals.End(u.pool)
	}
	u.reportPending()
	return err
}

func (u *Unit) end(db *gorm.DB, failed bool) error {
	switch {
	case u.outside != nil:
		db.Statement.ConnPool = u.outside
		if failed {
			return u.journals.RollBack(u.pool)
		}
		return u.journals.Commit(db.Statement.Context, u.pool)
	case u.Savepoint == "":
		return nil
	case failed:
		return u.exec(db, u.journals.Dialect.RollbackTo(u.Savepoint))
	default:
		return u.exec(db, u.journals.Dialect.Release(u.Savepoint))
	}
}

// exec sends SQL past prepared statements, which do not take savepoints on every database. It ignores that the context has ended:
// a batch must not stay written in part then.
func (u *Unit) exec(db *gorm.DB, sql string) error {
	if sql == "" {
		return nil
	}
	_, err := ConnectionOf(u.pool).ExecContext(context.WithoutCancel(db.Statement.Context), sql)
	if j := u.journals.Of(u.pool); j != nil {
		u.journals.note(db, j, err)
	}
	return BecauseOf(db.Statement.Context, err)
}

// Atomically runs write as a unit of its own.
func (js *Journals) Atomically(db *gorm.DB, write func() error) error {
	_, err := js.AllOrNone(db, write)
	return err
}

// AllOrNone runs write as a unit of its own, and returns what a rollback of GORM's default transaction, which keeps no
// journal, would have to put back.
func (js *Journals) AllOrNone(db *gorm.DB, write func() error) (kept []Memory, err error) {
	u, err := js.OpenUnit(db, false)
	if err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done { // a panic: nothing of it may stay
			_ = u.Close(db, true)
		}
	}()
	err = write()
	done = true
	memories := u.Journal.Memories[min(u.Mark, len(u.Journal.Memories)):]
	if endErr := u.Close(db, err != nil); endErr != nil {
		return nil, errors.Join(err, endErr)
	}
	if err == nil && u.OwnsJournal && u.Savepoint != "" {
		kept = memories
	}
	return kept, err
}

// InTransaction runs write in the statement's transaction, or in one of its own where there is none.
func (js *Journals) InTransaction(db *gorm.DB, write func() error) error {
	if IsTransaction(db.Statement.ConnPool) || db.DryRun {
		return write()
	}
	return js.Atomically(db, write)
}

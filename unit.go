package occ

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// unit is what one call writes, where that may be several rows: all of it is written or none, and versions in memory
// follow. It is GORM's default transaction where the call has one, a savepoint in a transaction of the caller's, and a
// transaction of its own where there is none.
type unit struct {
	journals    *journals
	pool        gorm.ConnPool // the transaction
	outside     gorm.ConnPool // what the statement ran on before, if the unit began a transaction
	savepoint   string
	journal     *journal
	mark        int
	ownsJournal bool
	holds       bool // refusals are told of when the unit has ended
}

// hold has what is to be told of refusals wait for the end of the unit.
func (u *unit) hold() {
	if !u.holds {
		u.holds = true
		u.journal.holds++
	}
}

// tell tells of the refusals that have waited, if nothing else has to end before.
func (u *unit) tell() {
	if !u.holds {
		return
	}
	if u.journal.holds--; u.journal.holds > 0 {
		return
	}
	pending := u.journal.pending
	u.journal.pending = nil
	for _, tell := range pending {
		tell()
	}
}

var savepoints atomic.Uint64

// openUnit starts a unit on the statement's connection. With nothing to be undone by itself, because an outer unit or
// GORM's default transaction does that, it only keeps track of memory.
func (p *journals) openUnit(db *gorm.DB, undoneByOthers bool) (*unit, error) {
	u := &unit{journals: p, pool: db.Statement.ConnPool}
	switch {
	case undoneByOthers:
	case isTransaction(u.pool):
		u.savepoint = fmt.Sprintf("occ_%d", savepoints.Add(1))
		if err := u.exec(db, p.dialect.Savepoint(u.savepoint)); err != nil {
			return nil, err
		}
	default:
		tx := db.Session(&gorm.Session{NewDB: true}).Begin()
		if tx.Error != nil {
			return nil, tx.Error
		}
		if !isTransaction(tx.Statement.ConnPool) {
			tx.Rollback()
			return nil, notATransaction(tx.Statement.ConnPool)
		}
		u.pool, u.outside = tx.Statement.ConnPool, u.pool
		db.Statement.ConnPool = u.pool
	}
	u.journal, u.ownsJournal = p.begin(u.pool)
	u.mark = len(u.journal.memories)
	if undoneByOthers || u.outside != nil {
		u.hold()
	}
	return u, nil
}

// notATransaction refuses what would have to be all or nothing where it cannot be.
func notATransaction(pool gorm.ConnPool) error {
	return fmt.Errorf("occ: a write of several rows needs a transaction, and %T does not begin one: use a connection of the database itself: %w",
		pool, gorm.ErrInvalidTransaction)
}

// close ends the unit: with failed, rows and memory are what they were before it. Its own error says that the rows were
// not written although the call went well.
func (u *unit) close(db *gorm.DB, failed bool) error {
	err := u.end(db, failed)
	if failed || err != nil {
		u.journal.rollBackTo(db.Statement.Context, u.mark)
	}
	if (failed || err != nil) && u.savepoint != "" {
		u.journals.lookAtUnread(db, u.journal) // a deadlock among them is why there is no savepoint any more
		u.journal.wentBack(err)
	}
	if u.ownsJournal {
		u.journals.end(u.pool)
	}
	u.tell()
	return err
}

func (u *unit) end(db *gorm.DB, failed bool) error {
	switch {
	case u.outside != nil:
		db.Statement.ConnPool = u.outside
		if failed {
			return rollBack(u.pool)
		}
		return becauseOf(db.Statement.Context, u.pool.(gorm.TxCommitter).Commit())
	case u.savepoint == "":
		return nil
	case failed:
		return u.exec(db, u.journals.dialect.RollbackTo(u.savepoint))
	default:
		return u.exec(db, u.journals.dialect.Release(u.savepoint))
	}
}

// exec goes past prepared statements, which do not take savepoints on every database, and past a context that has ended:
// rows must not stay half-written because their caller has gone.
func (u *unit) exec(db *gorm.DB, sql string) error {
	if sql == "" {
		return nil
	}
	_, err := connectionOf(u.pool).ExecContext(context.WithoutCancel(db.Statement.Context), sql)
	return becauseOf(db.Statement.Context, err)
}

// atomically runs write as a unit of its own.
func (p *journals) atomically(db *gorm.DB, write func() error) (err error) {
	u, err := p.openUnit(db, false)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // a panic: nothing of it may stay
			_ = u.close(db, true)
		}
	}()
	err = write()
	done = true
	if endErr := u.close(db, err != nil); endErr != nil {
		err = errors.Join(err, endErr)
	}
	return err
}

// inTransaction runs write in the statement's transaction, or in one of its own where there is none.
func (p *journals) inTransaction(db *gorm.DB, write func() error) error {
	if isTransaction(db.Statement.ConnPool) || db.DryRun {
		return write()
	}
	return p.atomically(db, write)
}

// savesAssociations tells whether GORM is going to save associations of model along with it.
func savesAssociations(stmt *gorm.Statement, m *model, model reflect.Value, create bool) bool {
	if len(m.relations) == 0 || !model.IsValid() {
		return false
	}
	columns, restricted := stmt.SelectAndOmitColumns(create, !create)
	for _, relation := range m.relations {
		selected, named := columns[relation.Name]
		if (named && selected || !named && !restricted) && holdsAny(stmt.Context, relation.Field, model) {
			return true
		}
	}
	return false
}

func holdsAny(ctx context.Context, field *schema.Field, model reflect.Value) bool {
	switch model.Kind() {
	case reflect.Struct:
		if model.Type() != field.Schema.ModelType {
			return false
		}
		_, zero := field.ValueOf(ctx, model)
		return !zero
	case reflect.Slice, reflect.Array:
		for i := range model.Len() {
			if elem := reflect.Indirect(model.Index(i)); elem.IsValid() && holdsAny(ctx, field, elem) {
				return true
			}
		}
	}
	return false
}

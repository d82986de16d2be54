package occ

import (
	"context"
	"runtime"

	"gorm.io/gorm"
)

// A panic in a callback, in a hook of a model say, goes straight through GORM: the transaction that GORM began for the call
// stays open, and with it the connection. So do a unit and the journal of the plugin's. The callbacks between open and
// close are therefore wrapped: a panic ends the call before it goes on its way.

// hookCallbacks are GORM's callbacks that run code of the models', besides those that the plugin goes round.
var hookCallbacks = []string{
	"gorm:before_create", "gorm:before_update", "gorm:before_delete",
	"gorm:save_before_associations", "gorm:save_after_associations", "gorm:delete_before_associations",
	"gorm:after_create", "gorm:after_update", "gorm:after_delete",
}

func (p *engine) registerAborts(db *gorm.DB) (errs []error) {
	callbacks := db.Callback()
	create, update, remove := callbacks.Create(), callbacks.Update(), callbacks.Delete()
	for _, name := range hookCallbacks {
		for _, processor := range []interface {
			Get(string) func(*gorm.DB)
			Replace(string, func(*gorm.DB)) error
		}{create, update, remove} {
			if callback := processor.Get(name); callback != nil {
				errs = append(errs, processor.Replace(name, p.aborting(callback)))
			}
		}
	}
	return errs
}

// abort undoes what a call has written, in the database and in memory.
func (p *engine) abort(db *gorm.DB) {
	w, ok := db.Statement.Clauses[writeClause].Expression.(*write)
	if !ok || w.stmt != db.Statement {
		return
	}
	delete(db.Statement.Clauses, writeClause)
	started := w.startedTransaction()
	if started {
		_ = rollBack(db.Statement.ConnPool)
	}
	if w.unit != nil {
		w.unit.journal.leave()
		_ = w.unit.close(db, true)
	}
	if started {
		putBack(w.ctx, w.memories)
	}
}

// rollBack ends a transaction, also where a panic is on its way through. One in a Valuer that database/sql calls for a
// query leaves a lock of the transaction behind, for which Rollback waits for ever: then the database is told by itself,
// the panic goes on, and the connection is lost to the pool, as it is without a transaction.
func rollBack(pool gorm.ConnPool) error {
	committer := pool.(gorm.TxCommitter)
	if !panicsInQuery() {
		return committer.Rollback()
	}
	_, err := connectionOf(pool).ExecContext(context.Background(), "ROLLBACK")
	go func() { _ = committer.Rollback() }() // or until the lock is free: the query may be one of another transaction
	return err
}

// panicsInQuery tells a panic that began within database/sql's query; its frames are below while deferred calls run.
func panicsInQuery() bool {
	const maxDepth = 64
	var callers [maxDepth]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	panics := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panics = true
		case panics && frame.Function == "database/sql.(*DB).queryDC":
			return true
		}
		if !more {
			return false
		}
	}
}

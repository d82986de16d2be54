package tx

import (
	"context"
	"runtime"

	"gorm.io/gorm"
)

// RollBack ends a transaction, also during a panic. A panic in a Valuer that database/sql calls for a query leaves the
// transaction's lock taken, and Rollback would wait for it for ever. Then ROLLBACK is sent as a statement, and the panic goes on.
// The connection is lost to the pool, as it is without a transaction.
func (js *Journals) RollBack(pool gorm.ConnPool) error {
	committer := pool.(gorm.TxCommitter)
	if !panicsInQuery() {
		if js.Dialect.IsGalera() {
			_ = js.Dialect.RollBackAnyway(context.Background(), ConnectionOf(pool))
		}
		return committer.Rollback()
	}
	_, err := ConnectionOf(pool).ExecContext(context.Background(), "ROLLBACK")
	go func() { _ = committer.Rollback() }() // or until the lock is free: the query may be one of another transaction
	return err
}

// panicsInQuery reports whether a panic began within database/sql's query; its frames are below while deferred calls run.
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

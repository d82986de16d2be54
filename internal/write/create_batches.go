package write

import (
	"database/sql"
	"reflect"
	"runtime"
	"sync"
	"weak"

	"github.com/gorm-occ/occ/internal/tx"
)

// GORM's CreateInBatches is one call of many statements, in a transaction of which the callbacks of a batch know nothing.
// When a batch fails, the ones before it are rolled back as well. Their memories are kept by transaction, until then or until
// the transaction is collected.

// batchCalls are the calls of CreateInBatches that are under way.
type batchCalls struct{ byTransaction sync.Map } // weak.Pointer[sql.Tx] to *batchCall

// batchCall is what one call of CreateInBatches has created so far. The elements of the next batch follow in memory on
// those of the last one.
type batchCall struct {
	memories []tx.Memory
	next     uintptr
}

// isInBatches reports whether the call is one of many that CreateInBatches makes in a transaction, of which no journal is kept.
func (c *Call) isInBatches(batch reflect.Value) bool {
	if !c.isCreate() || batch.Kind() != reflect.Slice || batch.Len() == 0 || c.startedTransaction() || c.DB.DisableNestedTransaction {
		return false
	}
	_, ok := tx.ConnectionOf(c.Stmt.ConnPool).(*sql.Tx)
	return ok && c.Plugin.Journals.Of(c.Stmt.ConnPool) == nil && calledByCreateInBatches()
}

// settleBatch keeps what a batch of CreateInBatches has created; if the batch failed, it puts back those before it.
func (c *Call) settleBatch() {
	batch := c.Stmt.ReflectValue
	if !c.isInBatches(batch) {
		return
	}
	session := tx.ConnectionOf(c.Stmt.ConnPool).(*sql.Tx)
	calls, key, first := &c.Plugin.batchCalls.byTransaction, weak.Make(session), batch.Index(0).Addr().Pointer()
	var call *batchCall
	if open, ok := calls.Load(key); ok {
		call = open.(*batchCall)
	}
	switch {
	case c.DB.Error != nil:
		tx.PutBack(c.Ctx, c.memories)
		if call != nil && call.next == first {
			tx.PutBack(c.Ctx, call.memories)
		}
		calls.Delete(key)
		return
	case call == nil:
		runtime.AddCleanup(session, func(key weak.Pointer[sql.Tx]) { calls.Delete(key) }, key)
		fallthrough
	case call.next != first:
		call = &batchCall{}
		calls.Store(key, call)
	}
	call.memories = append(call.memories, c.memories...)
	call.next = first + uintptr(batch.Len())*batch.Type().Elem().Size()
}

// calledByCreateInBatches reports whether the statement is a batch of a call that has a transaction for all of them.
func calledByCreateInBatches() bool {
	return tx.CalledBy("CreateInBatches.func1") && tx.CalledBy("Transaction")
}

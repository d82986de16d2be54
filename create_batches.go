package occ

import (
	"database/sql"
	"reflect"
	"runtime"
	"sync"
	"weak"
)

// GORM's CreateInBatches is one call of many statements, in a transaction of which the callbacks of a batch know nothing:
// when a batch fails, the ones before it are rolled back as well. Their memories are kept until then by transaction, or
// until nobody has the transaction any more.

// batchCalls are the calls of CreateInBatches that are under way.
type batchCalls struct{ byTransaction sync.Map } // weak.Pointer[sql.Tx] to *batchCall

// batchCall is what one call of CreateInBatches has created so far. The elements of the next batch follow in memory on
// those of the last one.
type batchCall struct {
	memories []memory
	next     uintptr
}

// settleBatch keeps what a batch of CreateInBatches has created; if the batch failed, it puts back those before it.
func (w *write) settleBatch() {
	batch := w.stmt.ReflectValue
	if batch.Kind() != reflect.Slice || batch.Len() == 0 || w.startedTransaction() || w.db.DisableNestedTransaction {
		return
	}
	tx, ok := connectionOf(w.stmt.ConnPool).(*sql.Tx)
	if !ok || w.plugin.journals.of(w.stmt.ConnPool) != nil || !calledByCreateInBatches() {
		return
	}
	calls, key, first := &w.plugin.batchCalls.byTransaction, weak.Make(tx), batch.Index(0).Addr().Pointer()
	var call *batchCall
	if open, ok := calls.Load(key); ok {
		call = open.(*batchCall)
	}
	switch {
	case w.db.Error != nil:
		putBack(w.ctx, w.memories)
		if call != nil && call.next == first {
			putBack(w.ctx, call.memories)
		}
		calls.Delete(key)
		return
	case call == nil:
		runtime.AddCleanup(tx, func(key weak.Pointer[sql.Tx]) { calls.Delete(key) }, key)
		fallthrough
	case call.next != first:
		call = &batchCall{}
		calls.Store(key, call)
	}
	call.memories = append(call.memories, w.memories...)
	call.next = first + uintptr(batch.Len())*batch.Type().Elem().Size()
}

// calledByCreateInBatches tells whether the statement is a batch of a call that has a transaction for all of them.
func calledByCreateInBatches() bool {
	return calledBy("CreateInBatches.func1") && calledBy("Transaction")
}

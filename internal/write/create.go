package write

import (
	"database/sql"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"weak"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/tx"
)

// guardCreate gives new rows their first version, and keeps an INSERT from overwriting rows that are there.
func (e *Engine) guardCreate(db *gorm.DB) {
	w, ok := callOf(db)
	if !ok {
		e.Gorm.create(db)
		return
	}
	w.isGuarded = true
	if w.isQuiet {
		return
	}
	w.keepClauses("ON CONFLICT", "RETURNING", "VALUES")
	defer w.giveBackClauses()
	w.keepAddressable()
	w.touching(nil, w.create)
}

func (c *Call) create() {
	if !c.hasSnapshots() {
		c.createAs()
		return
	}
	c.within(func() error { c.createAs(); return c.DB.Error })
}

func (c *Call) createAs() {
	conflict, isUpsert := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	skips, replaces := c.Dialect.InsertMode(c.insertModifier())
	switch {
	case c.Model.Version == nil:
		c.Plugin.Gorm.create(c.DB)
	case replaces:
		_ = c.DB.AddError(fmt.Errorf("occ: model %s has a version: an INSERT with %q would replace rows without comparing it: use clause.OnConflict: %w",
			c.Model.Name, c.insertModifier(), gorm.ErrInvalidData))
	case c.switches.Expects && (!isUpsert || conflict.DoNothing) && !c.isSaveOfZeroPart():
		_ = c.DB.AddError(fmt.Errorf("occ: model %s: Expect on a Create that updates no row: there is nothing to compare with: %w", c.Model.Name, gorm.ErrInvalidData))
	case skips && !isUpsert:
		c.insertIgnoring()
	case isUpsert && conflict.UpdateAll && c.isSaveOfMissing():
		c.insertMissing()
	case isUpsert && c.isSaveOfSlice(conflict):
		c.saveSlice()
	case isUpsert && conflict.DoNothing:
		c.insertOrSkip()
	case isUpsert && c.isLinked:
		c.relink(conflict)
	case isUpsert:
		c.upsert(conflict)
	case c.isSaveOfZeroPart():
		c.saveZeroPart()
	default:
		c.insert()
	}
}

// insertModifier is what the caller put behind INSERT.
func (c *Call) insertModifier() string {
	insert, _ := c.Stmt.Clauses["INSERT"].Expression.(clause.Insert)
	return insert.Modifier
}

// insertIgnoring inserts models one by one where the database may leave some alone without saying which. Those keep the
// version that they had, and get no key.
func (c *Call) insertIgnoring() {
	c.isWhole = true
	rows := c.candidates()
	if c.DB.DryRun || len(rows) == 0 {
		c.insert() // maps, or no write at all
		return
	}
	c.together(func() {
		inserted := int64(0)
		for i := range rows {
			c.withModels(rows[i:i+1], c.insert)
			if c.DB.Error != nil {
				return
			}
			if c.DB.RowsAffected == 0 {
				c.forgetKeys(rows[i : i+1])
			}
			inserted += c.DB.RowsAffected
		}
		c.setRowsAffected(inserted)
	})
}

// keepAddressable copies a model that was passed by value, since the first version is written to it.
func (c *Call) keepAddressable() {
	passed := c.Stmt.ReflectValue
	if passed.CanAddr() || (passed.Kind() != reflect.Struct && passed.Kind() != reflect.Array) {
		return
	}
	c.Stmt.ReflectValue = reflect.New(passed.Type()).Elem()
	c.Stmt.ReflectValue.Set(passed)
	c.Stmt.Dest = c.Stmt.ReflectValue.Addr().Interface()
}

// isSaveOfMissing tells the INSERT of a Save whose UPDATE found no row.
func (c *Call) isSaveOfMissing() bool {
	_, isAhead := c.Stmt.Clauses[savingClause]
	return c.Stmt.ReflectValue.Kind() == reflect.Struct && c.Stmt.SkipHooks && !c.switches.Unchecked &&
		!c.Plugin.BlindWrites && (isAhead || tx.CalledBySave())
}

// insertMissing inserts a model that Save did not find. If the row is there after all, because another session was faster
// or because it is soft-deleted, it is not overwritten: the write is refused.
func (c *Call) insertMissing() {
	c.Op = conflict.OpUpdate
	if c.DB.AddError(c.identify(c.Stmt.ReflectValue, nil)) != nil {
		return
	}
	c.Own = c.Stmt.Clauses["WHERE"]
	c.insertOnly()
	c.insert()
	switch {
	case c.DB.DryRun || len(c.rows) == 0:
	case c.DB.Error == nil && c.DB.RowsAffected == 0:
		c.refuseUninserted()
	case c.isDuplicateKey(c.DB.Error):
		c.refuseDuplicate()
	}
}

// refuseUninserted ends an INSERT that wrote nothing. Where the row is not there either, a trigger may have left it out:
// that it was deleted would be a guess.
func (c *Call) refuseUninserted() {
	if state, err := c.Read(&c.rows[0]); err == nil && !state.IsThere {
		c.fail(&conflict.Refusal{Op: c.Op, Rows: c.unknown(c.pointers())})
		return
	}
	c.Refuse(nil)
}

// insertOnly makes an upsert an INSERT that leaves a row of the same key alone. Other unique keys stay an error.
func (c *Call) insertOnly() {
	if !c.Dialect.ConflictTarget {
		delete(c.Stmt.Clauses, "ON CONFLICT")
		return
	}
	only := clause.OnConflict{DoNothing: true}
	for _, field := range c.Model.PrimaryFields {
		only.Columns = append(only.Columns, clause.Column{Name: field.DBName})
	}
	c.Stmt.AddClause(only)
}

// refuseDuplicate turns the database's duplicate key into a refusal where the key is the primary key.
func (c *Call) refuseDuplicate() {
	if state, err := c.Read(&c.rows[0]); err == nil && state.IsThere {
		c.Refuse(nil)
	}
}

// GORM's CreateInBatches is one call of many statements, in a transaction of which the callbacks of a batch know nothing:
// when a batch fails, the ones before it are rolled back as well. Their memories are kept until then by transaction, or
// until nobody has the transaction any more.

// batchCalls are the calls of CreateInBatches that are under way.
type batchCalls struct{ byTransaction sync.Map } // weak.Pointer[sql.Tx] to *batchCall

// batchCall is what one call of CreateInBatches has created so far. The elements of the next batch follow in memory on
// those of the last one.
type batchCall struct {
	memories []tx.Memory
	next     uintptr
}

// settleBatch keeps what a batch of CreateInBatches has created; if the batch failed, it puts back those before it.
func (c *Call) settleBatch() {
	batch := c.Stmt.ReflectValue
	if batch.Kind() != reflect.Slice || batch.Len() == 0 || c.startedTransaction() || c.DB.DisableNestedTransaction {
		return
	}
	session, ok := tx.ConnectionOf(c.Stmt.ConnPool).(*sql.Tx)
	if !ok || c.Plugin.Journals.Of(c.Stmt.ConnPool) != nil || !calledByCreateInBatches() {
		return
	}
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

// calledByCreateInBatches tells whether the statement is a batch of a call that has a transaction for all of them.
func calledByCreateInBatches() bool {
	return tx.CalledBy("CreateInBatches.func1") && tx.CalledBy("Transaction")
}

// isSaveOfZeroPart tells a Save of one model that GORM inserts, since a part of its key is zero, although nothing but the
// model can give that part its value: the zero is the value, and a row with it may be there.
func (c *Call) isSaveOfZeroPart() bool {
	if c.Stmt.ReflectValue.Kind() != reflect.Struct || len(c.Model.PrimaryFields) < 2 || c.KeyOf(c.Stmt.ReflectValue) == nil {
		return false
	}
	for _, field := range c.Model.PrimaryFields {
		if _, isZero := field.ValueOf(c.Ctx, c.Stmt.ReflectValue); isZero && (field.AutoIncrement || field.HasDefaultValue) {
			return false
		}
	}
	return tx.CalledBySave()
}

// saveZeroPart does what Save does with any other key: it updates a loaded model and inserts a new one.
func (c *Call) saveZeroPart() {
	isNew := c.Model.Version.Kind.IsZero(c.Model.Version.Of(c.Ctx, c.Stmt.ReflectValue)) && !c.switches.Expects
	if isNew && !c.switches.Unchecked && !c.Plugin.BlindWrites {
		c.insertMissing()
		return
	}
	c.saveSlice()
}

// isEndOfSave tells the INSERT of a Save whose UPDATE rightly wrote nothing: the row is current, but the caller's own
// conditions did not hold. A loaded model is refused or updated, never inserted, so there is no other way to get here.
func (c *Call) isEndOfSave() bool {
	conflict, isUpsert := c.Stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !isUpsert || !conflict.UpdateAll || !c.Stmt.SkipHooks || c.Model.Version == nil || c.switches.Unchecked {
		return false
	}
	model := c.Stmt.ReflectValue
	if model.Kind() != reflect.Struct || model.Type() != c.Model.ModelType {
		return false
	}
	return (c.switches.Expects || !c.Model.Version.Kind.IsZero(c.Model.Version.Of(c.Ctx, model))) && tx.CalledBySave()
}

// endSave has GORM insert nothing, and save no associations: the UPDATE has.
func (c *Call) endSave() {
	c.isQuiet = true
	c.Stmt.Selects, c.Stmt.Omits = nil, []string{clause.Associations}
}

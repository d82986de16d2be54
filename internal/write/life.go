package write

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/read"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/value"
)

// GORM does not recover from a panic in a callback, in a hook of a model say. The transaction that GORM began for the call stays
// open, and with it the connection, the unit and the journal of the plugin's. So the callbacks between open and close are
// wrapped: a panic ends the call before it goes on.

// hookCallbacks are GORM's callbacks that run hooks of the models', besides those that the plugin replaces.
var hookCallbacks = []string{
	"gorm:before_create", "gorm:before_update", "gorm:before_delete",
	"gorm:after_create", "gorm:after_update", "gorm:after_delete",
}

// associationCallbacks are GORM's callbacks that write associations, and so run hooks of theirs.
var associationCallbacks = []string{"gorm:save_before_associations", "gorm:save_after_associations", "gorm:delete_before_associations"}

func (e *Engine) registerAborts(db *gorm.DB) (errs []error) {
	callbacks := db.Callback()
	for _, processor := range []interface {
		Get(string) func(*gorm.DB)
		Replace(string, func(*gorm.DB)) error
	}{callbacks.Create(), callbacks.Update(), callbacks.Delete()} {
		for _, name := range slices.Concat(hookCallbacks, associationCallbacks) {
			wrap := e.aborting
			if slices.Contains(associationCallbacks, name) {
				wrap = e.ofAssociations
			}
			if callback := processor.Get(name); callback != nil {
				errs = append(errs, processor.Replace(name, wrap(callback)))
			}
		}
	}
	return errs
}

// abort undoes what a call has written, in the database and in memory.
func (e *Engine) abort(db *gorm.DB) {
	c, ok := db.Statement.Clauses[callClause].Expression.(*Call)
	if !ok || c.Stmt != db.Statement {
		return
	}
	delete(db.Statement.Clauses, callClause)
	c.room.log.Flush()
	started := c.startedTransaction()
	if started {
		_ = c.Plugin.RollBack(db.Statement.ConnPool)
	}
	if c.unit != nil {
		c.unit.Journal.Leave()
		_ = c.unit.Close(db, true)
	}
	if started {
		tx.PutBack(c.Ctx, c.memories)
	}
}

// open begins the plugin's part of a call.
func (e *Engine) open(op conflict.Op) func(*gorm.DB) {
	return func(db *gorm.DB) {
		read.Resume(db)
		e.EnterWrite(db)
		m := e.ModelOf(db.Statement)
		if m == nil {
			_ = db.AddError(unknownTable(db.Statement))
			return
		}
		if err := e.openWrite(db, m, op); err != nil {
			_ = db.AddError(err)
		}
	}
}

// unknownTable reports as an error that a write has an expected version and there is no model to compare it by.
func unknownTable(stmt *gorm.Statement) error {
	if _, expects := stmt.Clauses[intent.ExpectClause]; !expects {
		return nil
	}
	return fmt.Errorf("occ: Expect on a write of table %q, of which no model with a version is known: pass the model with Model(&T{}): %w", stmt.Table, gorm.ErrModelValueRequired)
}

func (e *Engine) openWrite(db *gorm.DB, m *model.Model, op conflict.Op) error {
	stmt := db.Statement
	switches, err := intent.Of(stmt)
	if err = errors.Join(m.Err, err); err != nil {
		return err
	}
	if err := switches.Fit(m); err != nil {
		return err
	}
	if !m.IsInvolved() && !m.MayNest(stmt) && !e.processors.of(op).hasForeign() {
		return nil
	}
	if switches.Touch != nil {
		op = conflict.OpTouch
	}
	target := targetOf(stmt, op)
	if m.IsInvolved() && !deletesFromTable(stmt, op) {
		if err := checkModels(db, m, target, op); err != nil {
			return err
		}
	}
	if db.Error != nil {
		return nil
	}
	c := pool.Get().(*Call)
	c.begin(e, db, m, op)
	c.switches = switches
	if c.isLinked = c.isCreate() && isAssociationSave(db); c.isLinked {
		owner, _ := stmt.Settings.Load(ownerSetting)
		c.owner, _ = owner.(*Call)
	}
	stmt.Clauses[callClause] = clause.Clause{Expression: c}
	if c.isEndOfSave() {
		c.endSave()
		return nil
	}
	return c.openUnit(target)
}

// begin fills in where a call works.
func (c *Call) begin(e *Engine, db *gorm.DB, m *model.Model, op conflict.Op) {
	c.Plugin, c.DB, c.Stmt, c.Ctx, c.Dialect, c.Model, c.op = e, db, db.Statement, db.Statement.Context, e.Dialect, m, op
	c.Journals = e.Journals
	c.before = keptClauses{db.Statement, c.room.clauses[:0]}
}

// newCall makes a call that does not come through GORM's callbacks.
func (e *Engine) newCall(db *gorm.DB, m *model.Model, op conflict.Op) *Call {
	c := &Call{}
	c.begin(e, db, m, op)
	return c
}

// openUnit opens the unit of a call that may write several rows through several statements.
func (c *Call) openUnit(target reflect.Value) (err error) {
	if !c.Model.MayNest(c.Stmt) && !c.Plugin.processors.of(c.op).hasForeign() || c.DB.DryRun {
		return nil
	}
	startedByGORM := c.startedTransaction()
	if startedByGORM && !tx.IsTransaction(c.Stmt.ConnPool) {
		if c.savesMore(target) {
			return tx.NotATransaction(c.Stmt.ConnPool)
		}
		return nil
	}
	isUndoneByOwner := c.isLinked && tx.IsTransaction(c.Stmt.ConnPool)
	isUndoneByOthers := startedByGORM || !isUndoneByOwner && c.isInBatches(target)
	if !isUndoneByOthers && (isUndoneByOwner || !c.savesMore(target)) {
		return nil
	}
	if c.unit, err = c.Plugin.OpenUnit(c.DB, isUndoneByOthers); err != nil {
		return err
	}
	c.unit.Hold()
	c.unit.Journal.Enter()
	if c.isDelete() {
		_ = eachModel(c.Stmt.ReflectValue, func(_ int, model reflect.Value) error {
			c.note(model)
			return nil
		})
	}
	return nil
}

// isAssociationSave reports whether an INSERT is that with which GORM saves associations along with their owner.
func isAssociationSave(db *gorm.DB) bool {
	_, visits := db.Get("gorm:saved_association_map")
	return visits && db.DisableNestedTransaction
}

func (c *Call) savesMore(target reflect.Value) bool {
	if len(c.Model.Touches) > 0 {
		return true
	}
	if c.isDelete() {
		return len(c.Stmt.Selects) > 0 && c.Plugin.ReachesVersions(c.Model)
	}
	return c.Plugin.ReachesVersions(c.Model) && model.SavesAssociations(c.Stmt, c.Model, target, c.isCreate())
}

// targetOf returns the model or models that a statement is about, before GORM has set it up.
func targetOf(stmt *gorm.Statement, op conflict.Op) reflect.Value {
	if (op == conflict.OpUpdate || op == conflict.OpTouch) && stmt.Model != nil {
		return value.Indirect(reflect.ValueOf(stmt.Model))
	}
	return stmt.ReflectValue
}

// deletesFromTable reports whether a statement is Table("products").Where(...).Delete(nil), which is about no model.
func deletesFromTable(stmt *gorm.Statement, op conflict.Op) bool {
	return op == conflict.OpDelete && stmt.Model == nil && stmt.Dest == nil
}

// checkModels refuses what GORM would panic on or take for a write to every row, by name.
func checkModels(db *gorm.DB, m *model.Model, target reflect.Value, op conflict.Op) error {
	if err := fitsSchema(db.Statement, op); err != nil {
		return err
	}
	if !target.IsValid() && isTypedNil(db.Statement.Model) && db.Error == nil {
		return nil // Model((*T)(nil)) names no row: the write is one by condition
	}
	if !target.IsValid() {
		db.Error = nil // GORM's ErrInvalidValue, which does not say of what
		return fmt.Errorf("occ: model %s is a nil pointer: pass the model, or &%s{} to write by condition: %w", m.Name, m.Name, gorm.ErrInvalidValue)
	}
	if target.Kind() != reflect.Slice && target.Kind() != reflect.Array {
		return nil
	}
	for i := range target.Len() {
		if !value.Indirect(target.Index(i)).IsValid() {
			return fmt.Errorf("occ: element %d of the %s slice is a nil pointer: remove it: %w", i, m.Name, nilElement(op))
		}
	}
	return nil
}

// fitsSchema refuses payloads of which GORM would read or write the fields of another type.
func fitsSchema(stmt *gorm.Statement, op conflict.Op) error {
	dest := reflect.TypeOf(stmt.Dest)
	for dest != nil && dest.Kind() == reflect.Pointer {
		dest = dest.Elem()
	}
	switch {
	case dest == nil:
	case op == conflict.OpUpdate && stmt.Schema == nil && dest.Kind() == reflect.Slice:
		return fmt.Errorf("occ: Updates of table %q takes a map or a struct, no %v: %w", stmt.Table, reflect.TypeOf(stmt.Dest), gorm.ErrInvalidData)
	case op == conflict.OpUpsert && stmt.Schema != nil:
		if element := model.ElementType(dest); element.Kind() == reflect.Struct && element != stmt.Schema.ModelType {
			return fmt.Errorf("occ: a Create of %v with Model(&%s{}), whose fields are not in it: pass Table(%q) in place of the model: %w",
				reflect.TypeOf(stmt.Dest), stmt.Schema.Name, stmt.Table, gorm.ErrInvalidData)
		}
	}
	return nil
}

// nilElement is the error for a nil pointer in a slice. GORM's own for a Create, and for a Save, is ErrInvalidData.
func nilElement(op conflict.Op) error {
	if op == conflict.OpUpsert {
		return fmt.Errorf("%w, %w", gorm.ErrInvalidData, gorm.ErrInvalidValue)
	}
	return gorm.ErrInvalidValue
}

// isTypedNil reports whether a model is a nil pointer to a struct.
func isTypedNil(model any) bool {
	rv := reflect.ValueOf(model)
	return rv.Kind() == reflect.Pointer && rv.IsNil() && rv.Type().Elem().Kind() == reflect.Struct
}

// close ends the plugin's part of a call, behind the commit or rollback of its default transaction.
func (e *Engine) close(db *gorm.DB) {
	found, ok := db.Statement.Clauses[callClause]
	if !ok {
		return
	}
	delete(db.Statement.Clauses, callClause)
	c, ok := found.Expression.(*Call)
	if !ok || c.Stmt != db.Statement {
		return
	}
	c.advanceCopies()
	c.closeUnit()
	db.Error = c.withRefusal(e.withoutRepeats(db.Error))
	if db.Error != nil && len(c.memories) > 0 && c.startedTransaction() {
		tx.PutBack(c.Ctx, c.memories)
	}
	c.settleBatch()
	c.report()
	c.free()
}

// withRefusal makes sure that errors.Is finds why a call failed. GORM puts the error of a rollback on top of it, and keeps its text alone.
func (c *Call) withRefusal(err error) error {
	if c.refusal != nil && err != nil && !errors.Is(err, c.refusal) {
		err = fmt.Errorf("%w; %w", c.refusal, err)
	}
	return tx.BecauseOf(c.Ctx, err)
}

func (c *Call) closeUnit() {
	if c.unit == nil {
		return
	}
	c.unit.Journal.Leave()
	memories := c.unit.Journal.Memories[min(c.unit.Mark, len(c.unit.Journal.Memories)):]
	if err := c.unit.Close(c.DB, c.DB.Error != nil); err != nil && c.DB.Error == nil {
		_ = c.DB.AddError(err)
	}
	if c.unit.OwnsJournal && c.DB.Error == nil {
		c.memories = append(c.memories, memories...)
	}
}

// report counts the refusal and calls the conflict hooks with it.
func (c *Call) report() {
	if c.refusal == nil {
		return
	}
	counters := c.Counters()
	counters.Refused.Add(1)
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil {
		j.Refusal, j.Refused = c.refusal, counters
	}
	ctx, refusal, face := c.Ctx, c.refusal, c.Plugin.Face
	if j := c.Plugin.Journals.Of(c.Stmt.ConnPool); j != nil && j.Holds > 0 {
		j.Pending = append(j.Pending, func() { face.Report(ctx, refusal) })
		return
	}
	face.Report(ctx, refusal)
}

package occ

import (
	"reflect"
	"runtime"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// GORM's Save is an UPDATE and, if that writes no row, an INSERT ... ON CONFLICT DO UPDATE of the same model. Neither
// statement carries a trace of it: a Save looks like Select("*").Updates, then like an upsert. What Save may do and the
// others may not, insert a model that was never stored, is found out from the call stack, after a statement wrote
// nothing and before an upsert: not on the way of an ordinary write.

// calledBySave tells whether the call that is on its way through the callbacks is, or is made by, gorm.DB.Save.
func calledBySave() bool { return calledBy("Save") }

// calledBy tells it of any method of gorm.DB.
func calledBy(method string) bool {
	const maxDepth = 64
	var callers [maxDepth]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	inGORM := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "gorm.io/gorm.(*processor).Execute":
			inGORM = true
		case frame.Function == "gorm.io/gorm.(*DB)."+method && inGORM:
			return true
		case inGORM && !strings.HasPrefix(frame.Function, "gorm.io/gorm.(*DB)."):
			return false
		}
		if !more {
			return false
		}
	}
}

// isSaveOfZeroPart tells a Save of one model that GORM inserts, since a part of its key is zero, although nothing but the
// model can give that part its value: the zero is the value, and a row with it may be there.
func (w *write) isSaveOfZeroPart() bool {
	if w.stmt.ReflectValue.Kind() != reflect.Struct || len(w.model.PrimaryFields) < 2 || w.keyOf(w.stmt.ReflectValue) == nil {
		return false
	}
	for _, field := range w.model.PrimaryFields {
		if _, isZero := field.ValueOf(w.ctx, w.stmt.ReflectValue); isZero && (field.AutoIncrement || field.HasDefaultValue) {
			return false
		}
	}
	return calledBySave()
}

// saveZeroPart does what Save does with any other key: it updates a loaded model and inserts a new one.
func (w *write) saveZeroPart() {
	isNew := w.model.version.kind.isZero(w.model.version.of(w.ctx, w.stmt.ReflectValue)) && !w.switches.expects
	if isNew && !w.switches.unchecked && !w.plugin.blindWrites {
		w.insertMissing()
		return
	}
	w.saveSlice()
}

// isEndOfSave tells the INSERT of a Save whose UPDATE rightly wrote nothing: the row is current, but the caller's own
// conditions did not hold. A loaded model is refused or updated, never inserted, so there is no other way to get here.
func (w *write) isEndOfSave() bool {
	conflict, isUpsert := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !isUpsert || !conflict.UpdateAll || !w.stmt.SkipHooks || w.model.version == nil || w.switches.unchecked {
		return false
	}
	model := w.stmt.ReflectValue
	if model.Kind() != reflect.Struct || model.Type() != w.model.ModelType {
		return false
	}
	return (w.switches.expects || !w.model.version.kind.isZero(w.model.version.of(w.ctx, model))) && calledBySave()
}

// endSave has GORM insert nothing, and save no associations: the UPDATE has.
func (w *write) endSave() {
	w.isQuiet = true
	w.stmt.Selects, w.stmt.Omits = nil, []string{clause.Associations}
}

// pausedClause keeps the configuration of a statement that was paused.
const pausedClause = "occ:paused"

type paused struct{ config *gorm.Config }

// Build writes nothing.
func (paused) Build(clause.Builder) {}

// configure gives a statement a configuration of its own until resume takes it back.
func configure(db *gorm.DB, change func(config *gorm.Config)) {
	db.Statement.Clauses[pausedClause] = clause.Clause{Expression: paused{db.Config}}
	config := *db.Config
	change(&config)
	db.Config = &config
}

func resume(db *gorm.DB) {
	c, ok := db.Statement.Clauses[pausedClause]
	if !ok {
		return
	}
	delete(db.Statement.Clauses, pausedClause)
	if p, ok := c.Expression.(paused); ok {
		db.Config = p.config
	}
}

// savingClause marks the INSERT that goes ahead of the one that Save would send.
const savingClause = "occ:saving"

type saving struct{}

func (saving) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[savingClause] = clause.Clause{Expression: saving{}}
}

// Build writes nothing.
func (saving) Build(clause.Builder) {}

// insertBeforeAssociations inserts the model that the UPDATE of a Save did not find, if it comes with associations: GORM
// would save those first, and they would stay if the model then turned out to be there.
func (w *write) insertBeforeAssociations() {
	if w.unit == nil || !savesAssociations(w.stmt, w.model, w.rows[0].model, false) {
		return // Save goes on to insert it
	}
	tx := w.db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Clauses(saving{}, clause.OnConflict{UpdateAll: true})
	tx = inherit(tx, w.stmt).Omit(append(slices.Clip(w.stmt.Omits), clause.Associations)...)
	tx.Statement.Table, tx.Statement.TableExpr, tx.Statement.Unscoped = w.stmt.Table, w.stmt.TableExpr, w.stmt.Unscoped
	tx = tx.Create(w.stmt.Dest)
	if w.db.AddError(tx.Error) == nil {
		w.setRowsAffected(tx.RowsAffected)
	}
}

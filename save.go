package occ

import (
	"maps"
	"reflect"
	"runtime"
	"strings"
	"time"

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

// pausedClause keeps the configuration of a statement that was paused.
const pausedClause = "occ:paused"

type paused struct{ config *gorm.Config }

// Build writes nothing.
func (paused) Build(clause.Builder) {}

// Name makes it a plugin, so that a configuration can hold it.
func (paused) Name() string { return pausedClause }

// Initialize does nothing.
func (paused) Initialize(*gorm.DB) error { return nil }

// pause keeps Save from inserting after an UPDATE that rightly wrote nothing: Save does not go on in a dry run. The
// statement is given a configuration of its own for that; resume takes it back if the caller uses the statement again.
//
// The note of it is where sessions that are derived from the statement find it as well: else they would be dry for ever.
func pause(db *gorm.DB) {
	config := *db.Config
	config.DryRun = true
	config.Plugins = maps.Clone(db.Plugins)
	config.Plugins[pausedClause] = paused{db.Config}
	// GORM forgets the SQL of a dry run neither before it is used again nor in sessions: raw SQL would get its parameters
	trace(db, time.Now())
	db.Statement.SQL.Reset()
	db.Statement.Vars = nil
	db.Config = &config
}

// unpause has a statement or session that came out of a paused one send its SQL.
func unpause(db *gorm.DB) {
	if !db.DryRun {
		return
	}
	if p, ok := db.Plugins[pausedClause].(paused); ok {
		config := *db.Config
		config.DryRun, config.Plugins = false, p.config.Plugins
		db.Config = &config
	}
}

// configure gives a statement a configuration of its own until resume takes it back.
func configure(db *gorm.DB, change func(config *gorm.Config)) {
	db.Statement.Clauses[pausedClause] = clause.Clause{Expression: paused{db.Config}}
	config := *db.Config
	change(&config)
	db.Config = &config
}

func resume(db *gorm.DB) {
	unpause(db)
	c, ok := db.Statement.Clauses[pausedClause]
	if !ok {
		return
	}
	delete(db.Statement.Clauses, pausedClause)
	if p, ok := c.Expression.(paused); ok {
		db.Config = p.config
	}
}

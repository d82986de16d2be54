package write

import (
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/conflict"
)

// A callback of another plugin that runs between begin and commit may write versioned models on its own statements. When GORM rolls
// its default transaction back, their versions have to be put back too: such a call keeps a journal, as one with hooks does.

// foreignCallbacks knows of one of GORM's processors whether callbacks of others run in its default transaction.
type foreignCallbacks struct {
	processor reflect.Value
	field     int  // that of the functions; negative where a GORM of another version keeps them elsewhere
	isHidden  bool // the plugin's callbacks wrap one that is not GORM's
	seen      atomic.Pointer[seenForeign]
}

// seenForeign are a processor's callbacks when they were last looked at.
type seenForeign struct {
	first     uintptr
	n         int
	isForeign bool
}

// foreign are the processors of the three ways of a write.
type foreign struct{ create, update, delete foreignCallbacks }

// lookForForeign is called before the plugin's own callbacks are there.
func (e *Engine) lookForForeign(db *gorm.DB) {
	callbacks := db.Callback()
	e.foreign.create.look(callbacks.Create())
	e.foreign.update.look(callbacks.Update())
	e.foreign.delete.look(callbacks.Delete())
}

func (f *foreignCallbacks) look(processor any) {
	f.processor, f.field = reflect.Indirect(reflect.ValueOf(processor)), -1
	if fns, ok := f.processor.Type().FieldByName("fns"); ok && len(fns.Index) == 1 && fns.Type == reflect.TypeFor[[]func(*gorm.DB)]() {
		f.field = fns.Index[0]
		f.isHidden = f.are()
	}
}

// hasForeign reports whether callbacks of others run in the default transaction of a write.
func (e *Engine) hasForeign(op conflict.Op) bool {
	switch op {
	case conflict.OpUpsert:
		return e.foreign.create.are()
	case conflict.OpDelete:
		return e.foreign.delete.are()
	}
	return e.foreign.update.are()
}

// are looks again only where GORM has made its list anew, which it does with each callback that is registered.
func (f *foreignCallbacks) are() bool {
	if f.isHidden || f.field < 0 {
		return f.isHidden
	}
	fns := f.processor.Field(f.field)
	seen := f.seen.Load()
	if seen == nil || seen.first != fns.Pointer() || seen.n != fns.Len() {
		seen = &seenForeign{fns.Pointer(), fns.Len(), hasForeign(fns)}
		f.seen.Store(seen)
	}
	return seen.isForeign
}

func hasForeign(fns reflect.Value) bool {
	for i := range fns.Len() {
		name := functionName(fns.Index(i))
		if name == gormCommit {
			return false
		}
		isOf := func(pkg string) bool { return strings.HasPrefix(name, pkg) }
		if !isOf(gormPackage) && !slices.ContainsFunc(ourPackages, isOf) {
			return true
		}
	}
	return false
}

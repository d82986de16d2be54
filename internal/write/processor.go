package write

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/read"
)

// A callback of another plugin that runs between begin and commit may write versioned models on its own statements. When GORM rolls
// its default transaction back, their versions have to be put back too. So such a call keeps a journal, as one with hooks does. And it
// is not sent without the transaction.

// processor is one of GORM's, of which it is known whose callbacks run in its default transaction.
type processor struct {
	callbackRegistry
	fields       reflect.Value // of GORM's processor
	list         int           // the field that has the functions in their order; negative where another GORM keeps them elsewhere
	begin        string        // the name of the function that begins the transaction
	plain        string        // the name of the function that sends the statement without the plugin
	hidesForeign bool          // the plugin's callbacks wrap one of others
	seen         atomic.Pointer[seenCallbacks]
}

// callbackRegistry has what GORM lets others do with its processors, whose type it does not export.
type callbackRegistry interface {
	Get(name string) func(*gorm.DB)
	Replace(name string, fn func(*gorm.DB)) error
}

// seenCallbacks are a processor's callbacks when they were last looked at.
type seenCallbacks struct {
	fns     reflect.Value // held, so that no later list gets the same address
	owners  owners
	isPlain bool // GORM's own callback sends the statement: somebody has put it back in the place of the plugin's
}

// owners says whose callbacks run in a default transaction.
type owners int

const (
	unknownOwners owners = iota
	oursAlone            // GORM's and the plugin's
	others               // those of others too
)

// processors are those of the three ways of a write.
type processors struct{ create, update, delete processor }

// of returns the processor of a way of a write.
func (p *processors) of(op conflict.Op) *processor {
	switch op {
	case conflict.OpUpsert:
		return &p.create
	case conflict.OpDelete:
		return &p.delete
	}
	return &p.update
}

// look is called before the plugin's own callbacks are there.
func (p *processors) look(db *gorm.DB) {
	callbacks := db.Callback()
	p.create.look(callbacks.Create(), "gorm:create")
	p.update.look(callbacks.Update(), "gorm:update")
	p.delete.look(callbacks.Delete(), "gorm:delete")
}

func (p *processor) look(of callbackRegistry, name string) {
	p.callbackRegistry, p.fields, p.list, p.begin = of, reflect.Indirect(reflect.ValueOf(of)), -1, gormBegin
	p.plain = functionName(reflect.ValueOf(of.Get(name)))
	if fns, ok := p.fields.Type().FieldByName("fns"); ok && len(fns.Index) == 1 && fns.Type == reflect.TypeFor[[]func(*gorm.DB)]() {
		p.list = fns.Index[0]
		p.hidesForeign = p.owners() == others
	}
}

// hasForeign reports whether callbacks of others are known to run in the default transaction.
func (p *processor) hasForeign() bool { return p.hidesForeign || p.owners() == others }

// hasOurs reports whether no callbacks but GORM's and the plugin's run in the default transaction, and the plugin's sends the
// statement: one that another callback sends is an error, which the transaction undoes.
func (p *processor) hasOurs() bool {
	return !p.hidesForeign && p.owners() == oursAlone && !p.seen.Load().isPlain
}

// owners looks again only where GORM has made its list anew, which it does with each callback that is registered.
func (p *processor) owners() owners {
	if p.list < 0 {
		return unknownOwners
	}
	fns := p.fields.Field(p.list)
	seen := p.seen.Load()
	if seen == nil || seen.fns.Pointer() != fns.Pointer() || seen.fns.Len() != fns.Len() {
		seen = &seenCallbacks{fns.Slice(0, fns.Len()), ownersOf(fns, p.begin), hasPlainWrite(fns, p.plain)}
		p.seen.Store(seen)
	}
	return seen.owners
}

// ownersOf returns whose callbacks run between the function begin and GORM's commit. Where begin is not among them, all
// that run before the commit count.
func ownersOf(fns reflect.Value, begin string) owners {
	found := unknownOwners
	for i := range fns.Len() {
		switch name := functionName(fns.Index(i)); {
		case name == begin:
			found = oursAlone
		case name == gormCommit:
			return found
		case !isOurs(name):
			if found == oursAlone {
				return others
			}
			found = others
		}
	}
	return unknownOwners
}

// hasPlainWrite reports whether GORM's own function for the statement is among the callbacks.
func hasPlainWrite(fns reflect.Value, plain string) bool {
	for i := range fns.Len() {
		if functionName(fns.Index(i)) == plain {
			return true
		}
	}
	return false
}

// isOurs reports whether a function is GORM's or the plugin's.
func isOurs(function string) bool {
	return strings.HasPrefix(function, gormPackage) ||
		slices.ContainsFunc(ourPackages, func(pkg string) bool { return strings.HasPrefix(function, pkg) })
}

// functionName is the name of a function, with its package, as the runtime has it.
func functionName(fn reflect.Value) string {
	if f := runtime.FuncForPC(fn.Pointer()); f != nil {
		return f.Name()
	}
	return ""
}

var (
	ourPackages = packagesBeside(functionName(reflect.ValueOf(read.Resume)), "write", "read", "tx")
	gormBegin   = functionName(reflect.ValueOf(callbacks.BeginTransaction))
	gormCommit  = functionName(reflect.ValueOf(callbacks.CommitOrRollbackTransaction))
	gormPackage = packageOf(gormCommit)
)

// packagesBeside returns what the names of functions begin with in the internal packages of a module that register callbacks.
func packagesBeside(function string, names ...string) []string {
	const internal = "/internal/"
	module, _, _ := strings.Cut(function, internal)
	packages := make([]string, len(names))
	for i, name := range names {
		packages[i] = module + internal + name + "."
	}
	return packages
}

// packageOf is the package of a function that is no method, with the dot behind it.
func packageOf(function string) string { return function[:strings.LastIndexByte(function, '.')+1] }

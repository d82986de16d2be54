package occ

import "gorm.io/gorm"

// A panic in a callback, in a hook of a model say, goes straight through GORM: the transaction that GORM began for the call
// stays open, and with it the connection. So do a unit and the journal of the plugin's. The callbacks between open and
// close are therefore wrapped: a panic ends the call before it goes on its way.

// hookCallbacks are GORM's callbacks that run code of the models', besides those that the plugin goes round.
var hookCallbacks = []string{
	"gorm:before_create", "gorm:before_update", "gorm:before_delete",
	"gorm:save_before_associations", "gorm:save_after_associations", "gorm:delete_before_associations",
	"gorm:after_create", "gorm:after_update", "gorm:after_delete",
}

func (p *Plugin) registerAborts(db *gorm.DB) (errs []error) {
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

// aborting is a callback whose panic ends the call.
func (p *Plugin) aborting(callback func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
		returned := false
		defer func() {
			if !returned {
				p.abort(db)
			}
		}()
		callback(db)
		returned = true
	}
}

// abort undoes what a call has written, in the database and in memory.
func (p *Plugin) abort(db *gorm.DB) {
	w, ok := db.Statement.Clauses[writeClause].Expression.(*write)
	if !ok || w.stmt != db.Statement {
		return
	}
	delete(db.Statement.Clauses, writeClause)
	if w.unit != nil {
		w.unit.journal.leave()
		_ = w.unit.close(db, true)
	}
	if w.startedTransaction() {
		db.Rollback()
		putBack(w.ctx, w.memories)
	}
}

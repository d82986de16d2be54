package write

import (
	"slices"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/ddl"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/read"
	"github.com/gorm-occ/occ/internal/stats"
)

// Engine is what a plugin works with: Initialize builds it for the database that the plugin is registered with.
type Engine struct {
	*read.Reader
	Dialect     *dialect.Dialect
	Gorm        gormCallbacks
	batchCalls  batchCalls
	deleted     deletedModels
	BlindWrites bool
	Counters    stats.Counters
	Lean        *Lean // nil without WithLeanTransactions
	processors  processors
	HasOutcomes atomic.Bool // the database remembers how transactions ended
}

// gormCallbacks are the callbacks of GORM that the plugin's own call.
type gormCallbacks struct{ create, update, delete func(*gorm.DB) }

func (e *Engine) CallbacksOf(db *gorm.DB) gormCallbacks {
	callbacks := db.Callback()
	return gormCallbacks{
		create: e.Watched(callbacks.Create().Get("gorm:create")),
		update: e.Watched(callbacks.Update().Get("gorm:update")),
		delete: e.Watched(callbacks.Delete().Get("gorm:delete")),
	}
}

// Register puts the plugin's callbacks in GORM's order: open comes before hooks and associations, but inside GORM's
// default transaction; close behind its commit.
func (e *Engine) Register(db *gorm.DB) []error {
	create, update, remove := db.Callback().Create(), db.Callback().Update(), db.Callback().Delete()
	query, row, raw := db.Callback().Query(), db.Callback().Row(), db.Callback().Raw()
	e.processors.look(db)
	return append(slices.Concat(e.registerBegin(db), e.registerEnd(db), e.registerWatch(db), e.registerAborts(db)),
		create.Before("gorm:before_create").Register("occ:open_create", e.open(conflict.OpUpsert)),
		create.Replace("gorm:create", e.aborting(e.guardCreate)),
		create.After("gorm:create").Before("gorm:save_after_associations").Register("occ:guarded_create", e.guarded),
		create.After("*").Register("occ:close_create", e.close),

		update.Before("gorm:setup_reflect_value").Register("occ:open_update", e.open(conflict.OpUpdate)),
		update.Replace("gorm:update", e.aborting(e.guardUpdate)),
		update.After("gorm:update").Before("gorm:save_after_associations").Register("occ:guarded_update", e.guarded),
		update.After("*").Register("occ:close_update", e.close),

		remove.Before("gorm:before_delete").Register("occ:open_delete", e.open(conflict.OpDelete)),
		remove.Replace("gorm:delete", e.aborting(e.guardDelete)),
		remove.After("gorm:delete").Before("gorm:after_delete").Register("occ:guarded_delete", e.guarded),
		remove.After("*").Register("occ:close_delete", e.close),

		query.Before("gorm:query").Register("occ:query", e.OpenRead),
		query.Replace("gorm:query", e.Load),
		query.After("gorm:query").Before("gorm:preload").Register("occ:queried", e.CloseRead),
		query.After("gorm:preload").Register("occ:preloaded", e.KeepPreloaded),
		row.Before("gorm:row").Register("occ:row", e.OpenRows),
		row.After("gorm:row").Register("occ:rowed", read.Resume),
		raw.Before("gorm:raw").Register("occ:raw", read.OpenRaw),
	)
}

// registerEnd puts the plugin before GORM's end of its default transaction, at a node of a Galera cluster.
func (e *Engine) registerEnd(db *gorm.DB) []error {
	if !e.Dialect.IsGalera() {
		return nil
	}
	const end = "gorm:commit_or_rollback_transaction"
	create, update, remove := db.Callback().Create(), db.Callback().Update(), db.Callback().Delete()
	return []error{
		create.Before(end).Register("occ:end_create", e.EndDefault),
		update.Before(end).Register("occ:end_update", e.EndDefault),
		remove.Before(end).Register("occ:end_delete", e.EndDefault),
	}
}

// A database can end a transaction in the middle: MariaDB rolls all of it back when one statement deadlocks, runs
// further statements each on its own, and answers COMMIT with OK. So the statements of a transaction that has a journal
// are watched, through GORM's callbacks, which see raw SQL too. All others pass after a look at an atomic counter.

func (e *Engine) registerWatch(db *gorm.DB) []error {
	query, row, raw := db.Callback().Query(), db.Callback().Row(), db.Callback().Raw()
	return []error{
		query.Before("gorm:query").Register("occ:enter_query", e.EnterQuery),
		query.After("gorm:query").Register("occ:leave_query", e.LeaveQuery),
		row.Before("gorm:row").Register("occ:enter_row", e.EnterRow),
		row.After("gorm:row").Register("occ:leave_row", e.LeaveRow),
		raw.Before("gorm:raw").Register("occ:enter_raw", e.EnterWrite),
		raw.After("gorm:raw").Register("occ:leave_raw", e.LeaveRaw),
		raw.After("occ:leave_raw").Register("occ:explain_raw", ddl.ExplainNulls(e.Dialect)),
	}
}

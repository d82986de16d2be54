package occ

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/dialect"
)

// refuse ends a write that did not find its row at the expected version. Only now is the row read, to say why. With
// reported, the database said so itself; its transaction may be gone, so there is nothing more to be read in it.
func (w *write) refuse(reported error) {
	r := &w.rows[0]
	byCondition := r.key == nil
	if byCondition && reported == nil {
		r.key = w.keyInConditions()
	}
	stale := conflict.Row{Index: r.index, PrimaryKey: w.namedKey(r), Expected: r.expected, Reason: conflict.ReasonUnknown}
	if reported == nil && r.key != nil {
		state, err := w.read(r)
		switch {
		case err != nil:
			reported = err
		case w.isCurrent(r, state) && w.snapshot != nil && w.snapshot.again != nil:
			w.snapshot.again()
			return
		case !byCondition && w.isCurrent(r, state) && (w.hasOwnConditions() || w.mayBeUnchanged()):
			if w.db.Error = nil; !w.hasOwnConditions() {
				w.advance(r, r.expected) // which the model may not hold: it can have come from Expect
			}
			return // the row is current: the caller's own conditions did not hold, or there was nothing to change
		default:
			stale.Actual, stale.Reason, stale.Blame = state.version, w.reasonOf(r, state), state.blame
		}
	}
	w.fail(&conflict.Refusal{Op: w.op, Rows: []conflict.Row{stale}, Err: reported})
}

func (w *write) fail(refusal *conflict.Refusal) {
	refusal.Table = w.tableName()
	w.heat(refusal)
	w.refusal = w.plugin.face.Refused(refusal)
	w.db.Error, w.db.RowsAffected = nil, 0
	_ = w.db.AddError(w.refusal)
}

// isSaveOfNew tells the UPDATE with which GORM's Save finds out that a model was not stored before.
func (w *write) isSaveOfNew(r *row) bool {
	return w.op == conflict.OpUpdate && !w.expects && w.model.version.kind.isZero(r.expected) && w.isWholeRow() && calledBySave()
}

func (w *write) namedKey(r *row) map[string]any {
	named := make(map[string]any, len(w.model.PrimaryFields))
	if r.key == nil {
		return named
	}
	for i, field := range w.model.PrimaryFields {
		if w.identity == nil {
			named[field.DBName] = r.key[i]
		} else if value, isZero := field.ValueOf(w.ctx, r.model); !isZero {
			named[field.DBName] = value
		}
	}
	return named
}

// rowState is a row as it is stored.
type rowState struct {
	isThere, isDeleted bool
	version            any
	key                string        // as the row has it, which may differ in case from the model's
	holds              bool          // the caller's own conditions
	model              reflect.Value // a model of the row that has its key, where rows are read together
	blame              map[string]any
}

func (w *write) reasonOf(r *row, state rowState) conflict.Reason {
	kind := w.model.version.kind
	switch {
	case !w.isInReach(state):
		return conflict.ReasonDeleted
	case w.isAt(r, state.version):
		return conflict.ReasonUnknown // it was not there a moment ago, and now it is
	case w.isUnloaded(r):
		return conflict.ReasonMissing
	case kind.isAhead(r.expected, state.version):
		return conflict.ReasonAhead
	}
	return conflict.ReasonChanged
}

// isInReach tells a row that the statement would write: it is there, and no soft delete hides it.
func (w *write) isInReach(state rowState) bool {
	return state.isThere && (!state.isDeleted || w.stmt.Unscoped)
}

func (w *write) isCurrent(r *row, state rowState) bool {
	return w.isInReach(state) && w.isAt(r, state.version)
}

func (w *write) isAt(r *row, version any) bool {
	if w.hasSnapshots() {
		return w.isSameImage(r, version)
	}
	return w.isSame(r.expected, version)
}

func (w *write) isSame(a, b any) bool {
	kind := w.model.version.kind
	return kind.isZero(a) && kind.isZero(b) || kind.isSame(a, b)
}

func (w *site) read(r *row) (rowState, error) {
	return w.readWhere(&rowCondition{model: w.model, key: r.key})
}

// readWhere reads a row as it is now: past soft deletes and, where the database can, past the transaction's snapshot. A
// failure is the reader's alone; the statement goes on without it.
func (w *site) readWhere(condition clause.Expression, options ...clause.Expression) (state rowState, err error) {
	failed := w.db.Error
	w.db.Error = nil
	defer func() { w.db.Error = failed }()

	tx := w.session().Clauses(clause.Where{Exprs: []clause.Expression{condition}}).Clauses(options...)
	rows, err := tx.Clauses(clause.Select{Expression: clause.CommaExpression{
		Exprs: append(append(w.versionColumns(), w.deletedInSQL()), w.blameColumns()...),
	}}).Rows()
	if err != nil {
		return state, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		version, deleted := w.newVersionScan(), 0
		blame := w.blameTargets()
		if err := version.scan(rows, append([]any{&deleted}, blame...)...); err != nil {
			return state, err
		}
		if state.blame, err = w.blameIn(blame); err != nil {
			return state, err
		}
		if state.version, err = version.value(); err != nil {
			return state, err
		}
		state.isThere, state.isDeleted = true, deleted != 0
	}
	return state, rows.Err()
}

// session is a query on the write's table and connection that nothing of the write itself can get into. It sees the rows
// as they are now.
func (w *site) session() *gorm.DB {
	tx := w.snapshotSession()
	if current := w.dialect.CurrentRead; current != nil && isTransaction(w.stmt.ConnPool) {
		tx = tx.Clauses(current)
	}
	readNow(w.dialect, tx.Statement)
	return tx
}

// readNow has a query that locks its rows see them as they are, where they are newer than the transaction's snapshot.
func readNow(d *dialect.Dialect, stmt *gorm.Statement) {
	if settings := d.Settings(false); settings != nil {
		selected := stmt.Clauses["SELECT"]
		selected.BeforeExpression = settings
		stmt.Clauses["SELECT"] = selected
	}
}

// snapshotSession is a session that sees the rows as the transaction does, and locks none.
func (w *site) snapshotSession() *gorm.DB {
	tx := w.db.Session(&gorm.Session{NewDB: true, SkipHooks: true}).Unscoped()
	tx = inherit(tx, w.stmt).Set(readPrimary, true).Model(w.model.newModel())
	tx.Statement.Table, tx.Statement.TableExpr = w.stmt.Table, w.stmt.TableExpr
	return tx
}

// readPrimary is the setting that keeps gorm.io/plugin/dbresolver from reading a replica, which may lag behind.
const readPrimary = "gorm:db_resolver:write"

// deletedInSQL is 1 for a row that a soft delete hides, whatever column and plugin do it: the opposite of the condition
// that GORM adds to queries.
func (w *site) deletedInSQL() clause.Expression {
	scope := &gorm.Statement{DB: w.db, Schema: w.model.Schema, Table: w.stmt.Table, Clauses: map[string]clause.Clause{}}
	for _, c := range w.model.QueryClauses {
		scope.AddClause(c)
	}
	where, ok := scope.Clauses["WHERE"].Expression.(clause.Where)
	if !ok || len(where.Exprs) == 0 {
		return clause.Expr{SQL: "0"}
	}
	return clause.Expr{SQL: "CASE WHEN ? THEN 0 ELSE 1 END", Vars: []any{group{where.Exprs}}}
}

// sayOnce undoes what GORM does to a refusal of an association: each further association that it then does not save adds
// the same error once more.
func (p *engine) sayOnce(err error) error {
	if err == nil {
		return nil
	}
	refusal := p.face.RefusalIn(err)
	if refusal == nil || err == refusal {
		return err
	}
	if others := strings.ReplaceAll(err.Error(), refusal.Error(), ""); strings.Trim(others, "; ") == "" {
		return refusal
	}
	return err
}

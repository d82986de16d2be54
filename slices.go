package occ

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// dropKeyless leaves out the elements of a slice that name no row, as GORM does. One that has a version all the same is a
// mistake; where Expect gives the version and no element has a key, the write goes by its conditions.
func (w *write) dropKeyless() error {
	keyed := slices.DeleteFunc(slices.Clone(w.rows), func(r row) bool { return r.key == nil })
	switch {
	case len(keyed) == len(w.rows) || len(w.rows) == 1:
		return nil
	case w.expects && len(keyed) == 0:
		w.rows = w.rows[:1]
		return nil
	case w.expects:
		w.rows = keyed
		return nil
	}
	first := slices.IndexFunc(w.rows, func(r row) bool { return r.key == nil })
	err := fmt.Errorf("occ: element %d of the %s slice has a version but no primary key: %w",
		w.rows[first].index, w.model.Name, gorm.ErrPrimaryKeyRequired)
	if _, hasConditions := w.stmt.Clauses["WHERE"]; !hasConditions && len(keyed) == 0 {
		return fmt.Errorf("%w: %w", gorm.ErrMissingWhereClause, err)
	}
	return err
}

// severalWrite is how several rows are written, and what is done to their models in memory when they are.
type severalWrite struct {
	send    sender
	written func(rows []*row) error
	reaches func(state rowState) bool // tells which rows are written, where models learn from them what was; else nil
}

// updateSeveral is the UPDATE of the models of a slice with one payload.
func (w *write) updateSeveral(set clause.Set) {
	w.keepClauses("UPDATE")
	w.writePartitioned(func(rows []*row, compared bool) severalWrite {
		return w.advancing(set, rows, compared, w.plugin.gorm.update).severalWrite()
	})
}

// updateSeveralUncompared is the UPDATE of the models of a slice with one payload that does not count.
func (w *write) updateSeveralUncompared(set clause.Set) {
	w.keepClauses("UPDATE")
	update := w.batchOf(w.keyColumns(), set, w.plugin.gorm.update)
	w.writeAsTheyAre(w.pointers(), severalWrite{send: update.run, written: update.giveReturned})
}

// deleteSeveral is the DELETE of the models of a slice.
func (w *write) deleteSeveral() {
	w.keepClauses("UPDATE", "DELETE", "FROM")
	fromValues := w.dialect.ValuesFirst() && isPlainFrom(w.stmt)
	w.writePartitioned(func(rows []*row, compared bool) severalWrite {
		if !w.isSoftDelete() {
			remove := batchDelete{w: w, isCompared: compared && !w.hasSnapshots(), fromValues: fromValues}
			return severalWrite{send: remove.run, written: remove.giveReturned}
		}
		update := w.advancing(nil, rows, compared, w.plugin.gorm.delete)
		update.behindSet = true
		return update.severalWrite()
	})
}

// isSoftDelete tells a delete that a clause of the model's makes an UPDATE of.
func (w *write) isSoftDelete() bool {
	return w.stmt.Schema != nil && !w.stmt.Unscoped && slices.ContainsFunc(w.stmt.Schema.DeleteClauses, isOfSoftDelete)
}

func (w *write) batchOf(columns []batchColumn, set clause.Set, send func(*gorm.DB)) *batchUpdate {
	return &batchUpdate{w: w, db: w.db, columns: columns, conditions: columnsMatch(w.keyColumns()), set: set, send: send}
}

// advancing is an UPDATE that has rows take their next version: the one after the expected one, or after whatever they
// are at.
func (w *write) advancing(set clause.Set, rows []*row, compared bool, send func(*gorm.DB)) *batchUpdate {
	version := w.model.version
	update := w.batchOf(w.keyColumns(), slices.Clone(set), send)
	if compared && w.model.compares() == nil {
		update.compare(rows)
	}
	next := version.kind.nextInSQL(version.column())
	switch column := (clause.Column{Name: version.DBName}); {
	case version.byDatabase:
	case compared:
		update.assign(version.DBName, w.nextColumn(), rows)
	case next == nil:
		update.columns = append(update.columns, w.nextColumn())
		update.set = append(update.set, clause.Assignment{Column: column, Value: w.nextColumn().Ref()})
	default:
		update.set = append(update.set, clause.Assignment{Column: column, Value: next})
	}
	return update
}

func (b *batchUpdate) severalWrite() severalWrite {
	how := severalWrite{send: b.sender(), written: func(rows []*row) error {
		if err := errors.Join(b.giveDeleted(rows), b.giveReturned(rows)); err != nil {
			return err
		}
		if !b.isCompared {
			return b.w.learnVersions(rows)
		}
		b.w.advanceAll(rows)
		return nil
	}}
	if !b.isCompared {
		how.reaches = b.reaches
	}
	return how
}

func (b *batchUpdate) reaches(state rowState) bool {
	return state.isThere && state.holds && (!state.isDeleted || b.db.Statement.Unscoped)
}

// sender sends the statements and, for versions that a statement itself does not know, what has to be read with them: the
// versions to go on from, or those that the database has written.
func (b *batchUpdate) sender() sender {
	switch version := b.w.model.version; {
	case version.byDatabase && b.isCompared:
		return b.runAndRead
	case !version.isAdvancedInSQL() && !b.isCompared:
		return b.readAndRun
	}
	return b.run
}

func (b *batchUpdate) runAndRead(rows []*row) int64 {
	affected := b.run(rows)
	isWritten := affected == int64(len(rows)) || b.w.mayBeUnchanged()
	if b.db.Error == nil && !b.db.DryRun && isWritten {
		_ = b.db.AddError(b.w.readNext(rows))
	}
	return affected
}

func (b *batchUpdate) readAndRun(rows []*row) int64 {
	if b.db.DryRun {
		return b.run(rows)
	}
	rows, err := b.w.followStored(rows)
	if b.db.AddError(err) != nil || len(rows) == 0 {
		return 0
	}
	return b.run(rows)
}

// writePartitioned writes the rows that are compared and those that the caller has not compared, all or none of them.
func (w *write) writePartitioned(of func(rows []*row, compared bool) severalWrite) {
	if w.db.AddError(w.setNext()) != nil {
		return
	}
	compared, unchecked := w.partition()
	switch {
	case len(unchecked) == 0:
		w.counters().checked.Add(1)
		w.writeSeveral(compared, of(compared, true))
	case len(compared) == 0:
		w.counters().blind.Add(1)
		w.writeAsTheyAre(unchecked, of(unchecked, false))
	default:
		w.counters().checked.Add(1)
		w.together(func() {
			w.writeSeveral(compared, of(compared, true))
			if affected := w.db.RowsAffected; w.db.Error == nil && !w.db.DryRun {
				w.writeAsTheyAre(unchecked, of(unchecked, false))
				w.setRowsAffected(affected + w.db.RowsAffected)
			}
		})
	}
}

// partition separates the rows that are compared from those that the caller has not compared.
func (w *write) partition() (compared, unchecked []*row) {
	for _, r := range w.pointers() {
		if w.isUnchecked(r) {
			unchecked = append(unchecked, r)
		} else {
			compared = append(compared, r)
		}
	}
	return compared, unchecked
}

func (w *write) isUnchecked(r *row) bool {
	return w.switches.unchecked || w.plugin.blindWrites && !w.expects && w.model.version.kind.isZero(r.expected)
}

// batchDelete is a DELETE of several rows. Databases differ in how it takes a second table: MySQL and MariaDB start with
// the values, the others name each row by conditions of its own.
type batchDelete struct {
	w          *write
	isCompared bool
	fromValues bool
	returned   []reflect.Value
}

// maxDeletedRows is how many conditions a database takes in one statement without effort; SQLite's limit is 1,000.
const maxDeletedRows = 400

func (b *batchDelete) run(rows []*row) (affected int64) {
	pool := b.w.stmt.ConnPool
	b.w.stmt.ConnPool = unprepared(pool)
	defer func() { b.w.stmt.ConnPool = pool }()
	b.returned = nil
	if b.fromValues && len(rows) > 1 {
		return b.runFromValues(rows)
	}
	return b.runByConditions(rows)
}

func (b *batchDelete) runByConditions(rows []*row) (affected int64) {
	for part := range slices.Chunk(inKeyOrder(rows), maxDeletedRows) {
		any := anyOf{}
		for _, r := range part {
			any = append(any, &rowCondition{model: b.w.model, key: r.key, version: r.expected, isCompared: b.isCompared})
		}
		given, _ := b.w.clausesBefore("DELETE")
		given.BeforeExpression = b.w.dialect.Settings(false)
		b.w.stmt.Clauses["DELETE"] = given
		b.w.stmt.Clauses["FROM"], _ = b.w.clausesBefore("FROM")
		affected += b.send(b.w.groupedWhere([]clause.Expression{any}), len(part) == len(rows))
		if b.w.db.Error != nil || b.w.db.DryRun {
			break
		}
	}
	return affected
}

// runFromValues deletes the rows of a join. It has no RETURNING, so what the caller asked for is read before.
func (b *batchDelete) runFromValues(rows []*row) (affected int64) {
	w := b.w
	if _, returning := w.stmt.Clauses["RETURNING"]; returning && !w.db.DryRun {
		var err error
		if b.returned, err = w.lockModels(rows); w.db.AddError(err) != nil {
			return 0
		}
	}
	delete(w.stmt.Clauses, "RETURNING")
	update := w.batchOf(w.keyColumns(), nil, nil)
	if b.isCompared {
		update.compare(inKeyOrder(rows))
	}
	parts := w.split(update.columns, rows, update.varsBesideValues())
	for _, part := range parts {
		given, _ := w.clausesBefore("DELETE")
		given.BeforeExpression = w.dialect.Settings(true)
		w.stmt.Clauses["DELETE"] = w.deleteFrom(given)
		w.stmt.Clauses["FROM"] = w.valuesFirst("FROM", clause.Clause{}, part.table(&w.site, update.columns), w.byIndex())
		affected += b.send(w.groupedWhere(update.conditions), len(parts) == 1)
		if w.db.Error != nil || w.db.DryRun {
			break
		}
	}
	return affected
}

// deleteFrom is the DELETE that says of which of the tables behind FROM.
func (w *write) deleteFrom(given clause.Clause) clause.Clause {
	if given.Expression == nil {
		given.Expression = clause.Delete{}
	}
	target := clause.Table{Name: w.stmt.Table}
	if table := w.stmt.TableExpr; table != nil && strings.HasSuffix(table.SQL, "."+w.stmt.Quote(target)) {
		target.Name = clause.CurrentTable // with its schema: what has no alias has to be named in full
	}
	given.AfterExpression = clause.Expr{SQL: "?", Vars: []any{target}, WithoutParentheses: true}
	return given
}

// send deletes what where says, and returns how many rows that were. With last, GORM logs the statement.
func (b *batchDelete) send(where clause.Clause, last bool) int64 {
	w, began := b.w, time.Now()
	w.stmt.SQL.Reset()
	w.stmt.Vars = nil
	delete(w.stmt.Clauses, softDeleteMark)
	w.stmt.Clauses["WHERE"] = where
	returned, _ := w.hideModels(w.db, false, w.plugin.gorm.delete)
	b.returned = append(b.returned, returned...)
	if w.db.Error == nil && !w.db.DryRun && !last {
		trace(w.db, began)
	}
	return w.db.RowsAffected
}

// lockModels reads rows as models, and keeps them as they are until the transaction ends.
func (w *write) lockModels(rows []*row) (models []reflect.Value, err error) {
	var columns []clause.Column
	for _, field := range w.model.columns() {
		if field.Readable {
			columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
		}
	}
	for part := range slices.Chunk(inKeyOrder(rows), maxKeys) {
		found := reflect.New(reflect.SliceOf(w.model.ModelType))
		tx := w.withKeys(w.session().Clauses(w.locking(clause.LockingStrengthUpdate)), part)
		tx.Statement.ConnPool = unprepared(w.stmt.ConnPool)
		if err := tx.Clauses(clause.Select{Columns: columns}).Find(found.Interface()).Error; err != nil {
			return nil, err
		}
		for i := range found.Elem().Len() {
			models = append(models, found.Elem().Index(i))
		}
	}
	return models, nil
}

func (b *batchDelete) giveReturned(rows []*row) error { return b.w.giveReturned(b.returned, rows) }

// anyOf is conditions of which one has to hold, in parentheses.
type anyOf []clause.Expression

func (a anyOf) Build(builder clause.Builder) {
	_ = builder.WriteByte('(')
	for i, condition := range a {
		if i > 0 {
			_, _ = builder.WriteString(" OR ")
		}
		condition.Build(builder)
	}
	_ = builder.WriteByte(')')
}

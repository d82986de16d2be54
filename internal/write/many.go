package write

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// compare has the UPDATE write only rows that are at their expected versions.
func (b *batchUpdate) compare(hand []*rows.Row) {
	b.isCompared = true
	version, column := b.w.Model.Version, b.w.expectedColumn()
	if _, same := sameInAll(column, hand); same {
		b.conditions = append(b.conditions, atVersion{version, hand[0].Expected})
		return
	}
	zero := slices.ContainsFunc(hand, func(r *rows.Row) bool { return version.Kind.IsZero(r.Expected) })
	b.columns = append(b.columns, column)
	b.conditions = append(b.conditions, version.IsAtColumn(column.Ref(), zero))
}

// assign has the UPDATE set a column of the table, to a value of each row's own or to the one that all have: fewer
// parameters are what makes a batch fast.
func (b *batchUpdate) assign(name string, column rows.Column, rows []*rows.Row) {
	value, same := sameInAll(column, rows)
	if !same {
		b.columns = append(b.columns, column)
		value = column.Ref()
	}
	b.set = append(b.set, clause.Assignment{Column: clause.Column{Name: name}, Value: value})
}

// sameInAll gives the value that a column has in all rows, if it is one.
func sameInAll(column rows.Column, rows []*rows.Row) (value any, same bool) {
	value = column.Of(rows[0])
	if value != nil && !reflect.ValueOf(value).Comparable() {
		return nil, false
	}
	for _, r := range rows[1:] {
		if other := column.Of(r); other != value {
			return nil, false
		}
	}
	return value, true
}

// batchUpdate is an UPDATE of several rows, each with values of its own, in as many statements as the database's limit on
// parameters asks for.
type batchUpdate struct {
	w          *Call
	db         *gorm.DB      // whose statement is used
	columns    []rows.Column // the values of each row
	conditions []clause.Expression
	set        clause.Set
	isCompared bool
	behindSet  bool // GORM builds the SET, and set stands behind it: a soft delete
	send       func(*gorm.DB)

	returned []reflect.Value // models as RETURNING gave them
	deleted  reflect.Value   // a model that only has what a soft delete sets
}

// run sends the statements and returns how many rows they wrote. It stops at the first error, which is in db.Error; the
// caller sees to it that all statements stand or fall together.
func (b *batchUpdate) run(hand []*rows.Row) (affected int64) {
	pool := b.db.Statement.ConnPool
	b.db.Statement.ConnPool = rows.Unprepared(b.w.Stmt.ConnPool) // that of the unit, which may be newer than the statement
	defer func() { b.db.Statement.ConnPool = pool }()
	b.returned = nil
	parts := b.w.Split(b.columns, hand, b.varsBesideValues())
	for i, part := range parts {
		began := time.Now()
		if b.namesRow(part) {
			b.prepareRow(part)
		} else {
			b.prepare(part)
		}
		returned, hidden := b.w.hideModels(b.db, b.behindSet, b.send)
		b.returned, b.deleted = append(b.returned, returned...), hidden
		affected += b.db.RowsAffected
		if b.db.Error != nil || b.db.DryRun {
			break
		}
		if i < len(parts)-1 || b.db.Statement != b.w.Stmt {
			trace(b.db, began)
		}
	}
	return affected
}

// namesRow tells a part of one row whose values are its key alone: conditions name it like any other.
func (b *batchUpdate) namesRow(part rows.Part) bool {
	return len(part) == 1 && len(b.columns) == len(b.w.IdentityFields())
}

// prepareRow gives the statement its clauses for one row.
func (b *batchUpdate) prepareRow(part rows.Part) {
	key := len(b.w.IdentityFields())
	b.startOver(append(b.w.KeyIs(part[0][:key]), b.conditions[key:]...))
	b.write(nil)
}

// conditionsOf are the conditions on the rows of a part that is joined. One row is named by its key as it is, too, which
// leads to it alone whatever the planner thinks of the table.
func (b *batchUpdate) conditionsOf(part rows.Part) []clause.Expression {
	if len(part) > 1 || !b.w.Dialect.ValuesFirst() {
		return b.conditions
	}
	return append(b.w.KeyIs(part[0][:len(b.w.IdentityFields())]), b.conditions...)
}

// prepare gives the statement its clauses.
func (b *batchUpdate) prepare(part rows.Part) {
	b.startOver(b.conditionsOf(part))
	values := part.Table(&b.w.Site, b.columns)
	if b.w.Dialect.ValuesFirst() {
		given, _ := b.w.clausesBefore("UPDATE")
		b.db.Statement.Clauses["UPDATE"] = b.w.ValuesFirst("UPDATE", given, values, b.w.IndexOf(part))
		b.write(nil)
	} else {
		b.write(clauses.Expressions{clauses.Prefixed{Word: "FROM ", Expression: values}})
	}
}

// startOver takes from the statement what the part before has left in it: GORM adds to conditions.
func (b *batchUpdate) startOver(conditions []clause.Expression) {
	stmt := b.db.Statement
	stmt.SQL.Reset()
	stmt.Vars = nil
	delete(stmt.Clauses, softDeleteMark)
	stmt.Clauses["WHERE"] = b.w.groupedWhere(conditions)
	given, _ := b.w.clausesBefore("UPDATE")
	given.BeforeExpression = b.w.Dialect.Settings(false)
	stmt.Clauses["UPDATE"] = given
}

// write gives the statement its SET. Of a soft delete, GORM writes the first part of it.
func (b *batchUpdate) write(behind clauses.Expressions) {
	set := clause.Clause{Name: "SET", Expression: b.w.targets(b.w.orNothing(b.set))}
	if b.behindSet {
		set = clause.Clause{}
		behind = append(clauses.Expressions{clauses.FurtherAssignments(b.w.targets(b.set))}, behind...)
	}
	if len(behind) > 0 {
		set.AfterExpression = behind
	}
	b.db.Statement.Clauses["SET"] = set
}

func (b *batchUpdate) varsBesideValues() int {
	return b.w.CountVars(clause.Set(b.set), b.w.groupedWhere(b.conditions).Expression) + rows.VarsInReserve
}

func (b *batchUpdate) giveReturned(rows []*rows.Row) error { return b.w.giveReturned(b.returned, rows) }

// giveDeleted gives the models of rows what a soft delete has set.
func (b *batchUpdate) giveDeleted(rows []*rows.Row) error {
	if !b.behindSet || !b.deleted.IsValid() { // no statement was sent where all rows are gone
		return nil
	}
	var set []clause.Column
	for _, field := range b.w.Model.Fields {
		if _, isZero := field.ValueOf(b.w.Ctx, b.deleted); !isZero && field.DBName != "" {
			set = append(set, clause.Column{Name: field.DBName})
		}
	}
	for _, r := range rows {
		if err := b.w.copyColumns(set, b.deleted, r); err != nil || len(set) == 0 {
			return err
		}
	}
	return nil
}

// savingUpdate is the UPDATE that writes what Save writes, on a statement beside the one that inserts.
func (c *Call) savingUpdate(rows []*rows.Row, compared bool) severalWrite {
	fields := c.savedFields()
	c.setUpdateTime(fields, rows)
	return c.modelsUpdate(rows, fields, nil, compared)
}

// modelsUpdate is an UPDATE that writes fields of the models in hand, each its own; with set, the fields are there for the
// assignments in it to refer to.
func (c *Call) modelsUpdate(hand []*rows.Row, fields []*schema.Field, set clause.Set, compared bool) severalWrite {
	update := c.advancing(set, hand, compared, c.Plugin.Gorm.update)
	update.db = c.besideStatement()
	update.db.Statement.Unscoped = c.Stmt.Unscoped || !compared // as GORM's upsert, which does not mind soft deletes
	for i, field := range fields {
		column := valueColumn(c, c.valueName(i, field, set != nil), field)
		if set == nil {
			update.assign(field.DBName, column, hand)
		} else {
			update.columns = append(update.columns, column)
		}
	}
	update.refer(c.Proposed)
	if c.hasSnapshots() {
		c.chooseColumns(update.set)
	}
	how := update.severalWrite()
	send := how.send
	how.send = func(rows []*rows.Row) int64 {
		affected := send(rows)
		c.takeOutcome(update.db)
		return affected
	}
	return how
}

// valueColumn is the value that a field of the models in hand has.
func valueColumn(w *Call, name string, field *schema.Field) rows.Column {
	return rows.Column{Column: batch.Column{Name: name, Like: field.DBName}, Of: func(r *rows.Row) any {
		value, _ := field.ValueOf(w.Ctx, r.Latest())
		return value
	}}
}

// refer adds columns to the values for conditions to refer to.
func (b *batchUpdate) refer(columns []rows.Column) {
	for _, column := range columns {
		isThere := func(other rows.Column) bool { return other.Name == column.Name }
		if !slices.ContainsFunc(b.columns, isThere) {
			b.columns = append(b.columns, column)
		}
	}
}

// valueName is what a column is called among the values: its own name, unless that makes the caller's conditions or what
// RETURNING gives ambiguous.
func (c *Call) valueName(i int, field *schema.Field, isReferredTo bool) string {
	if _, returning := c.clausesBefore("RETURNING"); !isReferredTo && (returning || c.HasOwnConditions()) {
		return fmt.Sprintf("occ_value_%d", i+1)
	}
	return field.DBName
}

// savedFields are the columns that Save of a single model writes, but not the time of creation: GORM's Save of a slice
// leaves that alone.
func (c *Call) savedFields() (fields []*schema.Field) {
	columns, restricted := c.Stmt.SelectAndOmitColumns(false, true)
	for _, name := range c.Model.DBNames {
		field := c.Model.FieldsByDBName[name]
		selected, named := columns[name]
		switch {
		case field.PrimaryKey, field.AutoCreateTime > 0, field == c.Model.Version.Field, !field.Updatable:
		case kind.IsUnversioned(field) && !slices.Contains(c.Stmt.Selects, field.DBName) && !slices.Contains(c.Stmt.Selects, field.Name):
		case named && selected, !named && (!restricted || field.AutoUpdateTime > 0):
			fields = append(fields, field)
		}
	}
	return fields
}

// setUpdateTime sets the time of the update as GORM does, one time for all.
func (c *Call) setUpdateTime(fields []*schema.Field, hand []*rows.Row) {
	now := c.DB.NowFunc()
	for _, field := range fields {
		if field.AutoUpdateTime == 0 {
			continue
		}
		for _, r := range hand {
			for _, r := range append([]*rows.Row{r}, r.Copies...) {
				_ = c.DB.AddError(field.Set(c.Ctx, r.Model, now))
			}
		}
	}
}

// errShort says that a batch wrote fewer rows than it has.
var errShort = errors.New("occ: not all rows were written")

// sender sends the statements of a batch and returns how many rows they wrote; an error is in the statement's db.Error.
type sender func(rows []*rows.Row) (affected int64)

// writeSeveral writes several rows, each compared with its own version: all of them or none.
func (c *Call) writeSeveral(models []*rows.Row, how severalWrite) {
	rows, agree := c.distinct(models)
	switch {
	case c.DB.DryRun:
		how.send(rows)
		return
	case c.hasSnapshots() && agree:
		c.writeSnapshots(rows, how)
		return
	case !agree:
		states, err := c.ReadRows(models, "")
		c.refuseRows(models, states, err)
		return
	}
	err := c.sendTogether(rows, how.send)
	if errors.Is(err, errShort) {
		rows, err = c.settleShort(rows, how.send)
	}
	if err == nil {
		err = how.written(rows)
	}
	if err != nil {
		c.failRows(rows, err)
	}
}

// writeAsTheyAre writes several rows whatever their versions are.
func (c *Call) writeAsTheyAre(models []*rows.Row, how severalWrite) {
	rows, _ := c.distinct(models)
	if c.DB.DryRun {
		how.send(rows)
		return
	}
	err := c.allOrNone(func() error {
		affected := how.send(rows)
		switch {
		case c.DB.Error != nil:
			return c.DB.Error
		case affected < int64(len(rows)) && how.reaches != nil:
			return errShort
		}
		c.setRowsAffected(affected)
		return how.written(rows)
	})
	if errors.Is(err, errShort) {
		err = c.writeReached(rows, how)
	}
	if err != nil {
		c.failRows(rows, err)
	}
}

// writeReached writes the rows that are there for it, and no others: a model whose row is left alone must not learn a
// version that goes with values it has never seen.
func (c *Call) writeReached(hand []*rows.Row, how severalWrite) error {
	return c.allOrNone(func() error {
		if err := c.LockFirst(); err != nil {
			return err
		}
		states, err := c.ReadRows(hand, clause.LockingStrengthUpdate)
		if err != nil {
			return err
		}
		var reached []*rows.Row
		for i, r := range hand {
			if how.reaches(states[i]) {
				reached = append(reached, r)
			}
		}
		c.setRowsAffected(0)
		if len(reached) == 0 {
			return nil
		}
		affected := how.send(reached)
		if c.DB.Error != nil {
			return c.DB.Error
		}
		c.setRowsAffected(affected)
		return how.written(reached)
	})
}

// sendTogether sends a batch that is written as a whole or not at all, which one row is by itself if its key names no
// more than one.
func (c *Call) sendTogether(rows []*rows.Row, send sender) error {
	isKeyed := c.Identity == nil || slices.Equal(c.Identity, c.Model.PrimaryFields)
	if len(rows) > 1 || !isKeyed || c.Model.Version.ByDatabase {
		return c.allOrNone(func() error { return c.sendAll(rows, send) })
	}
	err := c.sendAll(rows, send)
	c.DB.Error = nil // it is for the caller to say what becomes of it
	return err
}

func (c *Call) sendAll(rows []*rows.Row, send sender) error {
	affected := send(rows)
	if c.DB.Error != nil {
		return c.DB.Error
	}
	if affected != int64(len(rows)) {
		return errShort
	}
	c.setRowsAffected(affected)
	return nil
}

// settleShort finds out why a batch did not write all of its rows, none of which is written now. Where all are current,
// some are the same row to the database, or the caller's own conditions kept them from being written: the others are
// written without those, and returned. Else the write is refused.
func (c *Call) settleShort(rows []*rows.Row, send sender) (written []*rows.Row, err error) {
	states, err := c.ReadRows(rows, "")
	if err != nil || !c.areCurrent(rows, states) || !(c.HasOwnConditions() || hasTwins(states) || c.mayBeUnchanged() || c.isHardDelete()) {
		c.refuseRows(rows, states, err)
		return nil, nil
	}
	err = c.allOrNone(func() error {
		states, err := c.ReadRows(rows, clause.LockingStrengthUpdate)
		if err != nil {
			return err
		}
		if written = c.writable(rows, states); !c.areCurrent(rows, states) {
			return errShort
		}
		if len(written) == 0 {
			c.setRowsAffected(0)
			return nil
		}
		err = c.sendAll(written, send)
		if errors.Is(err, errShort) && (c.mayBeUnchanged() || c.areGone(written)) {
			return nil // they are locked, and current
		}
		return err
	})
	if errors.Is(err, errShort) {
		states, err = c.ReadRows(rows, "")
		c.refuseRows(rows, states, err)
		return nil, nil
	}
	return written, err
}

func (c *Call) isHardDelete() bool { return c.Op == conflict.OpDelete && !c.isSoftDelete() }

// areGone tells whether a delete of locked rows has removed all of them, though it counted fewer: the database deletes some
// along with others that they refer to.
func (c *Call) areGone(hand []*rows.Row) bool {
	if !c.isHardDelete() || c.DB.Error != nil {
		return false
	}
	states, err := c.ReadRows(hand, "")
	isThere := func(state rows.State) bool { return state.IsThere }
	if err != nil || slices.ContainsFunc(states, isThere) {
		return false
	}
	c.setRowsAffected(int64(len(hand)))
	return true
}

// severalWrite is how several rows are written, and what is done to their models in memory when they are.
type severalWrite struct {
	send    sender
	written func(rows []*rows.Row) error
	reaches func(state rows.State) bool // tells which rows are written, where models learn from them what was; else nil
}

// updateSeveral is the UPDATE of the models of a slice with one payload.
func (c *Call) updateSeveral(set clause.Set) {
	c.keepClauses("UPDATE")
	c.writePartitioned(func(rows []*rows.Row, compared bool) severalWrite {
		return c.advancing(set, rows, compared, c.Plugin.Gorm.update).severalWrite()
	})
}

// updateSeveralUncompared is the UPDATE of the models of a slice with one payload that does not count.
func (c *Call) updateSeveralUncompared(set clause.Set) {
	c.keepClauses("UPDATE")
	update := c.batchOf(c.KeyColumns(), set, c.Plugin.Gorm.update)
	c.writeAsTheyAre(c.pointers(), severalWrite{send: update.run, written: update.giveReturned})
}

func (c *Call) batchOf(columns []rows.Column, set clause.Set, send func(*gorm.DB)) *batchUpdate {
	return &batchUpdate{w: c, db: c.DB, columns: columns, conditions: rows.ColumnsMatch(c.KeyColumns()), set: set, send: send}
}

// advancing is an UPDATE that has rows take their next version: the one after the expected one, or after whatever they
// are at.
func (c *Call) advancing(set clause.Set, rows []*rows.Row, compared bool, send func(*gorm.DB)) *batchUpdate {
	version := c.Model.Version
	update := c.batchOf(c.KeyColumns(), slices.Clone(set), send)
	if compared && c.Model.Compares() == nil {
		update.compare(rows)
	}
	next := version.Kind.NextInSQL(version.Column())
	switch column := (clause.Column{Name: version.DBName}); {
	case version.ByDatabase:
	case compared:
		update.assign(version.DBName, c.nextColumn(), rows)
	case next == nil:
		update.columns = append(update.columns, c.nextColumn())
		update.set = append(update.set, clause.Assignment{Column: column, Value: c.nextColumn().Ref()})
	default:
		update.set = append(update.set, clause.Assignment{Column: column, Value: next})
	}
	return update
}

func (b *batchUpdate) severalWrite() severalWrite {
	how := severalWrite{send: b.sender(), written: func(rows []*rows.Row) error {
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

func (b *batchUpdate) reaches(state rows.State) bool {
	return state.IsThere && state.Holds && (!state.IsDeleted || b.db.Statement.Unscoped)
}

// sender sends the statements and, for versions that a statement itself does not know, what has to be read with them: the
// versions to go on from, or those that the database has written.
func (b *batchUpdate) sender() sender {
	switch version := b.w.Model.Version; {
	case version.ByDatabase && b.isCompared:
		return b.runAndRead
	case !version.IsAdvancedInSQL() && !b.isCompared:
		return b.readAndRun
	}
	return b.run
}

func (b *batchUpdate) runAndRead(rows []*rows.Row) int64 {
	affected := b.run(rows)
	isWritten := affected == int64(len(rows)) || b.w.mayBeUnchanged()
	if b.db.Error == nil && !b.db.DryRun && isWritten {
		_ = b.db.AddError(b.w.readNext(rows))
	}
	return affected
}

func (b *batchUpdate) readAndRun(rows []*rows.Row) int64 {
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
func (c *Call) writePartitioned(of func(rows []*rows.Row, compared bool) severalWrite) {
	if c.DB.AddError(c.setNext()) != nil {
		return
	}
	compared, unchecked := c.partition()
	switch {
	case len(unchecked) == 0:
		c.Counters().Checked.Add(1)
		c.writeSeveral(compared, of(compared, true))
	case len(compared) == 0:
		c.Counters().Blind.Add(1)
		c.writeAsTheyAre(unchecked, of(unchecked, false))
	default:
		c.Counters().Checked.Add(1)
		c.together(func() {
			c.writeSeveral(compared, of(compared, true))
			if affected := c.DB.RowsAffected; c.DB.Error == nil && !c.DB.DryRun {
				c.writeAsTheyAre(unchecked, of(unchecked, false))
				c.setRowsAffected(affected + c.DB.RowsAffected)
			}
		})
	}
}

// batchDelete is a DELETE of several rows. Databases differ in how it takes a second table: MySQL and MariaDB start with
// the values, the others name each row by conditions of its own.
type batchDelete struct {
	w          *Call
	isCompared bool
	fromValues bool
	returned   []reflect.Value
}

// maxDeletedRows is how many conditions a database takes in one statement without effort; SQLite's limit is 1,000.
const maxDeletedRows = 400

func (b *batchDelete) run(hand []*rows.Row) (affected int64) {
	pool := b.w.Stmt.ConnPool
	b.w.Stmt.ConnPool = rows.Unprepared(pool)
	defer func() { b.w.Stmt.ConnPool = pool }()
	b.returned = nil
	if b.fromValues && len(hand) > 1 {
		return b.runFromValues(hand)
	}
	return b.runByConditions(hand)
}

func (b *batchDelete) runByConditions(hand []*rows.Row) (affected int64) {
	for part := range slices.Chunk(rows.InKeyOrder(hand), maxDeletedRows) {
		any := clauses.AnyOf{}
		for _, r := range part {
			any = append(any, &rows.Condition{Model: b.w.Model, Key: r.Key, Version: r.Expected, IsCompared: b.isCompared})
		}
		given, _ := b.w.clausesBefore("DELETE")
		given.BeforeExpression = b.w.Dialect.Settings(false)
		b.w.Stmt.Clauses["DELETE"] = given
		b.w.Stmt.Clauses["FROM"], _ = b.w.clausesBefore("FROM")
		affected += b.send(b.w.groupedWhere([]clause.Expression{any}), len(part) == len(hand))
		if b.w.DB.Error != nil || b.w.DB.DryRun {
			break
		}
	}
	return affected
}

// runFromValues deletes the rows of a join. It has no RETURNING, so what the caller asked for is read before.
func (b *batchDelete) runFromValues(hand []*rows.Row) (affected int64) {
	w := b.w
	if _, returning := w.Stmt.Clauses["RETURNING"]; returning && !w.DB.DryRun {
		var err error
		if b.returned, err = w.lockModels(hand); w.DB.AddError(err) != nil {
			return 0
		}
	}
	delete(w.Stmt.Clauses, "RETURNING")
	update := w.batchOf(w.KeyColumns(), nil, nil)
	if b.isCompared {
		update.compare(rows.InKeyOrder(hand))
	}
	parts := w.Split(update.columns, hand, update.varsBesideValues())
	for _, part := range parts {
		given, _ := w.clausesBefore("DELETE")
		given.BeforeExpression = w.Dialect.Settings(true)
		w.Stmt.Clauses["DELETE"] = w.deleteFrom(given)
		w.Stmt.Clauses["FROM"] = w.ValuesFirst("FROM", clause.Clause{}, part.Table(&w.Site, update.columns), w.ByIndex())
		affected += b.send(w.groupedWhere(update.conditions), len(parts) == 1)
		if w.DB.Error != nil || w.DB.DryRun {
			break
		}
	}
	return affected
}

// deleteFrom is the DELETE that says of which of the tables behind FROM.
func (c *Call) deleteFrom(given clause.Clause) clause.Clause {
	if given.Expression == nil {
		given.Expression = clause.Delete{}
	}
	target := clause.Table{Name: c.Stmt.Table}
	if table := c.Stmt.TableExpr; table != nil && strings.HasSuffix(table.SQL, "."+c.Stmt.Quote(target)) {
		target.Name = clause.CurrentTable // with its schema: what has no alias has to be named in full
	}
	given.AfterExpression = clause.Expr{SQL: "?", Vars: []any{target}, WithoutParentheses: true}
	return given
}

// send deletes what where says, and returns how many rows that were. With last, GORM logs the statement.
func (b *batchDelete) send(where clause.Clause, last bool) int64 {
	w, began := b.w, time.Now()
	w.Stmt.SQL.Reset()
	w.Stmt.Vars = nil
	delete(w.Stmt.Clauses, softDeleteMark)
	w.Stmt.Clauses["WHERE"] = where
	returned, _ := w.hideModels(w.DB, false, w.Plugin.Gorm.delete)
	b.returned = append(b.returned, returned...)
	if w.DB.Error == nil && !w.DB.DryRun && !last {
		trace(w.DB, began)
	}
	return w.DB.RowsAffected
}

// lockModels reads rows as models, and keeps them as they are until the transaction ends.
func (c *Call) lockModels(hand []*rows.Row) (models []reflect.Value, err error) {
	var columns []clause.Column
	for _, field := range c.Model.Columns() {
		if field.Readable {
			columns = append(columns, clause.Column{Table: clause.CurrentTable, Name: field.DBName})
		}
	}
	for part := range slices.Chunk(rows.InKeyOrder(hand), rows.MaxKeys) {
		found := reflect.New(reflect.SliceOf(c.Model.ModelType))
		tx := c.WithKeys(c.Session().Clauses(c.Locking(clause.LockingStrengthUpdate)), part)
		tx.Statement.ConnPool = rows.Unprepared(c.Stmt.ConnPool)
		if err := tx.Clauses(clause.Select{Columns: columns}).Find(found.Interface()).Error; err != nil {
			return nil, err
		}
		for i := range found.Elem().Len() {
			models = append(models, found.Elem().Index(i))
		}
	}
	return models, nil
}

func (b *batchDelete) giveReturned(rows []*rows.Row) error { return b.w.giveReturned(b.returned, rows) }

// writeSnapshots writes several rows if all of them still hold what they were loaded with. They are locked and read first:
// one UPDATE cannot say of each column of each row how it is compared.
func (c *Call) writeSnapshots(hand []*rows.Row, how severalWrite) {
	var states []rows.State
	err := c.allOrNone(func() (err error) {
		if states, err = c.lockRows(hand); err != nil {
			return err
		}
		if !c.areCurrent(hand, states) {
			return errShort
		}
		written := c.writable(hand, states)
		if len(written) == 0 {
			c.setRowsAffected(0)
			return nil
		}
		affected := how.send(written)
		if c.DB.Error != nil {
			return c.DB.Error
		}
		if affected != int64(len(written)) && !c.mayBeUnchanged() && !c.areGone(written) {
			return errShort
		}
		c.setRowsAffected(max(affected, c.DB.RowsAffected))
		return how.written(written)
	})
	switch {
	case errors.Is(err, errShort):
		c.refuseRows(hand, states, nil)
	case err != nil:
		c.failRows(hand, err)
	}
}

func (c *Call) verify() {
	c.Counters().Checked.Add(1)
	rows := c.pointers()
	lock := clause.LockingStrengthShare
	if !tx.IsTransaction(c.Stmt.ConnPool) {
		lock = "" // it would end with the statement, and those that may only read must not ask for it
	}
	states, err := c.ReadRows(rows, lock)
	if err != nil {
		c.failRows(rows, err)
	} else if !c.areCurrent(rows, states) {
		c.refuseRows(rows, states, nil)
	}
}

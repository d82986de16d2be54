package occ

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/conflict"
)

// errShort says that a batch wrote fewer rows than it has.
var errShort = errors.New("occ: not all rows were written")

// sender sends the statements of a batch and returns how many rows they wrote; an error is in the statement's db.Error.
type sender func(rows []*row) (affected int64)

// writeSeveral writes several rows, each compared with its own version: all of them or none.
func (w *write) writeSeveral(models []*row, how severalWrite) {
	rows, agree := w.distinct(models)
	switch {
	case w.db.DryRun:
		how.send(rows)
		return
	case w.hasSnapshots() && agree:
		w.writeSnapshots(rows, how)
		return
	case !agree:
		states, err := w.readRows(models, "")
		w.refuseRows(models, states, err)
		return
	}
	err := w.sendTogether(rows, how.send)
	if errors.Is(err, errShort) {
		rows, err = w.settleShort(rows, how.send)
	}
	if err == nil {
		err = how.written(rows)
	}
	if err != nil {
		w.failRows(rows, err)
	}
}

// writeAsTheyAre writes several rows whatever their versions are.
func (w *write) writeAsTheyAre(models []*row, how severalWrite) {
	rows, _ := w.distinct(models)
	if w.db.DryRun {
		how.send(rows)
		return
	}
	err := w.allOrNone(func() error {
		affected := how.send(rows)
		switch {
		case w.db.Error != nil:
			return w.db.Error
		case affected < int64(len(rows)) && how.reaches != nil:
			return errShort
		}
		w.setRowsAffected(affected)
		return how.written(rows)
	})
	if errors.Is(err, errShort) {
		err = w.writeReached(rows, how)
	}
	if err != nil {
		w.failRows(rows, err)
	}
}

// writeReached writes the rows that are there for it, and no others: a model whose row is left alone must not learn a
// version that goes with values it has never seen.
func (w *write) writeReached(rows []*row, how severalWrite) error {
	return w.allOrNone(func() error {
		if err := w.lockFirst(); err != nil {
			return err
		}
		states, err := w.readRows(rows, clause.LockingStrengthUpdate)
		if err != nil {
			return err
		}
		var reached []*row
		for i, r := range rows {
			if how.reaches(states[i]) {
				reached = append(reached, r)
			}
		}
		w.setRowsAffected(0)
		if len(reached) == 0 {
			return nil
		}
		affected := how.send(reached)
		if w.db.Error != nil {
			return w.db.Error
		}
		w.setRowsAffected(affected)
		return how.written(reached)
	})
}

// sendTogether sends a batch that is written as a whole or not at all, which one row is by itself if its key names no
// more than one.
func (w *write) sendTogether(rows []*row, send sender) error {
	isKeyed := w.identity == nil || slices.Equal(w.identity, w.model.PrimaryFields)
	if len(rows) > 1 || !isKeyed || w.model.version.byDatabase {
		return w.allOrNone(func() error { return w.sendAll(rows, send) })
	}
	err := w.sendAll(rows, send)
	w.db.Error = nil // it is for the caller to say what becomes of it
	return err
}

func (w *write) sendAll(rows []*row, send sender) error {
	affected := send(rows)
	if w.db.Error != nil {
		return w.db.Error
	}
	if affected != int64(len(rows)) {
		return errShort
	}
	w.setRowsAffected(affected)
	return nil
}

func (w *write) setRowsAffected(n int64) {
	w.db.RowsAffected = n
	if w.stmt.Result != nil {
		w.stmt.Result.RowsAffected = n
	}
}

// settleShort finds out why a batch did not write all of its rows, none of which is written now. Where all are current,
// some are the same row to the database, or the caller's own conditions kept them from being written: the others are
// written without those, and returned. Else the write is refused.
func (w *write) settleShort(rows []*row, send sender) (written []*row, err error) {
	states, err := w.readRows(rows, "")
	if err != nil || !w.areCurrent(rows, states) || !(w.hasOwnConditions() || hasTwins(states) || w.mayBeUnchanged() || w.isHardDelete()) {
		w.refuseRows(rows, states, err)
		return nil, nil
	}
	err = w.allOrNone(func() error {
		states, err := w.readRows(rows, clause.LockingStrengthUpdate)
		if err != nil {
			return err
		}
		if written = w.writable(rows, states); !w.areCurrent(rows, states) {
			return errShort
		}
		if len(written) == 0 {
			w.setRowsAffected(0)
			return nil
		}
		err = w.sendAll(written, send)
		if errors.Is(err, errShort) && (w.mayBeUnchanged() || w.areGone(written)) {
			return nil // they are locked, and current
		}
		return err
	})
	if errors.Is(err, errShort) {
		states, err = w.readRows(rows, "")
		w.refuseRows(rows, states, err)
		return nil, nil
	}
	return written, err
}

func (w *write) isHardDelete() bool { return w.op == conflict.OpDelete && !w.isSoftDelete() }

// areGone tells whether a delete of locked rows has removed all of them, though it counted fewer: the database deletes some
// along with others that they refer to.
func (w *write) areGone(rows []*row) bool {
	if !w.isHardDelete() || w.db.Error != nil {
		return false
	}
	states, err := w.readRows(rows, "")
	isThere := func(state rowState) bool { return state.isThere }
	if err != nil || slices.ContainsFunc(states, isThere) {
		return false
	}
	w.setRowsAffected(int64(len(rows)))
	return true
}

// writable are the rows that the caller's own conditions let through, each once.
func (w *write) writable(rows []*row, states []rowState) (writable []*row) {
	first := map[string]*row{}
	for i, r := range rows {
		if !states[i].holds {
			continue
		}
		if twin := first[states[i].key]; twin != nil {
			twin.copies = append(twin.copies, r)
			continue
		}
		first[states[i].key] = r
		writable = append(writable, r)
	}
	return writable
}

func hasTwins(states []rowState) bool {
	seen := map[string]bool{}
	for _, state := range states {
		if state.isThere && seen[state.key] {
			return true
		}
		seen[state.key] = true
	}
	return false
}

func (w *write) areCurrent(rows []*row, states []rowState) bool {
	for i, r := range rows {
		if !w.isCurrent(r, states[i]) {
			return false
		}
	}
	return true
}

// allOrNone runs write as a unit whose rows stand or fall together; its error is what became of them, and db.Error is as
// it was before. What it remembers of memory stays known to those who may still roll back.
func (w *write) allOrNone(write func() error) (err error) {
	before := w.db.Error
	defer func() { w.db.Error = before }()
	u, err := w.plugin.openUnit(w.db, false)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // a panic: nothing of it may stay
			_ = u.close(w.db, true)
		}
	}()
	err = write()
	done = true
	memories := u.journal.memories[u.mark:]
	if endErr := u.close(w.db, err != nil); endErr != nil && err == nil {
		return endErr
	}
	if err == nil && u.ownsJournal && u.savepoint != "" {
		w.memories = append(w.memories, memories...)
	}
	return err
}

// distinct gives the rows of a write, each once: another model of the same row becomes a copy of the first one. With
// agree false, two models of one row are at different versions.
func (w *write) distinct(models []*row) (rows []*row, agree bool) {
	first := make(map[string]*row, len(models))
	rows, agree = make([]*row, 0, len(models)), true
	for _, r := range models {
		key := keyText(r.key)
		if r.key == nil {
			key = fmt.Sprintf("%p", r.model.Addr().Interface())
		}
		twin := first[key]
		if twin == nil {
			first[key] = r
			rows = append(rows, r)
			continue
		}
		agree = agree && (w.isSame(twin.expected, r.expected) || w.isAt(twin, r.expected))
		twin.copies = append(twin.copies, r)
	}
	return rows, agree
}

func (w *write) pointers() []*row {
	rows := make([]*row, len(w.rows))
	for i := range w.rows {
		rows[i] = &w.rows[i]
	}
	return rows
}

// latest is the model whose values are written: of several copies of one row, the last one.
func (r *row) latest() reflect.Value {
	if n := len(r.copies); n > 0 {
		return r.copies[n-1].model
	}
	return r.model
}

// advanceAll gives the models of rows the versions that were written.
func (w *write) advanceAll(rows []*row) {
	for _, r := range rows {
		w.advance(r, r.next)
		for _, c := range r.copies {
			w.advance(c, r.next)
		}
	}
}

// learnVersions gives the models of rows the versions that the rows have now, in the transaction that wrote them.
func (w *write) learnVersions(rows []*row) error {
	states, err := w.readRows(rows, "")
	if err != nil {
		return err
	}
	for i, r := range rows {
		if r.next = w.learned(r, states[i].version); states[i].isThere {
			w.advanceAll(rows[i : i+1])
		}
	}
	return nil
}

// together runs several writes of one call as a unit.
func (w *write) together(writes func()) {
	err := w.allOrNone(func() error {
		writes()
		return w.db.Error
	})
	if err != nil {
		w.db.RowsAffected = 0
		w.db.Error = err
	}
}

// keyTextOf tells models apart by the values of fields.
func keyTextOf(ctx context.Context, fields []*schema.Field, model reflect.Value) string {
	key := make([]any, len(fields))
	for i, field := range fields {
		key[i], _ = field.ValueOf(ctx, model)
	}
	return keyText(key)
}

// keyText tells keys apart; parts of a key come as the fields of the model hold them.
func keyText(key []any) string {
	text := make([]byte, 0, 32)
	for _, part := range key {
		text = append(appendKeyPart(text, part), ';')
	}
	return string(text)
}

func appendKeyPart(text []byte, part any) []byte {
	rv := reflect.ValueOf(part)
	if isNil := rv.Kind() == reflect.Pointer && rv.IsNil(); isNil {
		return append(text, "NULL"...)
	}
	if valuer, ok := part.(driver.Valuer); ok {
		if value, err := valuer.Value(); err == nil {
			part, rv = value, reflect.ValueOf(value)
		}
	}
	if at, ok := part.(time.Time); ok {
		return fmt.Appendf(text, "%d.%d", at.Unix(), at.Nanosecond())
	}
	switch {
	case rv.CanInt():
		return strconv.AppendInt(text, rv.Int(), 10)
	case rv.CanUint():
		return strconv.AppendUint(text, rv.Uint(), 10)
	case rv.Kind() == reflect.String:
		return strconv.AppendQuote(text, rv.String())
	case rv.Kind() == reflect.Pointer:
		return appendKeyPart(text, rv.Elem().Interface())
	}
	return fmt.Appendf(text, "%v", part)
}

// refuseRows ends a write of several rows that did not find all of them at their expected versions: it names the stale
// ones. With err, or where none is to be found any more, nothing reliable is known of any.
func (w *write) refuseRows(rows []*row, states []rowState, err error) {
	var stale []conflict.Row
	for i, r := range rows {
		if err == nil && !w.isCurrent(r, states[i]) {
			stale = append(stale, w.staleRow(r, states[i]))
		}
	}
	if err == nil {
		stale = append(stale, w.refusedInserts(rows)...)
		slices.SortStableFunc(stale, func(a, b conflict.Row) int { return cmp.Compare(a.Index, b.Index) })
	}
	if len(stale) == 0 {
		stale = w.unknown(rows)
	}
	w.fail(&conflict.Refusal{Op: w.op, Rows: stale, Err: err})
}

// refusedInserts are the models that were to be inserted, apart from rows, and whose rows are there.
func (w *write) refusedInserts(rows []*row) (stale []conflict.Row) {
	others := slices.DeleteFunc(slices.Clone(w.neverLoaded), func(r *row) bool { return slices.Contains(rows, r) })
	if len(others) == 0 {
		return nil
	}
	states, err := w.readRows(others, "")
	if err != nil {
		return nil
	}
	for i, r := range others {
		if states[i].isThere && !w.isCurrent(r, states[i]) {
			stale = append(stale, w.staleRow(r, states[i]))
		}
	}
	return stale
}

func (w *write) staleRow(r *row, state rowState) conflict.Row {
	return conflict.Row{
		Index: r.index, PrimaryKey: w.namedKey(r), Expected: r.expected,
		Actual: state.version, Reason: w.reasonOf(r, state), Blame: state.blame,
	}
}

func (w *write) unknown(rows []*row) []conflict.Row {
	stale := make([]conflict.Row, len(rows))
	for i, r := range rows {
		stale[i] = conflict.Row{Index: r.index, PrimaryKey: w.namedKey(r), Expected: r.expected, Reason: conflict.ReasonUnknown}
	}
	return stale
}

// failRows ends a write of several rows with an error of the database; one that reports a conflict is a refusal.
func (w *write) failRows(rows []*row, err error) {
	if w.dialect.IsConflict(err) {
		w.fail(&conflict.Refusal{Op: w.op, Rows: w.unknown(rows), Err: err})
		return
	}
	w.db.RowsAffected = 0
	_ = w.db.AddError(err)
}

// readRows reads rows by their keys as they are now, in the way of read, and whether the caller's own conditions hold.
// With a lock they stay so until the transaction ends.
func (w *site) readRows(rows []*row, lock string) (states []rowState, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	failed := w.db.Error
	w.db.Error = nil
	defer func() { w.db.Error = failed }()

	at := make(map[*row]int, len(rows))
	for i, r := range rows {
		at[r] = i
	}
	index := batchColumn{batch.Column{Name: indexColumn}, func(r *row) any { return at[r] }}
	columns := slices.Concat([]batchColumn{index}, w.keyColumns(), w.proposed)
	holds := clause.Expression(clause.Expr{SQL: "1"})
	if w.hasOwnConditions() {
		own := w.own.Expression.(clause.Where)
		holds = clause.Expr{SQL: "CASE WHEN ? THEN 1 ELSE 0 END", Vars: []any{group{own.Exprs}}}
	}
	states = make([]rowState, len(rows))
	for _, part := range w.split(columns, rows, w.countVars(holds, w.deletedInSQL())) {
		if err := w.readPart(part, columns, holds, lock, states); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (w *site) readPart(part batchPart, columns []batchColumn, holds clause.Expression, lock string, states []rowState) error {
	index := clause.Expression(clause.Expr{SQL: "?", Vars: []any{batch.Column{Name: indexColumn}.Ref()}})
	if w.namesRow(part) {
		index = clause.Expr{SQL: strconv.Itoa(part[0][0].(int))}
	}
	selected := append(w.versionColumns(), index, w.deletedInSQL(), holds)
	for _, field := range w.namingFields() {
		column := clause.Column{Table: clause.CurrentTable, Name: field.DBName}
		selected = append(selected, clause.Expr{SQL: "?", Vars: []any{column}})
	}
	selected = append(selected, w.blameColumns()...)
	tx := w.session()
	if w.asShown {
		tx = w.snapshotSession()
	}
	tx.Statement.ConnPool = unprepared(w.stmt.ConnPool)
	if lock != "" {
		tx = tx.Clauses(w.locking(lock))
	}
	if w.namesRow(part) {
		tx = tx.Clauses(clause.Where{Exprs: append(w.keyIs(part[0][1:]), w.target...)})
	} else {
		tx = w.fromValues(tx, part, columns)
	}
	rows, err := tx.Clauses(clause.Select{Expression: clause.CommaExpression{Exprs: selected}}).Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := w.scanState(rows, states); err != nil {
			return err
		}
	}
	return rows.Err()
}

// namesRow tells a part of one row of which nothing but its key matters.
func (w *site) namesRow(part batchPart) bool { return len(part) == 1 && len(w.proposed) == 0 }

// keyIs are the conditions that a row has a key.
func (w *site) keyIs(key []any) []clause.Expression {
	conditions := make([]clause.Expression, len(key))
	for i, field := range w.identityFields() {
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: field.DBName}, Value: key[i]}
	}
	return conditions
}

// fromValues has a query read the rows that the values of a part have the keys of.
func (w *site) fromValues(tx *gorm.DB, part batchPart, columns []batchColumn) *gorm.DB {
	values := part.table(w, columns)
	if w.dialect.ValuesFirst() {
		tx.Statement.Clauses["FROM"] = w.valuesFirst("FROM", clause.Clause{Expression: clause.From{}}, values, w.indexOf(part))
	} else {
		tx = tx.Clauses(clause.From{Joins: []clause.Join{{Expression: prefixed{", ", values}}}})
	}
	conditions := columnsMatch(w.keyColumns())
	if len(part) == 1 && w.dialect.ValuesFirst() {
		first := slices.IndexFunc(columns, func(c batchColumn) bool { return c.Like != "" })
		conditions = append(conditions, w.keyIs(part[0][first:][:len(conditions)])...)
	}
	return tx.Clauses(clause.Where{Exprs: append(conditions, w.target...)})
}

func (w *site) locking(strength string) clause.Locking {
	locking := clause.Locking{Strength: strength}
	if w.dialect.LocksNamedTable() {
		locking.Table = clause.Table{Name: w.stmt.Table}
	}
	return locking
}

func (w *site) scanState(rows *sql.Rows, states []rowState) (err error) {
	index, deleted, holds, version := 0, 0, 0, w.newVersionScan()
	targets := []any{&index, &deleted, &holds}
	fields := w.namingFields()
	for _, field := range fields {
		targets = append(targets, field.NewValuePool.Get())
	}
	blame := w.blameTargets()
	if err := version.scan(rows, append(targets, blame...)...); err != nil {
		return err
	}
	state := &states[index]
	if state.blame, err = w.blameIn(blame); err != nil {
		return err
	}
	state.isThere, state.isDeleted, state.holds = true, deleted != 0, holds != 0
	if state.version, err = version.value(); err != nil {
		return err
	}
	model := reflect.New(w.model.ModelType).Elem()
	for i, field := range fields {
		value := targets[len(targets)-len(fields)+i]
		if err := field.Set(w.ctx, model, value); err != nil {
			return err
		}
		field.NewValuePool.Put(value)
	}
	state.key, state.model = keyText(w.keyOf(model)), model
	return nil
}

// namingFields are what the rows of the write are found by, and their primary keys.
func (w *site) namingFields() []*schema.Field {
	fields := w.identityFields()
	if w.identity == nil {
		return fields
	}
	fields = slices.Clone(fields)
	for _, field := range w.model.PrimaryFields {
		if !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	return fields
}

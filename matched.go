package occ

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
)

// writeMatched is for writes that are not compared and whose next versions SQL cannot make: the rows that match are read
// and locked, and one UPDATE gives each its own.
func (w *write) writeMatched(set clause.Set, gormWrite func(*gorm.DB)) {
	switch {
	case w.op == conflict.OpDelete && !w.isSoftDelete():
		w.writeAndLearn(nil, gormWrite)
		return
	case w.db.DryRun: // no row is read, so the versions that would be written are not known
		version := clause.Column{Name: w.model.version.DBName}
		w.run(w.alsoSet(set, clause.Assignment{Column: version, Value: version}), gormWrite)
		return
	case len(w.rows) == 0 && !w.hasOwnConditions() && !w.db.AllowGlobalUpdate:
		_ = w.db.AddError(gorm.ErrMissingWhereClause)
		return
	}
	w.keepClauses("UPDATE", "ORDER BY", "LIMIT")
	w.db.RowsAffected = 0
	err := w.allOrNone(func() error {
		rows, err := w.lockMatched()
		if err != nil || len(rows) == 0 {
			return err
		}
		return w.advanceMatched(rows, set, gormWrite)
	})
	if err != nil {
		w.db.RowsAffected = 0
		_ = w.db.AddError(err)
	}
}

// advanceMatched writes the rows that were read. The model in hand, if there is one, is one of them.
func (w *write) advanceMatched(rows []*row, set clause.Set, gormWrite func(*gorm.DB)) (err error) {
	for _, r := range rows {
		if r.next, err = w.model.version.kind.next(w.ctx, r.expected); err != nil {
			return w.versionError(err)
		}
	}
	delete(w.stmt.Clauses, "ORDER BY")
	delete(w.stmt.Clauses, "LIMIT")
	columns := append(w.keyColumns(), w.nextColumn())
	version := clause.Assignment{Column: clause.Column{Name: w.model.version.DBName}, Value: columns[len(columns)-1].Ref()}
	update := w.batchOf(columns, append(slices.Clone(set), version), gormWrite)
	update.behindSet = w.op == conflict.OpDelete
	affected := update.run(rows)
	if w.db.Error != nil {
		return w.db.Error
	}
	w.setRowsAffected(affected)
	if len(w.rows) == 0 {
		return w.giveMatched(update.returned)
	}
	w.rows[0].next = rows[0].next
	inHand := w.pointers()
	w.advanceAll(inHand)
	if err := update.giveDeleted(inHand); err != nil {
		return err
	}
	return update.giveReturned(inHand)
}

// giveMatched gives the caller's model or slice what RETURNING said of rows that it did not name.
func (w *write) giveMatched(returned []reflect.Value) error {
	target := w.stmt.ReflectValue
	if len(returned) == 0 || !target.CanAddr() {
		return nil
	}
	switch {
	case target.Kind() == reflect.Struct && target.Type() == w.model.ModelType:
		target.Set(returned[0])
	case target.Kind() == reflect.Slice && target.Type().Elem() == w.model.ModelType:
		target.Set(reflect.Append(target.Slice(0, 0), returned...))
	case target.Kind() == reflect.Slice && target.Type().Elem() == reflect.PointerTo(w.model.ModelType):
		target.Set(target.Slice(0, 0))
		for _, model := range returned {
			target.Set(reflect.Append(target, model.Addr()))
		}
	}
	return nil
}

// lockMatched reads the keys and versions of the rows that the statement's conditions match, and keeps them as they are
// until the transaction ends.
func (w *write) lockMatched() (rows []*row, err error) {
	failed := w.db.Error
	w.db.Error = nil
	defer func() { w.db.Error = failed }()
	if err := w.lockFirst(); err != nil {
		return nil, err
	}
	tx := w.session().Clauses(w.locking(clause.LockingStrengthUpdate))
	tx.Statement.Unscoped = w.stmt.Unscoped
	where := w.groupedWhere(w.matchedConditions())
	if conditions := where.Expression.(clause.Where); len(conditions.Exprs) > 0 {
		tx = tx.Clauses(conditions)
	}
	for _, name := range []string{"ORDER BY", "LIMIT"} {
		if c, ok := w.stmt.Clauses[name]; ok && slices.Contains(w.stmt.BuildClauses, name) {
			tx.Statement.Clauses[name] = c
		}
	}
	if from, ok := w.stmt.Clauses["FROM"].Expression.(clause.From); ok && w.op != conflict.OpDelete {
		tx = tx.Clauses(alsoFrom(from))
	}
	return w.scanMatched(tx)
}

// alsoFrom is the FROM of an UPDATE as that of a SELECT, which names the table of the rows too.
func alsoFrom(from clause.From) clause.From {
	from.Tables = append([]clause.Table{{Name: clause.CurrentTable}}, from.Tables...)
	return from
}

func (w *write) matchedConditions() []clause.Expression {
	if len(w.rows) == 0 || w.rows[0].key == nil {
		return nil
	}
	return []clause.Expression{&rowCondition{model: w.model, key: w.rows[0].key}}
}

func (w *write) scanMatched(tx *gorm.DB) (matched []*row, err error) {
	fields := append(slices.Clone(w.model.PrimaryFields), w.model.version.Field)
	selected := make([]clause.Column, len(fields))
	for i, field := range fields {
		selected[i] = clause.Column{Table: clause.CurrentTable, Name: field.DBName}
	}
	rows, err := tx.Clauses(clause.Select{Columns: selected}).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	values := make([]any, len(fields))
	for rows.Next() {
		model := reflect.New(w.model.ModelType).Elem()
		for i, field := range fields {
			values[i] = field.NewValuePool.Get()
		}
		if err := rows.Scan(values...); err != nil {
			return nil, err
		}
		for i, field := range fields {
			if err := field.Set(w.ctx, model, values[i]); err != nil {
				return nil, err
			}
			field.NewValuePool.Put(values[i])
		}
		version := w.model.version.of(w.ctx, model)
		matched = append(matched, &row{model: model, key: w.allKeys(model), before: version, expected: version})
	}
	return matched, rows.Err()
}

// allKeys is the key of a row that was read, whose parts may well be zero.
func (w *site) allKeys(model reflect.Value) []any {
	key := make([]any, len(w.model.PrimaryFields))
	for i, field := range w.model.PrimaryFields {
		key[i], _ = field.ValueOf(w.ctx, model)
	}
	return key
}

// followStored reads the versions that rows are at and locks them; each row's next version is the one after it. Rows that
// are gone are left out.
func (w *write) followStored(rows []*row) (there []*row, err error) {
	failed := w.db.Error
	w.db.Error = nil
	defer func() { w.db.Error = failed }()
	if err := w.lockFirst(); err != nil {
		return nil, err
	}
	states, err := w.readRows(rows, clause.LockingStrengthUpdate)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if !states[i].isThere {
			continue
		}
		if r.next, err = w.model.version.kind.next(w.ctx, states[i].version); err != nil {
			return nil, w.versionError(err)
		}
		there = append(there, r)
	}
	return there, nil
}

// lockFirst takes the write lock of a database that has only one, before anything is read in the transaction: after a
// foreign write, one that has read cannot write any more.
func (w *site) lockFirst() error {
	if !w.dialect.LocksWholeDatabase() || !isTransaction(w.stmt.ConnPool) {
		return nil
	}
	stmt := w.session().Statement
	_, err := stmt.ConnPool.ExecContext(w.ctx, "DELETE FROM "+stmt.Quote(clause.Table{Name: w.stmt.Table})+" WHERE 1 = 0")
	return err
}

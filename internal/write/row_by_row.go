package write

import (
	"database/sql/driver"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/rows"
)

// slot is a parameter that each row of a batch fills with the value of a column of its own.
type slot int

// Value is for GORM, which makes a parameter of what has it.
func (s slot) Value() (driver.Value, error) { return int64(s), nil }

// takesRowByRow reports whether the UPDATE can be one of one row, prepared once and run for each, where the database does that
// faster than it takes the rows apart: not where the caller wrote SQL that refers to the values, or wants rows back.
func (b *batchUpdate) takesRowByRow(hand []*rows.Row) bool {
	_, returning := b.db.Statement.Clauses["RETURNING"]
	if !b.p.Dialect.RunsRowByRow || len(hand) < 2 || returning || len(b.p.by.Proposed) > 0 || !b.refersByColumns() {
		return false
	}
	return !b.isCompared || !b.comparesZero(hand)
}

// refersByColumns reports whether assignments refer to the values by columns alone, which slots can stand in for.
func (b *batchUpdate) refersByColumns() bool {
	for _, assignment := range b.set {
		switch value := assignment.Value.(type) {
		case clause.Column:
			if value.Table == batch.Alias && b.slotOf(value.Name) < 0 {
				return false
			}
		case clause.Expression, gorm.Valuer:
			if b.isReferredTo && assignment.Column.Name != b.p.Model.Version.DBName {
				return false
			}
		}
	}
	return true
}

// comparesZero reports whether some rows are expected to be at the zero value, so that their condition is another.
func (b *batchUpdate) comparesZero(hand []*rows.Row) bool {
	return slices.ContainsFunc(hand, func(r *rows.Row) bool { return b.p.Model.Version.Kind.IsZero(r.Expected) })
}

// runRowByRow prepares the statement of one row, which build has GORM build, and runs it for each. It stops at a row that is not
// as expected. With ok false, some value is more than one parameter, and nothing was sent.
func (b *batchUpdate) runRowByRow(hand []*rows.Row, build func() error) (affected int64, ok bool, err error) {
	hand = rows.InKeyOrder(hand)
	values, all := make([][]any, len(hand)), make([]any, len(hand)*len(b.columns))
	for i, r := range hand {
		values[i] = all[i*len(b.columns):][:len(b.columns)]
		if ok := b.valuesOf(r, values[i]); !ok {
			return 0, false, nil
		}
	}
	if err := buildOnly(b.db, build); err != nil {
		return 0, true, err
	}
	vars := b.db.Statement.Vars
	b.db.Statement.Vars = fill(make([]any, len(vars)), vars, values[0])
	if b.db.DryRun {
		return 0, true, nil
	}
	affected, err = b.p.execute(b.db, b.p.Plugin.Watched(func(db *gorm.DB) {
		db.RowsAffected, err = b.execute(vars, values)
		_ = db.AddError(err)
	}))
	return affected, true, err
}

// valuesOf fills values with those of a row. It reports whether each is one parameter.
func (b *batchUpdate) valuesOf(r *rows.Row, values []any) bool {
	for i, column := range b.columns {
		if values[i] = column.Of(r); !rows.IsOneVar(values[i]) {
			return false
		}
	}
	return true
}

// buildForRow has GORM build the UPDATE of one row, with a slot for each value.
func (b *batchUpdate) buildForRow() error {
	given := b.set
	defer func() { b.set = given }()
	b.set = slices.Clone(given)
	for i := range b.set {
		if column, ok := b.set[i].Value.(clause.Column); ok && column.Table == batch.Alias {
			b.set[i].Value = b.slotOf(column.Name)
		}
	}
	b.startOver(b.conditionsForRow())
	b.write(nil)
	_, _, deleted, err := b.p.sendHidden(b.db, b.behindSet, b.send)
	b.deleted = deleted
	return err
}

// runRowByRow prepares the DELETE of one row and runs it for each. With ok false, nothing was sent.
func (b *batchDelete) runRowByRow(hand []*rows.Row) (affected int64, ok bool, err error) {
	_, returning := b.p.Stmt.Clauses["RETURNING"]
	if !b.p.Dialect.RunsRowByRow || returning || len(hand) < 2 {
		return 0, false, nil
	}
	one := b.p.batchOf(b.p.KeyColumns(&b.p.by), nil, nil)
	if b.isCompared {
		if one.compare(rows.InKeyOrder(hand)); one.comparesZero(hand) {
			return 0, false, nil
		}
	}
	return one.runRowByRow(hand, func() error {
		_, err := b.send(one.conditionsForRow(), true)
		return err
	})
}

// conditionsForRow returns the conditions that a row has the key and, where each row is compared with a version of its own,
// is at it.
func (b *batchUpdate) conditionsForRow() []clause.Expression {
	parts := b.keyParts()
	key := make([]any, parts)
	for i := range key {
		key[i] = slot(i)
	}
	conditions := b.p.KeyIs(&b.p.by, key)
	if expected := b.slotOf(rows.ExpectedColumn); expected >= 0 {
		version := b.p.Model.Version
		return append(conditions, version.Kind.Equals(version.Column(), expected))
	}
	return append(conditions, b.conditions[parts:]...)
}

// slotOf returns the slot of a column of the values; it is negative where there is none of that name.
func (b *batchUpdate) slotOf(name string) slot {
	return slot(slices.IndexFunc(b.columns, func(column rows.Column) bool { return column.Name == name }))
}

// execute runs the statement that was built with the values of each row.
func (b *batchUpdate) execute(vars []any, values [][]any) (affected int64, err error) {
	stmt := b.db.Statement
	prepared, err := stmt.ConnPool.PrepareContext(b.p.Ctx, stmt.SQL.String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = prepared.Close() }()
	args := make([]any, len(vars)) // which database/sql copies
	for _, row := range values {
		result, err := prepared.ExecContext(b.p.Ctx, fill(args, vars, row)...)
		if err != nil {
			return affected, err
		}
		n, err := result.RowsAffected()
		if affected += n; err != nil || n == 0 && b.isCompared {
			return affected, err
		}
	}
	return affected, nil
}

// fill fills room with parameters, and with the values of a row in their slots.
func fill(with, vars, values []any) []any {
	copy(with, vars)
	for i, value := range with {
		if s, ok := value.(slot); ok {
			with[i] = values[s]
		}
	}
	return with
}

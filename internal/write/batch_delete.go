package write

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
)

// batchDelete is a DELETE of several rows. Databases differ in how it takes a second table: MySQL and MariaDB start with
// the values, PostgreSQL uses them, and SQLite runs the DELETE of one row for each.
type batchDelete struct {
	p          *plan
	isCompared bool
	fromValues bool
	returned   []reflect.Value
}

// maxDeletedRows is how many conditions a database takes in one statement without effort; SQLite's limit is 1,000.
const maxDeletedRows = 400

func (b *batchDelete) run(hand []*rows.Row) (int64, error) {
	defer rows.RunUnprepared(b.p.Stmt, b.p.Stmt.ConnPool)()
	b.returned = nil
	if b.fromValues && len(hand) > 1 {
		return b.runFromValues(hand)
	}
	if affected, ok, err := b.runRowByRow(hand); ok {
		return affected, err
	}
	return b.runByConditions(hand)
}

func (b *batchDelete) runByConditions(hand []*rows.Row) (affected int64, err error) {
	for part := range slices.Chunk(rows.InKeyOrder(hand), maxDeletedRows) {
		any := clauses.AnyOf{}
		for _, r := range part {
			any = append(any, &rows.Condition{Model: b.p.Model, Key: r.Key, Version: r.Expected, IsCompared: b.isCompared})
		}
		given, _ := b.p.before.of("DELETE")
		given.BeforeExpression = b.p.Dialect.Settings(false)
		b.p.Stmt.Clauses["DELETE"] = given
		b.p.Stmt.Clauses["FROM"], _ = b.p.before.of("FROM")
		n, err := b.send([]clause.Expression{any}, len(part) == len(hand))
		affected += n
		if err != nil || b.p.DB.DryRun {
			return affected, err
		}
	}
	return affected, nil
}

// runFromValues deletes the rows of a join.
func (b *batchDelete) runFromValues(hand []*rows.Row) (affected int64, err error) {
	p := b.p
	if p.Dialect.ValuesFirst {
		if err := b.readReturned(hand); err != nil {
			return 0, err
		}
	}
	update := p.batchOf(p.KeyColumns(&p.by), nil, nil)
	if b.isCompared {
		update.compare(rows.InKeyOrder(hand))
	}
	parts := p.Split(update.columns, hand, update.varsBesideValues())
	for _, part := range parts {
		n, err := b.sendFromValues(update, part, len(parts) == 1)
		if p.ForgetIndexes(err) {
			n, err = b.sendFromValues(update, part, len(parts) == 1)
		}
		p.ForgetElements(err)
		affected += n
		if err != nil || p.DB.DryRun {
			return affected, err
		}
	}
	return affected, nil
}

// readReturned reads what the caller wants returned before it is deleted: the DELETE of a join has no RETURNING.
func (b *batchDelete) readReturned(hand []*rows.Row) (err error) {
	if _, returning := b.p.Stmt.Clauses["RETURNING"]; returning && !b.p.DB.DryRun {
		b.returned, err = b.p.lockModels(hand)
	}
	delete(b.p.Stmt.Clauses, "RETURNING")
	return err
}

func (b *batchDelete) sendFromValues(update *batchUpdate, part rows.Part, last bool) (int64, error) {
	p := b.p
	given, _ := p.before.of("DELETE")
	values := part.Table(&p.Site, update.columns)
	if !p.Dialect.ValuesFirst {
		p.Stmt.Clauses["DELETE"] = given
		using := clauses.Prefixed{Word: "USING ", Expression: values}
		p.Stmt.Clauses["FROM"] = clause.Clause{Name: "FROM", Expression: clause.From{}, AfterExpression: using}
		return b.send(update.conditions, last)
	}
	given.BeforeExpression = p.Dialect.Settings(true)
	p.Stmt.Clauses["DELETE"] = p.deleteFrom(given)
	p.Stmt.Clauses["FROM"] = p.ValuesFirst("FROM", clause.Clause{}, values, p.ByIndex(&p.by))
	return b.send(update.conditions, last)
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

// send deletes what the conditions say, and returns how many rows that were. With last, GORM logs the statement.
func (b *batchDelete) send(conditions []clause.Expression, last bool) (int64, error) {
	p, began := b.p, time.Now()
	p.Stmt.SQL.Reset()
	p.Stmt.Vars = nil
	delete(p.Stmt.Clauses, softDeleteMark)
	p.Stmt.Clauses["WHERE"] = p.groupedWhere(conditions)
	affected, returned, _, err := p.sendHidden(p.DB, false, p.Plugin.Gorm.delete)
	b.returned = append(b.returned, returned...)
	if err == nil && !p.DB.DryRun && !last {
		trace(p.DB, began, affected, nil)
	}
	return affected, err
}

// lockModels reads rows as models, and keeps them as they are until the transaction ends.
func (p *plan) lockModels(hand []*rows.Row) (models []reflect.Value, err error) {
	var fields []*schema.Field
	for _, column := range p.Model.Columns() {
		if column.Readable {
			fields = append(fields, column.Field)
		}
	}
	states, err := p.ReadRows(rows.Query{Lookup: p.by, Lock: clause.LockingStrengthUpdate, Fields: fields}, hand)
	for _, state := range states {
		if state.IsThere {
			models = append(models, state.Model)
		}
	}
	return models, err
}

func (b *batchDelete) giveReturned(hand []*rows.Row) error { return b.p.giveReturned(b.returned, hand) }

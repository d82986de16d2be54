package write

import (
	"context"
	"errors"
	"slices"
	"time"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// mostAtOnce is how many rows are locked and counted in the statement that writes them. For more that takes longer than a savepoint.
const mostAtOnce = 100

// lockedRows is what the rows of a batch are called that its statement has locked.
const lockedRows = "occ_locked"

// errInPart says that the database has written some rows of a statement and passed over others, a trigger of its own say.
var errInPart = errors.New("occ: the database has written some rows of a batch and not others that are alike")

// sendAtOnce sends a batch inside a transaction as a statement that writes all rows or none, without a savepoint. With isDone false,
// none was written, and it is to be found out why.
func (p *plan) sendAtOnce(hand []*rows.Row, how severalWrite) (affected int64, isDone bool, err error) {
	if how.sendAtOnce == nil || len(hand) < 2 || len(hand) > mostAtOnce || !tx.IsTransaction(p.Stmt.ConnPool) {
		return 0, false, nil
	}
	affected, ok, err := how.sendAtOnce(hand)
	switch {
	case !ok || err == nil && affected == 0:
		return 0, false, nil
	case err == nil && affected != int64(len(hand)):
		return 0, true, p.abortTransaction()
	}
	return affected, true, err
}

// abortTransaction has the transaction be one that can only be rolled back.
func (p *plan) abortTransaction() error {
	const abort = "DO $$ BEGIN RAISE EXCEPTION 'occ: a batch was written in part'; END $$"
	_, err := rows.Unprepared(p.Stmt.ConnPool).ExecContext(context.WithoutCancel(p.Ctx), abort)
	return errors.Join(errInPart, err)
}

// takesAtOnce reports whether a statement can write all rows of the plan or none: one whose rows can be counted before.
func (p *plan) takesAtOnce() bool {
	return p.Dialect.WritesAtOnce && !p.DB.DryRun && !p.Model.Version.ByDatabase &&
		!p.by.HasOwnConditions() && len(p.by.From.Tables) == 0 && len(p.by.Proposed) == 0
}

// runAtOnce sends the UPDATE with a count of the rows that are as expected, which it locks, in the order of their keys.
func (b *batchUpdate) runAtOnce(hand []*rows.Row) (affected int64, ok bool, err error) {
	defer rows.RunUnprepared(b.db.Statement, b.p.Stmt.ConnPool)()
	b.startOver(append(slices.Clip(b.conditions), b.allAreLocked()))
	given := b.db.Statement.Clauses["UPDATE"]
	with, ok := b.lockFirst(hand, "NO KEY UPDATE") // the lock of an UPDATE which leaves keys as they are
	if !ok || given.BeforeExpression != nil {
		return 0, false, nil
	}
	given.BeforeExpression = with
	b.db.Statement.Clauses["UPDATE"] = given
	b.write(clauses.Expressions{clauses.Prefixed{Word: "FROM ", Expression: excluded}})
	began := time.Now()
	affected, b.returned, b.deleted, err = b.p.sendHidden(b.db, b.behindSet, b.send)
	b.p.ForgetElements(err)
	if err == nil && b.db.Statement != b.p.Stmt {
		trace(b.db, began, affected, nil)
	}
	return affected, true, err
}

// lockFirst returns the queries of the values, and of the rows that are as expected, which stand before the statement. With ok
// false, the values are no arrays, or too many.
func (b *batchUpdate) lockFirst(hand []*rows.Row, lock string) (with clauses.Expressions, ok bool) {
	parts := b.p.Split(b.columns, hand, b.varsBesideValues())
	values, ok := parts[0].Table(&b.p.Site, b.columns).AsArrays()
	if !ok || len(parts) > 1 {
		return nil, false
	}
	return clauses.Expressions{
		clauses.Prefixed{Word: "WITH ", Expression: batch.Common{Table: values}},
		clauses.Prefixed{Word: ", ", Expression: b.locked(lock)},
	}, true
}

// runAtOnce sends the DELETE with a count of the rows that are as expected, which it locks, in the order of their keys.
func (b *batchDelete) runAtOnce(hand []*rows.Row) (affected int64, ok bool, err error) {
	p := b.p
	defer rows.RunUnprepared(p.Stmt, p.Stmt.ConnPool)()
	update := p.batchOf(p.KeyColumns(&p.by), nil, nil)
	update.compare(rows.InKeyOrder(hand))
	given, _ := p.before.of("DELETE")
	with, ok := update.lockFirst(hand, clause.LockingStrengthUpdate)
	if !ok || given.BeforeExpression != nil {
		return 0, false, nil
	}
	given.BeforeExpression = with
	p.Stmt.Clauses["DELETE"] = given
	using := clauses.Prefixed{Word: "USING ", Expression: excluded}
	p.Stmt.Clauses["FROM"] = clause.Clause{Name: "FROM", Expression: clause.From{}, AfterExpression: using}
	b.returned = nil
	affected, err = b.send(append(slices.Clip(update.conditions), update.allAreLocked()), true)
	p.ForgetElements(err)
	return affected, true, err
}

var excluded = clause.Expr{SQL: "?", Vars: []any{clause.Table{Name: batch.Alias}}, WithoutParentheses: true}

// locked is the query of the rows that are as expected. Where a transaction reads what was there when it began, it locks none: a
// row that was changed since is an error there, which only a savepoint survives.
func (b *batchUpdate) locked(strength string) clause.Expression {
	conditions := append(slices.Clip(b.conditions), clause.Expr{SQL: "current_setting('transaction_isolation') = 'read committed'"})
	if !b.db.Statement.Unscoped {
		conditions = append(conditions, clause.Expr{SQL: "? = 0", Vars: []any{b.p.DeletedInSQL()}})
	}
	lock := b.p.Locking(strength)
	return clause.Expr{SQL: "? AS (SELECT ? FROM ?, ? ? ORDER BY ? ?)", WithoutParentheses: true, Vars: []any{
		clause.Table{Name: lockedRows}, b.keys(clause.CurrentTable), clause.Table{Name: clause.CurrentTable}, excluded,
		clause.Where{Exprs: conditions}, b.keys(clause.CurrentTable), lock,
	}}
}

// allAreLocked is the condition that the rows which were locked are all that the values name, each another one.
func (b *batchUpdate) allAreLocked() clause.Expression {
	return clause.Expr{SQL: "(SELECT count(DISTINCT (?)) FROM ?) = (SELECT count(*) FROM ?)", WithoutParentheses: true, Vars: []any{
		b.keys(lockedRows), clause.Table{Name: lockedRows}, excluded,
	}}
}

// keys are the columns by which rows are found.
func (b *batchUpdate) keys(table string) clause.Expression {
	columns := make([]clause.Expression, b.keyParts())
	for i, field := range b.p.by.Fields(b.p.Model) {
		columns[i] = clause.Expr{SQL: "?", Vars: []any{clause.Column{Table: table, Name: field.DBName}}, WithoutParentheses: true}
	}
	return clause.CommaExpression{Exprs: columns}
}

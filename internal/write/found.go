package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
)

// writeUnchecked writes whatever version the rows are at. Where the model in hand names the row, it learns the version
// that was written, in the same transaction: later, it could be the version of somebody else's write.
func (c *Call) writeUnchecked(set clause.Set, gormWrite func(*gorm.DB)) {
	if len(c.rows) > 0 {
		c.Counters().Blind.Add(1)
		c.whereRow(false)
	}
	next := c.Model.Version.Kind.NextInSQL(c.Model.Version.Column())
	switch {
	case c.Model.Version.ByDatabase, next != nil:
		c.writeAndLearn(c.andVersion(set, next), gormWrite)
	default:
		c.writeMatched(set, gormWrite)
	}
}

// writeMatched is for writes that are not compared and whose next versions SQL cannot make: the rows that match are read
// and locked, and one UPDATE gives each its own.
func (c *Call) writeMatched(set clause.Set, gormWrite func(*gorm.DB)) {
	switch {
	case c.Op == conflict.OpDelete && !c.isSoftDelete():
		c.writeAndLearn(nil, gormWrite)
		return
	case c.DB.DryRun: // no row is read, so the versions that would be written are not known
		version := clause.Column{Name: c.Model.Version.DBName}
		c.run(c.alsoSet(set, clause.Assignment{Column: version, Value: version}), gormWrite)
		return
	case len(c.rows) == 0 && !c.HasOwnConditions() && !c.DB.AllowGlobalUpdate:
		_ = c.DB.AddError(gorm.ErrMissingWhereClause)
		return
	}
	c.keepClauses("UPDATE", "ORDER BY", "LIMIT")
	c.DB.RowsAffected = 0
	err := c.allOrNone(func() error {
		rows, err := c.lockMatched()
		if err != nil || len(rows) == 0 {
			return err
		}
		return c.advanceMatched(rows, set, gormWrite)
	})
	if err != nil {
		c.DB.RowsAffected = 0
		_ = c.DB.AddError(err)
	}
}

// advanceMatched writes the rows that were read. The model in hand, if there is one, is one of them.
func (c *Call) advanceMatched(rows []*rows.Row, set clause.Set, gormWrite func(*gorm.DB)) (err error) {
	for _, r := range rows {
		if r.Next, err = c.Model.Version.Kind.Next(c.Ctx, r.Expected); err != nil {
			return c.versionError(err)
		}
	}
	delete(c.Stmt.Clauses, "ORDER BY")
	delete(c.Stmt.Clauses, "LIMIT")
	columns := append(c.KeyColumns(), c.nextColumn())
	version := clause.Assignment{Column: clause.Column{Name: c.Model.Version.DBName}, Value: columns[len(columns)-1].Ref()}
	update := c.batchOf(columns, append(slices.Clone(set), version), gormWrite)
	update.behindSet = c.Op == conflict.OpDelete
	affected := update.run(rows)
	if c.DB.Error != nil {
		return c.DB.Error
	}
	c.setRowsAffected(affected)
	if len(c.rows) == 0 {
		return c.giveMatched(update.returned)
	}
	c.rows[0].Next = rows[0].Next
	inHand := c.pointers()
	c.advanceAll(inHand)
	if err := update.giveDeleted(inHand); err != nil {
		return err
	}
	return update.giveReturned(inHand)
}

// giveMatched gives the caller's model or slice what RETURNING said of rows that it did not name.
func (c *Call) giveMatched(returned []reflect.Value) error {
	target := c.Stmt.ReflectValue
	if len(returned) == 0 || !target.CanAddr() {
		return nil
	}
	switch {
	case target.Kind() == reflect.Struct && target.Type() == c.Model.ModelType:
		target.Set(returned[0])
	case target.Kind() == reflect.Slice && target.Type().Elem() == c.Model.ModelType:
		target.Set(reflect.Append(target.Slice(0, 0), returned...))
	case target.Kind() == reflect.Slice && target.Type().Elem() == reflect.PointerTo(c.Model.ModelType):
		target.Set(target.Slice(0, 0))
		for _, model := range returned {
			target.Set(reflect.Append(target, model.Addr()))
		}
	}
	return nil
}

// lockMatched reads the keys and versions of the rows that the statement's conditions match, and keeps them as they are
// until the transaction ends.
func (c *Call) lockMatched() (rows []*rows.Row, err error) {
	failed := c.DB.Error
	c.DB.Error = nil
	defer func() { c.DB.Error = failed }()
	if err := c.LockFirst(); err != nil {
		return nil, err
	}
	tx := c.Session().Clauses(c.Locking(clause.LockingStrengthUpdate))
	tx.Statement.Unscoped = c.Stmt.Unscoped
	where := c.groupedWhere(c.matchedConditions())
	if conditions := where.Expression.(clause.Where); len(conditions.Exprs) > 0 {
		tx = tx.Clauses(conditions)
	}
	for _, name := range []string{"ORDER BY", "LIMIT"} {
		if found, ok := c.Stmt.Clauses[name]; ok && slices.Contains(c.Stmt.BuildClauses, name) {
			tx.Statement.Clauses[name] = found
		}
	}
	if from, ok := c.Stmt.Clauses["FROM"].Expression.(clause.From); ok && c.Op != conflict.OpDelete {
		tx = tx.Clauses(alsoFrom(from))
	}
	return c.scanMatched(tx)
}

// alsoFrom is the FROM of an UPDATE as that of a SELECT, which names the table of the rows too.
func alsoFrom(from clause.From) clause.From {
	from.Tables = append([]clause.Table{{Name: clause.CurrentTable}}, from.Tables...)
	return from
}

func (c *Call) matchedConditions() []clause.Expression {
	if len(c.rows) == 0 || c.rows[0].Key == nil {
		return nil
	}
	return []clause.Expression{&rows.Condition{Model: c.Model, Key: c.rows[0].Key}}
}

func (c *Call) scanMatched(tx *gorm.DB) (matched []*rows.Row, err error) {
	fields := append(slices.Clone(c.Model.PrimaryFields), c.Model.Version.Field)
	selected := make([]clause.Column, len(fields))
	for i, field := range fields {
		selected[i] = clause.Column{Table: clause.CurrentTable, Name: field.DBName}
	}
	hand, err := tx.Clauses(clause.Select{Columns: selected}).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = hand.Close() }()
	values := make([]any, len(fields))
	for hand.Next() {
		model := reflect.New(c.Model.ModelType).Elem()
		for i, field := range fields {
			values[i] = field.NewValuePool.Get()
		}
		if err := hand.Scan(values...); err != nil {
			return nil, err
		}
		for i, field := range fields {
			if err := field.Set(c.Ctx, model, values[i]); err != nil {
				return nil, err
			}
			field.NewValuePool.Put(values[i])
		}
		version := c.Model.Version.Of(c.Ctx, model)
		matched = append(matched, &rows.Row{Model: model, Key: c.AllKeys(model), Before: version, Expected: version})
	}
	return matched, hand.Err()
}

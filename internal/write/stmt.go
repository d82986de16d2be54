package write

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/value"
)

// pointAt has do see target in the place of what the call was given.
func (c *Call) pointAt(target reflect.Value, dest any, do func() (int64, error)) (int64, error) {
	c.Stmt.SQL.Reset()
	c.Stmt.Vars = nil
	return c.scanInto(target, dest, do)
}

// scanInto has do see target in the place of what the call was given, and a statement that is built already.
func (c *Call) scanInto(target reflect.Value, dest any, do func() (int64, error)) (int64, error) {
	stmt := c.Stmt
	before, beforeDest := stmt.ReflectValue, stmt.Dest
	defer func() { stmt.ReflectValue, stmt.Dest = before, beforeDest }()
	stmt.ReflectValue, stmt.Dest = target, dest
	return do()
}

// withModels has do see some of the call's models alone, so that the keys that the database generates land on them.
func (c *Call) withModels(models []reflect.Value, do func() (int64, error)) (int64, error) {
	if len(models) == 1 {
		return c.pointAt(models[0], models[0].Addr().Interface(), do)
	}
	return c.withSlice(models, do)
}

// withSlice has do see a slice of models, also where there is one.
func (c *Call) withSlice(models []reflect.Value, do func() (int64, error)) (int64, error) {
	list := c.newModels()
	for _, model := range models {
		list.Set(reflect.Append(list, model.Addr()))
	}
	return c.pointAt(list, list.Addr().Interface(), do)
}

// newModels returns an empty slice of pointers to models.
func (c *Call) newModels() reflect.Value {
	return reflect.New(reflect.SliceOf(reflect.PointerTo(c.Model.ModelType))).Elem()
}

// modelsOf returns the models of rows.
func modelsOf(hand []rows.Row) []reflect.Value {
	models := make([]reflect.Value, len(hand))
	for i, r := range hand {
		models[i] = r.Model
	}
	return models
}

// sendHidden has GORM send a statement that knows none of the models in hand: it would add their keys to the conditions, and
// scan what RETURNING gives into them by position. What it gives is returned. With soft, there is one model without a key, which
// GORM gives what a soft delete sets.
func (c *Call) sendHidden(db *gorm.DB, soft bool, send func(*gorm.DB)) (affected int64, returned []reflect.Value, hidden reflect.Value, err error) {
	stmt := db.Statement
	model, dest, target := stmt.Model, stmt.Dest, stmt.ReflectValue
	defer func() { stmt.Model, stmt.Dest, stmt.ReflectValue = model, dest, target }()
	fresh := c.newModels()
	hidden = reflect.New(c.Model.ModelType)
	if soft {
		fresh.Set(reflect.Append(fresh, hidden))
	}
	stmt.Dest = fresh.Addr().Interface()
	stmt.Model, stmt.ReflectValue = stmt.Dest, fresh
	if found, ok := stmt.Clauses["RETURNING"]; ok {
		found.Name, found.Expression = "RETURNING", clause.Returning{}
		stmt.Clauses["RETURNING"] = found
	}
	affected, err = execute(db, send)
	for i := range fresh.Len() {
		if found := fresh.Index(i); found.Pointer() != hidden.Pointer() {
			returned = append(returned, found.Elem())
		}
	}
	return affected, returned, hidden.Elem(), err
}

// canReturn reports whether what a statement returns ends up in the model of the row, and in nothing else.
func (c *Call) canReturn(r *rows.Row) bool {
	target := c.Stmt.ReflectValue
	return r.Key != nil && target.Kind() == reflect.Struct && target.CanAddr() && r.Model.CanAddr() &&
		target.Addr().Pointer() == r.Model.Addr().Pointer() && (!c.isDelete() || c.Stmt.Dest == r.Model.Addr().Interface())
}

// returnVersion has the statement return the version, besides what the caller and GORM want returned.
func (c *Call) returnVersion(others ...clause.Column) {
	version := clause.Column{Name: c.Model.Version.DBName}
	found, asked := c.Stmt.Clauses["RETURNING"]
	returning, _ := found.Expression.(clause.Returning)
	switch {
	case !asked:
		returning.Columns = others
	case len(returning.Columns) == 0 && !c.Model.Version.IsXmin():
		return // all columns
	case len(returning.Columns) == 0:
		returning.Columns = []clause.Column{{Name: "*", Raw: true}}
	}
	if !slices.Contains(returning.Columns, version) {
		returning.Columns = append(slices.Clone(returning.Columns), version)
	}
	c.Stmt.Clauses["RETURNING"] = clause.Clause{Name: "RETURNING", Expression: returning}
}

func (c *Call) defaultColumns() (columns []clause.Column) {
	for _, field := range c.Model.FieldsWithDefaultDBValue {
		if field.Readable {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	return columns
}

// whereRow has the write be one of its row, by the key, unless GORM adds that by itself, and the version; and has both
// apply to all of the caller's conditions: (a OR b) AND key AND version.
func (p *plan) whereRow(compared bool) {
	conditions := p.room.where[:0]
	if own, _ := p.by.Own.Expression.(clause.Where); len(own.Exprs) > 0 {
		conditions = append(conditions, clauses.Group{Conditions: own.Exprs})
	}
	if len(p.rows) > 0 {
		row := rows.Condition{Model: p.Model, Key: p.rows[0].Key, IsCompared: compared}
		if compared {
			row.Version = p.compare.condition(&p.rows[0])
		}
		if p.isDelete() && p.isPassed(p.rows[0].Model) {
			row.Key = nil
		}
		p.writeNow()
		if row.Key != nil || compared {
			p.room.condition = row
			conditions = append(conditions, &p.room.condition)
		}
	}
	if len(conditions) > 0 {
		found := p.by.Own
		found.Name, found.Expression = "WHERE", clause.Where{Exprs: conditions}
		p.Stmt.Clauses["WHERE"] = found
	}
}

// groupedWhere returns the caller's conditions in parentheses and further ones.
func (p *plan) groupedWhere(conditions []clause.Expression) clause.Clause {
	if own, _ := p.by.Own.Expression.(clause.Where); len(own.Exprs) > 0 {
		conditions = append([]clause.Expression{clauses.Group{Conditions: own.Exprs}}, conditions...)
	}
	return clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: conditions}}
}

// isPassed reports whether a model was itself passed to a Delete, whose key GORM adds; it does not always add that of the
// statement's model.
func (c *Call) isPassed(model reflect.Value) bool {
	passed := c.Stmt.ReflectValue
	switch passed.Kind() {
	case reflect.Struct:
		return value.IsSameModel(passed, model)
	case reflect.Slice, reflect.Array:
		for i := range passed.Len() {
			if value.IsSameModel(value.Indirect(passed.Index(i)), model) {
				return true
			}
		}
	}
	return false
}

// writeNow has a statement about rows in hand see them as they are, where they are newer than the transaction's snapshot: it
// finds them changed then, and is no error that ends the transaction.
func (c *Call) writeNow() {
	settings := c.Dialect.Settings(false)
	if settings == nil {
		return
	}
	c.keepClauses("UPDATE", "DELETE")
	for _, name := range []string{"UPDATE", "DELETE"} {
		found := c.Stmt.Clauses[name]
		found.BeforeExpression = settings
		c.Stmt.Clauses[name] = found
	}
}

// targets are assignments as an UPDATE of two tables wants them: saying which table they are of, or not saying it.
func (c *Call) targets(set clause.Set) clause.Set {
	table := ""
	if c.Dialect.UpdateJoins {
		table = clause.CurrentTable
	}
	targets := make(clause.Set, len(set))
	for i, assignment := range set {
		assignment.Column.Table = table
		targets[i] = assignment
	}
	return targets
}

// nonEmpty returns set, or an assignment of the key to itself where set is empty: SQL has no UPDATE without SET.
func (c *Call) nonEmpty(set clause.Set) clause.Set {
	if len(set) > 0 || c.isDelete() || len(c.Model.PrimaryFields) == 0 {
		return set
	}
	key := clause.Column{Name: c.Model.PrimaryFields[0].DBName}
	return clause.Set{{Column: key, Value: key}}
}

// returns reports whether the statement that was built gives back the rows it wrote.
func (c *Call) returns() bool {
	_, ok := c.Stmt.Clauses["RETURNING"]
	return ok && slices.Contains(c.Stmt.BuildClauses, "RETURNING")
}

// besideStatement is a statement on the write's table and connection that nothing of the write itself gets into.
func (c *Call) besideStatement() *gorm.DB {
	tx := c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: c.Stmt.SkipHooks}).Model(c.Model.NewModel())
	stmt := session.Inherit(tx, c.Stmt).Statement
	stmt.Schema, stmt.Table, stmt.TableExpr, stmt.Unscoped = c.Model.Schema, c.Stmt.Table, c.Stmt.TableExpr, c.Stmt.Unscoped
	stmt.ConnPool, stmt.BuildClauses = c.Stmt.ConnPool, c.DB.Callback().Update().Clauses
	if returning, asked := c.clausesBefore("RETURNING"); asked {
		stmt.Clauses["RETURNING"] = returning
	}
	return tx
}

// trace logs a statement that GORM itself does not: it logs one for each call.
func trace(db *gorm.DB, began time.Time, affected int64, err error) {
	stmt := db.Statement
	db.Logger.Trace(stmt.Context, began, func() (string, int64) {
		sql, vars := stmt.SQL.String(), stmt.Vars
		if filter, ok := db.Logger.(gorm.ParamsFilter); ok {
			sql, vars = filter.ParamsFilter(stmt.Context, sql, vars...)
		}
		return db.Dialector.Explain(sql, vars...), affected
	}, err)
}

func (c *Call) isDuplicateKey(err error) bool {
	return err != nil && (errors.Is(err, gorm.ErrDuplicatedKey) || c.Dialect.IsDuplicateKey(err))
}

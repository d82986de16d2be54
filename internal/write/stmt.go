package write

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/value"
)

// pointAt has do see target in the place of what the statement was given.
func pointAt(stmt *gorm.Statement, target reflect.Value, dest any, do func() (int64, error)) (int64, error) {
	stmt.SQL.Reset()
	stmt.Vars = nil
	return scanInto(stmt, target, dest, do)
}

// scanInto has do see target in the place of what the statement was given, and a statement that is built already.
func scanInto(stmt *gorm.Statement, target reflect.Value, dest any, do func() (int64, error)) (int64, error) {
	before, beforeDest := stmt.ReflectValue, stmt.Dest
	defer func() { stmt.ReflectValue, stmt.Dest = before, beforeDest }()
	stmt.ReflectValue, stmt.Dest = target, dest
	return do()
}

// withModels has do see some of the statement's models alone, so that the keys that the database generates land on them.
func withModels(s *rows.Site, models []reflect.Value, do func() (int64, error)) (int64, error) {
	if len(models) == 1 {
		return pointAt(s.Stmt, models[0], models[0].Addr().Interface(), do)
	}
	return withSlice(s, models, do)
}

// withSlice has do see a slice of models, also where there is one.
func withSlice(s *rows.Site, models []reflect.Value, do func() (int64, error)) (int64, error) {
	list := newModels(s.Model)
	for _, model := range models {
		list.Set(reflect.Append(list, model.Addr()))
	}
	return pointAt(s.Stmt, list, list.Addr().Interface(), do)
}

// newModels returns an empty slice of pointers to models.
func newModels(m *model.Model) reflect.Value {
	return reflect.New(reflect.SliceOf(reflect.PointerTo(m.ModelType))).Elem()
}

// modelsOf returns the models of rows.
func modelsOf(hand []rows.Row) []reflect.Value {
	models := make([]reflect.Value, len(hand))
	for i, r := range hand {
		models[i] = r.Model
	}
	return models
}

// sendHidden has GORM send a statement that has none of the models in hand. GORM would add their keys to the conditions, and
// scan what RETURNING gives into them by position. What RETURNING gives is returned. With soft, there is one model without a key,
// which GORM gives what a soft delete sets.
func (c *Call) sendHidden(db *gorm.DB, soft bool, send func(*gorm.DB)) (affected int64, returned []reflect.Value, hidden reflect.Value, err error) {
	stmt := db.Statement
	model, dest, target := stmt.Model, stmt.Dest, stmt.ReflectValue
	defer func() { stmt.Model, stmt.Dest, stmt.ReflectValue = model, dest, target }()
	fresh := newModels(c.Model)
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
	affected, err = c.execute(db, send)
	for i := range fresh.Len() {
		if found := fresh.Index(i); found.Pointer() != hidden.Pointer() {
			returned = append(returned, found.Elem())
		}
	}
	return affected, returned, hidden.Elem(), err
}

// canReturn reports whether GORM scans what a statement returns into the model of the row, and into nothing else.
func (c *Call) canReturn(r *rows.Row) bool {
	target := c.Stmt.ReflectValue
	return r.Key != nil && target.Kind() == reflect.Struct && target.CanAddr() && r.Model.CanAddr() &&
		target.Addr().Pointer() == r.Model.Addr().Pointer() && (!c.isDelete() || c.Stmt.Dest == r.Model.Addr().Interface())
}

// returnVersion has the statement return the version, besides what the caller and GORM want returned.
func returnVersion(s *rows.Site, others ...clause.Column) {
	version := clause.Column{Name: s.Model.Version.DBName}
	found, asked := s.Stmt.Clauses["RETURNING"]
	returning, _ := found.Expression.(clause.Returning)
	switch {
	case !asked:
		returning.Columns = others
	case len(returning.Columns) == 0 && !s.Model.Version.IsXmin():
		return // all columns
	case len(returning.Columns) == 0:
		returning.Columns = []clause.Column{{Name: "*", Raw: true}}
	}
	if !slices.Contains(returning.Columns, version) {
		returning.Columns = append(slices.Clone(returning.Columns), version)
	}
	s.Stmt.Clauses["RETURNING"] = clause.Clause{Name: "RETURNING", Expression: returning}
}

func defaultColumns(m *model.Model) (columns []clause.Column) {
	for _, field := range m.FieldsWithDefaultDBValue {
		if field.Readable {
			columns = append(columns, clause.Column{Name: field.DBName})
		}
	}
	return columns
}

// whereRow gives the statement the conditions on its row: the key, unless GORM adds that by itself, and the version. Both apply
// to all of the caller's conditions: (a OR b) AND key AND version.
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
		if p.isDelete() && isPassed(p.Stmt, p.rows[0].Model) {
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
func isPassed(stmt *gorm.Statement, model reflect.Value) bool {
	passed := stmt.ReflectValue
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

// writeNow has a statement read rows in hand as they are, past the transaction's snapshot. It finds no row then where one was
// changed. On the snapshot that would be an error which ends the transaction.
func (c *Call) writeNow() {
	settings := c.Dialect.Settings(false)
	if settings == nil {
		return
	}
	c.before.keep("UPDATE", "DELETE")
	for _, name := range []string{"UPDATE", "DELETE"} {
		found := c.Stmt.Clauses[name]
		found.BeforeExpression = settings
		c.Stmt.Clauses[name] = found
	}
}

// targets returns assignments as the dialect's UPDATE of two tables takes them, with their table or without.
func targets(d *dialect.Dialect, set clause.Set) clause.Set {
	table := ""
	if d.UpdateJoins {
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
func nonEmpty(m *model.Model, set clause.Set) clause.Set {
	if len(set) > 0 || len(m.PrimaryFields) == 0 {
		return set
	}
	key := clause.Column{Name: m.PrimaryFields[0].DBName}
	return clause.Set{{Column: key, Value: key}}
}

// returns reports whether the statement that was built gives back the rows it wrote.
func returns(stmt *gorm.Statement) bool {
	_, ok := stmt.Clauses["RETURNING"]
	return ok && slices.Contains(stmt.BuildClauses, "RETURNING")
}

// besideStatement returns a new statement on the write's table and connection.
func (c *Call) besideStatement() *gorm.DB {
	tx := c.DB.Session(&gorm.Session{NewDB: true, SkipHooks: c.Stmt.SkipHooks}).Model(c.Model.NewModel())
	stmt := session.Inherit(tx, c.Stmt).Statement
	stmt.Schema, stmt.Table, stmt.TableExpr, stmt.Unscoped = c.Model.Schema, c.Stmt.Table, c.Stmt.TableExpr, c.Stmt.Unscoped
	stmt.ConnPool, stmt.BuildClauses = c.Stmt.ConnPool, c.DB.Callback().Update().Clauses
	if returning, asked := c.before.of("RETURNING"); asked && c.Dialect.UpdateReturning {
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

func isDuplicateKey(d *dialect.Dialect, err error) bool {
	return err != nil && (errors.Is(err, gorm.ErrDuplicatedKey) || d.IsDuplicateKey(err))
}

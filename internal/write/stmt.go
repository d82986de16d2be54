package write

import (
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/value"
)

// hideModels runs send while the statement knows none of the models in hand: GORM would add their keys to the conditions,
// and scan what RETURNING gives into them by position. With soft, there is one model without a key, which GORM gives what
// a soft delete sets.
func (c *Call) hideModels(db *gorm.DB, soft bool, send func(*gorm.DB)) (returned []reflect.Value, hidden reflect.Value) {
	stmt := db.Statement
	model, dest, target := stmt.Model, stmt.Dest, stmt.ReflectValue
	defer func() { stmt.Model, stmt.Dest, stmt.ReflectValue = model, dest, target }()
	fresh := reflect.New(reflect.SliceOf(reflect.PointerTo(c.Model.ModelType)))
	hidden = reflect.New(c.Model.ModelType)
	if soft {
		fresh.Elem().Set(reflect.Append(fresh.Elem(), hidden))
	}
	stmt.Dest = fresh.Interface()
	stmt.Model, stmt.ReflectValue = stmt.Dest, fresh.Elem()
	if found, ok := stmt.Clauses["RETURNING"]; ok {
		found.Name, found.Expression = "RETURNING", clause.Returning{}
		stmt.Clauses["RETURNING"] = found
	}
	send(db)
	for i := range fresh.Elem().Len() {
		if found := fresh.Elem().Index(i); found.Pointer() != hidden.Pointer() {
			returned = append(returned, found.Elem())
		}
	}
	return returned, hidden.Elem()
}

// canReturn tells whether what a statement returns ends up in the model of the row, and in nothing else.
func (c *Call) canReturn(r *rows.Row) bool {
	target := c.Stmt.ReflectValue
	return r.Key != nil && target.Kind() == reflect.Struct && target.CanAddr() && r.Model.CanAddr() &&
		target.Addr().Pointer() == r.Model.Addr().Pointer() && (c.Op != conflict.OpDelete || c.Stmt.Dest == r.Model.Addr().Interface())
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
func (c *Call) whereRow(compared bool) {
	conditions := c.room.where[:0]
	if own, _ := c.Own.Expression.(clause.Where); len(own.Exprs) > 0 {
		conditions = append(conditions, clauses.Group{Conditions: own.Exprs})
	}
	if len(c.rows) > 0 {
		row := rows.Condition{Model: c.Model, Key: c.rows[0].Key, IsCompared: compared}
		if compared {
			row.Version = c.comparedWith(&c.rows[0])
		}
		if c.Op == conflict.OpDelete && c.isPassed(c.rows[0].Model) {
			row.Key = nil
		}
		c.writeNow()
		if row.Key != nil || compared {
			c.room.condition = row
			conditions = append(conditions, &c.room.condition)
		}
	}
	if len(conditions) > 0 {
		found := c.Own
		found.Name, found.Expression = "WHERE", clause.Where{Exprs: conditions}
		c.Stmt.Clauses["WHERE"] = found
	}
}

// isPassed tells the model that was itself passed to a Delete, whose key GORM adds; it does not always add that of the
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

// run has GORM build and send the statement.
func (c *Call) run(set clause.Set, gormWrite func(*gorm.DB)) {
	if set != nil {
		c.room.set = clauses.Set{Stmt: c.Stmt, Set: set}
		c.Stmt.Clauses["SET"] = clause.Clause{Name: "SET", Expression: &c.room.set}
	}
	gormWrite(c.DB)
}

package write

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/session"
	"github.com/gorm-occ/occ/internal/value"
)

// targets are assignments as an UPDATE of two tables wants them: saying which table they are of, or not saying it.
func (c *Call) targets(set clause.Set) clause.Set {
	table := ""
	if c.Dialect.UpdateJoins() {
		table = clause.CurrentTable
	}
	targets := make(clause.Set, len(set))
	for i, assignment := range set {
		assignment.Column.Table = table
		targets[i] = assignment
	}
	return targets
}

// groupedWhere is the caller's conditions in parentheses and further ones.
func (c *Call) groupedWhere(conditions []clause.Expression) clause.Clause {
	if own, _ := c.Own.Expression.(clause.Where); len(own.Exprs) > 0 {
		conditions = append([]clause.Expression{clauses.Group{Conditions: own.Exprs}}, conditions...)
	}
	return clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: conditions}}
}

// trace logs a statement that GORM itself does not: it logs one for each call.
func trace(db *gorm.DB, began time.Time) {
	stmt := db.Statement
	db.Logger.Trace(stmt.Context, began, func() (string, int64) {
		sql, vars := stmt.SQL.String(), stmt.Vars
		if filter, ok := db.Logger.(gorm.ParamsFilter); ok {
			sql, vars = filter.ParamsFilter(stmt.Context, sql, vars...)
		}
		return db.Dialector.Explain(sql, vars...), db.RowsAffected
	}, db.Error)
}

// mayBeUnchanged tells a database that does not count rows that it found and that hold already what they were to be set
// to; with a version of the plugin's own there are none.
func (c *Call) mayBeUnchanged() bool {
	return (c.Model.Version.ByDatabase || c.keepsVersion) && c.Op != conflict.OpDelete && c.Dialect.CountsChangedRows
}

// orNothing gives an UPDATE that sets nothing else something to set.
func (c *Call) orNothing(set clause.Set) clause.Set {
	if len(set) > 0 || c.Op == conflict.OpDelete || len(c.Model.PrimaryFields) == 0 {
		return set
	}
	key := clause.Column{Name: c.Model.PrimaryFields[0].DBName}
	return clause.Set{{Column: key, Value: key}}
}

// givenMaps are what the call was given in place of models: a map, a slice of them, or another slice or map. It is nil for
// a model, which must not be taken out of its reflect.Value: that copies it.
func (c *Call) givenMaps() any {
	dest := value.Indirect(reflect.ValueOf(c.Stmt.Dest))
	if dest.Kind() != reflect.Map && dest.Kind() != reflect.Slice {
		return nil
	}
	return dest.Interface()
}

func (c *Call) eachModel(do func(index int, model reflect.Value) error) error {
	target := c.Stmt.ReflectValue
	switch target.Kind() {
	case reflect.Struct:
		return do(0, target)
	case reflect.Slice, reflect.Array:
		for i := range target.Len() {
			if err := do(i, value.Indirect(target.Index(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Call) isDuplicateKey(err error) bool {
	return err != nil && (errors.Is(err, gorm.ErrDuplicatedKey) || c.Dialect.IsDuplicateKey(err))
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

// takeOutcome has the write's own statement end as the one beside it did.
func (c *Call) takeOutcome(beside *gorm.DB) {
	if c.DB.DryRun {
		c.Stmt.SQL.Reset()
		c.Stmt.SQL.WriteString(beside.Statement.SQL.String())
		c.Stmt.Vars = beside.Statement.Vars
	}
	c.DB.Error, beside.Error = beside.Error, nil
}

// withModels has do see some of the call's models alone, so that the keys that the database generates land on them.
func (c *Call) withModels(rows []rows.Row, do func()) {
	stmt := c.Stmt
	target, dest := stmt.ReflectValue, stmt.Dest
	defer func() { stmt.ReflectValue, stmt.Dest = target, dest }()
	if len(rows) == 1 {
		stmt.ReflectValue, stmt.Dest = rows[0].Model, rows[0].Model.Addr().Interface()
	} else {
		models := reflect.New(reflect.SliceOf(reflect.PointerTo(c.Model.ModelType)))
		for _, r := range rows {
			models.Elem().Set(reflect.Append(models.Elem(), r.Model.Addr()))
		}
		stmt.ReflectValue, stmt.Dest = models.Elem(), models.Interface()
	}
	stmt.SQL.Reset()
	stmt.Vars = nil
	c.DB.RowsAffected = 0
	do()
}

// returns tells whether the statement that was built gives back the rows it wrote.
func (c *Call) returns() bool {
	_, ok := c.Stmt.Clauses["RETURNING"]
	return ok && slices.Contains(c.Stmt.BuildClauses, "RETURNING")
}

// conflictFields are what an upsert compares to find out whether a row is there.
func (c *Call) conflictFields(conflict clause.OnConflict) []*schema.Field {
	if len(conflict.Columns) == 0 {
		return c.Model.PrimaryFields
	}
	fields := make([]*schema.Field, 0, len(conflict.Columns))
	for _, column := range conflict.Columns {
		if field := c.Model.LookUpField(column.Name); field != nil {
			fields = append(fields, field)
		}
	}
	return fields
}

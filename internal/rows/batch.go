package rows

import (
	"database/sql/driver"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/batch"
	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/dialect"
)

// Column is a column of the values of a batch, and how a row gets its value.
type Column struct {
	batch.Column
	Of func(*Row) any
}

// Names that a model's own columns will not have: conditions and expressions of the caller stay unambiguous.
const (
	keyColumn      = "occ_key"
	ExpectedColumn = "occ_expected"
	NextColumn     = "occ_next"
	indexColumn    = "occ_index"
)

// KeyColumns are the key by which a row is found.
func (s *Site) KeyColumns(by *Lookup) []Column {
	fields := by.Fields(s.Model)
	columns := make([]Column, len(fields))
	for i, field := range fields {
		columns[i].Name, columns[i].Like = fmt.Sprintf("%s_%d", keyColumn, i+1), field.DBName
		columns[i].Of = func(r *Row) any { return r.Key[i] }
	}
	return columns
}

// ColumnsMatch are the conditions that a row of the table is the one that the values are for.
func (s *Site) ColumnsMatch(columns []Column) []clause.Expression {
	conditions := make([]clause.Expression, len(columns), len(columns)+2)
	for i, column := range columns {
		value := s.Dialect.NotSearched(column.Ref())
		conditions[i] = clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: column.Like}, Value: value}
	}
	return conditions
}

// ValuesFirst is the clause that names the table, with values that the statement starts with and the index by which it goes
// on from them.
func (s *Site) ValuesFirst(name string, given clause.Clause, values batch.Table, index clause.Expression) clause.Clause {
	first := clauses.Expressions{}
	if given.AfterNameExpression != nil {
		first = append(first, given.AfterNameExpression)
	}
	if update, ok := given.Expression.(clause.Update); ok && update.Modifier != "" {
		first = append(first, clause.Expr{SQL: update.Modifier})
		update.Modifier, given.Expression = "", update
	}
	given.Name, given.AfterNameExpression = name, append(first, values, clause.Expr{SQL: "STRAIGHT_JOIN"})
	if index != nil {
		given.AfterExpression = index
	}
	if settings := s.Dialect.Settings(true); settings != nil && name == "UPDATE" {
		given.BeforeExpression = settings
	}
	return given
}

// VarsInReserve are parameters that GORM adds by itself, for soft deletes say.
const VarsInReserve = 16

// CountVars counts the parameters of expressions by building them.
func (s *Site) CountVars(expressions ...clause.Expression) int {
	scratch := s.Scratch()
	for _, expression := range expressions {
		expression.Build(scratch)
	}
	return len(scratch.Vars)
}

// Scratch is a statement on the write's table that is built and thrown away.
func (s *Site) Scratch() *gorm.Statement {
	tx := s.DB.Session(&gorm.Session{NewDB: true, Context: s.Ctx})
	stmt := tx.Model(s.Model.NewModel()).Statement
	stmt.Schema, stmt.Table, stmt.TableExpr = s.Model.Schema, s.Stmt.Table, s.Stmt.TableExpr
	return stmt
}

// Part is the values of one statement.
type Part [][]any

func (p Part) Table(w *Site, columns []Column) batch.Table {
	table := batch.Table{Dialect: *w.Dialect, Rows: p, Columns: make([]batch.Column, len(columns))}
	var elements map[string]dialect.Element
	if len(p) > 1 {
		elements = w.elements()
	}
	for i, column := range columns {
		table.Columns[i] = column.Column
		table.Columns[i].Element = elements[column.Like]
	}
	return table
}

// maxBatchBytes keeps a statement far from the packet sizes that servers refuse: 16 MB by default on MariaDB.
const maxBatchBytes = 4 << 20

// Split divides rows into statements that the database takes, in the order of their keys.
func (s *Site) Split(columns []Column, rows []*Row, otherVars int) (parts []Part) {
	rows = InKeyOrder(rows)
	limit := max(s.Dialect.MaxVars-otherVars, len(columns))
	part, vars, bytes := make(Part, 0, min(len(rows), limit/len(columns))), 0, 0
	all := make([]any, len(rows)*len(columns))
	for n, r := range rows {
		values := all[n*len(columns):][:len(columns):len(columns)]
		rowVars, rowBytes := 0, 0
		for i, column := range columns {
			values[i] = column.Of(r)
			valueVars, valueBytes := s.measure(values[i])
			rowVars, rowBytes = rowVars+valueVars, rowBytes+valueBytes
		}
		if len(part) > 0 && (vars+rowVars > limit || bytes+rowBytes > maxBatchBytes) {
			parts, part, vars, bytes = append(parts, part), nil, 0, 0
		}
		part, vars, bytes = append(part, values), vars+rowVars, bytes+rowBytes
	}
	return append(parts, part)
}

// measure returns how many parameters a value takes, and about how many bytes.
func (s *Site) measure(value any) (vars, bytes int) {
	if IsOneVar(value) {
		return 1, sizeOf(value)
	}
	scratch := s.Scratch()
	scratch.AddVar(scratch, value)
	for _, part := range scratch.Vars {
		bytes += sizeOf(part)
	}
	return len(scratch.Vars), bytes
}

// IsOneVar reports whether GORM makes one parameter of a value: not of an expression, or of a list that is no bytes.
func IsOneVar(value any) bool {
	switch value.(type) {
	case clause.Expression, gorm.Valuer, clause.Column, *gorm.DB:
		return false
	case driver.Valuer, []byte:
		return true
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		return v.Len() > 0 && isOfBytes(v)
	case reflect.Map:
		return false
	}
	return true
}

// sizeOf is about how many bytes a value takes in a statement.
func sizeOf(value any) int {
	const others = 16
	switch v := value.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	}
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return others
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.String || isOfBytes(v) {
		return v.Len()
	}
	valuer, ok := value.(driver.Valuer)
	if !ok {
		return others
	}
	switch sent, _ := valuer.Value(); sent := sent.(type) { // the statement meets the error
	case string:
		return len(sent)
	case []byte:
		return len(sent)
	}
	return others
}

func isOfBytes(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Array) && v.Type().Elem() == reflect.TypeFor[byte]()
}

// Unprepared is the connection below GORM's prepared statements: every size of a batch is another text, and would fill
// their cache.
func Unprepared(pool gorm.ConnPool) gorm.ConnPool {
	switch prepared := pool.(type) {
	case *gorm.PreparedStmtTX:
		return prepared.Tx
	case *gorm.PreparedStmtDB:
		return prepared.ConnPool
	}
	return pool
}

// RunUnprepared has a statement run on the connection of a pool, below GORM's prepared statements, until done is called.
func RunUnprepared(stmt *gorm.Statement, pool gorm.ConnPool) (done func()) {
	before := stmt.ConnPool
	stmt.ConnPool = Unprepared(pool)
	return func() { stmt.ConnPool = before }
}

// MaxKeys is how many keys a query names at most; databases limit parameters.
const MaxKeys = 1000

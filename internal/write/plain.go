package write

import (
	"database/sql/driver"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/intent"
	"github.com/gorm-occ/occ/internal/model"
)

// The statement that writes one row, by its key and version and with nothing of the caller's but columns and values, has the
// same text each time. It is kept once GORM has built it and its parameters were seen to be exactly the values, the key and the
// version, in this order. Then GORM is given text and parameters: it builds only what is not built yet.

// runCompared runs the statement of one row with the version in its conditions.
func (p *plan) runCompared(set clause.Set, send func(*gorm.DB)) (int64, error) {
	vars, isPlain := p.plainVars(set)
	if !isPlain {
		p.whereRow(true)
		return p.run(set, send)
	}
	key := model.TextKey{Table: p.Stmt.Table, IsUnscoped: p.Stmt.Unscoped, IsDelete: p.isDelete()}
	columns := p.columnsOf(set)
	if text := p.Model.Texts.Of(key, columns); text != "" {
		_, _ = p.Stmt.SQL.WriteString(text)
		p.Stmt.Vars = vars
		p.Stmt.Clauses["WHERE"] = builtWhere
		return p.execute(p.DB, send)
	}
	p.whereRow(true)
	affected, err := p.run(set, send)
	if err == nil && hasVars(p.Stmt.Vars, vars) {
		p.Model.Texts.Keep(key, columns, p.Stmt.SQL.String())
	}
	return affected, err
}

// builtWhere has GORM see that there are conditions, where the text has them.
var builtWhere = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 1"}}}}

// plainVars returns the parameters of a plain statement: the values that are set, the key and the version, in the order in
// which they stand in its text. GORM puts the key of a delete behind the version.
func (p *plan) plainVars(set clause.Set) (vars []any, isPlain bool) {
	r := &p.rows[0]
	if !p.hasPlainStatement() || p.isDelete() && (p.isSoftDelete() || !isPassed(p.Stmt, r.Model)) {
		return nil, false
	}
	version := p.Model.Version.Kind.Bind(r.Expected)
	vars = make([]any, 0, len(set)+len(r.Key)+1)
	for _, assignment := range set {
		column := assignment.Column
		if column.Raw || column.Table != "" || column.Alias != "" {
			return nil, false
		}
		vars = append(vars, assignment.Value)
	}
	if p.isDelete() {
		vars = append(append(vars, version), r.Key...)
	} else {
		vars = append(append(vars, r.Key...), version)
	}
	isDistinct := !slices.Contains(r.Key, version) // else the text does not show which is which
	return vars, isDistinct && !slices.ContainsFunc(vars, isNotPlain)
}

// hasPlainStatement reports whether the statement has nothing but what the text depends on.
func (p *plan) hasPlainStatement() bool {
	r, known := &p.rows[0], 1 // the call itself
	if _, expects := p.Stmt.Clauses[intent.ExpectClause]; expects {
		known++
	}
	return p.Model.HasPlainStatements && len(p.Stmt.Clauses) == known && p.Stmt.TableExpr == nil && len(p.Stmt.Joins) == 0 &&
		len(r.Key) > 0 && !p.Model.Version.Kind.IsZero(r.Expected)
}

// columnsOf returns the names of the columns that are set, in room of the call's.
func (p *plan) columnsOf(set clause.Set) []string {
	columns := p.room.columns[:0]
	for _, assignment := range set {
		columns = append(columns, assignment.Column.Name)
	}
	p.room.columns = columns
	return columns
}

func hasVars(vars, expected []any) bool {
	return slices.EqualFunc(vars, expected, func(a, b any) bool {
		return reflect.TypeOf(a) == reflect.TypeOf(b) && (isBytes(a) || a == b)
	})
}

func isBytes(value any) bool {
	_, ok := value.([]byte)
	return ok
}

// isNotPlain reports whether GORM makes anything but one parameter of a value, or may: of an expression, or a list.
func isNotPlain(value any) bool {
	switch value.(type) {
	case nil, string, []byte, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, time.Time:
		return false
	case driver.Valuer, gorm.Valuer, clause.Expression:
		return true
	}
	switch rv := reflect.ValueOf(value); rv.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64:
		return false
	default:
		return !rv.CanInt() && !rv.CanUint()
	}
}

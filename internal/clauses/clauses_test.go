package clauses

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/utils/tests"
)

func build(t *testing.T, expression func(stmt *gorm.Statement) clause.Expression) (sql string, vars []any) {
	t.Helper()
	db, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{})
	require.NoError(t, err)
	stmt := &gorm.Statement{DB: db, Table: "parts", Clauses: map[string]clause.Clause{}}
	expression(stmt).Build(stmt)
	return stmt.SQL.String(), stmt.Vars
}

func TestSQLOfExpressions(t *testing.T) {
	a, b := clause.Eq{Column: "a", Value: 1}, clause.Eq{Column: "b", Value: 2}
	for want, expression := range map[string]clause.Expression{
		"NOT `a` = ?":           Prefixed{"NOT ", a},
		"`a` = ? `b` = ?":       Expressions{a, b},
		"(`a` = ? OR `b` = ?)":  AnyOf{a, b},
		"(`a` = ? AND `b` = ?)": Group{[]clause.Expression{a, b}},
		",`a`=?":                FurtherAssignments{{Column: clause.Column{Name: "a"}, Value: 1}},
		"":                      FurtherAssignments{},
	} {
		sql, _ := build(t, func(*gorm.Statement) clause.Expression { return expression })
		require.Equal(t, want, sql)
	}
}

func TestSetSaysWhatGORMsSetSays(t *testing.T) {
	for _, set := range []clause.Set{
		nil,
		{{Column: clause.Column{Name: "a"}, Value: 1}},
		{{Column: clause.Column{Name: "a"}, Value: nil}, {Column: clause.Column{Table: "p", Name: "b"}, Value: "x"}},
		{{Column: clause.Column{Name: "a b"}, Value: clause.Expr{SQL: "a + ?", Vars: []any{1}}}},
	} {
		wantSQL, wantVars := build(t, func(*gorm.Statement) clause.Expression { return set })
		sql, vars := build(t, func(stmt *gorm.Statement) clause.Expression { return &Set{Stmt: stmt, Set: set} })
		require.Equal(t, wantSQL, sql)
		require.Equal(t, wantVars, vars)
	}
}

func TestWriteEqWritesWhatGORMsEqWrites(t *testing.T) {
	for _, value := range []any{1, "a", nil, []int{1, 2}, clause.Expr{SQL: "b"}, uint64(7)} {
		wantSQL, wantVars := build(t, func(*gorm.Statement) clause.Expression { return clause.Eq{Column: "a", Value: value} })
		sql, vars := build(t, func(*gorm.Statement) clause.Expression { return eq{value} })
		require.Equal(t, wantSQL, sql)
		require.Equal(t, wantVars, vars)
	}
}

type eq struct{ value any }

func (e eq) Build(builder clause.Builder) { WriteEq(builder, "a", []any{e.value}) }

func TestIsExpression(t *testing.T) {
	for _, expression := range []any{clause.Expr{}, clause.Column{}, &gorm.DB{}} {
		require.True(t, IsExpression(expression), "%T", expression)
	}
	for _, value := range []any{nil, 1, "a + 1", struct{}{}} {
		require.False(t, IsExpression(value), "%T", value)
	}
}

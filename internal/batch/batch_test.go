package batch

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/utils/tests"

	"github.com/gorm-occ/occ/internal/dialect"
)

func TestATableOfValues(t *testing.T) {
	db, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{})
	require.NoError(t, err)
	columns := []Column{{Name: "position"}, {Name: "name", Like: "name"}}
	const like = "SELECT 0 AS `position`,`name` AS `name` FROM `parts` WHERE 1 = 0"
	for dialectName, want := range map[string]string{
		"postgres": "(VALUES (NULL::bigint,(SELECT `name` FROM `parts` WHERE 1 = 0)),(0,?),(1,?)) AS `excluded`(`position`,`name`)",
		"mysql":    "(" + like + " UNION ALL SELECT 0,? UNION ALL SELECT 1,?) AS `excluded`",
		"sqlite":   "(" + like + " UNION ALL SELECT value ->> 0,value ->> 1 FROM json_each(?)) AS `excluded`",
	} {
		statement := &gorm.Statement{DB: db, Table: "parts", Clauses: map[string]clause.Clause{}}
		Table{Dialect: dialect.Named(dialectName), Columns: columns, Rows: [][]any{{0, "a"}, {1, nil}}}.Build(statement)
		require.Equal(t, want, statement.SQL.String(), dialectName)
		if dialectName == "sqlite" {
			require.Equal(t, []any{`[[0,"a"],[1,null]]`}, statement.Vars)
		} else {
			require.Equal(t, []any{"a", nil}, statement.Vars, dialectName)
		}
	}
}

func TestATableOfArrays(t *testing.T) {
	db, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{})
	require.NoError(t, err)
	columns := []Column{{Name: "position"}, {Name: "name", Like: "name", Element: dialect.AnyElement}}
	for _, rows := range [][][]any{{{0, "a"}, {1, nil}}, {{0, "a"}}} {
		statement := &gorm.Statement{DB: db, Table: "parts", Clauses: map[string]clause.Clause{}}
		Table{Dialect: dialect.Named("postgres"), Columns: columns, Rows: rows}.Build(statement)
		require.Equal(t, "unnest(COALESCE(NULL::bigint[], ?),COALESCE((SELECT array_agg(`name`) FROM `parts` WHERE 1 = 0), ?))"+
			" AS `excluded`(`position`,`name`)", statement.SQL.String())
		require.Len(t, statement.Vars, 2)
	}
}

type named string

func TestJSONHoldsWhatAParameterWouldStore(t *testing.T) {
	seven, none := 7, (*int)(nil)
	for want, value := range map[string]any{
		"null": nil, "-1": int8(-1), "9223372036854775807": uint64(math.MaxInt64), "1": true, "0": false, `"a\"b"`: `a"b`, `"n"`: named("n"), "7": &seven,
	} {
		text, ok := jsonOf([][]any{{value}})
		require.True(t, ok, "%v", value)
		require.Equal(t, "[["+want+"]]", text)
	}
	text, ok := jsonOf([][]any{{none}})
	require.True(t, ok)
	require.Equal(t, "[[null]]", text)
	for _, other := range []any{1.5, time.Now(), []byte("a"), uint64(math.MaxUint64), "\xff", "a\x00b", clause.Expr{SQL: "1"}, struct{}{}} {
		_, ok := jsonOf([][]any{{1, other}})
		require.False(t, ok, "%T", other)
	}
}

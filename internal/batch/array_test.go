package batch

import (
	"database/sql"
	"encoding/json"
	"math"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
)

func TestAnArrayHoldsWhatAParameterWouldStore(t *testing.T) {
	t.Parallel()
	seven, none := 7, (*int)(nil)
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", -12600))
	for _, tt := range []struct {
		element dialect.Element
		value   any
		want    string
	}{
		{dialect.AnyElement, nil, `NULL`},
		{dialect.AnyElement, "", `""`},
		{dialect.AnyElement, "NULL", `"NULL"`},
		{dialect.AnyElement, `a"b\c'd,{}`, `"a\"b\\c'd,{}"`},
		{dialect.AnyElement, named("n"), `"n"`},
		{dialect.AnyElement, "happy", `"happy"`},
		{dialect.AnyElement, uuid.MustParse("00000000-0000-4000-8000-000000000001"), `"00000000-0000-4000-8000-000000000001"`},
		{dialect.IntElement, int8(-1), `-1`},
		{dialect.IntElement, uint64(math.MaxUint64), `18446744073709551615`},
		{dialect.IntElement, &seven, `7`},
		{dialect.IntElement, none, `NULL`},
		{dialect.IntElement, sql.NullInt64{}, `NULL`},
		{dialect.IntElement, &sql.NullInt64{Int64: 5, Valid: true}, `5`},
		{dialect.IntElement, (*sql.NullInt64)(nil), `NULL`},
		{dialect.NumberElement, 1e20, `100000000000000000000`},
		{dialect.NumberElement, 1e300, `1e+300`},
		{dialect.NumberElement, math.Inf(-1), `-Infinity`},
		{dialect.NumberElement, math.NaN(), `NaN`},
		{dialect.NumberElement, float32(0.1), `0.10000000149011612`},
		{dialect.BoolElement, true, `true`},
		{dialect.BytesElement, []byte{0, 0xff}, `"\\x00ff"`},
		{dialect.BytesElement, []byte{}, `"\\x"`},
		{dialect.BytesElement, []byte(nil), `NULL`},
		{dialect.JSONElement, `{"a":1}`, `"{\"a\":1}"`},
		{dialect.InstantElement, at, `"2024-03-01 03:29:59.123456Z"`},
		{dialect.InstantElement, &at, `"2024-03-01 03:29:59.123456Z"`},
		{dialect.LocalTimeElement, at.UTC().Truncate(time.Second), `"2024-03-01 03:29:59Z"`},
	} {
		text, ok := arrayOf([][]any{{tt.value}}, 0, tt.element)
		require.True(t, ok, "%v", tt.value)
		require.Equal(t, "{"+tt.want+"}", text)
	}
}

func TestAnArrayHoldsNothingThatIsNotCertain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		element dialect.Element
		value   any
	}{
		{dialect.NoElement, 1},
		{dialect.AnyElement, 1},
		{dialect.AnyElement, []byte("text")},
		{dialect.JSONElement, []byte("1")},
		{dialect.AnyElement, clause.Expr{SQL: "1"}},
		{dialect.AnyElement, []string{"a"}},
		{dialect.IntElement, true},
		{dialect.IntElement, time.Second}, // pgx makes an interval of it
		{dialect.AnyElement, net.IPv4(1, 2, 3, 4)},
		{dialect.AnyElement, time.Now()},
		{dialect.JSONElement, json.RawMessage("1")}, // pgx makes JSON of JSON
		{dialect.JSONElement, named("1")},
		{dialect.LocalTimeElement, time.Date(2024, 1, 1, 0, 0, 0, 0, time.FixedZone("", -1))},
		{dialect.InstantElement, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{dialect.InstantElement, time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
		{dialect.AnyElement, struct{}{}},
	} {
		_, ok := arrayOf([][]any{{tt.value}}, 0, tt.element)
		require.False(t, ok, "%v", tt.value)
	}
}

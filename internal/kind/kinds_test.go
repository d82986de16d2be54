package kind

import (
	"context"
	"database/sql"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 123456789, time.UTC)

type versioned[V any] struct {
	ID      uint
	Version V
}

// kindsOn are the kinds of a dialect whose columns are all of one type, at noon.
func kindsOn(name, columnType string) *Kinds {
	named := dialect.Named(name)
	return &Kinds{
		Dialect:    &named,
		ColumnType: func(*schema.Field) string { return columnType },
		Now:        func() time.Time { return noon },
	}
}

func fieldOf[V any](t *testing.T) *schema.Field {
	t.Helper()
	parsed, err := schema.Parse(&versioned[V]{}, &sync.Map{}, schema.NamingStrategy{})
	require.NoError(t, err)
	return parsed.LookUpField("Version")
}

func counterOf[V any](t *testing.T, columnType string) Counter {
	t.Helper()
	c, ok := kindsOn("mysql", columnType).newCounter(fieldOf[V](t))
	require.True(t, ok)
	return c
}

func next(t *testing.T, k Kind, current any) any {
	t.Helper()
	version, err := k.Next(context.Background(), current)
	require.NoError(t, err)
	return version
}

func TestCounterNext(t *testing.T) {
	one := int64(1)
	for name, c := range map[string]struct {
		kind          Counter
		current, want any
	}{
		"none":                  {counterOf[int64](t, "bigint"), nil, int64(1)},
		"zero":                  {counterOf[int64](t, "bigint"), int64(0), int64(1)},
		"any":                   {counterOf[int64](t, "bigint"), int64(41), int64(42)},
		"the last of the type":  {counterOf[int64](t, "bigint"), int64(math.MaxInt64), int64(1)},
		"before zero":           {counterOf[int64](t, "bigint"), int64(-1), int64(1)},
		"negative":              {counterOf[int64](t, "bigint"), int64(-7), int64(-6)},
		"the last of int8":      {counterOf[int8](t, "tinyint"), int8(127), int8(1)},
		"the last of uint8":     {counterOf[uint8](t, "tinyint unsigned"), uint8(255), uint8(1)},
		"the last of uint64":    {counterOf[uint64](t, "bigint unsigned"), uint64(math.MaxUint64), uint64(1)},
		"a pointer":             {counterOf[*int64](t, "bigint"), (*int64)(nil), &one},
		"NULL":                  {counterOf[sql.NullInt64](t, "bigint"), sql.NullInt64{}, sql.NullInt64{Int64: 1, Valid: true}},
		"sql.Null of a counter": {counterOf[sql.Null[int32]](t, "int"), sql.Null[int32]{V: 8, Valid: true}, sql.Null[int32]{V: 9, Valid: true}},
	} {
		require.Equal(t, c.want, next(t, c.kind, c.current), name)
	}
}

func TestCounterTakesAnyFormOfAnInteger(t *testing.T) {
	signed, small := counterOf[int64](t, "bigint"), counterOf[uint8](t, "tinyint unsigned")
	seven := 7
	for _, form := range []any{7, int8(7), uint64(7), "7", []byte("7"), float64(7), &seven, sql.NullInt64{Int64: 7, Valid: true}} {
		for _, c := range []struct {
			kind Counter
			want any
		}{{signed, int64(7)}, {small, uint8(7)}} {
			got, err := c.kind.Convert(form)
			require.NoError(t, err, "%T", form)
			require.Equal(t, c.want, got, "%T", form)
		}
	}
	for _, wrong := range []any{nil, 7.5, math.Ldexp(1, 53), float32(1 << 24), "seven", "", true, struct{}{}, uint64(math.MaxUint64)} {
		_, err := signed.Convert(wrong)
		require.Error(t, err, "%T %v", wrong, wrong)
	}
	for _, wrong := range []any{-1, 256} {
		_, err := small.Convert(wrong)
		require.Error(t, err, "%v", wrong)
	}
}

func TestCounterIsAheadTheShorterWayRound(t *testing.T) {
	c := counterOf[int8](t, "tinyint")
	for _, pair := range [][2]int8{{2, 1}, {127, 126}, {1, 127}, {3, 120}} {
		require.True(t, c.IsAhead(pair[0], pair[1]), pair)
		require.False(t, c.IsAhead(pair[1], pair[0]), pair)
	}
	require.False(t, c.IsAhead(int8(5), int8(5)))
}

func TestCounterText(t *testing.T) {
	c := counterOf[uint8](t, "tinyint unsigned")
	field := &Field{Field: fieldOf[uint8](t), Kind: c}
	version, ok := field.FromText("200")
	require.True(t, ok)
	require.Equal(t, uint8(200), version)
	for _, none := range []string{"", "0", "256", "-1", "+1", "01", "1.0", "x", " 1"} {
		_, ok := field.FromText(none)
		require.False(t, ok, "%q", none)
	}
}

func clockOf[V any](t *testing.T, digits string) Clock {
	t.Helper()
	field := fieldOf[V](t)
	c, ok := kindsOn("mysql", "datetime("+digits+")").newClock(field)
	require.True(t, ok)
	return c
}

func TestClockNext(t *testing.T) {
	c := clockOf[time.Time](t, "3")
	require.Equal(t, time.Millisecond, c.Unit)
	now := noon.Truncate(time.Millisecond)
	for name, times := range map[string][2]time.Time{
		"after none":                {{}, now},
		"after an earlier one":      {now.Add(-time.Hour), now},
		"after the same":            {now, now.Add(time.Millisecond)},
		"after a later one":         {now.Add(time.Hour), now.Add(time.Hour + time.Millisecond)},
		"after one of another zone": {now.In(time.FixedZone("", 3600)), now.Add(time.Millisecond)},
	} {
		require.Equal(t, times[1], next(t, c, times[0]), name)
	}
	require.Equal(t, sql.NullTime{Time: now, Valid: true}, next(t, clockOf[sql.NullTime](t, "3"), sql.NullTime{}))
}

func TestClockComparesInstants(t *testing.T) {
	c := clockOf[time.Time](t, "6")
	elsewhere := noon.In(time.FixedZone("", -7200))
	require.True(t, c.IsSame(noon, elsewhere))
	require.False(t, c.IsSame(noon, noon.Add(1)))
	require.True(t, c.IsAhead(noon.Add(1), elsewhere))
	require.False(t, c.IsAhead(noon, elsewhere))
	require.True(t, c.IsZero(time.Time{}))
	require.True(t, c.IsZero(nil))
	require.False(t, c.IsZero(noon))
	text, ok := c.Format(elsewhere.Truncate(time.Microsecond))
	require.True(t, ok)
	require.Equal(t, "2030-01-02T12:00:00.123456Z", text)
	back, ok := c.Parse(text)
	require.True(t, ok)
	require.Equal(t, noon.Truncate(time.Microsecond), back)
}

func randomOf[V any](t *testing.T, dialect, columnType string) Random {
	t.Helper()
	r, ok := kindsOn(dialect, columnType).newRandom(&Field{Field: fieldOf[V](t)})
	require.True(t, ok)
	return r
}

func TestRandomVersions(t *testing.T) {
	texts, ids := randomOf[string](t, "sqlite", "text"), randomOf[uuid.UUID](t, "postgres", "uuid")
	require.Equal(t, dialect.UUIDText, texts.Form)
	require.Equal(t, dialect.UUIDNative, ids.Form)
	first, second := next(t, texts, nil), next(t, texts, nil)
	require.NotEqual(t, first, second)
	require.NoError(t, uuid.Validate(first.(string)))
	id := next(t, ids, nil).(uuid.UUID)

	require.True(t, ids.IsSame(id, id))
	require.False(t, ids.IsSame(id, next(t, ids, nil)))
	require.False(t, ids.IsAhead(id, next(t, ids, nil)))
	require.True(t, ids.IsZero(uuid.Nil))
	require.True(t, texts.IsZero(""))
	for _, form := range []any{id, id.String(), id[:], "{" + id.String() + "}"} {
		got, err := ids.Convert(form)
		require.NoError(t, err, "%v", form)
		require.Equal(t, id, got, "%v", form)
	}
	for _, wrong := range []any{"x", 7, nil, []byte{1}} {
		_, err := ids.Convert(wrong)
		require.Error(t, err, "%v", wrong)
	}
	got, err := texts.Convert("any text at all")
	require.NoError(t, err)
	require.Equal(t, "any text at all", got)
}

func TestEscapedText(t *testing.T) {
	for plain, escaped := range map[string]string{
		"": "", "abc": "abc", "*": "%2A", "a*": "a*", "a b": "a%20b", `"`: "%22", "%": "%25", "é": "%C3%A9", "\x00": "%00", "a,b;c": "a%2Cb%3Bc",
	} {
		require.Equal(t, escaped, escape(plain))
		back, err := unescape(escaped)
		require.NoError(t, err)
		require.Equal(t, plain, back)
	}
	for _, wrong := range []string{"%", "%2", "%zz", "a%", "%2g"} {
		_, err := unescape(wrong)
		require.Error(t, err, wrong)
	}
}

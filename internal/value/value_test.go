package value

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm/schema"
)

func TestKeyText(t *testing.T) {
	n, none := 1, (*int)(nil)
	at := time.Date(2030, 1, 2, 12, 0, 0, 5, time.UTC)
	require.Equal(t, KeyText([]any{1, "a"}), KeyText([]any{uint8(1), "a"}))
	require.Equal(t, KeyText([]any{1}), KeyText([]any{&n}))
	require.Equal(t, KeyText([]any{1}), KeyText([]any{sql.NullInt64{Int64: 1, Valid: true}}))
	require.Equal(t, KeyText([]any{at}), KeyText([]any{at.In(time.FixedZone("", 3600))}))
	distinct := [][]any{{1}, {"1"}, {1, 1}, {11}, {"1;1"}, {"1", "1"}, {none}, {"NULL"}, {""}, {}, {at}, {at.Add(1)}, {true}, {[]byte("1")}}
	seen := map[string][]any{}
	for _, key := range distinct {
		require.NotContains(t, seen, KeyText(key), "%v", key)
		seen[KeyText(key)] = key
	}
}

func TestFormatVersion(t *testing.T) {
	seven := 7
	for want, version := range map[string]any{
		"none": nil, "7": &seven, "rev-2": "rev-2", `""`: "", `"a b"`: "a b", `"a\nb=1"`: "a\nb=1", `"a\"b"`: `a"b`,
	} {
		require.Equal(t, want, FormatVersion(version))
	}
	require.Equal(t, "none", FormatVersion((*int)(nil)))
}

func TestFormatVersionOfManyAndLongTexts(t *testing.T) {
	many := make([]string, 40_000)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	long := strings.Repeat("ä", 100_000)

	require.Equal(t, `"[0 1 2 3 4 and 39995 more]"`, FormatVersion(many))
	require.Equal(t, `"[0 1 2 3 4]"`, FormatVersion(many[:5]))
	require.Equal(t, `"[]"`, FormatVersion([]string{}))
	require.Equal(t, `"`+strings.Repeat("ä", 100)+`... (200000 bytes)"`, FormatVersion(long))
	require.Less(t, len(FormatVersion([]string{long, long})), 1000)
}

func TestIsNullable(t *testing.T) {
	for _, nullable := range []any{sql.NullInt64{}, sql.NullTime{}, sql.Null[string]{}, uuid.NullUUID{}} {
		require.True(t, IsNullable(reflect.TypeOf(nullable)), "%T", nullable)
	}
	type lookalike struct {
		V     int
		Valid bool
	}
	for _, other := range []any{1, "", time.Time{}, lookalike{}, struct{}{}} {
		require.False(t, IsNullable(reflect.TypeOf(other)), "%T", other)
	}
}

type valued struct {
	ID     uint
	Number float64
	At     *time.Time
	Text   *string
	JSON   json.RawMessage
	Price  string `gorm:"type:decimal(10,2)"`
	Bytes  []byte
	Null   sql.NullInt64
}

func TestIsSame(t *testing.T) {
	parsed, err := schema.Parse(&valued{}, &sync.Map{}, schema.NamingStrategy{})
	require.NoError(t, err)
	noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	elsewhere, later := noon.In(time.FixedZone("", 3600)), noon.Add(1)
	empty, other := "", "a"
	for name, c := range map[string]struct {
		field  string
		a, b   valued
		isSame bool
	}{
		"instants of two zones": {"At", valued{At: &noon}, valued{At: &elsewhere}, true},
		"two instants":          {"At", valued{At: &noon}, valued{At: &later}, false},
		"NULL and a time":       {"At", valued{}, valued{At: &noon}, false},
		"NULL and empty text":   {"Text", valued{}, valued{Text: &empty}, false},
		"two NULLs":             {"Text", valued{}, valued{}, true},
		"two texts":             {"Text", valued{Text: &empty}, valued{Text: &other}, false},
		"NaN":                   {"Number", valued{Number: math.NaN()}, valued{Number: math.NaN()}, true},
		"JSON with spaces":      {"JSON", valued{JSON: []byte(`{"a":1,"b":2}`)}, valued{JSON: []byte(`{"b": 2, "a": 1}`)}, true},
		"JSON of two meanings":  {"JSON", valued{JSON: []byte(`{"a":1}`)}, valued{JSON: []byte(`{"a":2}`)}, false},
		"decimals":              {"Price", valued{Price: "1.5"}, valued{Price: "1.50"}, true},
		"two decimals":          {"Price", valued{Price: "1.5"}, valued{Price: "1.51"}, false},
		"bytes":                 {"Bytes", valued{Bytes: []byte{1}}, valued{Bytes: []byte{1}}, true},
		"NULL and zero":         {"Null", valued{}, valued{Null: sql.NullInt64{Valid: true}}, false},
	} {
		column := Column{parsed.LookUpField(c.field)}
		a, b := reflect.ValueOf(&c.a).Elem(), reflect.ValueOf(&c.b).Elem()
		require.Equal(t, c.isSame, column.IsSame(context.Background(), a, b), name)
		require.Equal(t, c.isSame, column.IsSame(context.Background(), b, a), name)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	type node struct {
		Bytes []byte
		Map   map[string][]int
		Self  *node
	}
	original := &node{Bytes: []byte{1}, Map: map[string][]int{"a": {1}}}
	original.Self = original

	copied := Clone(reflect.ValueOf(original)).Interface().(*node)
	original.Bytes[0], original.Map["a"][0] = 2, 2

	require.Equal(t, []byte{1}, copied.Bytes)
	require.Equal(t, map[string][]int{"a": {1}}, copied.Map)
	require.Same(t, copied, copied.Self)
	require.NotSame(t, original, copied)
}

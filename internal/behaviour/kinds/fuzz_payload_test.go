package kinds_test

import (
	"database/sql"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// guessed is the model whose row is written with versions that a fuzzer makes up.
type guessed[V any] struct {
	ID   uint
	Text string
	V    V `gorm:"version"`
}

func (guessed[V]) TableName() string {
	return "guessed_" + strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return '_'
		}
		return unicode.ToLower(r)
	}, reflect.TypeFor[V]().String())
}

// width is a type of counter, and the calls that need to know it.
type width struct {
	bits     int
	unsigned bool
	model    func() any // a new one
}

func widthOf[V any](bits int, unsigned bool) width {
	return width{bits, unsigned, func() any { return new(guessed[V]) }}
}

func widths() []width {
	return []width{
		widthOf[occ.Version](64, false), widthOf[int8](8, false), widthOf[int16](16, false), widthOf[int32](32, false),
		widthOf[int64](64, false), widthOf[int](64, false), widthOf[uint8](8, true), widthOf[uint16](16, true),
		widthOf[uint32](32, true), widthOf[uint64](64, true), widthOf[uint](64, true), widthOf[localCounter](16, false),
		widthOf[*int64](64, false), widthOf[sql.NullInt64](64, false), widthOf[sql.NullInt16](16, false),
		widthOf[sql.Null[uint8]](8, true), widthOf[*occ.Version](64, false),
	}
}

// fit cuts a number to what the type holds, and to what every database stores.
func (w width) fit(n int64) int64 {
	if w.unsigned {
		return n & (math.MaxInt64 >> max(63-w.bits, 0))
	}
	shift := 64 - w.bits
	return n << shift >> shift
}

func (w width) holds(n *big.Int) bool {
	if w.unsigned {
		return n.Sign() >= 0 && n.BitLen() <= w.bits
	}
	shifted := new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(w.bits-1)))
	return shifted.Sign() >= 0 && shifted.BitLen() <= w.bits
}

// after is the version that follows n in the column of a database.
func (w width) after(db *gorm.DB, n int64) int64 {
	last := int64(math.MaxInt64)
	if w.bits < 64 {
		last = 1<<w.bits - 1
		if !w.unsigned {
			last >>= 1
		}
	}
	if n == last && (last < math.MaxInt64 || !w.unsigned || db.Name() != "mysql") || n == -1 {
		return 1
	}
	return int64(uint64(n) + 1)
}

func (w width) version(model any) int64 {
	return number(reflect.ValueOf(model).Elem().FieldByName("V").Interface())
}

func (w width) text(model any) string {
	return reflect.ValueOf(model).Elem().FieldByName("Text").String()
}

// store has the table hold one row, and gives the model of it.
func (w width) store(t testing.TB, db *gorm.DB, version int64) any {
	t.Helper()
	model := w.model()
	table := model.(interface{ TableName() string }).TableName()
	require.NoError(t, db.Exec("DELETE FROM "+table).Error)
	require.NoError(t, db.Exec("INSERT INTO "+table+" (id, text, v) VALUES (1, 'a', ?)", version).Error)
	require.NoError(t, db.First(model).Error)
	require.Equal(t, version, w.version(model))
	return model
}

// guess is a write with a version that was made up, of a row at another one.
type guess struct {
	width  uint8
	call   uint8
	stored int64
	form   uint8
	depth  uint8
	n      int64
	f      float64
	text   string
}

// payloadCalls put a value into a payload, in all the ways there are.
var payloadCalls = []func(tx *gorm.DB, model, version any) *gorm.DB{
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).Updates(map[string]any{"text": "b", "v": version})
	},
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).Updates(&map[string]any{"Text": "b", "V": version})
	},
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).UpdateColumns(map[string]any{"text": "b", "v": version})
	},
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).Select("text", "v").Updates(map[string]any{"text": "b", "v": version})
	},
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).Clauses(clause.Set{
			{Column: clause.Column{Name: "v"}, Value: version}, {Column: clause.Column{Name: "text"}, Value: "b"},
		}).Updates(map[string]any{})
	},
}

// expectCalls give a value to Expect.
var expectCalls = []func(tx *gorm.DB, model, version any) *gorm.DB{
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).Clauses(occ.Expect(version)).Update("text", "b")
	},
	func(tx *gorm.DB, model, version any) *gorm.DB {
		reflect.ValueOf(model).Elem().FieldByName("Text").SetString("b")
		return tx.Clauses(occ.Expect(version)).Save(model)
	},
	func(tx *gorm.DB, model, version any) *gorm.DB {
		return tx.Model(model).Clauses(occ.Expect(version)).UpdateColumns(map[string]any{"text": "b", "v": "nonsense"})
	},
}

func (g guess) value() oddValue { return odd(g.form, g.depth, g.n, g.f, g.text) }

// outcome is what the value has to come to: a write, a refusal, or an error.
func (g guess) outcome(w width, v oddValue, isExpect bool) (isWrite, isRefusal bool) {
	stored := big.NewInt(w.fit(g.stored))
	rv := reflect.ValueOf(v.value)
	isNil := v.value == nil || rv.Kind() == reflect.Pointer && rv.IsNil()
	isZero := v.meaning == isNone || v.meaning == isNumber && v.number.Sign() == 0
	switch {
	case v.meaning == isWrong, isExpect && (isNil || v.meaning == isComputed):
		return false, false
	case v.meaning == isComputed, isZero && !isExpect:
		return true, false // the model's own version is compared
	case isZero:
		return stored.Sign() == 0, stored.Sign() != 0
	case !w.holds(v.number):
		return false, false
	}
	return v.number.Cmp(stored) == 0, v.number.Cmp(stored) != 0
}

// check runs a guess on a database and requires that the row was written if and only if it was at exactly that version.
func (g guess) check(t *testing.T, db *gorm.DB, calls []func(tx *gorm.DB, model, version any) *gorm.DB, isExpect bool) {
	w := widths()[int(g.width)%len(widths())]
	v, stored := g.value(), w.fit(g.stored)
	isWrite, isRefusal := g.outcome(w, v, isExpect)
	model := w.store(t, db, stored)
	call := calls[int(g.call)%len(calls)]

	err := call(db, model, v.value).Error

	if v.meaning == isUpToPlugin {
		isWrite, isRefusal = err == nil && isWrite, isRefusal && isStale(err)
	}
	want, text := stored, "a"
	switch {
	case isWrite:
		require.NoError(t, err, "%+v: %T", g, v.value)
		want, text = w.after(db, stored), "b"
	case isRefusal && fitsDatabase(db, v.number):
		require.ErrorIs(t, err, occ.ErrStaleData, "%+v: %T", g, v.value)
	default:
		require.Error(t, err, "%+v: %T", g, v.value)
		require.NotErrorIs(t, err, occ.ErrStaleData, "%+v: %T", g, v.value)
	}
	require.Equal(t, want, w.version(model), "in memory: %+v: %T", g, v.value)
	row := w.model()
	require.NoError(t, db.First(row).Error)
	require.Equal(t, want, w.version(row), "in the row: %+v: %T", g, v.value)
	require.Equal(t, text, w.text(row), "%+v: %T", g, v.value)
}

func isStale(err error) bool {
	return err != nil && strings.Contains(err.Error(), occ.ErrStaleData.Error())
}

// fitsDatabase tells a number that a driver binds: Go's database/sql takes no uint64 beyond the last int64 but on MySQL.
func fitsDatabase(db *gorm.DB, n *big.Int) bool {
	return n == nil || n.IsInt64() || db.Name() == "mysql"
}

func guessSeeds() (seeds []guess) {
	texts := []string{"", "0", "1", "2", "-1", "-0", "+2", "007", " 2", "2 ", "1abc", "1.5", "2.0", "1e0", "0x2", "1_0", "NaN",
		"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "\x00", "٢"}
	floats := []float64{0, math.Copysign(0, -1), 2, 1.5, -2, 1 << 24, 1<<24 + 2, 1 << 53, 1<<53 - 1, 1 << 63, -1 << 63, 1 << 64,
		math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64, math.MaxFloat64}
	numbers := []int64{0, 1, 2, 3, -1, 126, 127, 128, 255, 256, 258, -128, 1<<15 - 1, 1 << 16, 1<<31 - 1, 1<<32 + 2, 1<<53 + 1, math.MaxInt64, math.MinInt64}
	all := len(widths())
	for form := range oddValues {
		for i, text := range texts {
			n := numbers[i%len(numbers)]
			seeds = append(seeds, guess{uint8((form + i) % all), uint8(i), n, uint8(form), uint8(i % 4), n, floats[i%len(floats)], text})
		}
	}
	for i := range numbers {
		for w := range all {
			seeds = append(seeds, guess{uint8(w), uint8(i), numbers[i], uint8(i + w), uint8([]int{0, 1, 2, 3, 129, 130}[w%6]), numbers[(i+w)%len(numbers)], floats[(i+w)%len(floats)], texts[(i+w)%len(texts)]})
		}
	}
	for i, f := range floats { // a row at what a float is said to be
		stored := int64(2)
		if f == f && math.Abs(f) < 1<<62 {
			stored = int64(f)
		}
		seeds = append(seeds, guess{0, 0, stored, 7, uint8(i % 2), 0, f, ""}, guess{4, 0, stored, 8, 0, 0, f, ""})
	}
	return seeds
}

// guessing opens a database with the tables of all widths.
func guessing(t testing.TB, database testdb.Database) *gorm.DB {
	t.Helper()
	var models []any
	for _, w := range widths() {
		models = append(models, w.model())
	}
	return Open(t, database, models)
}

func fuzzGuesses(f *testing.F, calls []func(tx *gorm.DB, model, version any) *gorm.DB, isExpect bool) {
	for _, g := range guessSeeds() {
		f.Add(g.width, g.call, g.stored, g.form, g.depth, g.n, g.f, g.text)
	}
	db := guessing(f, testdb.One(f, "sqlite"))
	f.Fuzz(func(t *testing.T, width, call uint8, stored int64, form, depth uint8, n int64, x float64, text string) {
		guess{width, call, stored, form, depth, n, x, text}.check(t, db, calls, isExpect)
	})
}

// FuzzPayloadVersion writes a row with a payload that holds a version of any form: the row is written if that is exactly
// its version, and is left alone otherwise.
func FuzzPayloadVersion(f *testing.F) { fuzzGuesses(f, payloadCalls, false) }

// FuzzExpect is the same with Expect.
func FuzzExpect(f *testing.F) { fuzzGuesses(f, expectCalls, true) }

// TestGuessedVersions runs the seeds where each driver converts values in its own way.
func TestGuessedVersions(t *testing.T) {
	t.Parallel()
	for _, database := range Only("postgres", "postgres simple protocol", "mariadb") {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := guessing(t, database)
			for i, g := range testdb.Some(guessSeeds(), 5) {
				switch i % 4 { // the others say the same once more
				case 0:
					g.check(t, db, payloadCalls, false)
				case 1:
					g.check(t, db, expectCalls, true)
				}
			}
		})
	}
}

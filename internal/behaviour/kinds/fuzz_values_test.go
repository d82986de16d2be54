package kinds_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// meaning is what a value says as a version, found out by other means than the plugin's.
type meaning int

const (
	isNumber     meaning = iota // a whole number
	isNone                      // NULL, or nothing at all: what says nothing of a version in a payload
	isComputed                  // an expression
	isWrong                     // no number, or one that may be another
	isUpToPlugin                // taken for its number or refused
)

// oddValue is a value that a payload or Expect may be given.
type oddValue struct {
	value   any
	meaning meaning
	number  *big.Int
}

func whole(value any, n int64) oddValue { return oddValue{value, isNumber, big.NewInt(n)} }

func natural(value any, n uint64) oddValue {
	return oddValue{value, isNumber, new(big.Int).SetUint64(n)}
}

func wrong(value any) oddValue { return oddValue{value: value, meaning: isWrong} }

func computed(value any) oddValue { return oddValue{value: value, meaning: isComputed} }

// fraction is a float, exact below limit.
func fraction(value any, f, limit float64) oddValue {
	if math.IsNaN(f) || math.Abs(f) >= limit || f != math.Trunc(f) {
		return wrong(value)
	}
	return whole(value, int64(f))
}

func digits(value any, text string) oddValue {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return wrong(value)
	}
	return oddValue{value, isNumber, n}
}

func nullable(value any, valid bool, otherwise oddValue) oddValue {
	if !valid {
		return oddValue{value: value, meaning: isNone}
	}
	otherwise.value = value
	return otherwise
}

type (
	namedText   string
	namedNumber int32
	// answering is a driver.Valuer: what it answers is not asked for.
	answering struct{ n int64 }
)

func (a answering) Value() (driver.Value, error) { return a.n, nil }

// oddValues are the forms that a value is made in, from what a fuzzer makes up.
var oddValues = []func(n int64, f float64, text string) oddValue{
	func(n int64, _ float64, _ string) oddValue { return whole(n, n) },
	func(n int64, _ float64, _ string) oddValue { return whole(int(n), n) },
	func(n int64, _ float64, _ string) oddValue { return whole(int8(n), int64(int8(n))) },
	func(n int64, _ float64, _ string) oddValue { return whole(int16(n), int64(int16(n))) },
	func(n int64, _ float64, _ string) oddValue { return whole(namedNumber(n), int64(int32(n))) },
	func(n int64, _ float64, _ string) oddValue { return natural(uint64(n), uint64(n)) },
	func(n int64, _ float64, _ string) oddValue { return natural(uint8(n), uint64(uint8(n))) },
	func(_ int64, f float64, _ string) oddValue { return fraction(f, f, 1<<53) },
	func(_ int64, f float64, _ string) oddValue {
		return fraction(float32(f), float64(float32(f)), 1<<24)
	},
	func(n int64, _ float64, _ string) oddValue { return fraction(float64(n), float64(n), 1<<53) },
	func(_ int64, _ float64, s string) oddValue { return digits(s, s) },
	func(_ int64, _ float64, s string) oddValue { return digits([]byte(s), s) },
	func(_ int64, _ float64, s string) oddValue { return digits(json.Number(s), s) },
	func(n int64, _ float64, _ string) oddValue {
		return whole(json.Number(strconv.FormatInt(n, 10)), n)
	},
	func(n int64, _ float64, _ string) oddValue { return whole(strconv.FormatInt(n, 10), n) },
	func(n int64, _ float64, s string) oddValue {
		return nullable(sql.NullInt64{Int64: n, Valid: s == ""}, s == "", whole(nil, n))
	},
	func(n int64, _ float64, s string) oddValue {
		return nullable(sql.Null[uint64]{V: uint64(n), Valid: s == ""}, s == "", natural(nil, uint64(n)))
	},
	func(n int64, _ float64, s string) oddValue {
		return nullable(sql.NullString{String: s, Valid: n != 0}, n != 0, digits(nil, s))
	},
	func(n int64, f float64, _ string) oddValue {
		return nullable(sql.NullFloat64{Float64: f, Valid: n != 0}, n != 0, fraction(nil, f, 1<<53))
	},
	func(_ int64, _ float64, s string) oddValue {
		up := digits(namedText(s), s)
		if up.meaning == isNumber {
			up.meaning = isUpToPlugin
		}
		return up
	},
	func(n int64, _ float64, _ string) oddValue { return computed(gorm.Expr("? + 1", n)) },
	func(n int64, _ float64, _ string) oddValue { return computed(clause.Expr{SQL: "?", Vars: []any{n}}) },
	func(_ int64, _ float64, s string) oddValue { return computed(clause.Column{Name: s}) },
	func(n int64, _ float64, _ string) oddValue { return wrong(answering{n}) },
	func(n int64, _ float64, _ string) oddValue { return wrong(hiddenNumber{n, true}) },
	func(n int64, _ float64, _ string) oddValue { return wrong(n == 1) },
	func(n int64, _ float64, _ string) oddValue { return wrong(complex(float64(n), 0)) },
	func(n int64, _ float64, _ string) oddValue { return wrong([]int64{n}) },
	func(n int64, _ float64, _ string) oddValue { return wrong([1]int64{n}) },
	func(n int64, _ float64, s string) oddValue { return wrong(map[string]any{s: n}) },
	func(n int64, _ float64, _ string) oddValue { return wrong(struct{ N int64 }{n}) },
	func(n int64, _ float64, _ string) oddValue { return wrong(time.Unix(n, 0)) },
	func(int64, float64, string) oddValue { return wrong(func() int64 { return 1 }) },
	func(_ int64, _ float64, s string) oddValue { return wrong(json.RawMessage(s)) },
	func(int64, float64, string) oddValue { return oddValue{meaning: isNone} },
}

// odd makes a value in one of the forms, behind up to three pointers, the last of which is nil in the upper half of depth.
func odd(form, depth uint8, n int64, f float64, text string) oddValue {
	made := oddValues[int(form)%len(oddValues)](n, f, text)
	pointers := int(depth % 4)
	if pointers == 0 || made.value == nil {
		return made
	}
	if _, isExpression := made.value.(clause.Expression); made.meaning == isComputed && (pointers > 1 || !isExpression) {
		made.meaning = isWrong // a pointer to an expression is one too
	}
	rv := reflect.ValueOf(made.value)
	if depth >= 128 {
		rv = reflect.Zero(reflect.PointerTo(rv.Type()))
		pointers--
		made.meaning, made.number = isNone, nil
	}
	for range pointers {
		pointer := reflect.New(rv.Type())
		pointer.Elem().Set(rv)
		rv = pointer
	}
	made.value = rv.Interface()
	return made
}

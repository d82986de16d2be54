package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/value"
)

// Counter is the kind of version that counts: first 1, then one more each time, and 1 again after the last value.
// Its values are handled as 64 bits, two's complement where the type is signed.
type Counter struct {
	typ      reflect.Type // the field's own type
	unsigned bool
	Last     uint64
	nextSQL  string          // the next version in SQL, of the column
	box      func(int64) any // makes a value of the field's type where that needs no reflection; else nil
}

func (k *Kinds) counterOf(version *Field) (Kind, error) {
	if counter, serves := k.newCounter(version.Field); serves {
		return counter, nil
	}
	return nil, nil
}

func (k *Kinds) newCounter(field *schema.Field) (Counter, bool) {
	integer := IntegerIn(field.FieldType)
	if integer == nil {
		return Counter{}, false
	}
	c := Counter{typ: field.FieldType, unsigned: isUnsigned(integer.Kind())}
	if field.FieldType == k.Types.Version {
		c.box = k.Types.Box
	}
	bits := integer.Bits()
	if field.Size > 0 && field.Size < bits {
		bits = max(field.Size, narrowest) // the column is narrower than the type
	}
	if !c.unsigned {
		bits--
	}
	c.Last = math.MaxUint64 >> (64 - bits)
	c.Last = min(c.Last, k.Dialect.LastInteger(k.ColumnType(field)))
	c.nextSQL = c.sqlOfNext()
	return c, true
}

// narrowest is how many bits the smallest columns have, whatever size a tag names: of two, a counter would stay at 1.
const narrowest = 8

// IntegerIn is the integer type that t is, points to or holds as sql.NullInt64 and sql.Null[T] do; else nil.
func IntegerIn(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value.IsNullable(t) {
		t = t.Field(0).Type
	}
	switch {
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64, isUnsigned(t.Kind()):
		return t
	}
	return nil
}

func isUnsigned(k reflect.Kind) bool { return k >= reflect.Uint && k <= reflect.Uint64 }

func (c Counter) Next(_ context.Context, current any) (any, error) {
	n, err := c.decode(current)
	if err != nil {
		return nil, err
	}
	return c.encode(c.after(n))
}

func (c Counter) after(n uint64) uint64 {
	switch {
	case n == c.Last, n+1 == 0:
		return 1
	case !c.unsigned && int64(n) > int64(c.Last), c.unsigned && n > c.Last:
		return 1 // beyond what the column can hold
	}
	return n + 1
}

// NextInSQL has its bounds in the text: as parameters they would be of the column's type, which may be narrower than the
// field's.
func (c Counter) NextInSQL(column clause.Column) clause.Expression {
	return clause.Expr{SQL: c.nextSQL, Vars: []any{column, column, column}}
}

func (c Counter) sqlOfNext() string {
	beforeZero := any(int64(-1))
	if c.unsigned {
		beforeZero = c.bindBits(c.Last)
	}
	return fmt.Sprintf("CASE WHEN ? IS NULL OR ? IN (%d,%d) THEN 1 ELSE ? + 1 END", beforeZero, c.bindBits(c.Last))
}

func (c Counter) IsZero(version any) bool {
	if rv := reflect.ValueOf(version); rv.Kind() == reflect.Int64 {
		return rv.Int() == 0
	}
	n, err := c.decode(version)
	return err == nil && n == 0
}

func (c Counter) Stored(version any) any { return version }

func (c Counter) Equals(column clause.Column, value any) clause.Expression {
	return clause.Eq{Column: column, Value: value}
}

func (c Counter) IsSame(a, b any) bool {
	m, errA := c.decode(a)
	n, errB := c.decode(b)
	return errA == nil && errB == nil && m == n
}

func (c Counter) ZeroInSQL() any { return int64(0) }

func (c Counter) Bind(version any) any {
	if rv := reflect.ValueOf(version); rv.Kind() == reflect.Int64 && !c.unsigned {
		return rv.Int()
	}
	n, _ := c.decode(version)
	return c.bindBits(n)
}

func (c Counter) bindBits(n uint64) any {
	if c.unsigned && n > math.MaxInt64 {
		return n
	}
	return int64(n)
}

// IsAhead takes the shorter way round, so that a version that has started again at 1 is still the later one.
func (c Counter) IsAhead(a, b any) bool {
	m, errA := c.decode(a)
	n, errB := c.decode(b)
	if errA != nil || errB != nil || m == n {
		return false
	}
	if c.less(m, n) {
		return c.Last-(n-m) < c.Last/2
	}
	return m-n < c.Last/2
}

func (c Counter) less(m, n uint64) bool {
	if c.unsigned {
		return m < n
	}
	return int64(m) < int64(n)
}

func (c Counter) Convert(version any) (any, error) {
	if version == nil {
		return nil, fmt.Errorf("nil does not fit %s", c.typ)
	}
	n, err := c.decode(version)
	if err != nil {
		return nil, err
	}
	return c.encode(n)
}

// decode takes every form an integer comes in: Go integers and pointers to them, database/sql's nullable types, and what
// JSON makes of one. NULL is 0.
func (c Counter) decode(version any) (uint64, error) {
	switch v := version.(type) {
	case nil:
		return 0, nil
	case json.Number:
		return c.fromText(v.String())
	case string:
		return c.fromText(v)
	case []byte:
		return c.fromText(string(v))
	}
	rv := reflect.ValueOf(version)
	switch {
	case rv.Kind() == reflect.Pointer && rv.IsNil():
		return 0, nil
	case rv.CanInt():
		return c.fromInt(rv.Int())
	case rv.CanUint():
		return c.fromUint(rv.Uint())
	case rv.CanFloat():
		return c.fromFloat(rv)
	case value.IsNullable(rv.Type()):
		return c.fromNullable(rv)
	case rv.Kind() == reflect.Pointer:
		return c.decode(rv.Elem().Interface())
	}
	return 0, fmt.Errorf("%T does not fit %s", version, c.typ)
}

func (c Counter) fromNullable(rv reflect.Value) (uint64, error) {
	if !rv.Field(1).Bool() {
		return 0, nil
	}
	return c.decode(rv.Field(0).Interface())
}

func (c Counter) fromInt(n int64) (uint64, error) {
	if c.unsigned && n < 0 {
		return 0, fmt.Errorf("%d does not fit %s", n, c.typ)
	}
	if !c.unsigned {
		return uint64(n), nil
	}
	return c.fromUint(uint64(n))
}

func (c Counter) fromUint(n uint64) (uint64, error) {
	if !c.unsigned && n > math.MaxInt64 {
		return 0, fmt.Errorf("%d does not fit %s", n, c.typ)
	}
	return n, nil
}

// fromFloat takes whole numbers as far as no two of them are the same float: beyond, one may stand for its neighbour.
func (c Counter) fromFloat(rv reflect.Value) (uint64, error) {
	digits := 53
	if rv.Kind() == reflect.Float32 {
		digits = 24
	}
	f := rv.Float()
	if f != math.Trunc(f) || math.Abs(f) >= math.Ldexp(1, digits) {
		return 0, fmt.Errorf("%v does not fit %s without loss", f, c.typ)
	}
	return c.fromInt(int64(f))
}

func (c Counter) fromText(text string) (uint64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return c.fromInt(n)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q does not fit %s", text, c.typ)
	}
	return c.fromUint(n)
}

// encode gives the bits as the field's type holds them.
func (c Counter) encode(n uint64) (any, error) {
	if c.box != nil {
		return c.box(int64(n)), nil
	}
	version := reflect.New(c.typ).Elem()
	target := version
	for target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if value.IsNullable(target.Type()) {
		target.Field(1).SetBool(true)
		target = target.Field(0)
	}
	if !c.fits(target, n) {
		return nil, fmt.Errorf("%d does not fit %s", n, c.typ)
	}
	if c.unsigned {
		target.SetUint(n)
	} else {
		target.SetInt(int64(n))
	}
	return version.Interface(), nil
}

func (c Counter) fits(target reflect.Value, n uint64) bool {
	if c.unsigned {
		return !target.OverflowUint(n)
	}
	return !target.OverflowInt(int64(n))
}

// Format writes the number in decimal.
func (c Counter) Format(version any) (string, bool) {
	n, err := c.decode(version)
	if err != nil {
		return "", false
	}
	if c.unsigned {
		return strconv.FormatUint(n, 10), true
	}
	return strconv.FormatInt(int64(n), 10), true
}

// Parse takes what the column can hold: beyond that, a driver would not even send it.
func (c Counter) Parse(text string) (any, bool) {
	n, err := c.fromText(text)
	if err != nil || c.unsigned && n > c.Last || !c.unsigned && (int64(n) > int64(c.Last) || int64(n) < -int64(c.Last)-1) {
		return nil, false
	}
	version, err := c.encode(n)
	return version, err == nil
}

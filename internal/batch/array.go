package batch

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
)

// AsArrays has the table be the text of one array for each column. With ok false, the database takes none, or a value has no text
// that is certain to be read as what the driver would have sent.
func (t Table) AsArrays() (_ Table, ok bool) {
	if !t.Dialect.TakesArrays {
		return t, false
	}
	t.arrays = make([]any, len(t.Columns))
	for i, column := range t.Columns {
		element := column.Element
		if column.Like == "" {
			element = dialect.IntElement
		}
		if t.arrays[i], ok = arrayOf(t.Rows, i, element); !ok {
			return t, false
		}
	}
	return t, true
}

// Common is a table of arrays as one that several parts of a statement can name.
type Common struct{ Table }

// Build writes it as it stands behind WITH.
func (c Common) Build(builder clause.Builder) {
	c.writeAlias(builder)
	write(builder, " AS (SELECT * FROM ")
	c.writeUnnest(builder)
	_ = builder.WriteByte(')')
}

// writeUnnest writes what makes the table of its arrays. They have the types of the statement's own columns: a parameter has that
// of what it stands in for.
func (t Table) writeUnnest(builder clause.Builder) {
	write(builder, "unnest(")
	for i, column := range t.Columns {
		if comma(builder, i); column.Like == "" {
			write(builder, "COALESCE(NULL::bigint[], ")
		} else {
			write(builder, "COALESCE((SELECT array_agg(")
			builder.WriteQuoted(column.Like)
			_ = builder.WriteByte(')')
			t.fromNothing(builder)
			write(builder, "), ")
		}
		builder.AddVar(builder, t.arrays[i:i+1]...)
		_ = builder.WriteByte(')')
	}
	_ = builder.WriteByte(')')
}

func arrayOf(rows [][]any, column int, element dialect.Element) (text string, ok bool) {
	if element == dialect.NoElement {
		return "", false
	}
	array := append(make([]byte, 0, 16*len(rows)), '{')
	for i, row := range rows {
		if i > 0 {
			array = append(array, ',')
		}
		if array, ok = appendElement(array, element, row[column]); !ok {
			return "", false
		}
	}
	return string(append(array, '}')), true
}

// appendElement appends what a value of a model's field is as an element of an array.
func appendElement(array []byte, element dialect.Element, value any) (_ []byte, ok bool) {
	if array, ok = appendPlain(array, element, value); ok {
		return array, true
	}
	switch v := value.(type) {
	case gorm.Valuer, clause.Expression, clause.Column, *gorm.DB:
		return array, false
	case driver.Valuer:
		sent, ok := sentBy(v)
		if !ok {
			return array, false
		}
		return appendPlain(array, element, sent)
	}
	if element == dialect.JSONElement { // pgx makes JSON of what is not plain text
		return array, false
	}
	return appendUnderlying(array, element, value)
}

// appendUnderlying appends what a pointer points to, or what a named type is made of.
func appendUnderlying(array []byte, element dialect.Element, value any) (_ []byte, ok bool) {
	rv := reflect.ValueOf(value)
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return append(array, "NULL"...), true
		}
		return appendElement(array, element, rv.Elem().Interface())
	}
	if _, says := value.(fmt.Stringer); says { // which pgx may send in place of the value
		return array, false
	}
	switch {
	case rv.CanInt():
		return appendPlain(array, element, rv.Int())
	case rv.CanUint():
		return appendPlain(array, element, rv.Uint())
	case rv.CanFloat():
		return appendPlain(array, element, rv.Float())
	case rv.Kind() == reflect.Bool:
		return appendPlain(array, element, rv.Bool())
	case rv.Kind() == reflect.String:
		return appendPlain(array, element, rv.String())
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		return appendPlain(array, element, rv.Bytes())
	}
	return array, false
}

// appendPlain appends a value of one of the types that drivers are given most.
func appendPlain(array []byte, element dialect.Element, value any) (_ []byte, ok bool) {
	isInt := element == dialect.IntElement || element == dialect.NumberElement
	switch v := value.(type) {
	case nil:
		return append(array, "NULL"...), true
	case string:
		return appendQuoted(array, v), true
	case int:
		return strconv.AppendInt(array, int64(v), 10), isInt
	case int64:
		return strconv.AppendInt(array, v, 10), isInt
	case uint:
		return strconv.AppendUint(array, uint64(v), 10), isInt
	case uint64:
		return strconv.AppendUint(array, v, 10), isInt
	case bool:
		return strconv.AppendBool(array, v), element == dialect.BoolElement
	case float64:
		return appendFloat(array, v), element == dialect.NumberElement
	case time.Time:
		return appendTime(array, element, v)
	case []byte:
		return appendBytes(array, element, v)
	}
	return array, false
}

// sentBy returns what drivers are given in place of a value that says so itself.
func sentBy(valuer driver.Valuer) (sent driver.Value, ok bool) {
	if rv := reflect.ValueOf(valuer); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil, rv.Type().Elem().Implements(reflect.TypeFor[driver.Valuer]())
	}
	sent, err := valuer.Value()
	return sent, err == nil
}

// appendFloat writes no exponent where integers too are read without one.
func appendFloat(array []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(array, "Infinity"...)
	case math.IsInf(f, -1):
		return append(array, "-Infinity"...)
	case math.Abs(f) >= 1e21:
		return strconv.AppendFloat(array, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(array, f, 'f', -1, 64)
}

// appendTime takes the years that are written alike by all, and for columns without a zone no time that has one: drivers differ
// in which they store. A fraction of a microsecond is cut off, as drivers do.
func appendTime(array []byte, element dialect.Element, t time.Time) (_ []byte, ok bool) {
	_, offset := t.Zone()
	t = t.UTC()
	isFitting := element == dialect.InstantElement || element == dialect.LocalTimeElement && offset == 0
	if year := t.Year(); !isFitting || year < 1 || year > 9999 {
		return array, false
	}
	array = append(array, '"')
	array = t.Truncate(time.Microsecond).AppendFormat(array, "2006-01-02 15:04:05.999999Z")
	return append(array, '"'), true
}

func appendBytes(array []byte, element dialect.Element, value []byte) (_ []byte, ok bool) {
	if value == nil {
		return append(array, "NULL"...), true
	}
	array = append(array, `"\\x`...)
	return append(hex.AppendEncode(array, value), '"'), element == dialect.BytesElement // pgx sends them as text in some protocols
}

// appendQuoted writes text between quotes, where all but these and backslashes stand for themselves.
func appendQuoted(array []byte, text string) []byte {
	array = append(array, '"')
	for i := range len(text) {
		if c := text[i]; c == '"' || c == '\\' {
			array = append(array, '\\')
		}
		array = append(array, text[i])
	}
	return append(array, '"')
}

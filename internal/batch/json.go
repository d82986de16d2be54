package batch

import (
	"database/sql/driver"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// buildJSON writes the table as one parameter, an array of rows. The text of the statement is the same for any number of
// rows then, and short. The table is a UNION here too: that gives its columns the affinities and collations of those they
// are like, and keeps SQLite from reading the array again for each row of another table.
func (t Table) buildJSON(builder clause.Builder, rows string) {
	t.buildLike(builder)
	write(builder, " UNION ALL SELECT ")
	for i := range t.Columns {
		comma(builder, i)
		write(builder, "value ->> "+strconv.Itoa(i))
	}
	write(builder, " FROM json_each(")
	builder.AddVar(builder, rows)
	write(builder, ")) AS ")
	builder.WriteQuoted(Alias)
}

// jsonOf gives rows as JSON; ok is false where a value would not come out of it exactly as a parameter is stored.
func jsonOf(rows [][]any) (text string, ok bool) {
	array := []byte{'['}
	for i, row := range rows {
		if i > 0 {
			array = append(array, ',')
		}
		array = append(array, '[')
		for n, value := range row {
			if n > 0 {
				array = append(array, ',')
			}
			if array, ok = appendJSON(array, value); !ok {
				return "", false
			}
		}
		array = append(array, ']')
	}
	return string(append(array, ']')), true
}

// appendJSON takes integers, truth values and text. Floating-point numbers and times are the drivers' own to convert.
func appendJSON(array []byte, value any) (_ []byte, ok bool) {
	switch value.(type) {
	case nil:
		return append(array, "null"...), true
	case driver.Valuer, gorm.Valuer, clause.Expression:
		return array, false
	}
	rv := reflect.ValueOf(value)
	switch {
	case rv.CanInt():
		return strconv.AppendInt(array, rv.Int(), 10), true
	case rv.CanUint():
		return strconv.AppendUint(array, rv.Uint(), 10), rv.Uint() <= math.MaxInt64
	case rv.Kind() == reflect.Pointer && rv.IsNil():
		return append(array, "null"...), true
	case rv.Kind() == reflect.Pointer:
		return appendJSON(array, rv.Elem().Interface())
	case rv.Kind() == reflect.Bool && rv.Bool():
		return append(array, '1'), true
	case rv.Kind() == reflect.Bool:
		return append(array, '0'), true
	case rv.Kind() == reflect.String:
		return appendText(array, rv.String())
	}
	return array, false
}

// appendText takes what JSON and SQLite can both hold: Go's strings may be no UTF-8, and SQLite's functions stop at a NUL.
func appendText(array []byte, text string) (_ []byte, ok bool) {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return array, false
	}
	quoted, err := json.Marshal(text)
	return append(array, quoted...), err == nil
}

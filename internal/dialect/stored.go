package dialect

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm/clause"
)

// Keep gives a value as it came out of a query, of a column of the type that the driver says, in a form that nobody else
// can change.
func (d Dialect) Keep(columnType string, value any) any {
	switch v := value.(type) {
	case uint64: // go-sql-driver's type depends on whether the query had arguments
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case []byte:
		if d.isBinary(columnType) {
			return bytes.Clone(v)
		}
		return string(v)
	}
	return value
}

// isBinary reports whether a column is of bytes. SQLite has no types of columns, only of values, and its driver gives bytes
// for no other.
func (d Dialect) isBinary(columnType string) bool {
	binary := []string{"BYTEA", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BINARY", "VARBINARY", "BIT", "GEOMETRY"}
	return d.takesAny || slices.Contains(binary, columnType)
}

// Holds is the condition that a column holds what Keep was given. It may be stricter than that, where two stored forms read
// the same; it is never wider, whatever the collation.
func (d Dialect) Holds(column clause.Column, columnType string, value any) clause.Expression {
	if value == nil {
		return clause.Eq{Column: column}
	}
	sql := "? = ?"
	switch d.Name {
	case postgres:
		sql = holdsInPostgres(columnType, value)
	case mysql:
		sql = d.holdsInMySQL(columnType, value)
		if columnType == mysqlFloat {
			return template{sql, []any{column, value, column, asPrinted(value)}}
		}
	case sqlite:
		if _, isText := value.(string); isText {
			sql = "? COLLATE BINARY = ?"
		}
	}
	return template{sql, []any{column, value}}
}

// holdsInPostgres compares what is text to the driver as text: json has no equality, citext and some collations take
// different texts for equal, and numbers keep their trailing zeros. The padding of char(n) would get lost in that.
func holdsInPostgres(columnType string, value any) string {
	switch _, isText := value.(string); {
	case !isText:
		return "? = ?"
	case columnType == "BPCHAR":
		return `? COLLATE "C" = ?`
	}
	return `CAST(? AS text) COLLATE "C" = ?`
}

// mysqlFloat is the one type of column whose values come in two forms: statements without arguments round them to six
// digits.
const mysqlFloat = "FLOAT"

// holdsInMySQL compares text as bytes, since no collation does that and minds trailing spaces everywhere; and what only
// the driver takes for text (decimals, JSON, enumerations) in its text form.
func (d Dialect) holdsInMySQL(columnType string, value any) string {
	switch value.(type) {
	case string:
		return "CAST(CONVERT(? USING utf8mb4) AS BINARY) = CAST(? AS BINARY)"
	case []byte:
		return "CAST(? AS BINARY) = CAST(? AS BINARY)"
	}
	if columnType == mysqlFloat {
		return "(? + 0e0 = ? OR CONCAT(?) + 0e0 = ?)"
	}
	return "? = ?"
}

// template is SQL with a value for each question mark; clause.Expr would make a list of bytes in parentheses.
type template struct {
	sql  string
	vars []any
}

// Build implements clause.Expression.
func (t template) Build(builder clause.Builder) {
	for i, part := range strings.Split(t.sql, "?") {
		if i > 0 {
			builder.AddVar(builder, t.vars[i-1])
		}
		_, _ = builder.WriteString(part)
	}
}

// asPrinted is the number that the digits of a single-precision value stand for in double precision.
func asPrinted(value any) any {
	single, ok := value.(float32)
	if !ok {
		return value
	}
	double, _ := strconv.ParseFloat(strconv.FormatFloat(float64(single), 'g', -1, 32), 64)
	return double
}

// SameStored reports whether two values that Keep gave are the same one.
func (d Dialect) SameStored(columnType string, a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	switch a := a.(type) {
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b)
	}
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.CanFloat() && y.CanFloat() {
		return sameFloat(d.Name == mysql && columnType == mysqlFloat, x.Float(), y.Float())
	}
	return x.Comparable() && y.Comparable() && a == b
}

// sameFloat compares exactly, or, where one of the two may have been rounded, in what was not rounded away.
func sameFloat(maybeRounded bool, a, b float64) bool {
	if a == b || a != a && b != b {
		return true
	}
	return maybeRounded && (sixDigits(a) == b || sixDigits(b) == a)
}

func sixDigits(f float64) float64 {
	const floatDigits = 6
	text := strconv.FormatFloat(f, 'g', floatDigits, 64)
	rounded, _ := strconv.ParseFloat(text, 32)
	return rounded
}

// Canonical gives a value that Keep was given as bytes, the same for values that SameStored takes for the same one. The
// first byte distinguishes NULL, text, numbers, and so on.
func (d Dialect) Canonical(columnType string, value any) []byte {
	switch v := value.(type) {
	case nil:
		return nil
	case time.Time:
		return fmt.Appendf(nil, "t%d.%09d", v.Unix(), v.Nanosecond())
	case []byte:
		return append([]byte{'b'}, v...)
	case string:
		return append([]byte{'s'}, v...)
	}
	rv := reflect.ValueOf(value)
	if !rv.CanFloat() {
		return fmt.Appendf(nil, "v%v", value)
	}
	f := rv.Float()
	if d.Name == mysql && columnType == mysqlFloat {
		f = sixDigits(f)
	}
	if f == 0 {
		f = 0 // of two zeros the one without a sign
	}
	return strconv.AppendFloat([]byte{'f'}, f, 'g', -1, 64)
}

// TakesText reports whether a text can be sent to the database as a parameter at all.
func (d Dialect) TakesText(text string) bool {
	switch d.Name {
	case sqlite:
		return true
	case postgres:
		return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
	}
	return utf8.ValidString(text)
}

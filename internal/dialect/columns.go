package dialect

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// LastInteger is the last value that a column of this type counts to. SQLite's integers are 64 bits whatever they are
// called.
func (d Dialect) LastInteger(columnType string) uint64 {
	name, _, _ := strings.Cut(strings.TrimSpace(columnType), " ")
	name, _, _ = strings.Cut(name, "(")
	bits, known := map[string]int{
		"tinyint": 8, "smallint": 16, "int2": 16, "smallserial": 16, "mediumint": 24,
		"int": 32, "integer": 32, "int4": 32, "serial": 32,
		"bigint": 64, "int8": 64, "bigserial": 64,
	}[name]
	if d.takesAny || !known {
		bits = 64
	}
	if !d.HasUnsigned64 || !strings.Contains(columnType, "unsigned") && known {
		bits-- // one for the sign
	}
	return math.MaxUint64 >> (64 - bits)
}

var precision = regexp.MustCompile(`\((\d)\)`)

// TimeDigits is how many digits of a second a column of this type keeps.
func (d Dialect) TimeDigits(columnType string) int {
	switch digits := precision.FindStringSubmatch(columnType); {
	case d.Name == sqlite:
		return d.sqliteDigits // it is text, as the driver writes it
	case digits != nil:
		n, _ := strconv.Atoi(digits[1])
		return min(n, microseconds) // PostgreSQL takes more, and keeps six
	case d.Name == mysql:
		return 0
	}
	return microseconds
}

// digitsOfDriver asks SQLite which times its driver writes differently: modernc.org/sqlite can be told to write whole
// seconds. Without an answer it believes in all digits.
func (d Dialect) digitsOfDriver(db *gorm.DB) int {
	if d.Name != sqlite || db.ConnPool == nil {
		return nanoseconds
	}
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	nano, micro, milli := true, true, true
	err := db.ConnPool.QueryRowContext(context.Background(), "SELECT ? <> ?, ? <> ?, ? <> ?", at, at.Add(time.Nanosecond),
		at, at.Add(time.Microsecond), at, at.Add(time.Millisecond)).Scan(&nano, &micro, &milli)
	switch {
	case err != nil || nano:
		return nanoseconds
	case micro:
		return microseconds
	case milli:
		return milliseconds
	}
	return 0
}

const (
	milliseconds = 3
	microseconds = 6
	nanoseconds  = 9
)

// SameText compares text byte for byte, whatever the column's collation makes of case, accents and trailing spaces.
func (d Dialect) SameText(column clause.Column, value any) clause.Expression {
	switch d.Name {
	case postgres: // the cast also takes a uuid or citext column; COLLATE alone does not. It drops the blanks that char(n) is read with
		return clause.Expr{SQL: `? IN (CAST(? AS text) COLLATE "C", concat(?) COLLATE "C")`, Vars: []any{value, column, column}}
	case mysql: // both sides in one character set first: the column's may be another one than the connection's
		return clause.Expr{SQL: "CAST(CONVERT(? USING utf8mb4) AS BINARY) = CAST(CONVERT(? USING utf8mb4) AS BINARY)", Vars: []any{column, value}}
	case sqlite:
		return clause.Expr{SQL: "? = ? COLLATE BINARY", Vars: []any{column, value}}
	}
	return clause.Eq{Column: column, Value: value}
}

// SameTime compares instants. SQLite keeps times as text with an offset: those that are not written in UTC are the same
// instant if their seconds and, as numbers, their fractions are.
func (d Dialect) SameTime(column clause.Column, value any) clause.Expression {
	if d.Name != sqlite {
		return clause.Eq{Column: column, Value: value}
	}
	return clause.Expr{
		SQL:  "(? = ? OR (? = ? AND ? = ?))",
		Vars: []any{column, value, sqliteSeconds(column), sqliteSeconds(value), sqliteFraction(column), sqliteFraction(value)},
	}
}

// sqliteSeconds are the whole seconds of a time since 1970, as text. SQLite would round a fraction to milliseconds, and the
// last half of one up to the next second.
func sqliteSeconds(x any) clause.Expr {
	if t, ok := x.(time.Time); ok {
		return clause.Expr{SQL: "?", Vars: []any{strconv.FormatInt(t.Unix(), 10)}}
	}
	instant := strings.ReplaceAll(sqliteWhole, "x", "?")
	return clause.Expr{SQL: "strftime('%s', " + instant + ")", Vars: slices.Repeat([]any{x}, strings.Count(instant, "?"))}
}

// sqliteWhole is a text that SQLite knows without its fraction: what follows that is the zone, here too in two forms.
const sqliteWhole = "substr(x, 1, 19) || CASE substr(" + sqliteZone + ", 1, 1) WHEN ' ' THEN substr(" + sqliteZone + ", 2, 3)" +
	" || ':' || substr(" + sqliteZone + ", 5, 2) ELSE " + sqliteZone + " END"

const sqliteZone = "ltrim(substr(x, 20), '.0123456789')"

// sqliteTime takes the texts that SQLite knows, and the one of modernc.org/sqlite: "2006-01-02 15:04:05.9 +0200 CEST".
func sqliteTime(x string) string {
	const instant = "CASE instr(substr(x, 12), ' ') WHEN 0 THEN x ELSE substr(x, 1, 10 + instr(substr(x, 12), ' '))" +
		" || substr(x, 12 + instr(substr(x, 12), ' '), 3) || ':' || substr(x, 15 + instr(substr(x, 12), ' '), 2) END"
	return strings.NewReplacer("x", x).Replace(instant)
}

func sqliteFraction(x any) clause.Expr {
	if t, ok := x.(time.Time); ok {
		return clause.Expr{SQL: "CAST(? AS REAL)", Vars: []any{fmt.Sprintf("0.%09d", t.Nanosecond())}}
	}
	return clause.Expr{
		SQL:  "CASE instr(?, '.') WHEN 0 THEN 0.0 ELSE CAST('0' || substr(?, instr(?, '.')) AS REAL) END",
		Vars: []any{x, x, x},
	}
}

// NextTime is the time now, or one unit after the column's where that is not later; without now, by the database's own
// clock. It is nil where SQL is less exact than what the column holds.
func (d Dialect) NextTime(column clause.Column, now any, columnType string, unit time.Duration) clause.Expression {
	isLocal := strings.HasPrefix(columnType, "timestamp")
	switch {
	case d.Name == postgres:
		if isLocal = isLocal && !strings.HasPrefix(columnType, "timestamptz") && !strings.Contains(columnType, "with time zone"); now == nil {
			now = clause.Expr{SQL: map[bool]string{false: "clock_timestamp()", true: "(clock_timestamp() AT TIME ZONE 'UTC')"}[isLocal]}
		}
		after := fmt.Sprintf("GREATEST(?, ? + interval '%d microseconds')", unit.Microseconds())
		return clause.Expr{SQL: after, Vars: []any{now, column}}
	case d.Name == mysql:
		bound := now
		if now = (clause.Expr{SQL: "CAST(? AS DATETIME(6))", Vars: []any{bound}}); bound == nil {
			now = clause.Expr{SQL: map[bool]string{false: "UTC_TIMESTAMP(6)", true: "NOW(6)"}[isLocal]}
		}
		// '0000-00-00' is no time to add to: it stands for a row without a version, as NULL does
		after := fmt.Sprintf("GREATEST(?, COALESCE(CASE WHEN ? > '0001-01-01' THEN ? + INTERVAL %d MICROSECOND END, ?))", unit.Microseconds())
		return clause.Expr{SQL: after, Vars: []any{now, column, column, now}}
	case d.Name == sqlite && now == nil:
		return clause.Expr{SQL: sqliteNextTime(), Vars: slices.Repeat([]any{column}, strings.Count(sqliteNextTime(), "?"))}
	}
	return nil
}

// sqliteNextTime counts milliseconds, which is what SQLite's functions know.
func sqliteNextTime() string {
	const format = "'%Y-%m-%d %H:%M:%f+00:00'"
	now := "strftime(" + format + ", 'now')"
	return "COALESCE(max(" + now + ", strftime(" + format + ", " + sqliteTime("?") + ", '+0.001 seconds')), " + now + ")"
}

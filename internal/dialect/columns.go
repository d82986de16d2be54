package dialect

import (
	"math"
	"regexp"
	"strconv"
	"strings"

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
	if d.Name == sqlite || !known {
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
		return nanoseconds // it is text, as the driver writes it
	case digits != nil:
		n, _ := strconv.Atoi(digits[1])
		return n
	case d.Name == mysql:
		return 0
	case d.Name == sqlServer:
		return 7
	}
	return microseconds
}

const (
	microseconds = 6
	nanoseconds  = 9
)

// SameText compares text byte for byte, whatever the column's collation makes of case, accents and trailing spaces.
func (d Dialect) SameText(column clause.Column, value any) clause.Expression {
	switch d.Name {
	case postgres: // the cast also takes a uuid or citext column; COLLATE alone does not
		return clause.Expr{SQL: `CAST(? AS text) COLLATE "C" = ?`, Vars: []any{column, value}}
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

// sqliteSeconds takes the texts that SQLite knows, and the one of modernc.org/sqlite: "2006-01-02 15:04:05.9 +0200 CEST".
func sqliteSeconds(x any) clause.Expr {
	const zone = "instr(substr(?, 12), ' ')"
	return clause.Expr{
		SQL: "strftime('%s', CASE " + zone + " WHEN 0 THEN ? ELSE substr(?, 1, 10 + " + zone +
			") || substr(?, 12 + " + zone + ", 3) || ':' || substr(?, 15 + " + zone + ", 2) END)",
		Vars: []any{x, x, x, x, x, x, x, x},
	}
}

func sqliteFraction(x any) clause.Expr {
	return clause.Expr{
		SQL:  "CASE instr(?, '.') WHEN 0 THEN 0.0 ELSE CAST('0' || substr(?, instr(?, '.')) AS REAL) END",
		Vars: []any{x, x, x},
	}
}

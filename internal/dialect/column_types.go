package dialect

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// baseType is a type without its length, precision and attributes.
func baseType(columnType string) string {
	name := strings.ToLower(strings.TrimSpace(columnType))
	if end := strings.IndexAny(name, " ("); end >= 0 {
		name = name[:end]
	}
	return name
}

// HoldsIntegers tells whether a column of this type holds whole numbers, and adds to them. SQLite's columns take any value.
func (d Dialect) HoldsIntegers(columnType string) bool {
	return d.Name == sqlite || slices.Contains([]string{"tinyint", "smallint", "int2", "smallserial", "mediumint", "int", "integer",
		"int4", "serial", "bigint", "int8", "bigserial", "numeric", "decimal"}, baseType(columnType))
}

// HoldsTimes tells whether a column of this type holds instants. SQLite's drivers know by the type which texts are times.
func (d Dialect) HoldsTimes(columnType string) bool {
	return slices.Contains([]string{"timestamp", "timestamptz", "datetime"}, baseType(columnType))
}

// HoldsText tells whether a column of this type holds text. SQLite's columns take any value.
func (d Dialect) HoldsText(columnType string) bool {
	return d.Name == sqlite || slices.Contains([]string{"text", "varchar", "char", "character", "bpchar", "citext",
		"tinytext", "mediumtext", "longtext"}, baseType(columnType))
}

var length = regexp.MustCompile(`\((\d+)\)`)

// MaxLength is how many characters, or bytes, a column of this type takes; SQLite's take all there are.
func (d Dialect) MaxLength(columnType string) int {
	if found := length.FindStringSubmatch(columnType); found != nil && d.Name != sqlite {
		n, _ := strconv.Atoi(found[1])
		return n
	}
	if base := baseType(columnType); d.Name != sqlite && (base == "char" || base == "character") && !strings.Contains(columnType, "varying") {
		return 1
	}
	return math.MaxInt
}

// ChangeType is what stands behind ALTER TABLE to give a column another type; empty where the database cannot.
func (d Dialect) ChangeType(column, columnType, fullType string) string {
	switch d.Name {
	case postgres:
		return "ALTER COLUMN " + column + " TYPE " + columnType + " USING CAST(" + column + " AS " + columnType + ")"
	case mysql:
		return "MODIFY COLUMN " + column + " " + fullType
	}
	return ""
}

package dialect

import (
	"database/sql"
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

// HoldsIntegers reports whether a column of this type holds whole numbers, and adds to them. SQLite's columns take any
// value.
func (d Dialect) HoldsIntegers(columnType string) bool {
	return d.takesAny || slices.Contains([]string{"tinyint", "smallint", "int2", "smallserial", "mediumint", "int", "integer",
		"int4", "serial", "bigint", "int8", "bigserial", "numeric", "decimal"}, baseType(columnType))
}

// HoldsTimes reports whether a column of this type holds instants. SQLite's drivers know by the type which texts are times.
func (d Dialect) HoldsTimes(columnType string) bool {
	return slices.Contains([]string{"timestamp", "timestamptz", "datetime"}, baseType(columnType))
}

// HoldsText reports whether a column of this type holds text. SQLite's columns take any value.
func (d Dialect) HoldsText(columnType string) bool {
	return d.takesAny || slices.Contains([]string{"text", "varchar", "char", "character", "bpchar", "citext",
		"tinytext", "mediumtext", "longtext"}, baseType(columnType))
}

var length = regexp.MustCompile(`\((\d+)\)`)

// MaxLength is how many characters, or bytes, a column of this type takes; SQLite's take all there are.
func (d Dialect) MaxLength(columnType string) int {
	if found := length.FindStringSubmatch(columnType); found != nil && !d.takesAny {
		n, _ := strconv.Atoi(found[1])
		return n
	}
	if base := baseType(columnType); !d.takesAny && (base == "char" || base == "character") && !strings.Contains(columnType, "varying") {
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

// PadsText reports whether a column of this type is read with blanks behind shorter text.
func (d Dialect) PadsText(columnType string) bool {
	return d.Name == postgres && slices.Contains([]string{"char", "character", "bpchar"}, baseType(columnType)) && !strings.Contains(columnType, "varying")
}

// PartitionedQuery asks PostgreSQL whether a table is divided into partitions.
func (d Dialect) PartitionedQuery(t Table) string {
	return "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = to_regclass(" + literal(d.QuoteTable(t)) + ")"
}

// TypeQuery asks for the type of a column, as it is in [Column]. Of MySQL it asks in a way that knows temporary tables, and
// gets what [ScanType] reads.
func (d Dialect) TypeQuery(t Table, column string) string {
	if d.Name == mysql {
		return "SHOW COLUMNS FROM " + d.QuoteTable(t)
	}
	return "SELECT a.attname, CASE y.typtype WHEN 'd' THEN format_type(y.typbasetype, y.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END " +
		"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid " +
		"WHERE a.attrelid = to_regclass(" + literal(d.QuoteTable(t)) + ") AND a.attname = " + literal(column)
}

// ScanType reads the type of a column out of what [Dialect.TypeQuery] gives; empty where there is no such column.
func (d Dialect) ScanType(rows *sql.Rows, column string) (columnType string, err error) {
	names, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var name string
	targets := append([]any{&name, &columnType}, make([]any, max(len(names), 2)-2)...)
	for i := range targets[2:] {
		targets[2+i] = new(sql.RawBytes)
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil || d.SameName(name, column) {
			return strings.ToLower(columnType), err
		}
	}
	return "", rows.Err()
}

package dialect

import (
	"database/sql"
	"slices"
	"strings"
)

// Element is what a column of some type takes as an element of an array: which of Go's values have a text that the type
// reads as what the drivers would have sent.
type Element int

// The elements. What none of them takes is a parameter of its own.
const (
	NoElement        Element = iota // there are no arrays of the type, or they are no table of one column
	AnyElement                      // text, whatever the type makes of it
	JSONElement                     // text that is JSON
	BytesElement                    // bytes
	BoolElement                     // truth values
	IntElement                      // whole numbers
	NumberElement                   // numbers
	InstantElement                  // times
	LocalTimeElement                // times without a zone, or days
)

// ElementsQuery asks for the columns of a table, and for the type of each that arrays can be made of. It has a parameter, any
// text. There are no rows where the driver says of such a parameter that it is text: the database then makes no array of it.
func (d Dialect) ElementsQuery(t Table) string {
	return "SELECT a.attname, CASE WHEN t.typarray = 0 OR t.typdelim <> ',' OR y.typcategory = 'A' THEN '' ELSE format_type(y.oid, NULL) END " +
		"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid " +
		"JOIN pg_catalog.pg_type y ON y.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END " +
		"WHERE a.attrelid = to_regclass(" + literal(d.QuoteTable(t)) + ") AND NOT a.attisdropped " +
		"AND pg_typeof(CAST('' AS bytea) || $1) = CAST('bytea' AS regtype)"
}

// ScanElements reads what [Dialect.ElementsQuery] gives.
func ScanElements(rows *sql.Rows) (map[string]Element, error) {
	elements := map[string]Element{}
	for rows.Next() {
		var name, columnType string
		if err := rows.Scan(&name, &columnType); err != nil {
			return nil, err
		}
		elements[name] = ElementOf(columnType)
	}
	return elements, rows.Err()
}

var elements = map[Element][]string{
	JSONElement:      {"json", "jsonb"},
	BytesElement:     {"bytea"},
	BoolElement:      {"boolean", "bool"},
	IntElement:       {"smallint", "int2", "smallserial", "integer", "int", "int4", "serial", "bigint", "int8", "bigserial", "xid", "oid"},
	NumberElement:    {"numeric", "decimal", "real", "float4", "float8", "double"},
	InstantElement:   {"timestamptz"},
	LocalTimeElement: {"timestamp", "date"},
}

// ElementOf returns what a column of a type takes as an element of an array.
func ElementOf(columnType string) Element {
	base := baseType(columnType)
	if base == "" || strings.HasPrefix(base, "_") || strings.ContainsAny(columnType, "[]") || strings.Contains(strings.ToLower(columnType), " array") {
		return NoElement
	}
	if strings.Contains(columnType, "with time zone") {
		base += "tz"
	}
	for element, types := range elements {
		if slices.Contains(types, base) {
			return element
		}
	}
	return AnyElement
}

// IsOtherType reports whether a statement failed since a column is of another type than it was.
func (d Dialect) IsOtherType(err error) bool {
	f, ok := d.faultIn(err)
	return ok && d.Name == postgres && (strings.HasPrefix(f.state, dataException) || strings.HasPrefix(f.state, syntaxOrAccess))
}

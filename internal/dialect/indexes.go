package dialect

import (
	"database/sql"
	"slices"
	"strings"

	"gorm.io/gorm/clause"
)

// Index is an index of a table on MySQL or MariaDB.
type Index struct {
	Name     string
	IsUnique bool
	Columns  []string // in their order; empty for an expression, or for a part of a column
}

// PrimaryIndex is the name of every primary key.
const PrimaryIndex = "PRIMARY"

// IndexesOf, with a table behind it, is the query that [ScanIndexes] reads. It knows temporary tables, as the information
// schema does not.
const IndexesOf = "SHOW INDEX FROM "

// ByIndex, behind a table, has a statement use the index and not read the table as a whole.
func ByIndex(name string) clause.Expression {
	return clause.Expr{SQL: "FORCE INDEX (?)", Vars: []any{clause.Column{Name: name}}, WithoutParentheses: true}
}

// ScanIndexes reads what [IndexesOf] gives. Servers differ in how many columns that has.
func ScanIndexes(rows *sql.Rows) (indexes []Index, err error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	value := func(name string) sql.NullString {
		at := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		if at < 0 {
			return sql.NullString{}
		}
		return values[at]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		isHidden := value("Visible").String == "NO" || value("Ignored").String == "YES" // an error to ask for, on MySQL and on MariaDB
		if kind := value("Index_type").String; isHidden || kind == "FULLTEXT" || kind == "SPATIAL" {
			continue
		}
		name, column := value("Key_name").String, value("Column_name").String
		if value("Sub_part").Valid {
			column = ""
		}
		if n := len(indexes); n == 0 || indexes[n-1].Name != name {
			indexes = append(indexes, Index{Name: name, IsUnique: value("Non_unique").String == "0"})
		}
		last := &indexes[len(indexes)-1]
		last.Columns = append(last.Columns, column)
	}
	return indexes, rows.Err()
}

// BestIndex returns the name of the index that leads to the fewest rows for values of columns. That is a unique one of no other
// columns, or the one that begins with most of them. It is empty if none begins with any.
func BestIndex(indexes []Index, columns []string) (best string) {
	most := 0
	for _, index := range indexes {
		found := 0
		for found < len(index.Columns) && slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, index.Columns[found]) }) {
			found++
		}
		if index.IsUnique && found == len(index.Columns) {
			found = len(columns) + 1 // better than any that is not
		}
		if found > most {
			best, most = index.Name, found
		}
	}
	return best
}

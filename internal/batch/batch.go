// Package batch puts rows of values into a statement as a table that it can join, so that one UPDATE writes many rows,
// each with values of its own.
package batch

import (
	"strconv"

	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Alias is the name of the values in a statement. ON CONFLICT DO UPDATE calls the row that was not inserted so, which
// gives the assignments of an upsert the same meaning in an UPDATE.
const Alias = "excluded"

// Column is a column of the values.
type Column struct {
	Name string
	// Like is the column of the statement's own table whose type this one has; empty for an integer that is written
	// into the statement instead of being bound.
	Like string
	// Element is what that column takes as an element of an array.
	Element dialect.Element
}

// Ref is the column as the statement calls it.
func (c Column) Ref() clause.Column { return clause.Column{Table: Alias, Name: c.Name} }

// Table is the values as a table: an expression for FROM, JOIN and USING.
type Table struct {
	Dialect dialect.Dialect
	Columns []Column
	Rows    [][]any
	arrays  []any // see AsArrays
}

// Build writes the table with its alias. Types come from the statement's own table: a database that is left to guess
// takes a parameter for text.
func (t Table) Build(builder clause.Builder) {
	if arrays, ok := t.AsArrays(); ok {
		arrays.writeUnnest(builder)
		write(builder, " AS ")
		t.writeAlias(builder)
		return
	}
	_ = builder.WriteByte('(')
	if t.Dialect.TypesFromFirstRow {
		t.buildTyped(builder)
		return
	}
	if t.Dialect.TakesJSON {
		if rows, ok := jsonOf(t.Rows); ok {
			t.buildJSON(builder, rows)
			return
		}
	}
	t.buildUnion(builder)
}

func (t Table) buildTyped(builder clause.Builder) {
	write(builder, "VALUES (")
	for i, column := range t.Columns {
		if comma(builder, i); column.Like == "" {
			write(builder, "NULL::bigint")
			continue
		}
		write(builder, "(SELECT ")
		builder.WriteQuoted(column.Like)
		t.fromNothing(builder)
		_ = builder.WriteByte(')')
	}
	_ = builder.WriteByte(')')
	for _, row := range t.Rows {
		write(builder, ",(")
		t.buildRow(builder, row)
		_ = builder.WriteByte(')')
	}
	write(builder, ") AS ")
	t.writeAlias(builder)
}

// writeAlias names the table and its columns.
func (t Table) writeAlias(builder clause.Builder) {
	builder.WriteQuoted(Alias)
	_ = builder.WriteByte('(')
	for i, column := range t.Columns {
		comma(builder, i)
		builder.WriteQuoted(column.Name)
	}
	_ = builder.WriteByte(')')
}

// buildUnion writes a list of VALUES, or a SELECT for each row where not every server understands the list.
func (t Table) buildUnion(builder clause.Builder) {
	t.buildLike(builder)
	first, next, end := " UNION ALL SELECT ", " UNION ALL SELECT ", ""
	if t.Dialect.ListsValues {
		first, next, end = " UNION ALL VALUES (", "),(", ")"
	}
	for i, row := range t.Rows {
		if i == 0 {
			write(builder, first)
		} else {
			write(builder, next)
		}
		t.buildRow(builder, row)
	}
	write(builder, end)
	write(builder, ") AS ")
	builder.WriteQuoted(Alias)
}

// buildLike writes a query of no rows whose columns have the names and types of the table's.
func (t Table) buildLike(builder clause.Builder) {
	write(builder, "SELECT ")
	for i, column := range t.Columns {
		if comma(builder, i); column.Like == "" {
			write(builder, "0")
		} else {
			builder.WriteQuoted(column.Like)
		}
		write(builder, " AS ")
		builder.WriteQuoted(column.Name)
	}
	t.fromNothing(builder)
}

func (t Table) fromNothing(builder clause.Builder) {
	write(builder, " FROM ")
	builder.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	write(builder, " WHERE 1 = 0")
}

func (t Table) buildRow(builder clause.Builder, row []any) {
	for i, value := range row {
		comma(builder, i)
		if n, ok := value.(int); ok && t.Columns[i].Like == "" {
			write(builder, strconv.Itoa(n))
			continue
		}
		builder.AddVar(builder, row[i:i+1]...) // a part of the row: one value alone would be copied to the heap
	}
}

func comma(builder clause.Builder, i int) {
	if i > 0 {
		_ = builder.WriteByte(',')
	}
}

func write(builder clause.Builder, sql string) { _, _ = builder.WriteString(sql) }

package dialect

import "strings"

// Table is the name of a table, without quotes. Schema is the schema or database it is in; empty: the session's own.
type Table struct{ Schema, Name string }

// TableIn reads the name at the beginning of what stands behind FROM, quoted or not, and gives what follows it. It is not
// ok where there is none, as for a sub-query.
func TableIn(sql string) (table Table, rest string, ok bool) {
	rest = sql
	for {
		var name string
		if name, rest = identifierIn(strings.TrimLeft(rest, " \t\n")); name == "" {
			return Table{}, sql, false
		}
		table = Table{Schema: table.Name, Name: name}
		if !strings.HasPrefix(rest, ".") {
			return table, strings.TrimSpace(rest), true
		}
		rest = rest[1:]
	}
}

// identifierIn reads an identifier; a quote within quotes is written twice.
func identifierIn(sql string) (name, rest string) {
	if sql == "" {
		return "", ""
	}
	quote := strings.IndexByte("\"`[", sql[0])
	if quote < 0 {
		end := strings.IndexAny(sql, " \t\n.,()")
		if end < 0 {
			end = len(sql)
		}
		return sql[:end], sql[end:]
	}
	closing := "\"`]"[quote : quote+1]
	var b strings.Builder
	for rest = sql[1:]; ; rest = rest[1:] {
		part, behind, found := strings.Cut(rest, closing)
		if !found {
			return "", sql
		}
		b.WriteString(part)
		if rest = behind; !strings.HasPrefix(rest, closing) {
			return b.String(), rest
		}
		b.WriteString(closing)
	}
}

// QuoteTable writes the name of a table, with its schema if it has one.
func (d Dialect) QuoteTable(t Table) string {
	if t.Schema == "" {
		return d.quote(t.Name)
	}
	return d.quote(t.Schema) + "." + d.quote(t.Name)
}

func (d Dialect) quote(name string) string {
	mark := d.quoteMark
	return mark + strings.ReplaceAll(name, mark, mark+mark) + mark
}

// SameName reports whether two names, without quotes, are the same column's or table's: SQLite's and MySQL's columns are
// found whatever their case.
func (d Dialect) SameName(a, b string) bool {
	return a == b || d.foldsColumns && strings.EqualFold(a, b)
}

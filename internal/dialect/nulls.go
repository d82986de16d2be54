package dialect

import (
	"regexp"
	"strings"
)

// sqliteTemporary is how the name of the table ends that SQLite's migrator fills in place of one.
const sqliteTemporary = "__temp"

// What names the table and the column: of PostgreSQL and SQLite the text of the error, of MySQL the statement.
var (
	postgresNulls = regexp.MustCompile(`column "(?<column>.+)" of relation "(?<table>.+)"`)
	sqliteNulls   = regexp.MustCompile(`NOT NULL constraint failed: (?<table>.+)` + sqliteTemporary + `\.(?<column>.+?)(?: \(\d+\))?$`)
	mysqlNulls    = regexp.MustCompile("^ALTER TABLE (?:`(?<schema>[^`]+)`\\.)?`(?<table>[^`]+)` MODIFY COLUMN `(?<column>[^`]+)` .*NOT NULL")
)

// NullsIn returns the column that a statement of GORM's migrator failed on since it was to become NOT NULL and rows hold NULL
// there.
func (d Dialect) NullsIn(query string, err error) (table Table, column string, ok bool) {
	f, isKnown := d.faultIn(err)
	switch {
	case !isKnown:
	case d.Name == postgres && f.state == notNullViolation && strings.HasPrefix(query, "ALTER TABLE"):
		return columnIn(postgresNulls, err.Error())
	case d.Name == mysql && (f.number == invalidNull || f.number == dataTruncated):
		return columnIn(mysqlNulls, query)
	case d.Name == sqlite && strings.HasPrefix(query, "INSERT INTO"):
		return columnIn(sqliteNulls, err.Error())
	}
	return Table{}, "", false
}

func columnIn(pattern *regexp.Regexp, text string) (table Table, column string, ok bool) {
	found := pattern.FindStringSubmatch(text)
	if found == nil {
		return Table{}, "", false
	}
	if schema := pattern.SubexpIndex("schema"); schema >= 0 {
		table.Schema = found[schema]
	}
	table.Name = found[pattern.SubexpIndex("table")]
	return table, found[pattern.SubexpIndex("column")], true
}

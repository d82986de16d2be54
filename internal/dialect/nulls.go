package dialect

import (
	"regexp"
	"strings"
)

const (
	notNullViolation  = "23502" // PostgreSQL
	invalidNull       = 1138    // MySQL, MariaDB ER_INVALID_USE_OF_NULL
	dataTruncated     = 1265    // MySQL, MariaDB WARN_DATA_TRUNCATED: what ALTER TABLE says of a NULL
	sqliteTemporary   = "__temp"
	nullsInPostgres   = `column "(.+)" of relation "(.+)"`
	nullsInSQLite     = `NOT NULL constraint failed: (.+?)\.(.+?)(?: \(\d+\))?$`
	modifiedInMariaDB = "^ALTER TABLE `(.+)` MODIFY COLUMN `(.+)` .*NOT NULL"
)

var (
	postgresNulls = regexp.MustCompile(nullsInPostgres)
	sqliteNulls   = regexp.MustCompile(nullsInSQLite)
	mysqlNulls    = regexp.MustCompile(modifiedInMariaDB)
)

// NullsIn returns the column that a statement of GORM's migrator failed on since it was to become NOT NULL and rows hold NULL
// there. SQLite's migrator fills a new table, whose name ends as no other's.
func (d Dialect) NullsIn(query string, err error) (table Table, column string, ok bool) {
	var found []string
	switch f, isKnown := d.faultIn(err); {
	case !isKnown:
	case d.Name == postgres && f.state == notNullViolation && strings.HasPrefix(query, "ALTER TABLE"):
		if found = postgresNulls.FindStringSubmatch(err.Error()); found != nil {
			found[1], found[2] = found[2], found[1]
		}
	case d.Name == mysql && (f.number == invalidNull || f.number == dataTruncated):
		found = mysqlNulls.FindStringSubmatch(query)
	case d.Name == sqlite && strings.HasPrefix(query, "INSERT INTO"):
		if found = sqliteNulls.FindStringSubmatch(err.Error()); found != nil && !strings.HasSuffix(found[1], sqliteTemporary) {
			return table, "", false
		}
	}
	if found == nil {
		return table, "", false
	}
	schema, name, isQualified := strings.Cut(found[1], "`.`")
	if !isQualified {
		schema, name = "", found[1]
	}
	return Table{Schema: schema, Name: strings.TrimSuffix(name, sqliteTemporary)}, found[2], true
}

package ddl

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/registration"
)

// ExplainNulls has the error of a migration that failed on the NULLs of a version column say what to do.
func ExplainNulls(d *dialect.Dialect) func(*gorm.DB) {
	return func(db *gorm.DB) {
		if db.Error == nil {
			return
		}
		table, column, ok := d.NullsIn(db.Statement.SQL.String(), db.Error)
		if !ok || !registration.IsVersionColumn(column) {
			return
		}
		session := db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context})
		if holds, err := holdsNulls(session, d, table, column); err == nil && !holds {
			return
		}
		db.Error = fmt.Errorf("occ: column %q of table %s holds NULLs, and a version is NOT NULL: give these rows a version, then migrate again:\n\t%s;\n%w",
			column, d.QuoteTable(table), fillNulls(d, table, column, "1"), db.Error)
	}
}

// holdsNulls reports whether rows of a table hold NULL in a column.
func holdsNulls(db *gorm.DB, d *dialect.Dialect, table dialect.Table, column string) (bool, error) {
	var found []int
	query := fmt.Sprintf("SELECT 1 FROM %s WHERE %s IS NULL LIMIT 1", d.QuoteTable(table), quoteColumn(d, column))
	err := db.Raw(query).Scan(&found).Error
	return len(found) > 0, err
}

// fillNulls is the statement that gives a version to the rows that have none.
func fillNulls(d *dialect.Dialect, table dialect.Table, column, version string) string {
	return fmt.Sprintf("UPDATE %s SET %s = %s WHERE %[2]s IS NULL", d.QuoteTable(table), quoteColumn(d, column), version)
}

func quoteColumn(d *dialect.Dialect, name string) string {
	return d.QuoteTable(dialect.Table{Name: name})
}

// Package dialect says what each database can do, and why the plugin has to know. It is the only place that knows a
// dialect's name.
package dialect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// Dialect is what the plugin has to know of one database: the facts of its dialect, and what the driver and the server say.
type Dialect struct {
	Name string
	facts
	// sqliteDigits is how many digits of a second SQLite's driver writes.
	sqliteDigits int
	// UpdateReturning: UPDATE ... RETURNING works. MariaDB has it for INSERT and DELETE alone, whatever GORM's clause
	// list says.
	UpdateReturning bool
	// UpdateReturnsWritten, InsertReturnsWritten: RETURNING shows what the database itself wrote. SQLite's shows the row
	// before its triggers, which are AFTER ones where they write.
	UpdateReturnsWritten, InsertReturnsWritten bool
	// ListsValues: VALUES (1,2),(3,4) is a query. MySQL wants ROW before each row, which TiDB and older servers do not have. All of
	// them understand a SELECT for each row. But on MariaDB, parameters in it make longer types of the columns that they are in
	// UNION with.
	ListsValues bool
	// ReplacesTriggers: MySQL's dialect has CREATE OR REPLACE TRIGGER, which is MariaDB's own.
	ReplacesTriggers bool

	session session // of MariaDB and MySQL
}

// Named returns a dialect of which nothing is known but its facts.
func Named(name string) Dialect {
	return Dialect{Name: name, facts: databases[name], ListsValues: name != mysql}
}

// Of finds out about the database that db was opened with. Of a driver with another name, like names the dialect that its
// database behaves like; it is empty where the driver's own name says so. A dialect that is not known is an error.
func Of(db *gorm.DB, like string) (Dialect, error) {
	name := cmp.Or(like, db.Name())
	if _, isKnown := databases[name]; !isKnown {
		known := strings.Join(slices.Sorted(maps.Keys(databases)), ", ")
		return Dialect{}, fmt.Errorf("the dialect %q is not known: known are %s", name, known)
	}
	return newDialect(db, name), nil
}

func newDialect(db *gorm.DB, name string) Dialect {
	d := Named(name)
	d.UpdateReturning = slices.Contains(db.Callback().Update().Clauses, "RETURNING")
	insertReturning := slices.Contains(db.Callback().Create().Clauses, "RETURNING")
	switch name {
	case postgres:
		d.UpdateReturnsWritten, d.InsertReturnsWritten = d.UpdateReturning, insertReturning
	case sqlite:
		d.sqliteDigits = d.digitsOfDriver(db)
	case mysql:
		d.UpdateReturning, d.InsertReturnsWritten = false, insertReturning
		d.session = sessionOf(db)
		d.session.preparesParams = d.session.isGalera && preparesParams(db)
		d.session.isMariaDB = d.session.isMariaDB || strings.Contains(d.serverVersion(db), mariaDB)
		d.ReplacesTriggers, d.ListsValues = d.session.isMariaDB, d.session.isMariaDB
	}
	return d
}

// Package dialect says what each database can do, and why the plugin has to know. It is the only place that knows a
// dialect's name.
package dialect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Dialect is what the plugin has to know of one database.
type Dialect struct {
	Name string
	// sqliteDigits is how many digits of a second SQLite's driver writes.
	sqliteDigits int
	// HasUnsigned64: the database stores every uint64; the others stop at the last int64.
	HasUnsigned64 bool
	// UpdateReturning: UPDATE ... RETURNING works. MariaDB has it for INSERT and DELETE alone, whatever GORM's clause
	// list says.
	UpdateReturning bool
	// UpdateReturnsWritten, InsertReturnsWritten: RETURNING shows what the database itself wrote. SQLite's shows the row
	// before its triggers, which are AFTER ones where they write.
	UpdateReturnsWritten, InsertReturnsWritten bool
	// CountsChangedRows: rows that hold already what an UPDATE sets them to may not count as affected.
	CountsChangedRows bool
	// HasXmin: rows have PostgreSQL's system columns.
	HasXmin bool
	// ConflictTarget: ON CONFLICT names the unique key it minds. MySQL's ON DUPLICATE KEY minds every one of them.
	ConflictTarget bool
	// CurrentRead makes a SELECT inside a transaction see the rows as they are now instead of its snapshot; nil where
	// no such read exists (PostgreSQL raises 40001 instead) or is needed.
	CurrentRead clause.Expression
	// ReplacesTriggers: MySQL's dialect has CREATE OR REPLACE TRIGGER, which is MariaDB's own.
	ReplacesTriggers bool
	// LockingRead makes a SELECT lock the rows it reads until the transaction ends, and see them as they are now; nil
	// where the dialect has no such clause.
	LockingRead clause.Expression
	// LockAtBegin makes a transaction that has just begun one that holds the lock of the whole database; nil where rows
	// can be locked. SQLite takes that lock with the first write, and it is too late for a transaction that has read what
	// somebody has written since. No driver lets a transaction of its own begin in this mode, but none minds.
	LockAtBegin []string

	session session // of MariaDB and MySQL
}

const (
	mysql     = "mysql"
	postgres  = "postgres"
	sqlite    = "sqlite"
	sqlServer = "sqlserver"
)

// known are the dialects that the plugin knows, as their drivers for GORM name them.
var known = []string{mysql, postgres, sqlite}

// Of finds out about the database that db was opened with. Of a driver with another name, like names the dialect that its
// database behaves like; it is empty where the driver's own name says so. A dialect that is not known is an error.
func Of(db *gorm.DB, like string) (Dialect, error) {
	name := cmp.Or(like, db.Name())
	if !slices.Contains(known, name) {
		return Dialect{}, fmt.Errorf("the dialect %q is not known: known are %s", name, strings.Join(known, ", "))
	}
	return newDialect(db, name), nil
}

func newDialect(db *gorm.DB, name string) Dialect {
	d := Dialect{Name: name, ConflictTarget: true}
	d.UpdateReturning = slices.Contains(db.Callback().Update().Clauses, "RETURNING")
	switch d.Name {
	case mysql, postgres:
		d.LockingRead = clause.Locking{Strength: clause.LockingStrengthUpdate}
	case sqlite:
		d.LockAtBegin = []string{"ROLLBACK", "BEGIN IMMEDIATE"}
		d.sqliteDigits = d.digitsOfDriver(db)
	}
	d.HasXmin = d.Name == postgres
	d.UpdateReturnsWritten = d.Name == postgres && d.UpdateReturning
	d.InsertReturnsWritten = d.Name != sqlite && slices.Contains(db.Callback().Create().Clauses, "RETURNING")
	if d.Name == mysql {
		d.HasUnsigned64, d.UpdateReturning, d.ConflictTarget, d.CountsChangedRows = true, false, false, true
		d.CurrentRead = clause.Locking{Strength: clause.LockingStrengthShare}
		d.session = sessionOf(db)
		d.session.preparesParams = d.session.isGalera && preparesParams(db)
		d.session.isMariaDB = d.session.isMariaDB || strings.Contains(d.serverVersion(db), mariaDB)
		d.ReplacesTriggers = d.session.isMariaDB
	}
	return d
}

package dialect

import (
	"reflect"

	"gorm.io/gorm"
)

// MaxVars is how many parameters one statement may have.
func (d Dialect) MaxVars() int {
	if d.Name == sqlite {
		return 32766
	}
	return 65535 // the protocols of PostgreSQL and MySQL count them in 16 bits
}

// UpdateJoins: an UPDATE with a second table is UPDATE t JOIN v SET ..., whose columns have to say which table they are
// of. The others have UPDATE t SET ... FROM v, whose columns must not.
func (d Dialect) UpdateJoins() bool { return d.Name == mysql }

// TypesFromFirstRow: a list of VALUES takes its types from its first row, and parameters without one are text. The others
// take the types of the query that the list is in UNION with.
func (d Dialect) TypesFromFirstRow() bool { return d.Name == postgres }

// ListsValues: VALUES (1,2),(3,4) is a query. MySQL wants ROW before each row, TiDB and older servers have no such thing; a
// SELECT for each row, which all of them understand, is no way out on MariaDB, where parameters in it make longer types of
// the columns that they are in UNION with.
func (d Dialect) ListsValues() bool { return d.Name != mysql || d.session.isMariaDB }

// ValuesFirst: the planner may start with the table where it takes it for small, and then locks all of it. It has to be
// told to start with the values, and by which index to find the rows.
func (d Dialect) ValuesFirst() bool { return d.Name == mysql }

// RunsRowByRow reports whether a prepared UPDATE that is run for each row is faster than one of all rows: in the process
// itself there is no round trip to save, and the text is parsed once.
func (d Dialect) RunsRowByRow() bool { return d.Name == sqlite }

// TakesDefault reports whether an INSERT can have DEFAULT among its values.
func (d Dialect) TakesDefault() bool { return d.Name != sqlite }

// TakesJSON: a table of values can be one parameter of JSON, and is read from it faster than from SQL, which takes longer
// to parse than to run. It is for databases whose columns take any value as it comes: where they have types of their own,
// a text in JSON and a text as a parameter may end up as different values.
func (d Dialect) TakesJSON() bool { return d.Name == sqlite }

// LocksNamedTable: FOR UPDATE in a query of several tables can say which one it means.
func (d Dialect) LocksNamedTable() bool { return d.Name == postgres }

// ForeignKeyLocksParent: an INSERT takes a lock on the row it refers to that others can have too and that keeps them all
// from writing the row.
func (d Dialect) ForeignKeyLocksParent() bool { return d.Name == mysql }

// LocksWholeDatabase: there are no row locks, and a transaction that has read cannot write any more once another has; it
// has to take the one lock there is first.
func (d Dialect) LocksWholeDatabase() bool { return d.Name == sqlite }

const mariaDB = "MariaDB"

// serverVersion is what the driver of MySQL's dialect has found out about its server; empty where it was told not to ask.
func (d Dialect) serverVersion(db *gorm.DB) string {
	dialector := reflect.Indirect(reflect.ValueOf(db.Dialector))
	if d.Name != mysql || dialector.Kind() != reflect.Struct {
		return ""
	}
	config := reflect.Indirect(dialector.FieldByName("Config"))
	if config.Kind() != reflect.Struct {
		return ""
	}
	version := config.FieldByName("ServerVersion")
	if version.Kind() != reflect.String {
		return ""
	}
	return version.String()
}

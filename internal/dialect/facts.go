package dialect

import "gorm.io/gorm/clause"

// The dialects, as their drivers for GORM name them. SQL Server is not in the table: its errors alone are known.
const (
	mysql     = "mysql"
	postgres  = "postgres"
	sqlite    = "sqlite"
	sqlServer = "sqlserver"
)

// facts are what differs between databases and needs no SQL to say. A new dialect begins with a row in [databases].
type facts struct {
	// quoteMark stands before and behind a name.
	quoteMark string
	// MaxVars is how many parameters one statement may have. The protocols of PostgreSQL and MySQL count them in 16 bits.
	MaxVars int

	// HasUnsigned64: the database stores every uint64; the others stop at the last int64.
	HasUnsigned64 bool
	// takesAny: a column takes any value, whatever its type says.
	takesAny bool
	// LimitsColumns: columns hold what their type says and no more.
	LimitsColumns bool
	// CutsText: a text that is too long may be stored without its end. MySQL does so unless its mode is strict.
	CutsText bool
	// hasUUIDs: there is a column type for UUIDs.
	hasUUIDs bool
	// foldsColumns: columns are found whatever the case of their names.
	foldsColumns bool
	// FoldsTables: tables are found whatever the case of their names. MySQL's are on some systems, which it does not say.
	FoldsTables bool
	// HasXmin: rows have PostgreSQL's system columns.
	HasXmin bool

	// ConflictTarget: ON CONFLICT names the unique key it minds. MySQL's ON DUPLICATE KEY minds every one of them.
	ConflictTarget bool
	// CountsChangedRows: rows that hold already what an UPDATE sets them to may not count as affected.
	CountsChangedRows bool
	// UpdateJoins: an UPDATE with a second table is UPDATE t JOIN v SET ..., whose columns have to say which table they are
	// of. The others have UPDATE t SET ... FROM v, whose columns must not.
	UpdateJoins bool
	// TypesFromFirstRow: a list of VALUES takes its types from its first row, and parameters without one are text. The others
	// take the types of the query that the list is in UNION with.
	TypesFromFirstRow bool
	// ValuesFirst: the planner may start with the table where it takes it for small, and then locks all of it. It has to be
	// told to start with the values, and by which index to find the rows.
	ValuesFirst bool
	// RunsRowByRow: a prepared UPDATE that is run for each row is faster than one of all rows. In the process itself there is
	// no round trip to save, and the text is parsed once.
	RunsRowByRow bool
	// TakesDefault: an INSERT can have DEFAULT among its values.
	TakesDefault bool
	// TakesJSON: a table of values can be one parameter of JSON, and is read from it faster than from SQL, which takes longer
	// to parse than to run. It is for databases whose columns take any value as it comes: where they have types of their own,
	// a text in JSON and a text as a parameter may end up as different values.
	TakesJSON bool
	// TakesArrays: a table of values can be one parameter for each column, the text of an array. The text of the statement is the
	// same for any number of rows then.
	TakesArrays bool
	// WritesAtOnce: an UPDATE can lock and count its rows before it writes the first of them.
	WritesAtOnce bool
	// DDLInTransactions: a statement that changes the schema can be rolled back; elsewhere it commits what went before.
	DDLInTransactions bool

	// CurrentRead makes a SELECT inside a transaction see the rows as they are now instead of its snapshot; nil where
	// no such read exists (PostgreSQL raises 40001 instead) or is needed.
	CurrentRead clause.Expression
	// LockingRead makes a SELECT lock the rows it reads until the transaction ends, and see them as they are now; nil
	// where the dialect has no such clause.
	LockingRead clause.Expression
	// LocksNamedTable: FOR UPDATE in a query of several tables can say which one it means.
	LocksNamedTable bool
	// ForeignKeyLocksParent: an INSERT takes a lock on the row it refers to that others can have too and that keeps them all
	// from writing the row.
	ForeignKeyLocksParent bool
	// LocksWholeDatabase: there are no row locks, and a transaction that has read cannot write any more once another has; it
	// has to take the one lock there is first.
	LocksWholeDatabase bool
	// LockAtBegin makes a transaction that has just begun one that holds the lock of the whole database; nil where rows
	// can be locked. SQLite takes that lock with the first write, and it is too late for a transaction that has read what
	// somebody has written since. No driver lets a transaction of its own begin in this mode, but none minds.
	LockAtBegin []string
}

// databases are the dialects that the plugin knows.
var databases = map[string]facts{
	mysql: {
		quoteMark: "`", MaxVars: 65535,
		HasUnsigned64: true, LimitsColumns: true, CutsText: true, hasUUIDs: true, foldsColumns: true,
		CountsChangedRows: true, UpdateJoins: true, ValuesFirst: true, TakesDefault: true,
		CurrentRead: clause.Locking{Strength: clause.LockingStrengthShare},
		LockingRead: clause.Locking{Strength: clause.LockingStrengthUpdate}, ForeignKeyLocksParent: true,
	},
	postgres: {
		quoteMark: `"`, MaxVars: 65535,
		LimitsColumns: true, hasUUIDs: true, HasXmin: true,
		ConflictTarget: true, TypesFromFirstRow: true, TakesDefault: true, TakesArrays: true, WritesAtOnce: true, DDLInTransactions: true,
		LockingRead: clause.Locking{Strength: clause.LockingStrengthUpdate}, LocksNamedTable: true,
	},
	sqlite: {
		quoteMark: "`", MaxVars: 32766,
		takesAny: true, foldsColumns: true, FoldsTables: true,
		ConflictTarget: true, RunsRowByRow: true, TakesJSON: true, DDLInTransactions: true,
		LocksWholeDatabase: true, LockAtBegin: []string{"ROLLBACK", "BEGIN IMMEDIATE"},
	},
}

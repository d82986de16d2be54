package dialect

import (
	"errors"
	"reflect"
	"slices"
)

// SQLSTATEs and error numbers, with the manuals' names.
const (
	serializationFailure = "40001" // PostgreSQL: another transaction wrote the row after this one's snapshot
	deadlockDetected     = "40P01" // PostgreSQL
	lockNotAvailable     = "55P03" // PostgreSQL: lock_timeout, NOWAIT
	uniqueViolation      = "23505" // PostgreSQL

	recordChanged   = 1020 // MariaDB ER_CHECKREAD, under innodb_snapshot_isolation
	duplicateEntry  = 1062 // MySQL, MariaDB ER_DUP_ENTRY
	lockWaitTimeout = 1205 // MySQL, MariaDB ER_LOCK_WAIT_TIMEOUT
	lockTableFull   = 1206 // MySQL, MariaDB ER_LOCK_TABLE_FULL
	deadlockFound   = 1213 // MySQL, MariaDB ER_LOCK_DEADLOCK; Galera, for a conflict that it finds at COMMIT
	lockNoWait      = 3572 // MySQL ER_LOCK_NOWAIT
	writeConflict   = 9007 // TiDB, at COMMIT

	deadlockVictim         = 1205 // SQL Server; not to be taken for MySQL's lockWaitTimeout
	lockRequestTimeout     = 1222 // SQL Server
	snapshotUpdateConflict = 3960 // SQL Server, under SNAPSHOT isolation

	sqliteBusy   = 5 // SQLITE_BUSY and its extended codes: another connection has the lock
	sqliteLocked = 6 // SQLITE_LOCKED: another connection of a shared cache has it
)

// IsConflict tells whether the database itself reports with err that a row was changed by somebody else.
func (d Dialect) IsConflict(err error) bool {
	if state, ok := sqlState(err); ok {
		return state == serializationFailure
	}
	number, ok := errorNumber(err)
	return ok && (number == recordChanged || number == snapshotUpdateConflict)
}

// IsTransient tells whether err reports that a transaction got in the way of another one and was not carried out, from
// a statement or from COMMIT: a new transaction may well go through. It takes only what says so in as many words; a lost
// connection, for one, leaves open what became of the transaction.
func (d Dialect) IsTransient(err error) bool {
	if state, ok := sqlState(err); ok {
		return slices.Contains([]string{serializationFailure, deadlockDetected, lockNotAvailable}, state)
	}
	if number, ok := errorNumber(err); ok {
		return slices.Contains([]int64{recordChanged, lockWaitTimeout, deadlockFound, lockNoWait, writeConflict,
			deadlockVictim, lockRequestTimeout, snapshotUpdateConflict}, number)
	}
	code, ok := d.sqliteCode(err)
	return ok && (code == sqliteBusy || code == sqliteLocked)
}

// IsDuplicateKey tells whether err reports that an inserted row has the key of another one.
func (d Dialect) IsDuplicateKey(err error) bool {
	if state, ok := sqlState(err); ok {
		return state == uniqueViolation
	}
	number, ok := errorNumber(err)
	return ok && number == duplicateEntry || d.isSQLiteDuplicate(err)
}

// sqlState finds the SQLSTATE of a PostgreSQL driver's error; pgx and lib/pq both have the method.
func sqlState(err error) (string, bool) {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState(), true
	}
	return "", false
}

// errorNumber finds the number of a MySQL or SQL Server driver's error. Both keep it in an exported field Number and
// have no method for it in common; reading it by name keeps their drivers out of the user's build.
func errorNumber(err error) (int64, bool) { return findField(err, "Number") }

// sqliteCode finds SQLite's primary result code, which is the low byte of an extended one: modernc.org/sqlite has a
// method for it, go-sqlite3 a field. Errors of other packages can look the same, so only SQLite's dialect is asked.
func (d Dialect) sqliteCode(err error) (int64, bool) {
	if d.Name != sqlite {
		return 0, false
	}
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return int64(coded.Code() & 0xff), true
	}
	code, ok := findField(err, "Code")
	return code & 0xff, ok
}

// findField finds an integer field of an error, or of one that it wraps.
func findField(err error, name string) (int64, bool) {
	for err != nil {
		if number, ok := integerField(err, name); ok {
			return number, true
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return findFirst(joined.Unwrap(), name)
		}
		err = errors.Unwrap(err)
	}
	return 0, false
}

func findFirst(errs []error, name string) (int64, bool) {
	for _, err := range errs {
		if number, ok := findField(err, name); ok {
			return number, true
		}
	}
	return 0, false
}

func integerField(err error, name string) (int64, bool) {
	rv := reflect.Indirect(reflect.ValueOf(err))
	if rv.Kind() != reflect.Struct {
		return 0, false
	}
	field := rv.FieldByName(name)
	switch {
	case !field.IsValid():
		return 0, false
	case field.CanInt():
		return field.Int(), true
	case field.CanUint():
		return int64(field.Uint()), true
	}
	return 0, false
}

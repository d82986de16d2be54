package dialect

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
)

// SQLSTATEs and error numbers, with the manuals' names.
const (
	serializationFailure = "40001" // PostgreSQL: another transaction wrote the row after this one's snapshot
	deadlockDetected     = "40P01" // PostgreSQL
	lockNotAvailable     = "55P03" // PostgreSQL: lock_timeout, NOWAIT
	uniqueViolation      = "23505" // PostgreSQL
	notNullViolation     = "23502" // PostgreSQL
	tooManyConnections   = "53300" // PostgreSQL
	connectionException  = "08"    // PostgreSQL: a class
	dataException        = "22"    // PostgreSQL: a class
	syntaxOrAccess       = "42"    // PostgreSQL: a class; types that do not fit are in it
	operatorIntervention = "57P"   // PostgreSQL: the server shuts down, starts, or has crashed

	recordChanged   = 1020 // MariaDB ER_CHECKREAD, under innodb_snapshot_isolation
	gotError        = 1030 // MySQL ER_GET_ERRNO: an error of the storage engine, whose number stands in the text
	tooManyClients  = 1040 // MySQL, MariaDB ER_CON_COUNT_ERROR
	notReady        = 1047 // MySQL, MariaDB ER_UNKNOWN_COM_ERROR; Galera, for a node that is not part of the primary component
	serverShutdown  = 1053 // MySQL, MariaDB ER_SERVER_SHUTDOWN
	duplicateEntry  = 1062 // MySQL, MariaDB ER_DUP_ENTRY
	invalidNull     = 1138 // MySQL, MariaDB ER_INVALID_USE_OF_NULL
	noSuchIndex     = 1176 // MySQL, MariaDB ER_KEY_DOES_NOT_EXITS: a statement asks for an index that is not there
	errorInCommit   = 1180 // MySQL, MariaDB ER_ERROR_DURING_COMMIT
	tooManyOfUser   = 1203 // MySQL, MariaDB ER_TOO_MANY_USER_CONNECTIONS
	lockWaitTimeout = 1205 // MySQL, MariaDB ER_LOCK_WAIT_TIMEOUT
	lockTableFull   = 1206 // MySQL, MariaDB ER_LOCK_TABLE_FULL
	dataTruncated   = 1265 // MySQL, MariaDB WARN_DATA_TRUNCATED: what ALTER TABLE says of a NULL, too
	deadlockFound   = 1213 // MySQL, MariaDB ER_LOCK_DEADLOCK; Galera, for a conflict that it finds at COMMIT
	rolledBack      = 3101 // MySQL ER_TRANSACTION_ROLLBACK_DURING_COMMIT: Group Replication, for a conflict
	lockNoWait      = 3572 // MySQL ER_LOCK_NOWAIT
	writeConflict   = 9007 // TiDB, at COMMIT

	deadlockVictim         = 1205 // SQL Server; not to be taken for MySQL's lockWaitTimeout
	lockRequestTimeout     = 1222 // SQL Server
	snapshotUpdateConflict = 3960 // SQL Server, under SNAPSHOT isolation

	sqliteBusy   = 5 // SQLITE_BUSY and its extended codes: another connection has the lock
	sqliteLocked = 6 // SQLITE_LOCKED: another connection of a shared cache has it
)

// The storage engine's errors that MySQL's Group Replication reports in the text of another one. The server has one more
// 1180, "Not connected to Primary Component", which leaves open what became of the transaction.
const (
	engineDeadlock    = "error 149" // HA_ERR_LOCK_DEADLOCK: at COMMIT, a conflict with another member
	engineNoSavepoint = "error 153" // HA_ERR_NO_SAVEPOINT: the transaction has gone, and its savepoints with it
)

// IsNoSuchIndex reports whether a statement asked for an index that has been dropped.
func (d Dialect) IsNoSuchIndex(err error) bool {
	f, ok := d.faultIn(err)
	return ok && d.Name == mysql && f.number == noSuchIndex
}

// IsConflict reports whether the database itself reports with err that a row was changed by somebody else.
func (d Dialect) IsConflict(err error) bool {
	f, ok := d.faultIn(err)
	switch {
	case !ok:
		return false
	case d.Name == postgres:
		return f.state == serializationFailure
	case d.Name == mysql:
		return f.number == recordChanged
	}
	return d.Name == sqlServer && f.number == snapshotUpdateConflict
}

// IsTransient reports whether err reports that a transaction got in the way of another one and was not carried out, from
// a statement or from COMMIT: a new transaction may well go through. It takes only what says so in as many words; a lost
// connection, for one, leaves open what became of the transaction.
func (d Dialect) IsTransient(err error) bool {
	f, ok := d.faultIn(err)
	if !ok {
		return false
	}
	switch d.Name {
	case postgres:
		return slices.Contains([]string{serializationFailure, deadlockDetected, lockNotAvailable}, f.state)
	case mysql:
		return f.hasLostItsTransaction() ||
			slices.Contains([]int64{recordChanged, lockWaitTimeout, deadlockFound, lockNoWait, writeConflict}, f.number)
	case sqlServer:
		return slices.Contains([]int64{deadlockVictim, lockRequestTimeout, snapshotUpdateConflict}, f.number)
	}
	return f.number&0xff == sqliteBusy || f.number&0xff == sqliteLocked
}

// hasLostItsTransaction reports whether MySQL says that Group Replication has rolled the transaction back.
func (f fault) hasLostItsTransaction() bool {
	return f.number == rolledBack ||
		f.number == errorInCommit && strings.Contains(f.message, engineDeadlock) ||
		f.number == gotError && strings.Contains(f.message, engineNoSavepoint)
}

// IsNotReady reports whether the server refused a statement, and everything before it, because it is not part of its
// cluster at the moment.
func (d Dialect) IsNotReady(err error) bool {
	f, ok := d.faultIn(err)
	return ok && d.Name == mysql && f.number == notReady
}

// IsUnavailable reports whether a BEGIN that failed with err found no server that takes transactions: it may be about to
// come back, or to be replaced.
func (d Dialect) IsUnavailable(err error) bool {
	f, ok := d.faultIn(err)
	switch {
	case !ok:
		return d.isConnectionError(err)
	case d.Name == postgres:
		return f.state == tooManyConnections || f.isConnectionState()
	}
	return d.Name == mysql && slices.Contains([]int64{tooManyClients, notReady, serverShutdown, tooManyOfUser}, f.number)
}

// IsLost reports whether err reports that the connection broke, so that what the server made of the last statement is open.
func (d Dialect) IsLost(err error) bool {
	if f, ok := d.faultIn(err); ok {
		return f.isConnectionState()
	}
	return d.isConnectionError(err)
}

func (f fault) isConnectionState() bool {
	return strings.HasPrefix(f.state, connectionException) || strings.HasPrefix(f.state, operatorIntervention)
}

// isConnectionError reports whether a connection failed by itself, without a word from the server. MySQL's driver has one
// that is known by nothing but its text.
func (d Dialect) isConnectionError(err error) bool {
	for _, known := range []error{driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	_, found := findError(err, func(err error) (struct{}, bool) {
		switch err := err.(type) {
		case *net.OpError, *net.DNSError:
			return struct{}{}, true
		case interface{ SafeToRetry() bool }: // pgx: nothing was sent
			return struct{}{}, err.SafeToRetry()
		}
		return struct{}{}, d.Name == mysql && err.Error() == "invalid connection"
	})
	return found
}

// IsDuplicateKey reports whether err reports that an inserted row has the key of another one.
func (d Dialect) IsDuplicateKey(err error) bool {
	f, ok := d.faultIn(err)
	switch {
	case !ok:
		return false
	case d.Name == postgres:
		return f.state == uniqueViolation
	case d.Name == mysql:
		return f.number == duplicateEntry
	}
	return d.Name == sqlite && slices.Contains([]int64{sqliteConstraintPrimaryKey, sqliteConstraintUnique}, cmp.Or(f.extended, f.number))
}

// IsTransient reports what [Dialect.IsTransient], [Dialect.IsNotReady] and [Dialect.IsUnavailable] report, of an error
// whose database is not known: the drivers' errors say themselves whose they are.
func IsTransient(err error) bool {
	return ofAny(func(d Dialect) bool { return d.IsTransient(err) || d.IsNotReady(err) || d.IsUnavailable(err) })
}

// IsDuplicateKey reports what [Dialect.IsDuplicateKey] reports, of an error whose database is not known.
func IsDuplicateKey(err error) bool {
	return ofAny(func(d Dialect) bool { return d.IsDuplicateKey(err) })
}

func ofAny(tells func(Dialect) bool) bool {
	return slices.ContainsFunc([]string{postgres, mysql, sqlServer, sqlite}, func(name string) bool { return tells(Dialect{Name: name}) })
}

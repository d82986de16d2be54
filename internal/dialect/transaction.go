package dialect

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// State is what a failed statement has left of its transaction.
type State int

// The states of a transaction.
const (
	Open    State = iota // only the statement failed
	Aborted              // the database takes no further statement but a rollback, to a savepoint or of everything
	Gone                 // the database has rolled it back: a further statement would be a transaction of its own
)

// Conn is the connection of a transaction.
type Conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// StateAfter returns the state in which the error of a statement leaves the transaction on conn. Where the error alone does
// not say, the database is asked.
func (d Dialect) StateAfter(ctx context.Context, conn Conn, err error) State {
	f, ok := d.faultIn(err)
	switch {
	case d.Name == sqlite:
		return sqliteStateAfter(ctx, conn, err, ok)
	case !ok:
		return Open
	case d.Name == postgres:
		return Aborted
	case d.Name == mysql:
		return mysqlStateAfter(ctx, conn, f)
	}
	return goneIf(d.Name == sqlServer && slices.Contains([]int64{deadlockVictim, snapshotUpdateConflict}, f.number))
}

func goneIf(gone bool) State {
	if gone {
		return Gone
	}
	return Open
}

// mysqlStateAfter asks about a lock wait timeout, which ends the transaction only if the server was started that way.
func mysqlStateAfter(ctx context.Context, conn Conn, f fault) State {
	if f.number != lockWaitTimeout {
		return goneIf(f.hasLostItsTransaction() ||
			slices.Contains([]int64{deadlockFound, recordChanged, lockTableFull, notReady}, f.number))
	}
	var rollsBack bool
	failed := conn.QueryRowContext(ctx, "SELECT @@innodb_rollback_on_timeout").Scan(&rollsBack)
	return goneIf(failed != nil || rollsBack)
}

// sqliteStateAfter asks by BEGIN, which works only where there is no transaction any more; the one it then begins is
// ended by the rollback that has to follow. A full disk, an interrupted write, a trigger's RAISE(ROLLBACK) and others
// may have ended it, and a context's end may hide that it was an interrupt.
func sqliteStateAfter(ctx context.Context, conn Conn, err error, isCoded bool) State {
	if !isCoded && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return Open
	}
	_, failed := conn.ExecContext(ctx, "BEGIN")
	return goneIf(failed == nil)
}

// Savepoint, RollbackTo and Release are the statements of a savepoint; names are plain identifiers. An empty statement
// is none.
func (d Dialect) Savepoint(name string) string {
	if d.Name == sqlServer {
		return "SAVE TRANSACTION " + name
	}
	return "SAVEPOINT " + name
}

// RollbackTo undoes everything since the savepoint.
func (d Dialect) RollbackTo(name string) string {
	if d.Name == sqlServer {
		return "ROLLBACK TRANSACTION " + name
	}
	return "ROLLBACK TO SAVEPOINT " + name
}

// Release forgets the savepoint; SQL Server has no such statement and needs none.
func (d Dialect) Release(name string) string {
	if d.Name == sqlServer {
		return ""
	}
	return "RELEASE SAVEPOINT " + name
}

// CommitsByItself reports whether a statement outside a transaction is committed on its own. MySQL's sessions can be told
// not to, by autocommit=0.
func (d Dialect) CommitsByItself(ctx context.Context, conn Conn) (commits bool, err error) {
	if d.Name != mysql {
		return true, nil
	}
	err = conn.QueryRowContext(ctx, "SELECT @@autocommit").Scan(&commits)
	return commits, err
}

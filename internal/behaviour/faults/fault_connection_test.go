package faults_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

func TestFaultStatementFails(t *testing.T) {
	t.Parallel()
	fails := fault{
		isFor: func(p faultPoint) bool { return p.isStatement() && strings.HasPrefix(p.name, "before") },
		strike: func(_ *faults, conn driver.Conn, _ context.CancelFunc) error {
			_, err := conn.(driver.ExecerContext).ExecContext(context.Background(), "INSERT INTO no_such_fault VALUES (1)", nil)
			return err
		},
		check: func(t require.TestingT, o outcome) { require.ErrorContains(t, o.err, "no_such_fault") },
	}
	eachFaults(t, []string{"sqlite"}, func(t *testing.T, f *faults) { f.sweepAll(t, faultModes, fails) })
	eachFaults(t, []string{"postgres", "mariadb"}, func(t *testing.T, f *faults) {
		f.sweepAll(t, []faultMode{faultModes[0], inTransaction}, fails)
	})
}

// TestFaultTransactionIsGone has the server roll back the transaction at each statement, and say so, as it does for a deadlock. What
// was sent behind it would be committed by itself: nothing is, whatever the statement was for.
func TestFaultTransactionIsGone(t *testing.T) {
	t.Parallel()
	gone := fault{
		isFor: func(p faultPoint) bool { return p.isStatement() && strings.HasPrefix(p.name, "before") },
		strike: func(_ *faults, conn driver.Conn, _ context.CancelFunc) error {
			_, err := conn.(driver.ExecerContext).ExecContext(context.Background(), "ROLLBACK", nil)
			return errors.Join(&mysql.MySQLError{Number: 1213, Message: "Deadlock found"}, err)
		},
		check:    func(t require.TestingT, o outcome) { require.ErrorContains(t, o.err, "1213") },
		asksAnew: true,
	}
	eachFaults(t, []string{"mariadb"}, func(t *testing.T, f *faults) {
		f.sweepAll(t, []faultMode{faultModes[0], inTransaction, goesOn}, gone)
	})
}

// goesOn passes over the error of a call: the transaction itself has to know that it is gone.
var goesOn = faultMode{name: "in a Transaction that goes on", run: func(db *gorm.DB, do func(*gorm.DB) error) error {
	return occ.Transaction(db, func(tx *gorm.DB) error {
		_ = do(tx)
		return nil
	})
}}

// In Retry, what is lost is not tried again: it may have been carried out.
var inRetry = faultMode{name: "in Retry", run: func(db *gorm.DB, do func(*gorm.DB) error) error {
	runs := 0
	return occ.Retry(db.Statement.Context, db, func(tx *gorm.DB) error {
		if runs++; runs > 1 {
			panic("run again")
		}
		return do(tx)
	}, AtOnce())
}}

var severalStatements = []string{"Save of a slice", "Create with associations", "Rebase", "several calls in a nested Transaction"}

func isSent(p faultPoint) bool {
	return p.isDriver && strings.HasPrefix(p.name, "before")
}

func TestFaultConnectionIsLost(t *testing.T) {
	t.Parallel()
	lost := fault{
		isFor: func(p faultPoint) bool { return isSent(p) || p.name == "after commit" },
		strike: func(f *faults, conn driver.Conn, _ context.CancelFunc) error {
			if err := conn.Close(); err != nil || isSent(f.passed[f.at]) {
				return err // the driver finds out as it sends
			}
			return io.ErrUnexpectedEOF // the answer is lost
		},
		check: func(t require.TestingT, o outcome) {
			require.Error(t, o.err)
			require.Nil(t, o.panicked)
		},
		breaks: true,
	}
	eachFaults(t, []string{"postgres", "mariadb"}, func(t *testing.T, f *faults) {
		f.sweepAll(t, []faultMode{inRetry}, lost)
		f.sweepAll(t, faultModes[:1], lost, severalStatements...)
	})
}

func TestFaultConnectionIsKilled(t *testing.T) {
	t.Parallel()
	eachFaults(t, []string{"postgres", "mariadb"}, func(t *testing.T, f *faults) {
		killer := killerOf(t, f)
		killed := fault{
			isFor: isSent,
			strike: func(_ *faults, conn driver.Conn, _ context.CancelFunc) error {
				killer(conn)
				return nil
			},
			check: func(t require.TestingT, o outcome) {
				require.Error(t, o.err)
				require.Nil(t, o.panicked)
			},
			breaks: true,
		}
		f.sweepAll(t, []faultMode{faultModes[0], inRetry}, killed, severalStatements...)
	})
}

// killerOf ends connections of a test's own from the side of the server.
func killerOf(t *testing.T, f *faults) func(conn driver.Conn) {
	t.Helper()
	admin := f.server.Open(t)
	return func(conn driver.Conn) {
		if postgres, ok := conn.(*stdlib.Conn); ok {
			pid := postgres.Conn().PgConn().PID()
			require.NoError(t, admin.Exec("SELECT pg_terminate_backend(?, 10000)", pid).Error)
			return
		}
		require.NoError(t, admin.Exec(fmt.Sprintf("KILL CONNECTION %d", connectionID(t, conn))).Error)
	}
}

func connectionID(t *testing.T, conn driver.Conn) uint64 {
	t.Helper()
	rows, err := conn.(driver.QueryerContext).QueryContext(context.Background(), "SELECT CAST(connection_id() AS CHAR)", nil)
	require.NoError(t, err)
	defer rows.Close()
	values := make([]driver.Value, 1)
	require.NoError(t, rows.Next(values))
	id, err := strconv.ParseUint(fmt.Sprintf("%s", values[0]), 10, 64)
	require.NoError(t, err)
	return id
}

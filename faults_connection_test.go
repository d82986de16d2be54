package occ_test

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	eachFaults(t, []string{"sqlite", "postgres", "mariadb"}, func(t *testing.T, f *faults) { f.sweepAll(t, faultModes, fails) })
}

func TestFaultConnectionIsLost(t *testing.T) {
	t.Parallel()
	lost := fault{
		isFor: func(p faultPoint) bool { return p.isDriver && !strings.HasSuffix(p.name, "connect") },
		strike: func(_ *faults, conn driver.Conn, _ context.CancelFunc) error {
			return conn.Close() // the driver finds out at its next use
		},
		check:  func(t require.TestingT, o outcome) { require.Error(t, o.err) },
		breaks: true,
	}
	eachFaults(t, []string{"postgres", "mariadb"}, func(t *testing.T, f *faults) { f.sweepAll(t, faultModes, lost) })
}

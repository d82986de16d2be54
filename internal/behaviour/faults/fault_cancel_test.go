package faults_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

func TestFaultContextEnds(t *testing.T) {
	t.Parallel()
	cancelled := fault{
		isFor: func(p faultPoint) bool {
			return !p.isGORMs || strings.HasPrefix(p.name, "after") && !strings.HasSuffix(p.name, "query")
		},
		strike: func(_ *faults, _ driver.Conn, cancel context.CancelFunc) error { cancel(); return nil },
		check: func(t require.TestingT, o outcome) {
			if isLost(o.err) {
				return // what MariaDB's driver says of a connection that it has closed because the context ended
			}
			require.ErrorIs(t, o.err, context.Canceled)
		},
	}
	eachFaults(t, []string{"sqlite"}, func(t *testing.T, f *faults) { f.sweepAll(t, []faultMode{faultModes[0], inTransaction}, cancelled) })
	atStatements := cancelled
	atStatements.isFor = isSent // GORM is the same, drivers are not
	eachFaults(t, []string{"postgres", "mariadb"}, func(t *testing.T, f *faults) {
		f.sweepAll(t, []faultMode{inTransaction}, atStatements)
		f.sweepAll(t, faultModes[:2], atStatements, severalStatements...)
	})
}

func isLost(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn)
}

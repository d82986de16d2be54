package dialect

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"

	driversql "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// The drivers of SQL Server and SQLite keep their codes like this; the latter are met for real in the tests of Retry.
type (
	mssqlError   struct{ Number int32 }
	mattnError   struct{ Code, ExtendedCode int }
	moderncError struct{ code int }
)

func (mssqlError) Error() string       { return "" }
func (mattnError) Error() string       { return "" }
func (moderncError) Error() string     { return "" }
func (e moderncError) Code() int       { return e.code }
func postgresError(s string) error     { return &pgconn.PgError{Code: s} }
func mysqlError(n uint16) error        { return &driversql.MySQLError{Number: n} }
func of(name string) (d Dialect)       { d.Name = name; return d }
func wrap(err error) error             { return fmt.Errorf("one: %w", errors.Join(io.EOF, err)) }
func transient(d string, e error) bool { return of(d).IsTransient(e) }

func TestWhatIsWorthAnotherTry(t *testing.T) {
	for _, tt := range []struct {
		dialect string
		err     error
		want    bool
	}{
		{postgres, postgresError("40001"), true},
		{postgres, postgresError("40P01"), true},
		{postgres, postgresError("55P03"), true},
		{postgres, postgresError("25P02"), false},
		{postgres, postgresError("23505"), false},
		{postgres, postgresError("57P01"), false},
		{mysql, mysqlError(1020), true},
		{mysql, mysqlError(1205), true},
		{mysql, mysqlError(1213), true},
		{mysql, mysqlError(3572), true},
		{mysql, mysqlError(9007), true},
		{mysql, mysqlError(1062), false},
		{mysql, driversql.ErrInvalidConn, false},
		{sqlServer, mssqlError{1205}, true},
		{sqlServer, &mssqlError{3960}, true},
		{sqlServer, mssqlError{2627}, false},
		{sqlite, mattnError{5, 517}, true},
		{sqlite, mattnError{6, 262}, true},
		{sqlite, mattnError{19, 2067}, false},
		{sqlite, moderncError{5}, true},
		{sqlite, moderncError{517}, true},
		{sqlite, moderncError{262}, true},
		{sqlite, moderncError{2067}, false},
		{postgres, moderncError{5}, false},
		{postgres, driver.ErrBadConn, false},
		{postgres, io.ErrUnexpectedEOF, false},
		{sqlite, context.DeadlineExceeded, false},
	} {
		require.Equal(t, tt.want, transient(tt.dialect, tt.err), "%s %#v", tt.dialect, tt.err)
		require.Equal(t, tt.want, transient(tt.dialect, wrap(tt.err)), "wrapped %s %#v", tt.dialect, tt.err)
	}
}

func TestWhatAnErrorLeavesOfItsTransaction(t *testing.T) {
	for _, tt := range []struct {
		dialect string
		err     error
		want    State
	}{
		{postgres, postgresError("23505"), Aborted},
		{postgres, io.EOF, Open},
		{mysql, mysqlError(1213), Gone},
		{mysql, mysqlError(1020), Gone},
		{mysql, mysqlError(1062), Open},
		{sqlServer, mssqlError{1205}, Gone},
		{sqlServer, mssqlError{2627}, Open},
		{sqlite, errors.New("GORM's"), Open},
		{"unheard of", errors.New("its own"), Open},
	} {
		require.Equal(t, tt.want, of(tt.dialect).StateAfter(t.Context(), nil, wrap(tt.err)), "%s %#v", tt.dialect, tt.err)
	}
}

func TestSavepointsInSQL(t *testing.T) {
	for _, tt := range []struct {
		query      string
		name       string
		isRollback bool
	}{
		{"SAVEPOINT sp1", "sp1", false},
		{"savepoint  A ;", "a", false},
		{"ROLLBACK TO SAVEPOINT sp1", "sp1", true},
		{"rollback to sp1", "sp1", true},
		{"SAVE TRANSACTION sp1", "sp1", false},
		{"ROLLBACK TRANSACTION sp1", "sp1", true},
		{"ROLLBACK", "", false},
		{"RELEASE SAVEPOINT sp1", "", false},
		{"UPDATE savepoint SET a", "", false},
		{"", "", false},
	} {
		name, isRollback, ok := Dialect{}.SavepointIn(tt.query)
		require.Equal(t, []any{tt.name, tt.isRollback, tt.name != ""}, []any{name, isRollback, ok}, tt.query)
	}
}

package dialect

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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
	ncrucesError struct{ code uint8 }
)

// Errors of applications that look like them.
type (
	numberedError struct{ Number int }
	codedError    struct{ Code int }
	statusError   struct{ code int }
	statedError   struct{}
)

func TestMain(m *testing.M) {
	const here = "occ/internal/dialect"
	errorTypes[sqlServer] = append(errorTypes[sqlServer], errorType{here, "mssqlError"})
	errorTypes[sqlite] = append(errorTypes[sqlite], errorType{here, "mattnError"}, errorType{here, "moderncError"}, errorType{here, "ncrucesError"})
	os.Exit(m.Run())
}

func (ncrucesError) Error() string        { return "" }
func (e ncrucesError) Code() uint8        { return e.code }
func (e ncrucesError) ExtendedCode() uint { return uint(e.code) | 1<<8 }
func (numberedError) Error() string       { return "" }
func (codedError) Error() string          { return "" }
func (statusError) Error() string         { return "" }
func (e statusError) Code() int           { return e.code }
func (statedError) Error() string         { return "" }
func (statedError) SQLState() string      { return "40001" }
func mysqlText(n uint16, text string) error {
	return &driversql.MySQLError{Number: n, Message: text}
}

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
		{sqlite, ncrucesError{5}, true},
		{sqlite, ncrucesError{19}, false},
		{mysql, mysqlText(3101, "Plugin instructed the server to rollback the current transaction."), true},
		{mysql, mysqlText(1180, "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT"), true},
		{mysql, mysqlText(1180, "Got error 5 - 'Not connected to Primary Component' during COMMIT"), false},
		{mysql, mysqlText(1030, "Got error 153 - 'No savepoint with that name' from storage engine"), true},
		{mysql, mysqlText(1030, "Got error 28 - 'No space left on device' from storage engine"), false},
		{mysql, mysqlError(1047), false},
		{mysql, numberedError{1213}, false},
		{mysql, statedError{}, false},
		{sqlServer, numberedError{1205}, false},
		{sqlite, numberedError{1213}, false},
		{sqlite, codedError{5}, false},
		{sqlite, statusError{5}, false},
		{sqlite, mysqlError(1213), false},
		{sqlite, statedError{}, false},
		{postgres, mysqlError(1213), false},
		{postgres, numberedError{1205}, false},
		{mysql, postgresError("40001"), false},
		{postgres, moderncError{5}, false},
		{postgres, driver.ErrBadConn, false},
		{postgres, io.ErrUnexpectedEOF, false},
		{sqlite, context.DeadlineExceeded, false},
	} {
		require.Equal(t, tt.want, transient(tt.dialect, tt.err), "%s %#v", tt.dialect, tt.err)
		require.Equal(t, tt.want, transient(tt.dialect, wrap(tt.err)), "wrapped %s %#v", tt.dialect, tt.err)
	}
}

func TestNoServerToBeginOn(t *testing.T) {
	for _, tt := range []struct {
		dialect string
		err     error
		want    bool
	}{
		{postgres, &net.OpError{Op: "dial", Err: io.EOF}, true},
		{postgres, &net.DNSError{Err: "no such host"}, true},
		{postgres, driver.ErrBadConn, true},
		{postgres, io.ErrUnexpectedEOF, true},
		{postgres, postgresError("57P03"), true},
		{postgres, postgresError("53300"), true},
		{postgres, postgresError("08006"), true},
		{postgres, postgresError("28P01"), false},
		{mysql, driversql.ErrInvalidConn, true},
		{mysql, mysqlError(1047), true},
		{mysql, mysqlError(1040), true},
		{mysql, mysqlError(1045), false},
		{sqlite, errors.New("sql: database is closed"), false},
		{sqlite, context.DeadlineExceeded, false},
		{mysql, context.Canceled, false},
	} {
		require.Equal(t, tt.want, of(tt.dialect).IsUnavailable(tt.err), "%s %#v", tt.dialect, tt.err)
		wrapped := fmt.Errorf("one: %w", errors.Join(errors.New("other"), tt.err))
		require.Equal(t, tt.want, of(tt.dialect).IsUnavailable(wrapped), "wrapped %s %#v", tt.dialect, tt.err)
	}
	require.True(t, of(mysql).IsNotReady(mysqlError(1047)))
	require.False(t, of(postgres).IsNotReady(mysqlError(1047)))
	require.True(t, of(postgres).IsLost(postgresError("57P01")))
	require.False(t, of(postgres).IsLost(postgresError("40001")))
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
		{mysql, mysqlError(3101), Gone},
		{mysql, mysqlText(1030, "Got error 153 - 'No savepoint with that name' from storage engine"), Gone},
		{mysql, numberedError{1213}, Open},
		{mysql, postgresError("40001"), Open},
		{sqlServer, mssqlError{1205}, Gone},
		{sqlServer, mssqlError{2627}, Open},
		{sqlite, errors.New("GORM's"), Open},
		{"unheard of", errors.New("its own"), Open},
	} {
		require.Equal(t, tt.want, of(tt.dialect).StateAfter(t.Context(), nil, wrap(tt.err)), "%s %#v", tt.dialect, tt.err)
	}
}

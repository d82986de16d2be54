package workload

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

var errOnPurpose = errors.New("rolled back on purpose")

// gotInTheWay tells an error with which a database says that a transaction was not carried out for others' sake. It does
// not ask the library, which is on trial.
func gotInTheWay(err error) bool {
	if state := new(pgconn.PgError); errors.As(err, &state) {
		return state.Code == "40001" || state.Code == "40P01"
	}
	if number := new(mysql.MySQLError); errors.As(err, &number) {
		return slices.Contains([]uint16{1020, 1205, 1213}, number.Number)
	}
	return strings.Contains(err.Error(), "database is locked") || strings.Contains(err.Error(), "database table is locked")
}

// aborted is what PostgreSQL says to statements of a transaction that has failed already.
func aborted(err error) bool {
	state := new(pgconn.PgError)
	return errors.As(err, &state) && state.Code == "25P02"
}

// duplicate tells that an inserted row was there already.
func duplicate(err error) bool {
	if state := new(pgconn.PgError); errors.As(err, &state) {
		return state.Code == "23505"
	}
	if number := new(mysql.MySQLError); errors.As(err, &number) {
		return number.Number == 1062
	}
	return errors.Is(err, gorm.ErrDuplicatedKey) || strings.Contains(err.Error(), "UNIQUE constraint failed")
}

// disturbed tells an error of a context that has ended, or of a connection that was killed. What became of a statement
// or a commit is then not known.
func disturbed(err error) bool {
	for _, ended := range []error{
		context.Canceled, context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, mysql.ErrInvalidConn,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET,
	} {
		if errors.Is(err, ended) {
			return true
		}
	}
	if network := new(net.OpError); errors.As(err, &network) {
		return true
	}
	if state := new(pgconn.PgError); errors.As(err, &state) {
		return state.Code == "57P01" || state.Code == "57014"
	}
	if number := new(mysql.MySQLError); errors.As(err, &number) {
		return slices.Contains([]uint16{1317, 1927, 1053}, number.Number)
	}
	return slices.ContainsFunc([]string{
		"conn closed", "interrupted", "terminating connection",
		"context deadline exceeded", "no transaction is active", // GORM joins a second error in a way that hides the first
	}, func(text string) bool {
		return strings.Contains(err.Error(), text)
	})
}

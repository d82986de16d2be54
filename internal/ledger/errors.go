package ledger

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gorm-occ/occ"
)

// saysSo reports whether an error of a COMMIT says that the transaction was not carried out. It does not ask the library,
// which is on trial, but for its own refusals.
func saysSo(err error) bool {
	if errors.Is(err, occ.ErrStaleData) || strings.Contains(err.Error(), "the transaction cannot go on") {
		return true
	}
	for _, text := range []string{
		"the transaction was not carried out",                         // of WithCommitCheck
		"the transaction was rolled back for a write of another node", // of Galera
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	if state := new(pgconn.PgError); errors.As(err, &state) {
		return slices.Contains([]string{"40001", "40P01"}, state.Code)
	}
	if number := new(mysql.MySQLError); errors.As(err, &number) {
		return slices.Contains([]uint16{1213, 3101}, number.Number) || number.Number == 1180 && strings.Contains(number.Message, "error 149")
	}
	return false
}

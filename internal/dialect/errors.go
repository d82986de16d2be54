package dialect

import (
	"errors"
	"reflect"
)

// SQLSTATEs and error numbers, with the manual's names.
const (
	serializationFailure   = "40001" // PostgreSQL: another transaction wrote the row after this one's snapshot
	uniqueViolation        = "23505" // PostgreSQL
	recordChanged          = 1020    // MariaDB ER_CHECKREAD, under innodb_snapshot_isolation
	duplicateEntry         = 1062    // MySQL, MariaDB ER_DUP_ENTRY
	snapshotUpdateConflict = 3960    // SQL Server, under SNAPSHOT isolation
)

// IsConflict tells whether the database itself reports with err that a row was changed by somebody else.
func (d Dialect) IsConflict(err error) bool {
	if state, ok := sqlState(err); ok {
		return state == serializationFailure
	}
	number, ok := errorNumber(err)
	return ok && (number == recordChanged || number == snapshotUpdateConflict)
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
func errorNumber(err error) (int64, bool) {
	for err != nil {
		if number, ok := numberField(err); ok {
			return number, true
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return firstNumber(joined.Unwrap())
		}
		err = errors.Unwrap(err)
	}
	return 0, false
}

func firstNumber(errs []error) (int64, bool) {
	for _, err := range errs {
		if number, ok := errorNumber(err); ok {
			return number, true
		}
	}
	return 0, false
}

func numberField(err error) (int64, bool) {
	rv := reflect.Indirect(reflect.ValueOf(err))
	if rv.Kind() != reflect.Struct {
		return 0, false
	}
	field := rv.FieldByName("Number")
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

package dialect

import (
	"errors"
	"reflect"
	"slices"
	"strings"
)

// fault is what the error of a driver says in the terms of its database.
type fault struct {
	state    string // PostgreSQL's SQLSTATE
	number   int64  // MySQL's and SQL Server's error number, SQLite's result code
	extended int64  // SQLite's extended result code, where the driver keeps it apart
	message  string // MySQL's text
}

// SQLite's extended result codes for an inserted row that has the key of another one.
const (
	sqliteConstraintPrimaryKey = 1555
	sqliteConstraintUnique     = 2067
)

// errorType is the type of a driver's errors. An application's error can look the same, a gRPC status that has a Code for
// example. So only types that are known are asked. They are known by name, which keeps the drivers out of the user's build.
type errorType struct{ pkg, name string } // pkg is how the path of the package ends

var errorTypes = map[string][]errorType{
	mysql:     {{"go-sql-driver/mysql", "MySQLError"}},
	sqlServer: {{"go-mssqldb", "Error"}},
	sqlite: {
		{"modernc.org/sqlite", "Error"}, {"mattn/go-sqlite3", "Error"},
		{"glebarez/go-sqlite", "Error"}, {"ncruces/go-sqlite3", "Error"},
	},
}

// faultIn finds the error of the dialect's driver in err.
func (d Dialect) faultIn(err error) (fault, bool) {
	return findError(err, func(err error) (fault, bool) {
		if d.Name == postgres { // pgx and lib/pq, whose method no others have
			stated, ok := err.(interface{ SQLState() string })
			if !ok {
				return fault{}, false
			}
			return fault{state: stated.SQLState()}, true
		}
		if d.Name == mysql && err == errHiddenRollback {
			return fault{number: deadlockFound}, true
		}
		if !d.isDriverError(err) {
			return fault{}, false
		}
		return faultOf(reflect.ValueOf(err)), true
	})
}

func (d Dialect) isDriverError(err error) bool {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return slices.ContainsFunc(errorTypes[d.Name], func(known errorType) bool {
		return t.Name() == known.name && strings.HasSuffix(t.PkgPath(), known.pkg)
	})
}

// faultOf reads a driver's error. Some keep their code in an exported field, others have a method for it.
func faultOf(err reflect.Value) (f fault) {
	if method := err.MethodByName("Code"); method.IsValid() && method.Type().NumIn() == 0 && method.Type().NumOut() == 1 {
		f.number, _ = integer(method.Call(nil)[0])
	}
	if method := err.MethodByName("ExtendedCode"); method.IsValid() && method.Type().NumIn() == 0 && method.Type().NumOut() == 1 {
		f.extended, _ = integer(method.Call(nil)[0])
	}
	fields := reflect.Indirect(err)
	if fields.Kind() != reflect.Struct {
		return f
	}
	for _, name := range []string{"Number", "Code"} {
		if n, ok := integer(fields.FieldByName(name)); ok {
			f.number = n
		}
	}
	if n, ok := integer(fields.FieldByName("ExtendedCode")); ok {
		f.extended = n
	}
	if message := fields.FieldByName("Message"); message.Kind() == reflect.String {
		f.message = message.String()
	}
	return f
}

func integer(value reflect.Value) (n int64, ok bool) {
	switch {
	case !value.IsValid():
		return 0, false
	case value.CanInt():
		return value.Int(), true
	case value.CanUint():
		return int64(value.Uint()), true
	}
	return 0, false
}

// findError looks for an error, among err and all that it wraps, that match knows.
func findError[T any](err error, match func(error) (T, bool)) (found T, ok bool) {
	for err != nil {
		if found, ok = match(err); ok {
			return found, true
		}
		if joined, isJoined := err.(interface{ Unwrap() []error }); isJoined {
			for _, one := range joined.Unwrap() {
				if found, ok = findError(one, match); ok {
					return found, true
				}
			}
			return found, false
		}
		err = errors.Unwrap(err)
	}
	return found, false
}

package dialect

import (
	"errors"
	"reflect"
)

// SQLite's extended result codes for an inserted row that has the key of another one.
const (
	sqliteConstraintPrimaryKey = 1555
	sqliteConstraintUnique     = 2067
)

// isSQLiteDuplicate tells SQLite's duplicate keys: modernc.org/sqlite has a method for the extended code, go-sqlite3 a
// field. Errors of other packages can look the same, so only SQLite's dialect is asked.
func (d Dialect) isSQLiteDuplicate(err error) bool {
	if d.Name != sqlite {
		return false
	}
	code := 0
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		code = coded.Code()
	}
	for ; err != nil && code == 0; err = errors.Unwrap(err) {
		if rv := reflect.Indirect(reflect.ValueOf(err)); rv.Kind() == reflect.Struct {
			if field := rv.FieldByName("ExtendedCode"); field.IsValid() && field.CanInt() {
				code = int(field.Int())
			}
		}
	}
	return code == sqliteConstraintPrimaryKey || code == sqliteConstraintUnique
}

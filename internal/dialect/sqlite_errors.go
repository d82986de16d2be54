package dialect

import "errors"

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
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return isSQLiteDuplicateCode(int64(coded.Code()))
	}
	code, ok := findField(err, "ExtendedCode")
	return ok && isSQLiteDuplicateCode(code)
}

func isSQLiteDuplicateCode(code int64) bool {
	return code == sqliteConstraintPrimaryKey || code == sqliteConstraintUnique
}

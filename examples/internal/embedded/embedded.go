// Package embedded opens the SQLite databases of the examples, with cgo and without.
package embedded

import (
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// Open returns the dialector of the SQLite database in the file at path, which is created if it is not there.
func Open(path string) gorm.Dialector {
	return sqlite.New(sqlite.Config{DriverName: driver, DSN: path + pragmas})
}

//go:build cgo

package testdb

const (
	sqliteDriver  = "sqlite3" // github.com/mattn/go-sqlite3, which gorm.io/driver/sqlite brings
	sqlitePragmas = "?_busy_timeout=10000&_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=1"
)

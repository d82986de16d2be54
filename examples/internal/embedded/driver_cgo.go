//go:build cgo

package embedded

const (
	driver  = "sqlite3" // github.com/mattn/go-sqlite3, which gorm.io/driver/sqlite brings
	pragmas = "?_busy_timeout=10000&_journal_mode=WAL&_foreign_keys=1"
)

//go:build !cgo

package embedded

import _ "modernc.org/sqlite" // go-sqlite3 needs cgo

const (
	driver  = "sqlite"
	pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)"
)

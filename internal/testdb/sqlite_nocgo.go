//go:build !cgo

package testdb

import _ "modernc.org/sqlite" // go-sqlite3 needs cgo

const (
	sqliteDriver  = "sqlite"
	sqlitePragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)"
)

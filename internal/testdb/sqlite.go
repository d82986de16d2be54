package testdb

import (
	"database/sql"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

func createSQLite() (place, error) { return createSQLiteWith("") }

// createImmediateSQLite has transactions take the write lock when they begin.
func createImmediateSQLite() (place, error) { return createSQLiteWith("&_txlock=immediate") }

func createSQLiteWith(parameters string) (place, error) {
	return inFolder(ofSQLite, func(file string) (*sql.DB, error) { return sql.Open(sqliteDriver, file+sqlitePragmas+parameters) })
}

func ofSQLite(pool *sql.DB) gorm.Dialector { return sqlite.New(sqlite.Config{Conn: pool}) }

// Example opens an empty SQLite database for an Example function, which has no test that could own it; remove ends it.
func Example() (db *gorm.DB, remove func()) {
	db, end, err := Database{create: createSQLite}.Create()
	must(err)
	return db, func() { must(end()) }
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

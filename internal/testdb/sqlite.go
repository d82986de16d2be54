package testdb

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

func createSQLite(t testing.TB) gorm.Dialector { return createSQLiteWith(t, "") }

func createSQLiteWith(t testing.TB, parameters string) gorm.Dialector {
	t.Helper()
	pool, err := sql.Open(sqliteDriver, filepath.Join(t.TempDir(), "test.db")+sqlitePragmas+parameters)
	require.NoError(t, err)
	return sqlite.New(sqlite.Config{Conn: closeAfter(t, pool)})
}

// createImmediateSQLite has transactions take the write lock when they begin.
func createImmediateSQLite(t testing.TB) gorm.Dialector {
	return createSQLiteWith(t, "&_txlock=immediate")
}

// Example opens an empty SQLite database for an Example function, which has no test that could own it; remove ends it.
func Example() (db *gorm.DB, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	must(err)
	db, err = gorm.Open(sqlite.New(sqlite.Config{DriverName: sqliteDriver, DSN: filepath.Join(dir, "example.db") + sqlitePragmas}),
		&gorm.Config{Logger: logger.Discard})
	must(err)
	pool, err := db.DB()
	must(err)
	return db, func() { must(errors.Join(pool.Close(), os.RemoveAll(dir))) }
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

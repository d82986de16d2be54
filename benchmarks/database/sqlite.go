package database

import (
	"context"
	"database/sql/driver"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// sqliteEngine keeps its databases in a folder that is removed with the run.
type sqliteEngine struct{ dir string }

const sqlitePragmas = "?_busy_timeout=10000&_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=1"

func openSQLite() (engine, error) {
	dir, err := os.MkdirTemp("", "occ-bench")
	return sqliteEngine{dir}, err
}

func (e sqliteEngine) create(name string) (driver.Connector, error) {
	return sqliteConnector{filepath.Join(e.dir, name+".db") + sqlitePragmas}, nil
}

func (e sqliteEngine) drop(string) error { return nil }

func (e sqliteEngine) close() error { return os.RemoveAll(e.dir) }

func (e sqliteEngine) about() (string, error) {
	version, _, _ := sqlite3.Version()
	return "SQLite " + version + ", a file, journal_mode=WAL, synchronous=NORMAL", nil
}

// sqliteConnector is what sql.Open makes of a name; go-sqlite3 has none.
type sqliteConnector struct{ dsn string }

func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(c.dsn)
}

func (sqliteConnector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

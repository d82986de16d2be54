package testdb

import (
	"cmp"
	"database/sql"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

var mariadbServer = newServer("mariadb", "CREATE DATABASE %s CHARACTER SET utf8mb4", "DROP DATABASE %s", func() (*sql.DB, error) {
	config, err := mariadbConfig()
	if err != nil {
		return nil, err
	}
	return openMariaDB(config)
})

func mariadbConfig() (*mysql.Config, error) {
	config, err := mysql.ParseDSN(cmp.Or(os.Getenv("TEST_MARIADB_DSN"),
		"root@tcp(127.0.0.1:3306)/test?parseTime=true&charset=utf8mb4"))
	if err != nil {
		return nil, err
	}
	config.ParseTime = true
	config.Logger = &mysql.NopLogger{} // tests break connections, which it would tell of
	return config, nil
}

func openMariaDB(config *mysql.Config) (*sql.DB, error) {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// createMariaDB lends a test connections that go from one test to the next.
func createMariaDB(adjust ...func(*mysql.Config)) func(t testing.TB) gorm.Dialector {
	return func(t testing.TB) gorm.Dialector {
		t.Helper()
		namespace := mariadbServer.namespace(t)
		config, err := mariadbConfig()
		require.NoError(t, err)
		for _, f := range adjust {
			f(config)
		}
		connector, err := newMariaDBConnector(config)
		require.NoError(t, err)
		pool := sql.OpenDB(lender{connector, &mariadbServer.spares, config.FormatDSN(), namespace})
		return gormmysql.New(gormmysql.Config{Conn: closeAfter(t, pool), DSNConfig: config})
	}
}

// ownMariaDB gives a test connections that are opened for it, and end with it.
func ownMariaDB(open func(*mysql.Config) (*sql.DB, error)) func(t testing.TB) gorm.Dialector {
	return func(t testing.TB) gorm.Dialector {
		t.Helper()
		namespace := mariadbServer.namespace(t)
		config, err := mariadbConfig()
		require.NoError(t, err)
		config.DBName = namespace
		pool, err := open(config)
		require.NoError(t, err)
		return gormmysql.New(gormmysql.Config{Conn: closeAfter(t, pool), DSNConfig: config})
	}
}

// clientFoundRows makes an UPDATE report the rows it matched, not those it changed.
func clientFoundRows(c *mysql.Config) { c.ClientFoundRows = true }

// snapshotIsolation has REPEATABLE READ report a write of a row that was changed since.
func snapshotIsolation(c *mysql.Config) {
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params["innodb_snapshot_isolation"] = "ON"
}

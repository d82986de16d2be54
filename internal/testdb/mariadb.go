package testdb

import (
	"database/sql"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
)

// newMariaDB is a server of MariaDB's or of MySQL's.
func newMariaDB(name, variable, otherwise string) *server {
	s := newServer(name, variable, otherwise)
	s.create, s.drop = "CREATE DATABASE %s CHARACTER SET utf8mb4", "DROP DATABASE %s"
	s.open = func() (*sql.DB, error) {
		config, err := s.configureMariaDB()
		if err != nil {
			return nil, err
		}
		return openMariaDB(config)
	}
	return s
}

func (s *server) configureMariaDB() (*mysql.Config, error) {
	config, err := mysql.ParseDSN(s.dsn())
	if err != nil {
		return nil, err
	}
	config.ParseTime = true
	if s.product == "mysql" {
		set(config, "sql_mode", withZeroDates)
	}
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

// lendMariaDB gives databases connections that go from one to the next of the same configuration.
func (s *server) lendMariaDB(adjust ...func(*mysql.Config)) create {
	return s.inMariaDB(func(config *mysql.Config, namespace string) (*sql.DB, error) {
		for _, f := range adjust {
			f(config)
		}
		connector, err := newMariaDBConnector(config)
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(lender{connector, &s.spares, config.FormatDSN(), namespace}), nil
	})
}

// ownMariaDB gives databases connections that are opened for one, and end with it.
func (s *server) ownMariaDB(open func(*mysql.Config) (*sql.DB, error)) create {
	return s.inMariaDB(func(config *mysql.Config, namespace string) (*sql.DB, error) {
		config.DBName = namespace
		return open(config)
	})
}

func (s *server) inMariaDB(open func(config *mysql.Config, namespace string) (*sql.DB, error)) create {
	return func() (place, error) {
		config, err := s.configureMariaDB()
		if err != nil {
			return place{}, err
		}
		dialector := func(pool *sql.DB) gorm.Dialector {
			return gormmysql.New(gormmysql.Config{Conn: pool, DSNConfig: config})
		}
		return s.inNamespace(dialector, func(namespace string) (*sql.DB, error) { return open(config, namespace) })
	}
}

// clientFoundRows makes an UPDATE report the rows it matched, not those it changed.
func clientFoundRows(c *mysql.Config) { c.ClientFoundRows = true }

// snapshotIsolation has REPEATABLE READ report a write of a row that was changed since.
func snapshotIsolation(c *mysql.Config) {
	set(c, "innodb_snapshot_isolation", "ON")
}

// withoutAutocommit has statements outside a transaction begin one that nobody ends.
func withoutAutocommit(c *mysql.Config) { set(c, "autocommit", "0") }

// withZeroDates is MySQL's default but for NO_ZERO_DATE and NO_ZERO_IN_DATE: the zero time.Time is written as such a date.
const withZeroDates = "'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"

// set has each connection set a variable of its session.
func set(c *mysql.Config, variable, value string) {
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params[variable] = value
}

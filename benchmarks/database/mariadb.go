package database

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"os"

	"github.com/go-sql-driver/mysql"
)

type mariadbEngine struct {
	config    *mysql.Config
	connector driver.Connector
}

func openMariaDB() (engine, error) {
	config, err := mysql.ParseDSN(cmp.Or(os.Getenv("TEST_MARIADB_DSN"),
		"root@tcp(127.0.0.1:3306)/test?parseTime=true&charset=utf8mb4"))
	if err != nil {
		return nil, err
	}
	config.ParseTime = true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return mariadbEngine{config, connector}, administer(connector, "SELECT 1")
}

func (e mariadbEngine) create(name string) (driver.Connector, error) {
	if err := administer(e.connector, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		return nil, err
	}
	config := e.config.Clone()
	config.DBName = name
	return mysql.NewConnector(config)
}

func (e mariadbEngine) drop(name string) error { return administer(e.connector, "DROP DATABASE "+name) }

func (e mariadbEngine) close() error { return nil }

func (e mariadbEngine) about() (string, error) {
	var version, flush string
	err := ask(e.connector, "SELECT version(), @@innodb_flush_log_at_trx_commit", &version, &flush)
	return fmt.Sprintf("MariaDB %s, innodb_flush_log_at_trx_commit=%s", release(version), flush), err
}

package database

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

type postgresEngine struct{ config *pgx.ConnConfig }

func openPostgres() (engine, error) {
	config, err := pgx.ParseConfig(cmp.Or(os.Getenv("TEST_POSTGRES_DSN"),
		"host=127.0.0.1 port=5432 user=postgres dbname=test sslmode=disable"))
	if err != nil {
		return nil, err
	}
	e := postgresEngine{config}
	return e, administer(e.connector(), "SELECT 1")
}

func (e postgresEngine) connector() driver.Connector { return stdlib.GetConnector(*e.config) }

func (e postgresEngine) create(name string) (driver.Connector, error) {
	if err := administer(e.connector(), "CREATE SCHEMA "+name); err != nil {
		return nil, err
	}
	config := e.config.Copy()
	config.RuntimeParams["search_path"] = name
	return stdlib.GetConnector(*config), nil
}

func (e postgresEngine) drop(name string) error {
	return administer(e.connector(), "DROP SCHEMA "+name+" CASCADE")
}

func (e postgresEngine) close() error { return nil }

func (e postgresEngine) about() (string, error) {
	var version, fsync, commit string
	err := ask(e.connector(),
		"SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')",
		&version, &fsync, &commit)
	return fmt.Sprintf("PostgreSQL %s, fsync=%s, synchronous_commit=%s", release(version), fsync, commit), err
}

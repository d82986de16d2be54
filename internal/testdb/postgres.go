package testdb

import (
	"cmp"
	"database/sql"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

var postgresServer = newServer("postgres", "CREATE SCHEMA %s", "DROP SCHEMA %s CASCADE", func() (*sql.DB, error) {
	config, err := postgresConfig()
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*config), nil
})

func postgresConfig() (*pgx.ConnConfig, error) {
	return pgx.ParseConfig(cmp.Or(os.Getenv("TEST_POSTGRES_DSN"),
		"host=127.0.0.1 port=5432 user=postgres dbname=test sslmode=disable"))
}

func createPostgres(adjust ...func(*pgx.ConnConfig)) func(t testing.TB) gorm.Dialector {
	return createPostgresBy(func(c *pgx.ConnConfig) *sql.DB { return stdlib.OpenDB(*c) }, adjust...)
}

// createPostgresBy names connections after their schema, so that a test finds its own in pg_stat_activity.
func createPostgresBy(open func(*pgx.ConnConfig) *sql.DB, adjust ...func(*pgx.ConnConfig)) func(t testing.TB) gorm.Dialector {
	return func(t testing.TB) gorm.Dialector {
		t.Helper()
		schema := postgresServer.namespace(t)
		config, err := postgresConfig()
		require.NoError(t, err)
		config.RuntimeParams["search_path"] = schema
		config.RuntimeParams["application_name"] = schema
		for _, f := range adjust {
			f(config)
		}
		return postgres.New(postgres.Config{Conn: closeAfter(t, open(config))})
	}
}

// preferSimpleProtocol is what gorm.io/driver/postgres does for the option of that name.
func preferSimpleProtocol(c *pgx.ConnConfig) {
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
}

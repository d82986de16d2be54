package testdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

func newPostgres(name, variable, otherwise string) *server {
	s := newServer(name, variable, otherwise)
	s.create, s.drop = "CREATE SCHEMA %s", "DROP SCHEMA %s CASCADE"
	s.open = func() (*sql.DB, error) {
		config, err := pgx.ParseConfig(s.dsn())
		if err != nil {
			return nil, err
		}
		return stdlib.OpenDB(*config), nil
	}
	return s
}

// simpleProtocol does what gorm.io/driver/postgres does for the option PreferSimpleProtocol.
func simpleProtocol(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol }

func tellingTypes(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeExec }

// lendPostgres gives databases connections that go from one to the next of the same configuration.
func (s *server) lendPostgres(configuration string, adjust ...func(*pgx.ConnConfig)) create {
	return s.inPostgres(func(config *pgx.ConnConfig, namespace string) *sql.DB {
		for _, f := range adjust {
			f(config)
		}
		return sql.OpenDB(lender{postgresConnector{stdlib.GetConnector(*config)}, &s.spares, configuration, namespace})
	})
}

// ownPostgres gives databases connections that are opened for one, and end with it.
func (s *server) ownPostgres(open func(*pgx.ConnConfig) *sql.DB) create {
	return s.inPostgres(func(config *pgx.ConnConfig, namespace string) *sql.DB {
		config.RuntimeParams["search_path"] = namespace
		return open(config)
	})
}

func (s *server) inPostgres(open func(config *pgx.ConnConfig, namespace string) *sql.DB) create {
	dialector := func(pool *sql.DB) gorm.Dialector { return postgres.New(postgres.Config{Conn: pool}) }
	return func() (place, error) {
		return s.inNamespace(dialector, func(namespace string) (*sql.DB, error) {
			config, err := pgx.ParseConfig(s.dsn())
			if err != nil {
				return nil, err
			}
			return open(config, namespace), nil
		})
	}
}

type postgresConnector struct{ driver.Connector }

func (c postgresConnector) open(ctx context.Context) (session, error) {
	conn, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return postgresSession{Conn: conn.(*stdlib.Conn)}, nil
}

type postgresSession struct {
	*stdlib.Conn
	giveBack func() error
}

func (s postgresSession) enter(ctx context.Context, namespace string) error {
	return s.Conn.Conn().PgConn().Exec(ctx, fmt.Sprintf("SET search_path = %s", namespace)).Close()
}

func (s postgresSession) reset(ctx context.Context) error {
	conn := s.Conn.Conn()
	if conn.IsClosed() || conn.PgConn().IsBusy() || conn.PgConn().TxStatus() != 'I' {
		return errors.New("in use")
	}
	if err := conn.DeallocateAll(ctx); err != nil { // those that pgx knows of
		return err
	}
	return conn.PgConn().Exec(ctx, "DISCARD ALL").Close()
}

func (s postgresSession) lend(giveBack func() error) driver.Conn {
	return postgresSession{s.Conn, giveBack}
}

func (s postgresSession) Close() error {
	if s.giveBack != nil {
		return s.giveBack()
	}
	return s.Conn.Close()
}

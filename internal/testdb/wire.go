package testdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Wired returns the database servers, reached through connections that wrap has put itself between: the place to break
// them.
func Wired(wrap func(net.Conn) net.Conn) []Database {
	return build(builders{
		postgres: func(s *server) create {
			return s.ownPostgres(func(c *pgx.ConnConfig) *sql.DB {
				dial := c.DialFunc
				c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
					return wrapped(wrap)(dial(ctx, network, address))
				}
				return stdlib.OpenDB(*c)
			})
		},
		mariadb: func(s *server) create {
			return s.ownMariaDB(func(c *mysql.Config) (*sql.DB, error) {
				network, name := c.Net, "wired "+rand.Text()
				mysql.RegisterDialContext(name, func(ctx context.Context, address string) (net.Conn, error) {
					return wrapped(wrap)(new(net.Dialer).DialContext(ctx, network, address))
				})
				c.Net = name
				return openMariaDB(c)
			})
		},
	})
}

func wrapped(wrap func(net.Conn) net.Conn) func(net.Conn, error) (net.Conn, error) {
	return func(conn net.Conn, err error) (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
}

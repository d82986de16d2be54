package client

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"strings"
	"sync/atomic"
)

// Server answers every statement at once: an UPDATE, INSERT or DELETE has written one row, a SELECT finds Rows rows of an Item.
type Server struct {
	Rows       int64
	Statements atomic.Int64 // how many it has got, BEGIN and COMMIT among them
}

// Open returns a pool of connections to the server.
func (s *Server) Open() *sql.DB { return sql.OpenDB(connector{s}) }

type connector struct{ server *Server }

func (c connector) Connect(context.Context) (driver.Conn, error) { return &conn{c.server}, nil }

func (c connector) Driver() driver.Driver { return nullDriver{} }

type nullDriver struct{}

func (nullDriver) Open(string) (driver.Conn, error) { return nil, driver.ErrBadConn }

type conn struct{ server *Server }

func (c *conn) Prepare(query string) (driver.Stmt, error) { return &stmt{c, query}, nil }

func (c *conn) Close() error { return nil }

func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.server.Statements.Add(1)
	return c, nil
}

func (c *conn) Commit() error {
	c.server.Statements.Add(1)
	return nil
}

func (c *conn) Rollback() error { return c.Commit() }

func (c *conn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	c.server.Statements.Add(1)
	return driver.RowsAffected(1), nil
}

func (c *conn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	c.server.Statements.Add(1)
	if strings.HasPrefix(query, "SELECT") {
		return &items{left: c.server.Rows}, nil
	}
	return &items{left: 0}, nil
}

type stmt struct {
	conn  *conn
	query string
}

func (s *stmt) Close() error { return nil }

func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Exec([]driver.Value) (driver.Result, error) {
	return s.conn.ExecContext(context.Background(), s.query, nil)
}

func (s *stmt) Query([]driver.Value) (driver.Rows, error) {
	return s.conn.QueryContext(context.Background(), s.query, nil)
}

// items are rows of an Item.
type items struct{ left int64 }

func (*items) Columns() []string { return []string{"id", "name", "price", "stock", "version"} }

func (*items) Close() error { return nil }

func (r *items) Next(dest []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	dest[0], dest[1], dest[2], dest[3], dest[4] = r.left, "a fountain pen", int64(7), int64(8), int64(1)
	r.left--
	return nil
}

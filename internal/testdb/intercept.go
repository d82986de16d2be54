package testdb

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Call is a call that database/sql makes to the driver of a real database.
type Call struct {
	Name  string // connect, begin, prepare, exec, query, commit or rollback
	Query string
	Conn  driver.Conn // the driver's own; nil before connect
}

// Around goes round a call: it makes it by do, or does not, and returns the error that database/sql is given. It is the
// place to break connections between any two steps.
type Around func(call Call, do func() error) error

// Intercepted returns all databases, with around between database/sql and their drivers.
func Intercepted(around Around) []Database {
	return build(builders{
		sqlite: func() (place, error) {
			return inFolder(ofSQLite, func(file string) (*sql.DB, error) { return interceptSQLite(file+sqlitePragmas, around) })
		},
		postgres: func(s *server) create {
			return s.ownPostgres(func(config *pgx.ConnConfig) *sql.DB {
				return sql.OpenDB(interceptor{stdlib.GetConnector(*config), around})
			})
		},
		mariadb: func(s *server) create {
			return s.ownMariaDB(func(config *mysql.Config) (*sql.DB, error) {
				connector, err := mysql.NewConnector(config)
				return sql.OpenDB(interceptor{connector, around}), err
			})
		},
	})
}

func interceptSQLite(dsn string, around Around) (*sql.DB, error) {
	plain, err := sql.Open(sqliteDriver, dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(interceptor{opener{plain.Driver(), dsn}, around}), plain.Close()
}

// opener is the connector of a driver that has none.
type opener struct {
	driver driver.Driver
	dsn    string
}

func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open(o.dsn) }
func (o opener) Driver() driver.Driver                        { return o.driver }

type interceptor struct {
	driver.Connector
	around Around
}

func (i interceptor) Connect(ctx context.Context) (driver.Conn, error) {
	var conn driver.Conn
	err := i.around(Call{Name: "connect"}, func() (err error) {
		conn, err = i.Connector.Connect(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &interceptedConn{conn, i.around}, nil
}

// interceptedConn has the methods that the three drivers have in common, and passes on what only some have.
type interceptedConn struct {
	driver.Conn
	around Around
}

func (c *interceptedConn) call(name, query string, do func() error) error {
	return c.around(Call{name, query, c.Conn}, do)
}

func (c *interceptedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	err = c.call("begin", "", func() error {
		tx, err = c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &interceptedTx{tx, c}, nil
}

func (c *interceptedConn) PrepareContext(ctx context.Context, query string) (stmt driver.Stmt, err error) {
	err = c.call("prepare", query, func() error {
		stmt, err = c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &interceptedStmt{stmt, c, query}, nil
}

func (c *interceptedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	err = c.call("exec", query, func() error {
		res, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	})
	return res, err
}

func (c *interceptedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = c.call("query", query, func() error {
		rows, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
		return err
	})
	return closedOn(err, rows)
}

// closedOn closes rows whose query is reported as failed: database/sql is not going to.
func closedOn(err error, rows driver.Rows) (driver.Rows, error) {
	if err != nil && rows != nil {
		_ = rows.Close()
		return nil, err
	}
	return rows, err
}

func (c *interceptedConn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

func (c *interceptedConn) ResetSession(ctx context.Context) error {
	if resetter, ok := c.Conn.(driver.SessionResetter); ok {
		return resetter.ResetSession(ctx)
	}
	return nil
}

func (c *interceptedConn) IsValid() bool {
	validator, ok := c.Conn.(driver.Validator)
	return !ok || validator.IsValid()
}

type interceptedTx struct {
	driver.Tx
	conn *interceptedConn
}

func (tx *interceptedTx) Commit() error   { return tx.conn.call("commit", "", tx.Tx.Commit) }
func (tx *interceptedTx) Rollback() error { return tx.conn.call("rollback", "", tx.Tx.Rollback) }

type interceptedStmt struct {
	driver.Stmt
	conn  *interceptedConn
	query string
}

func (s *interceptedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	err = s.conn.call("exec", s.query, func() error {
		res, err = s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		return err
	})
	return res, err
}

func (s *interceptedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	err = s.conn.call("query", s.query, func() error {
		rows, err = s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		return err
	})
	return closedOn(err, rows)
}

func (s *interceptedStmt) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return s.conn.CheckNamedValue(value)
}

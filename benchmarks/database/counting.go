package database

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
)

// Trips counts what goes to a database. A prepared statement is one trip to prepare it and one for each execution.
type Trips struct {
	Statements atomic.Int64 // BEGIN, COMMIT and ROLLBACK included
	Ends       atomic.Int64 // of those, BEGIN, COMMIT and ROLLBACK
	Prepares   atomic.Int64
}

// Reset begins to count again.
func (t *Trips) Reset() {
	t.Statements.Store(0)
	t.Ends.Store(0)
	t.Prepares.Store(0)
}

func (t *Trips) end() {
	t.Statements.Add(1)
	t.Ends.Add(1)
}

// countingConnector opens connections that count. It sits below database/sql, where all peers come by.
type countingConnector struct {
	driver.Connector
	trips *Trips
}

func (c *countingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &countingConn{conn, c.trips}, nil
}

// countingConn has every optional interface that the three drivers' connections have.
type countingConn struct {
	driver.Conn
	trips *Trips
}

func (c *countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	res, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	if err != driver.ErrSkip { // else database/sql prepares it
		c.trips.Statements.Add(1)
	}
	return res, err
}

func (c *countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
	if err != driver.ErrSkip {
		c.trips.Statements.Add(1)
	}
	return rows, err
}

func (c *countingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.trips.Prepares.Add(1)
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &countingStmt{stmt, c}, nil
}

func (c *countingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.trips.end()
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return countingTx{tx, c.trips}, nil
}

func (c *countingConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *countingConn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

type countingTx struct {
	driver.Tx
	trips *Trips
}

func (t countingTx) Commit() error {
	t.trips.end()
	return t.Tx.Commit()
}

func (t countingTx) Rollback() error {
	t.trips.end()
	return t.Tx.Rollback()
}

type countingStmt struct {
	driver.Stmt
	conn *countingConn
}

func (s *countingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.conn.trips.Statements.Add(1)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *countingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.conn.trips.Statements.Add(1)
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

func (s *countingStmt) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return s.conn.CheckNamedValue(value)
}

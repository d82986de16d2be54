package merge

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
)

// storedRow is a row as its driver gave it. It is read through database/sql, whose conversions no other function of it offers.
type storedRow struct {
	columns []string
	values  []any
}

// scan converts the values to the types of targets, in the way of a query.
func (r *storedRow) scan(ctx context.Context, targets []any) (err error) {
	db := sql.OpenDB(r)
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	rows.Next()
	return errors.Join(rows.Err(), rows.Scan(targets...))
}

func (r *storedRow) Connect(context.Context) (driver.Conn, error) { return storedConn{r}, nil }

func (r *storedRow) Driver() driver.Driver { return nil }

// storedConn is a connection whose one query returns the row.
type storedConn struct{ row *storedRow }

func (c storedConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &storedRows{row: c.row}, nil
}

func (storedConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }

func (storedConn) Begin() (driver.Tx, error) { return nil, errors.ErrUnsupported }

func (storedConn) Close() error { return nil }

type storedRows struct {
	row    *storedRow
	isRead bool
}

func (r *storedRows) Columns() []string { return r.row.columns }

func (r *storedRows) Next(into []driver.Value) error {
	if r.isRead {
		return io.EOF
	}
	r.isRead = true
	for i, value := range r.row.values {
		into[i] = value
	}
	return nil
}

func (*storedRows) Close() error { return nil }

package rows

import (
	"context"
	"database/sql"
	"errors"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/tx"
)

// ask runs a query about the table in the statement's transaction, and reads it to its end. Its error is no reason to give up
// what it was asked for, which fails by itself where it cannot be done without. But one that has ended the transaction is kept:
// whatever is sent after it would be committed by itself.
func (s *Site) ask(query string, scan func(*sql.Rows) error, args ...any) error {
	return s.Lost(s.read(query, scan, args))
}

func (s *Site) read(query string, scan func(*sql.Rows) error, args []any) error {
	found, err := Unprepared(s.Stmt.ConnPool).QueryContext(s.Ctx, query, args...)
	if err != nil {
		return err
	}
	err = scan(found)
	for found.Next() { // the server's error comes last
		continue
	}
	return errors.Join(err, found.Err(), found.Close())
}

// Lost keeps the error of a query that has ended the statement's transaction, and returns the error.
func (s *Site) Lost(err error) error {
	if err == nil || s.Failed != nil || !tx.IsTransaction(s.Stmt.ConnPool) {
		return err
	}
	conn := tx.ConnectionOf(s.Stmt.ConnPool)
	if s.Dialect.StateAfter(context.WithoutCancel(s.Ctx), conn, err) == dialect.Gone {
		s.Failed = err
	}
	return err
}

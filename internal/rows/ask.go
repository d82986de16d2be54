package rows

import (
	"database/sql"
	"errors"
)

// ask runs a query about the table in the statement's transaction, and reads it to its end. Its error is no reason to give up
// what it was asked for, which fails by itself where it cannot be done without. But one that has ended the transaction is kept:
// whatever is sent after it would be committed by itself.
func (s *Site) ask(query string, scan func(*sql.Rows) error, args ...any) error {
	err := s.read(query, scan, args)
	if s.Journals.EndedBy(s.Ctx, s.Stmt.ConnPool, err) {
		s.Failed = err
	}
	return err
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

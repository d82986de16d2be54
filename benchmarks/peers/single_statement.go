package peers

import (
	"database/sql"
	"errors"
	"strings"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// SingleStatement is the prefix of the names of peers that are SQL written by hand for one database.
const SingleStatement = "one statement by hand: "

// SingleStatements are the ways to write many rows in one statement of a database, each with the version check.
func SingleStatements(server string) []Peer {
	var ways []Peer
	for _, w := range map[string][]batchSQL{
		SQLite:     {sqliteValues, sqliteJSON},
		PostgreSQL: {postgresUnnest},
		MariaDB:    {mariadbJSON, mariadbUnion, mariadbOnDuplicate},
	}[server] {
		ways = append(ways, Peer{SingleStatement + w.name, true, w.open})
	}
	return ways
}

// batchSQL is one way: its statement for n rows, the arguments, and how many rows are affected if all are written.
type batchSQL struct {
	name     string
	most     int // rows, 0 for any number
	query    func(table string, n int) string
	args     func(batch []batchRow) ([]any, error)
	affected func(n int) int64
}

// batchRow is what is sent of a row.
type batchRow struct {
	ID           int64
	Name         string
	Price, Stock int64
	Version      int64
}

func (w batchSQL) open(c Conn, shape rows.Shape) (Session, error) {
	switch shape {
	case rows.OfItem:
		return newSingle[rows.Item[int64]](c, w)
	case rows.OfLong:
		return newSingle[rows.Long[int64]](c, w)
	default:
		return nil, ErrUnsupported
	}
}

// single loads as database/sql does, and writes all in one statement.
type single[M any, P columned[M]] struct {
	*sqlSession[M, P]
	way  batchSQL
	stmt *sql.Stmt
	size int
}

func newSingle[M any, P columned[M]](c Conn, w batchSQL) (Session, error) {
	s, err := prepareSQL[M, P](c)
	if err != nil {
		return nil, err
	}
	return &single[M, P]{sqlSession: s.(*sqlSession[M, P]), way: w}, nil
}

func (s *single[M, P]) Load(n int) error {
	if s.way.most > 0 && n > s.way.most {
		return ErrUnsupported
	}
	if err := s.sqlSession.Load(n); err != nil || s.size == n {
		return err
	}
	if s.stmt != nil {
		_ = s.stmt.Close()
	}
	stmt, err := s.pool.Prepare(s.way.query(P(new(M)).TableName(), n))
	s.stmt, s.size = stmt, n
	return err
}

func (s *single[M, P]) SaveAll(write int64) error {
	args, err := s.way.args(s.batch(write))
	if err != nil {
		return err
	}
	err = transact(s.pool, func(tx *sql.Tx) error { return s.run(tx, args) })
	for i := range s.rows {
		if err == nil {
			*P(&s.rows[i]).Current()++
		}
	}
	return err
}

func (s *single[M, P]) run(tx *sql.Tx, args []any) error {
	res, err := tx.Stmt(s.stmt).Exec(args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != s.way.affected(len(s.rows)) {
		return errors.Join(err, ErrStale)
	}
	return nil
}

func (s *single[M, P]) batch(write int64) []batchRow {
	batch := make([]batchRow, len(s.rows))
	for i := range s.rows {
		row := P(&s.rows[i])
		row.Fill(write)
		values := row.Values()
		batch[i] = batchRow{*row.Key(), values[0].(string), values[1].(int64), values[2].(int64), *row.Current()}
	}
	return batch
}

func (s *single[M, P]) UpdateOne(int, int64) error            { return ErrUnsupported }
func (s *single[M, P]) SaveOne(int, int64) error              { return ErrUnsupported }
func (s *single[M, P]) DeleteOne(int) error                   { return ErrUnsupported }
func (s *single[M, P]) UpdateWhere(int64, int64, int64) error { return ErrUnsupported }

func (s *single[M, P]) Close() error {
	if s.stmt == nil {
		return s.sqlSession.Close()
	}
	return errors.Join(s.stmt.Close(), s.sqlSession.Close())
}

func rowByRow(n int) int64 { return int64(n) }

// flat gives every value an argument of its own.
func flat(batch []batchRow) ([]any, error) {
	args := make([]any, 0, 5*len(batch))
	for _, r := range batch {
		args = append(args, r.ID, r.Name, r.Price, r.Stock, r.Version)
	}
	return args, nil
}

// lists is n lists of five placeholders.
func lists(n int) string { return strings.TrimSuffix(strings.Repeat("(?,?,?,?,?),", n), ",") }

package peers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openSQL is the floor: the same statements, prepared once, without a mapper.
func openSQL(c Conn, shape rows.Shape) (Session, error) {
	switch shape {
	case rows.OfWide:
		return prepareSQL[rows.Wide[int64]](c)
	case rows.OfLong:
		return prepareSQL[rows.Long[int64]](c)
	case rows.OfPlain:
		return nil, ErrUnsupported
	default:
		return prepareSQL[rows.Item[int64]](c)
	}
}

// columned is a model that knows its columns without reflection.
type columned[M any] interface {
	rows.Model[M, int64]
	TableName() string
	Columns() []string
	Values() []any
	Pointers() []any
}

type sqlSession[M any, P columned[M]] struct {
	pool                              *sql.DB
	setting                           Setting
	update, save, remove, where, load *sql.Stmt
	rows                              []M
}

func prepareSQL[M any, P columned[M]](c Conn) (Session, error) {
	s := &sqlSession[M, P]{pool: c.Pool, setting: c.Setting}
	table, columns := P(new(M)).TableName(), P(new(M)).Columns()
	const compared = " WHERE id = ? AND version = ?"
	var errs []error
	prepare := func(query string, args ...any) *sql.Stmt {
		stmt, err := c.Pool.Prepare(bind(c.Server, fmt.Sprintf(query, args...)))
		errs = append(errs, err)
		return stmt
	}
	s.update = prepare("UPDATE %s SET price = ?, version = ?"+compared, table)
	s.save = prepare("UPDATE %s SET %s = ?, version = ?"+compared, table, strings.Join(columns, " = ?, "))
	s.remove = prepare("DELETE FROM %s"+compared, table)
	s.where = prepare("UPDATE %s SET price = ?, version = version + 1 WHERE id BETWEEN ? AND ?", table)
	s.load = prepare("SELECT id, version, %s FROM %s WHERE id <= ? ORDER BY id", strings.Join(columns, ", "), table)
	return s, errors.Join(errs...)
}

// bind writes the placeholders of query as the database has them.
func bind(server, query string) string {
	if server != PostgreSQL {
		return query
	}
	parts := strings.Split(query, "?")
	var bound strings.Builder
	for i, part := range parts[:len(parts)-1] {
		fmt.Fprintf(&bound, "%s$%d", part, i+1)
	}
	return bound.String() + parts[len(parts)-1]
}

func (s *sqlSession[M, P]) Load(n int) error {
	s.rows = nil
	found, err := s.load.Query(n)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var row M
		if err := found.Scan(append([]any{P(&row).Key(), P(&row).Current()}, P(&row).Pointers()...)...); err != nil {
			return err
		}
		s.rows = append(s.rows, row)
	}
	return found.Err()
}

func (s *sqlSession[M, P]) Held() int { return len(s.rows) }

func (s *sqlSession[M, P]) UpdateOne(i int, write int64) error {
	P(&s.rows[i]).SetPrice(write)
	version := P(&s.rows[i]).Current()
	err := s.one(s.update, write, *version+1, *P(&s.rows[i]).Key(), *version)
	if err == nil {
		*version++
	}
	return err
}

func (s *sqlSession[M, P]) SaveOne(i int, write int64) error {
	P(&s.rows[i]).Fill(write)
	version := P(&s.rows[i]).Current()
	err := s.one(s.save, s.saveArgs(i)...)
	if err == nil {
		*version++
	}
	return err
}

func (s *sqlSession[M, P]) saveArgs(i int) []any {
	version := *P(&s.rows[i]).Current()
	return append(P(&s.rows[i]).Values(), version+1, *P(&s.rows[i]).Key(), version)
}

func (s *sqlSession[M, P]) DeleteOne(i int) error {
	return s.one(s.remove, *P(&s.rows[i]).Key(), *P(&s.rows[i]).Current())
}

func (s *sqlSession[M, P]) SaveAll(write int64) error {
	return transact(s.pool, func(tx *sql.Tx) error {
		save := tx.Stmt(s.save)
		for i := range s.rows {
			P(&s.rows[i]).Fill(write)
			if err := changed(save.Exec(s.saveArgs(i)...)); err != nil {
				return err
			}
			*P(&s.rows[i]).Current()++
		}
		return nil
	})
}

func (s *sqlSession[M, P]) UpdateWhere(first, last, write int64) error {
	return s.one(s.where, write, first, last)
}

func (s *sqlSession[M, P]) Close() error {
	return errors.Join(s.update.Close(), s.save.Close(), s.remove.Close(), s.where.Close(), s.load.Close())
}

// one runs a statement in a transaction where GORM's are.
func (s *sqlSession[M, P]) one(stmt *sql.Stmt, args ...any) error {
	if s.setting.SkipDefaultTransaction {
		return changed(stmt.Exec(args...))
	}
	return transact(s.pool, func(tx *sql.Tx) error { return changed(tx.Stmt(stmt).Exec(args...)) })
}

func transact(pool *sql.DB, write func(*sql.Tx) error) error {
	tx, err := pool.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if err := write(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// changed turns no rows affected into ErrStale.
func changed(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	return written(res.RowsAffected())
}

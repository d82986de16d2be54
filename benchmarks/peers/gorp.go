package peers

import (
	"errors"

	"github.com/go-gorp/gorp/v3"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openGorp is gorp with SetVersionCol; a refusal is its OptimisticLockError.
func openGorp(c Conn, shape rows.Shape) (Session, error) {
	switch shape {
	case rows.OfWide:
		return newGorp[rows.Wide[int64]](c), nil
	case rows.OfLong:
		return newGorp[rows.Long[int64]](c), nil
	case rows.OfPlain:
		return nil, ErrUnsupported
	default:
		return newGorp[rows.Item[int64]](c), nil
	}
}

type gorpSession[M any, P rows.Model[M, int64]] struct {
	db      *gorp.DbMap
	setting Setting
	table   string
	rows    []M
}

func newGorp[M any, P rows.Model[M, int64]](c Conn) Session {
	s := &gorpSession[M, P]{setting: c.Setting, table: any(*new(M)).(interface{ TableName() string }).TableName()}
	s.db = &gorp.DbMap{Db: c.Pool, Dialect: gorpDialect(c.Server)}
	s.db.AddTableWithName(*new(M), s.table).SetKeys(false, "ID").SetVersionCol("Version")
	return s
}

func gorpDialect(server string) gorp.Dialect {
	switch server {
	case PostgreSQL:
		return gorp.PostgresDialect{}
	case MariaDB:
		return gorp.MySQLDialect{Engine: "InnoDB", Encoding: "utf8mb4"}
	default:
		return gorp.SqliteDialect{}
	}
}

func (s *gorpSession[M, P]) Load(n int) error {
	s.rows = nil
	query := "SELECT * FROM " + s.table + " WHERE id <= " + s.db.Dialect.BindVar(0) + " ORDER BY id"
	_, err := s.db.Select(&s.rows, query, n)
	return err
}

func (s *gorpSession[M, P]) Held() int { return len(s.rows) }

func (s *gorpSession[M, P]) UpdateOne(i int, write int64) error {
	P(&s.rows[i]).SetPrice(write)
	return s.within(func(x gorpExecutor) error {
		return refusedByGorp(x.UpdateColumns(isPriceOrVersion, &s.rows[i]))
	})
}

// isPriceOrVersion names the version too: gorp compares it only where it writes it.
func isPriceOrVersion(column *gorp.ColumnMap) bool {
	return column.ColumnName == "price" || column.ColumnName == "version"
}

func (s *gorpSession[M, P]) SaveOne(i int, write int64) error {
	P(&s.rows[i]).Fill(write)
	return s.within(func(x gorpExecutor) error { return refusedByGorp(x.Update(&s.rows[i])) })
}

func (s *gorpSession[M, P]) DeleteOne(i int) error {
	return s.within(func(x gorpExecutor) error { return refusedByGorp(x.Delete(&s.rows[i])) })
}

// SaveAll gives gorp all rows at once; it sends them one by one.
func (s *gorpSession[M, P]) SaveAll(write int64) error {
	all := make([]any, len(s.rows))
	for i := range s.rows {
		P(&s.rows[i]).Fill(write)
		all[i] = &s.rows[i]
	}
	return s.inTransaction(func(x gorpExecutor) error { return refusedByGorp(x.Update(all...)) })
}

func (s *gorpSession[M, P]) UpdateWhere(first, last, write int64) error {
	bind := s.db.Dialect.BindVar
	query := "UPDATE " + s.table + " SET price = " + bind(0) + ", version = version + 1 WHERE id BETWEEN " +
		bind(1) + " AND " + bind(2)
	return s.within(func(x gorpExecutor) error {
		_, err := x.Exec(query, write, first, last)
		return err
	})
}

func (s *gorpSession[M, P]) Close() error { return nil }

// within has the write be in a transaction where GORM's are.
func (s *gorpSession[M, P]) within(write func(gorpExecutor) error) error {
	if s.setting.SkipDefaultTransaction {
		return write(s.db)
	}
	return s.inTransaction(write)
}

func (s *gorpSession[M, P]) inTransaction(write func(gorpExecutor) error) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	if err := write(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func refusedByGorp(_ int64, err error) error {
	var stale gorp.OptimisticLockError
	if errors.As(err, &stale) {
		return ErrStale
	}
	return err
}

// gorpExecutor is a DbMap or a Transaction.
type gorpExecutor interface {
	gorp.SqlExecutor
	UpdateColumns(filter gorp.ColumnFilter, list ...any) (int64, error)
}

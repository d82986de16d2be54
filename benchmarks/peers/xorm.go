package peers

import (
	"errors"
	"runtime"

	"xorm.io/xorm"
	"xorm.io/xorm/core"
	"xorm.io/xorm/log"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openXorm is xorm with its version tag. A refusal is no rows affected; the version in memory moves all the same, and is
// put back here.
func openXorm(c Conn, shape rows.Shape) (Session, error) {
	engine, err := newXormEngine(c)
	if err != nil {
		return nil, err
	}
	switch shape {
	case rows.OfWide:
		return &xormSession[rows.Wide[int64], *rows.Wide[int64]]{engine: engine, setting: c.Setting}, nil
	case rows.OfLong:
		return &xormSession[rows.Long[int64], *rows.Long[int64]]{engine: engine, setting: c.Setting}, nil
	case rows.OfPlain:
		return nil, ErrUnsupported
	default:
		return &xormSession[rows.Item[int64], *rows.Item[int64]]{engine: engine, setting: c.Setting}, nil
	}
}

func newXormEngine(c Conn) (*xorm.Engine, error) {
	driver, dsn := "sqlite3", "x"
	switch c.Server {
	case PostgreSQL:
		driver, dsn = "pgx", "postgres://localhost/test" // xorm only reads the names in it: the pool is there
	case MariaDB:
		driver, dsn = "mysql", "root@tcp(localhost)/test"
	}
	engine, err := xorm.NewEngineWithDB(driver, dsn, core.FromDB(c.Pool))
	if err != nil {
		return nil, err
	}
	engine.SetLogLevel(log.LOG_OFF)
	runtime.SetFinalizer(engine, nil) // xorm's closes the pool, which is not its own here
	return engine, nil
}

type xormSession[M any, P rows.Model[M, int64]] struct {
	engine  *xorm.Engine
	setting Setting
	rows    []M
}

func (s *xormSession[M, P]) Load(n int) error {
	s.rows = nil
	return s.engine.Where("id <= ?", n).OrderBy("id").Find(&s.rows)
}

func (s *xormSession[M, P]) Held() int { return len(s.rows) }

func (s *xormSession[M, P]) UpdateOne(i int, write int64) error {
	P(&s.rows[i]).SetPrice(write)
	return s.within(func(x *xorm.Session) error { return s.update(x.Cols("price"), i) })
}

func (s *xormSession[M, P]) SaveOne(i int, write int64) error {
	P(&s.rows[i]).Fill(write)
	return s.within(func(x *xorm.Session) error { return s.update(x.AllCols().Omit("id", "version"), i) })
}

func (s *xormSession[M, P]) update(x *xorm.Session, i int) error {
	version := P(&s.rows[i]).Current()
	loaded := *version
	n, err := x.Where("id = ?", i+1).Update(&s.rows[i])
	if err = written(n, err); err != nil {
		*version = loaded
	}
	return err
}

func (s *xormSession[M, P]) DeleteOne(i int) error {
	return s.within(func(x *xorm.Session) error { return written(x.Where("id = ?", i+1).Delete(&s.rows[i])) })
}

// SaveAll is a loop: xorm updates one row at a time.
func (s *xormSession[M, P]) SaveAll(write int64) error {
	return s.inTransaction(func(x *xorm.Session) error {
		for i := range s.rows {
			P(&s.rows[i]).Fill(write)
			if err := s.update(x.AllCols().Omit("id", "version"), i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *xormSession[M, P]) UpdateWhere(first, last, write int64) error {
	return s.within(func(x *xorm.Session) error {
		_, err := x.Table(new(M)).Where("id BETWEEN ? AND ?", first, last).Incr("version").
			Update(map[string]any{"price": write})
		return err
	})
}

func (s *xormSession[M, P]) Close() error { return nil }

// within has the write be in a transaction where GORM's are.
func (s *xormSession[M, P]) within(write func(*xorm.Session) error) error {
	if !s.setting.SkipDefaultTransaction {
		return s.inTransaction(write)
	}
	session := s.newSession()
	defer session.Close()
	return write(session)
}

func (s *xormSession[M, P]) newSession() *xorm.Session {
	session := s.engine.NewSession()
	if s.setting.PrepareStmt {
		session.Prepare()
	}
	return session
}

func (s *xormSession[M, P]) inTransaction(write func(*xorm.Session) error) error {
	session := s.newSession()
	defer session.Close()
	if err := session.Begin(); err != nil {
		return err
	}
	if err := write(session); err != nil {
		return errors.Join(err, session.Rollback())
	}
	return session.Commit()
}

// written turns no rows affected into ErrStale.
func written(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrStale
	}
	return err
}

package peers

import (
	"gorm.io/gorm"
	"gorm.io/plugin/optimisticlock"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openOptimisticLock is gorm.io/plugin/optimisticlock: a field type that adds the condition and the next version. It
// reports a refusal as no rows affected, and leaves the version in memory as it was.
func openOptimisticLock(c Conn, shape rows.Shape) (Session, error) {
	db, err := openDB(c)
	if err != nil {
		return nil, err
	}
	switch shape {
	case rows.OfWide:
		return newLocking[rows.Wide[optimisticlock.Version]](db), nil
	case rows.OfLong:
		return newLocking[rows.Long[optimisticlock.Version]](db), nil
	case rows.OfPlain:
		return nil, ErrUnsupported
	default:
		return newLocking[rows.Item[optimisticlock.Version]](db), nil
	}
}

type locking[M any, P rows.Model[M, optimisticlock.Version]] struct {
	gormSession[M, P, optimisticlock.Version]
}

func newLocking[M any, P rows.Model[M, optimisticlock.Version]](db *gorm.DB) Session {
	return &locking[M, P]{gormSession[M, P, optimisticlock.Version]{db: db}}
}

func (s *locking[M, P]) UpdateOne(i int, write int64) error {
	return s.advance(i, affected(s.db.Model(&s.rows[i]).Update("price", write), 1))
}

func (s *locking[M, P]) SaveOne(i int, write int64) error {
	P(&s.rows[i]).Fill(write)
	return s.advance(i, affected(s.db.Save(&s.rows[i]), 1))
}

// advance does by hand what the plugin leaves to a second load.
func (s *locking[M, P]) advance(i int, err error) error {
	if err == nil {
		P(&s.rows[i]).Current().Int64++
	}
	return err
}

func (s *locking[M, P]) DeleteOne(i int) error {
	return affected(s.db.Delete(&s.rows[i]), 1)
}

func (s *locking[M, P]) SaveAll(write int64) error {
	for i := range s.rows {
		P(&s.rows[i]).Fill(write)
	}
	return s.db.Save(&s.rows).Error
}

package peers

import (
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openGORM is GORM as it comes: no version is compared or written.
func openGORM(c Conn, shape rows.Shape) (Session, error) {
	db, err := openDB(c)
	if err != nil {
		return nil, err
	}
	return gormSessionOf[int64](db, shape), nil
}

// gormSessionOf is for models whose version is a V.
func gormSessionOf[V any](db *gorm.DB, shape rows.Shape) Session {
	switch shape {
	case rows.OfWide:
		return &gormSession[rows.Wide[V], *rows.Wide[V], V]{db: db}
	case rows.OfLong:
		return &gormSession[rows.Long[V], *rows.Long[V], V]{db: db}
	case rows.OfPlain:
		return &gormSession[rows.Plain, *rows.Plain, int64]{db: db}
	default:
		return &gormSession[rows.Item[V], *rows.Item[V], V]{db: db}
	}
}

type gormSession[M any, P rows.Model[M, V], V any] struct {
	db   *gorm.DB
	rows []M
}

func (s *gormSession[M, P, V]) Load(n int) error {
	s.rows = nil
	return s.db.Where("id <= ?", n).Order("id").Find(&s.rows).Error
}

func (s *gormSession[M, P, V]) Held() int { return len(s.rows) }

func (s *gormSession[M, P, V]) UpdateOne(i int, write int64) error {
	return refusal(s.db.Model(&s.rows[i]).Update("price", write).Error)
}

func (s *gormSession[M, P, V]) SaveOne(i int, write int64) error {
	P(&s.rows[i]).Fill(write)
	return refusal(s.db.Save(&s.rows[i]).Error)
}

func (s *gormSession[M, P, V]) DeleteOne(i int) error {
	return refusal(s.db.Delete(&s.rows[i]).Error)
}

func (s *gormSession[M, P, V]) SaveAll(write int64) error {
	for i := range s.rows {
		P(&s.rows[i]).Fill(write)
	}
	return refusal(s.db.Save(&s.rows).Error)
}

func (s *gormSession[M, P, V]) UpdateWhere(first, last, write int64) error {
	return s.db.Model(new(M)).Where("id BETWEEN ? AND ?", first, last).Update("price", write).Error
}

func (s *gormSession[M, P, V]) Close() error { return closeStatements(s.db) }

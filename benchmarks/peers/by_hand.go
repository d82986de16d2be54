package peers

import (
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// openByHand is what GORM's users write where they have no plugin: WHERE version = ?, the next one in SET, RowsAffected.
func openByHand(c Conn, shape rows.Shape) (Session, error) {
	db, err := openDB(c)
	if err != nil {
		return nil, err
	}
	switch shape {
	case rows.OfWide:
		return newByHand[rows.Wide[int64]](db), nil
	case rows.OfLong:
		return newByHand[rows.Long[int64]](db), nil
	case rows.OfPlain:
		return nil, ErrUnsupported
	default:
		return newByHand[rows.Item[int64]](db), nil
	}
}

// byHand loads as GORM does.
type byHand[M any, P rows.Model[M, int64]] struct{ gormSession[M, P, int64] }

func newByHand[M any, P rows.Model[M, int64]](db *gorm.DB) Session {
	return &byHand[M, P]{gormSession[M, P, int64]{db: db}}
}

func (s *byHand[M, P]) UpdateOne(i int, write int64) error {
	version := P(&s.rows[i]).Current()
	loaded := *version
	res := s.db.Model(&s.rows[i]).Where("version = ?", loaded).
		Updates(map[string]any{"price": write, "version": loaded + 1}) // GORM copies both into the model
	err := affected(res, 1)
	if err != nil {
		*version = loaded
	}
	return err
}

func (s *byHand[M, P]) SaveOne(i int, write int64) error {
	P(&s.rows[i]).Fill(write)
	return s.save(s.db, i)
}

// save is no Save: that would insert the row again where the condition does not hold.
func (s *byHand[M, P]) save(db *gorm.DB, i int) error {
	version := P(&s.rows[i]).Current()
	loaded := *version
	*version = loaded + 1
	err := affected(db.Model(&s.rows[i]).Where("version = ?", loaded).Select("*").Updates(&s.rows[i]), 1)
	if err != nil {
		*version = loaded
	}
	return err
}

func (s *byHand[M, P]) DeleteOne(i int) error {
	return affected(s.db.Where("version = ?", *P(&s.rows[i]).Current()).Delete(&s.rows[i]), 1)
}

// SaveAll is the loop that one writes: each row with its check, in one transaction.
func (s *byHand[M, P]) SaveAll(write int64) error {
	return s.db.Transaction(func(tx *gorm.DB) error {
		for i := range s.rows {
			P(&s.rows[i]).Fill(write)
			if err := s.save(tx, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *byHand[M, P]) UpdateWhere(first, last, write int64) error {
	return s.db.Model(new(M)).Where("id BETWEEN ? AND ?", first, last).
		Updates(map[string]any{"price": write, "version": gorm.Expr("version + 1")}).Error
}

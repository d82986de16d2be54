package adopting_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/examples/adopting/after"
)

// byHand is the model of code that compares and counts in its own statements.
type byHand struct {
	ID      uint
	Stock   int
	Version int64
}

func (byHand) TableName() string { return "products" }

// update is a check by hand.
func update(db *gorm.DB, p *byHand, stock int) *gorm.DB {
	return db.Model(p).Where("version = ?", p.Version).
		Updates(map[string]any{"stock": stock, "version": gorm.Expr("version + 1")})
}

func TestChecksByHandAndOccSideBySide(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		hand, now := load[byHand](t, s.old), s.newProduct(t)

		require.Equal(t, int64(1), update(s.old, hand, 9).RowsAffected)
		require.ErrorIs(t, s.now.Model(now).Update("stock", 8).Error, occ.ErrStaleData)
		s.requireRow(t, 9, 2)
		hand, now = load[byHand](t, s.old), s.newProduct(t)
		require.NoError(t, s.now.Model(now).Update("stock", 8).Error)
		require.Zero(t, update(s.old, hand, 7).RowsAffected)

		s.requireRow(t, 8, 3)
	})
}

// TestWhatIsLeftOfChecksByHand runs what docs/migrating.md says to delete: it is superfluous, or it is refused. Nothing is lost.
func TestWhatIsLeftOfChecksByHand(t *testing.T) {
	t.Run("a version in WHERE", func(t *testing.T) {
		each(t, func(t *testing.T, s shop) {
			p, copied := s.newProduct(t), s.newProduct(t)
			require.NoError(t, s.now.Model(p).Where("version = ?", p.Version).Update("stock", 9).Error)
			require.Equal(t, occ.Version(2), p.Version)
			require.ErrorIs(t, s.now.Model(copied).Where("version = ?", copied.Version).Update("stock", 8).Error, occ.ErrStaleData)
			s.requireRow(t, 9, 2)
		})
	})
	t.Run("version + 1 in a payload", func(t *testing.T) {
		each(t, func(t *testing.T, s shop) {
			p, copied := s.newProduct(t), s.newProduct(t)
			payload := map[string]any{"stock": 9, "version": gorm.Expr("version + 1")}
			require.NoError(t, s.now.Model(p).Updates(payload).Error)
			require.Equal(t, occ.Version(2), p.Version)
			require.ErrorIs(t, s.now.Model(copied).Updates(payload).Error, occ.ErrStaleData)
			s.requireRow(t, 9, 2)
		})
	})
	t.Run("m.Version++ before a write", func(t *testing.T) {
		each(t, func(t *testing.T, s shop) {
			p := s.newProduct(t)
			p.Version++
			require.ErrorIs(t, s.now.Model(p).Update("stock", 9).Error, occ.ErrStaleData)
			s.requireRow(t, 10, 1)
		})
	})
	t.Run("m.Version++ after a write", func(t *testing.T) {
		each(t, func(t *testing.T, s shop) {
			p := s.newProduct(t)
			require.NoError(t, s.now.Model(p).Update("stock", 9).Error)
			p.Version++
			require.ErrorIs(t, s.now.Model(p).Update("stock", 8).Error, occ.ErrStaleData)
			s.requireRow(t, 9, 2)
		})
	})
	t.Run("an update of the version alone", func(t *testing.T) {
		each(t, func(t *testing.T, s shop) {
			p := s.newProduct(t)
			for _, tx := range []*gorm.DB{s.now.Model(p), s.now.Model(&after.Product{}).Where("id = ?", 1), s.now.Table("products").Where("id = ?", 1)} {
				require.ErrorContains(t, tx.UpdateColumn("version", gorm.Expr("version + 1")).Error, "occ.Touch")
			}
			s.requireRow(t, 10, 1)
			require.NoError(t, occ.Touch(s.now, p))
			s.requireRow(t, 10, 2)
			require.Equal(t, occ.Version(2), p.Version)
		})
	})
	t.Run("a version that came from a client", func(t *testing.T) {
		each(t, func(t *testing.T, s shop) {
			require.NoError(t, s.now.Model(&after.Product{ID: 1}).Clauses(occ.Expect(1)).Update("stock", 9).Error)
			require.ErrorIs(t, s.now.Model(&after.Product{ID: 1}).Clauses(occ.Expect(1)).Update("stock", 8).Error, occ.ErrStaleData)
			require.ErrorIs(t, s.now.Model(&after.Product{ID: 1}).Clauses(occ.ExpectText("1")).Update("stock", 8).Error, occ.ErrStaleData)
			s.requireRow(t, 9, 2)
			require.NoError(t, s.now.Model(&after.Product{ID: 1}).Clauses(occ.ExpectText("2")).Update("stock", 8).Error)
			s.requireRow(t, 8, 3)
		})
	})
}

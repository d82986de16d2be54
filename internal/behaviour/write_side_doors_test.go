package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestSideDoors tries the calls that name their rows in an unusual way.
func TestSideDoors(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a delete by a pointer to the model's pointer deletes that row alone", func(t *testing.T, db *gorm.DB) {
			p, other := Create(t, db), Create(t, db)
			pointer := &p

			require.NoError(t, db.Model(&pointer).Delete(&Product{}).Error)

			RequireNoRow[Product](t, db, p.ID)
			require.Equal(t, other, Reload[Product](t, db, other.ID))
		}},
		{"a delete into a slice compares the model that names the row", func(t *testing.T, db *gorm.DB) {
			for _, deleted := range []*[]Product{{}, {{}}} {
				mine, theirs := Pair(t, db)

				err := db.Model(&mine).Clauses(clause.Returning{}).Delete(deleted).Error

				require.ErrorIs(t, err, occ.ErrStaleData)
				require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
			}
		}},
		{"a delete into a slice compares the models that name the rows", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			other := Create(t, db)

			err := db.Model(&[]Product{mine, other}).Delete(&[]Product{}).Error

			require.ErrorIs(t, err, occ.ErrStaleData)
			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
			require.Equal(t, other, Reload[Product](t, db, other.ID))
		}},
		{"a table under an alias is known", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)

			require.NoError(t, db.Table("products AS p").Where("p.id = ?", p.ID).Updates(map[string]any{"price": 3}).Error)

			require.Equal(t, occ.Version(2), Reload[Product](t, db, p.ID).Version)
		}},
		{"a model keeps its key where a change of it is refused", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			id, other := mine.ID, Create(t, db)

			for range 2 {
				require.ErrorIs(t, db.Model(&mine).Updates(map[string]any{"id": other.ID, "price": 3}).Error, occ.ErrStaleData)
				require.Equal(t, id, mine.ID)
			}

			require.Equal(t, theirs, Reload[Product](t, db, id))
			require.Equal(t, other, Reload[Product](t, db, other.ID))
		}},
		{"a version under its column's other name is not written", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)

			byCondition := db.Model(&Product{}).Where("id = ?", p.ID)
			require.NoError(t, byCondition.Updates(map[string]any{"VERSION": 0, "products.version": 0, "price": 8}).Error)

			require.Equal(t, occ.Version(2), Reload[Product](t, db, p.ID).Version)
		}},
		{"what was a Save that wrote nothing goes on to write", func(t *testing.T, db *gorm.DB) {
			p, next := Create(t, db), Product{Name: "next"}
			saved := func() *gorm.DB {
				tx := db.Where("price > 100").Save(&p)
				require.NoError(t, tx.Error)
				require.Zero(t, tx.RowsAffected)
				return tx
			}

			require.NoError(t, saved().Exec("UPDATE products SET name = ?", "raw").Error)
			require.NoError(t, saved().Session(&gorm.Session{NewDB: true}).Create(&next).Error)

			require.Equal(t, "raw", Reload[Product](t, db, p.ID).Name)
			require.Equal(t, next, Reload[Product](t, db, next.ID))
		}},
	}, &Product{})
}

// TestReturningByValue is for databases whose UPDATE returns rows.
func TestReturningByValue(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"a model passed by value takes no returned row, and no harm", func(t *testing.T, db *gorm.DB) {
		if db.Name() == "mysql" {
			t.Skip("MariaDB's UPDATE returns nothing")
		}
		p := Create(t, db)

		require.NoError(t, db.Model(p).Clauses(clause.Returning{}).Update("price", 3).Error)
		require.ErrorIs(t, db.Model(p).Clauses(clause.Returning{}).Update("price", 4).Error, occ.ErrStaleData)

		require.Equal(t, Product{ID: p.ID, Name: "pen", Price: 3, Version: 2}, Reload[Product](t, db, p.ID))
	}}}, &Product{})
}

package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

func createSeveral(t *testing.T, db *gorm.DB, n int) []Product {
	products := make([]Product, n)
	for i := range products {
		products[i] = Product{Name: "pen", Price: 10 + i}
	}
	require.NoError(t, db.Create(&products).Error)
	return products
}

func staleRows(t *testing.T, err error) []occ.StaleRow {
	t.Helper()
	var refused *occ.StaleDataError
	require.ErrorIs(t, err, occ.ErrStaleData)
	require.ErrorAs(t, err, &refused)
	return refused.Rows
}

func all[T any](t *testing.T, db *gorm.DB) (rows []T) {
	t.Helper()
	require.NoError(t, db.Unscoped().Order("id").Find(&rows).Error)
	return rows
}

func TestUpdateOfASlice(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"writes every row and advances every element", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", products[1].ID).Update("price", 50).Error)
			products[1] = Reload[Product](t, db, products[1].ID)

			res := db.Model(&products).Update("price", 99)

			require.NoError(t, res.Error)
			require.EqualValues(t, 3, res.RowsAffected)
			require.Equal(t, all[Product](t, db), products)
			require.Equal(t, occ.Version(3), products[1].Version)
			require.Equal(t, occ.Version(2), products[2].Version)
			require.Equal(t, 99, products[2].Price)
		}},
		{"with one stale row writes none and names it", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", products[1].ID).Update("price", 50).Error)
			stored := all[Product](t, db)

			res := db.Model(&products).Update("price", 99)

			require.Equal(t, []occ.StaleRow{{
				Index: 1, PrimaryKey: map[string]any{"id": products[1].ID},
				Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}}, staleRows(t, res.Error))
			require.EqualValues(t, 0, res.RowsAffected)
			require.Equal(t, stored, all[Product](t, db))
			for _, p := range products {
				require.Equal(t, occ.Version(1), p.Version)
			}
		}},
	}, &Product{})
}

func TestSaveOfASlice(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"inserts what is new, updates what is loaded", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", products[1].ID).Update("price", 50).Error)
			products[1] = Reload[Product](t, db, products[1].ID)
			products[0].Name, products[2].Name = "ink", "nib"
			products = []Product{products[0], {Name: "cap"}, products[1], {ID: 77, Name: "box"}, products[2]}

			res := db.Save(&products)

			require.NoError(t, res.Error)
			require.EqualValues(t, 5, res.RowsAffected)
			require.NotZero(t, products[1].ID)
			require.Equal(t, occ.Version(1), products[1].Version)
			require.Equal(t, occ.Version(3), products[2].Version)
			require.ElementsMatch(t, all[Product](t, db), products)
		}},
		{"with one stale row writes none and names it", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", products[1].ID).Update("price", 50).Error)
			stored := all[Product](t, db)
			products = append(products, Product{Name: "new"}, Product{ID: products[0].ID, Name: "known"})
			products = append(products[1:], Product{Name: "new"})

			res := db.Save(&products)

			rows := staleRows(t, res.Error)
			require.Equal(t, []occ.StaleRow{
				{Index: 0, PrimaryKey: map[string]any{"id": products[0].ID}, Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged},
				{Index: 3, PrimaryKey: map[string]any{"id": products[3].ID}, Expected: occ.Version(0), Actual: occ.Version(1), Reason: occ.ReasonMissing},
			}, rows)
			require.ErrorIs(t, res.Error, occ.ErrVersionMissing)
			require.EqualValues(t, 0, res.RowsAffected)
			require.Equal(t, stored, all[Product](t, db))
			require.Zero(t, products[2].ID)
			require.Zero(t, products[2].Version)
			require.Equal(t, occ.Version(1), products[0].Version)
		}},
	}, &Product{})
}

func TestDeleteOfASlice(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"deletes every row", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)

			res := db.Delete(&products)

			require.NoError(t, res.Error)
			require.EqualValues(t, 3, res.RowsAffected)
			require.Equal(t, occ.Version(1), products[1].Version)
			require.Empty(t, all[Product](t, db))
		}},
		{"with one stale row deletes none and names it", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", products[1].ID).Update("price", 50).Error)

			res := db.Delete(&products)

			require.Equal(t, 1, staleRows(t, res.Error)[0].Index)
			require.Len(t, all[Product](t, db), 3)
		}},
		{"hides every row of a soft-deleted model and writes its next version", func(t *testing.T, db *gorm.DB) {
			notes := []Note{{Text: "a"}, {Text: "b"}}
			require.NoError(t, db.Create(&notes).Error)

			res := db.Delete(&notes)

			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Equal(t, occ.Version(2), notes[1].Version)
			require.True(t, notes[1].DeletedAt.Valid)
			require.Equal(t, occ.Version(2), Reload[Note](t, db, notes[0].ID).Version)
			require.True(t, Reload[Note](t, db, notes[0].ID).DeletedAt.Valid)
			require.Equal(t, occ.ReasonDeleted, staleRows(t, db.Delete(&notes).Error)[0].Reason)
			require.Equal(t, occ.ReasonDeleted, staleRows(t, db.Save(&notes).Error)[1].Reason)
		}},
	}, &Product{}, &Note{})
}

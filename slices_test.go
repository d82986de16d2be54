package occ_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
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
	run(t, append(testdb.All(), testdb.Configurations()...), []behaviour{
		{"writes every row and advances every element", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", products[1].ID).Update("price", 50).Error)
			products[1] = reload[Product](t, db, products[1].ID)

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

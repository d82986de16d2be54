package adopting_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/examples/adopting/after"
	"github.com/gorm-occ/occ/examples/adopting/before"
	"github.com/gorm-occ/occ/internal/testdb"
)

// shop is one database, as the program sees it that has optimisticlock, and as the one does that has occ.
type shop struct{ old, now *gorm.DB }

// openShop makes the table as the old program does, with one product.
func openShop(t *testing.T, old *gorm.DB) shop {
	t.Helper()
	now, err := gorm.Open(old.Dialector, &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	require.NoError(t, now.Use(occ.New()))
	require.NoError(t, old.AutoMigrate(&before.Product{}))
	require.NoError(t, old.Create(&before.Product{ID: 1, Stock: 10}).Error)
	return shop{old, now}
}

func (s shop) oldProduct(t *testing.T) *before.Product { return load[before.Product](t, s.old) }
func (s shop) newProduct(t *testing.T) *after.Product  { return load[after.Product](t, s.now) }

func load[T any](t *testing.T, db *gorm.DB) *T {
	t.Helper()
	var row T
	require.NoError(t, db.Unscoped().First(&row, 1).Error)
	return &row
}

// requireRow looks at what is stored.
func (s shop) requireRow(t *testing.T, stock int, version occ.Version) {
	t.Helper()
	row := s.newProduct(t)
	require.Equal(t, []any{stock, version}, []any{row.Stock, row.Version})
}

// each runs a step on each database.
func each(t *testing.T, step func(t *testing.T, s shop)) {
	t.Helper()
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) { step(t, openShop(t, db)) })
}

func TestEitherLibraryComparesWithWhatTheOtherHasWritten(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		old, now := s.oldProduct(t), s.newProduct(t)
		require.Equal(t, []any{int64(1), int64(1)}, []any{old.Shown(), now.Shown()})

		require.Equal(t, http.StatusNoContent, after.SetStock(s.now, now, 9))
		require.Equal(t, http.StatusConflict, before.SetStock(s.old, old, 8))
		s.requireRow(t, 9, 2)
		old = s.oldProduct(t)
		require.Equal(t, http.StatusNoContent, before.SetStock(s.old, old, 7))
		require.Equal(t, http.StatusConflict, after.SetStock(s.now, now, 6))

		s.requireRow(t, 7, 3)
	})
}

func TestTheVersionInJSON(t *testing.T) {
	t.Parallel()
	inJSON := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return string(text)
	}

	for version, text := range map[int64]string{3: "3", 1 << 40: "1099511627776"} {
		require.Equal(t, text, inJSON(before.Edited(1, 2, version).Version))
		require.Equal(t, text, inJSON(after.Edited(1, 2, version).Version))
	}
	require.Equal(t, "null", inJSON(before.Product{}.Version))
	require.Equal(t, "0", inJSON(after.Product{}.Version))
	var p after.Product
	require.NoError(t, json.Unmarshal([]byte(`{"Version": null}`), &p), "what the old program has sent")
	require.False(t, p.WasLoaded())
}

func TestNULLVersionsBeforeAutoMigrate(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		require.NoError(t, s.old.Exec("INSERT INTO products (id, stock) VALUES (2, 5)").Error)
		require.Error(t, s.now.AutoMigrate(&after.Product{}))

		err := occ.CheckSchema(s.now, &after.Product{})
		require.ErrorContains(t, err, "holds NULLs")
		_, mend, found := strings.Cut(err.Error(), "\n\t")
		require.True(t, found, err)
		require.NoError(t, s.now.Exec(strings.TrimSuffix(mend, ";")).Error)

		require.NoError(t, s.now.AutoMigrate(&after.Product{}))
		require.NoError(t, occ.CheckSchema(s.now, &after.Product{}))
		s.requireRow(t, 10, 1)
		var mended after.Product
		require.NoError(t, s.now.First(&mended, 2).Error)
		require.Equal(t, after.Edited(2, 5, 1), mended)
		require.NoError(t, s.old.Create(&before.Product{ID: 3}).Error, "the old program still writes the table")
	})
}

func TestAStaleWrite(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		old, now := s.oldProduct(t), s.newProduct(t)
		require.NoError(t, s.old.Exec("UPDATE products SET stock = 9, version = version + 1").Error)

		result := s.old.Model(old).Update("stock", 8)
		require.NoError(t, result.Error)
		require.Zero(t, result.RowsAffected)
		result = s.now.Model(now).Update("stock", 8)
		require.ErrorIs(t, result.Error, occ.ErrStaleData)
		require.Zero(t, result.RowsAffected)

		s.requireRow(t, 9, 2)
	})
}

func TestTheVersionInMemoryAfterAWrite(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		old := s.oldProduct(t)
		require.Equal(t, http.StatusNoContent, before.SetStock(s.old, old, 9))
		require.Equal(t, int64(1), old.Shown())
		require.Equal(t, http.StatusConflict, before.SetStock(s.old, old, 8), "it has to be loaded again")

		now := s.newProduct(t)
		require.Equal(t, http.StatusNoContent, after.SetStock(s.now, now, 9))
		require.Equal(t, int64(3), now.Shown())
		require.Equal(t, http.StatusNoContent, after.SetStock(s.now, now, 8))

		s.requireRow(t, 8, 4)
	})
}

func TestAVersionThatWasNeverLoaded(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		require.Equal(t, http.StatusNoContent, before.SetStock(s.old, &before.Product{ID: 1}, 9))
		s.requireRow(t, 9, 2)

		err := s.now.Model(&after.Product{ID: 1}).Update("stock", 8).Error
		require.ErrorIs(t, err, occ.ErrVersionMissing)

		s.requireRow(t, 9, 2)
	})
}

func TestUnscoped(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		old, now := s.oldProduct(t), s.newProduct(t)
		require.NoError(t, s.old.Exec("UPDATE products SET stock = 9, version = version + 1").Error)

		result := s.old.Unscoped().Model(old).Update("stock", 8)
		require.NoError(t, result.Error)
		require.Equal(t, int64(1), result.RowsAffected, "a lost update")
		s.requireRow(t, 8, 3)
		require.ErrorIs(t, s.now.Unscoped().Model(now).Update("stock", 7).Error, occ.ErrStaleData)
		s.requireRow(t, 8, 3)
		require.NoError(t, s.now.Model(now).Clauses(occ.Unchecked()).Update("stock", 7).Error)
		s.requireRow(t, 7, 4)
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		old, now := s.oldProduct(t), s.newProduct(t)
		require.NoError(t, s.old.Exec("UPDATE products SET stock = 9, version = version + 1").Error)

		require.ErrorIs(t, s.now.Delete(now).Error, occ.ErrStaleData)
		require.False(t, s.newProduct(t).DeletedAt.Valid)
		require.ErrorIs(t, s.now.Unscoped().Delete(now).Error, occ.ErrStaleData)
		s.requireRow(t, 9, 2)
		result := s.old.Delete(old)
		require.NoError(t, result.Error)
		require.Equal(t, int64(1), result.RowsAffected)
		require.True(t, s.newProduct(t).DeletedAt.Valid)
		require.Equal(t, int64(2), s.newProduct(t).Shown(), "nor does it move the version")
	})
}

func TestConditionsOfYourOwn(t *testing.T) {
	each(t, func(t *testing.T, s shop) {
		now := s.newProduct(t)

		result := s.now.Model(now).Where("stock > ?", 10).Update("stock", 8)

		require.NoError(t, result.Error)
		require.Zero(t, result.RowsAffected)
		s.requireRow(t, 10, 1)
	})
}

const sales = 20

// oldSales are made by the old program, which tries again where no row was affected.
func oldSales(db *gorm.DB) error {
	for sold := 0; sold < sales; {
		var p before.Product
		if err := db.First(&p, 1).Error; err != nil {
			return err
		}
		result := db.Model(&p).Update("stock", p.Stock-1)
		if result.Error != nil {
			return result.Error
		}
		sold += int(result.RowsAffected)
	}
	return nil
}

func newSales(t *testing.T, db *gorm.DB) error {
	for range sales {
		err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
			var p after.Product
			if err := tx.First(&p, 1).Error; err != nil {
				return err
			}
			return tx.Model(&p).Update("stock", p.Stock-1).Error
		}, occ.WithMaxAttempts(1000))
		if err != nil {
			return err
		}
	}
	return nil
}

func TestOldAndNewProgramsSideBySide(t *testing.T) {
	t.Parallel()
	for _, database := range append(testdb.Like(testdb.Transactions(), "sqlite"), testdb.Of("postgres", "mariadb")...) {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			s := openShop(t, database.Open(t))
			errs := make([]error, 4)
			var programs sync.WaitGroup

			for i := range errs {
				programs.Go(func() {
					if i%2 == 0 {
						errs[i] = oldSales(s.old)
					} else {
						errs[i] = newSales(t, s.now)
					}
				})
			}
			programs.Wait()

			for _, err := range errs {
				require.NoError(t, err)
			}
			s.requireRow(t, 10-4*sales, 1+4*sales)
		})
	}
}

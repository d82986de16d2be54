package client_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// charge is what some work allocates, for each of n parts of it.
type charge struct{ allocs, bytes float64 }

func chargeOf(t *testing.T, n int, work func() error) charge {
	t.Helper()
	require.NoError(t, work()) // fills what is kept
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, work())
	runtime.ReadMemStats(&after)
	return charge{float64(after.Mallocs-before.Mallocs) / float64(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n)}
}

// requireFlat wants a part of much work to cost no more than a part of little, but for the growth of lists.
func requireFlat(t *testing.T, few, many charge) {
	t.Helper()
	require.LessOrEqual(t, many.allocs, 1.1*few.allocs)
	require.LessOrEqual(t, many.bytes, 1.5*few.bytes)
}

func TestARowOfALargeBatchCostsNoMoreThanOneOfASmall(t *testing.T) {
	calls := map[string]func(db *gorm.DB, mine []checked) error{
		"Save":   func(db *gorm.DB, mine []checked) error { return db.Save(&mine).Error },
		"Update": func(db *gorm.DB, mine []checked) error { return db.Model(&mine).Update("price", 70).Error },
		"Delete": func(db *gorm.DB, mine []checked) error { return db.Delete(&mine).Error },
	}
	db := open(t, 1, occ.New()).Session(&gorm.Session{DryRun: true})
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			of := func(n int) charge {
				mine := make([]checked, n)
				for i := range mine {
					mine[i] = checked{ID: int64(i + 1000), Name: fmt.Sprint("item ", i), Price: int64(i + 2000), Stock: 1, Version: occ.Version(i%7 + 1)}
				}
				return chargeOf(t, n, func() error { return call(db, mine) })
			}
			requireFlat(t, of(1_000), of(10_000))
		})
	}
}

func TestAWriteInALongTransactionCostsNoMoreThanInAShort(t *testing.T) {
	db := open(t, 1, occ.New())
	of := func(n int) charge {
		return chargeOf(t, n, func() error {
			return occ.Transaction(db, func(tx *gorm.DB) error {
				for i := range n {
					if err := tx.Model(&checked{ID: int64(i + 1), Version: 1}).Update("price", 70).Error; err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	requireFlat(t, of(500), of(5_000))
}

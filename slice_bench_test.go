package occ_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// BenchmarkSaveSlice compares Save of a slice of loaded rows with what one writes by hand: compared updates in a loop, in
// one transaction. x/loop is how many times faster Save is.
func BenchmarkSaveSlice(b *testing.B) {
	for _, database := range testdb.All() {
		for _, n := range []int{100, 1000} {
			b.Run(fmt.Sprintf("%s/%d rows", database.Name, n), func(b *testing.B) {
				db := database.Open(b)
				require.NoError(b, db.Use(occ.New()))
				require.NoError(b, db.AutoMigrate(&Product{}))
				products := make([]Product, n)
				require.NoError(b, db.CreateInBatches(&products, 500).Error)
				for i := range products {
					products[i].Name, products[i].Price = fmt.Sprint("product ", i), i
				}
				var saving, looping time.Duration
				for b.Loop() {
					began := time.Now()
					require.NoError(b, db.Save(&products).Error)
					saving += time.Since(began)
					began = time.Now()
					require.NoError(b, updateByHand(db, products))
					looping += time.Since(began)
				}
				b.ReportMetric(float64(saving.Microseconds())/float64(b.N), "µs/save")
				b.ReportMetric(float64(looping.Microseconds())/float64(b.N), "µs/loop")
				b.ReportMetric(float64(looping)/float64(saving), "x/loop")
			})
		}
	}
}

// plainProduct is a Product whose version the plugin does not see.
type plainProduct struct {
	ID      uint
	Name    string
	Price   int
	Version int64
}

func (plainProduct) TableName() string { return "products" }

func updateByHand(db *gorm.DB, products []Product) error {
	return db.Transaction(func(tx *gorm.DB) error {
		for i := range products {
			p := &products[i]
			res := tx.Model(&plainProduct{}).Where("id = ? AND version = ?", p.ID, p.Version).
				Updates(map[string]any{"name": p.Name, "price": p.Price, "version": p.Version + 1})
			if res.Error != nil || res.RowsAffected != 1 {
				return fmt.Errorf("row %d: %d rows, %w", p.ID, res.RowsAffected, res.Error)
			}
			p.Version++
		}
		return nil
	})
}

package occ_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Handmade is the table of Product to an application that compares versions by hand.
type Handmade struct {
	ID      uint
	Name    string
	Price   int
	Version int64
}

func (Handmade) TableName() string { return "products" }

// BenchmarkUpdate compares a compared Update with the same statement written by hand, and a model without a version with
// and without the plugin. SkipDefaultTransaction leaves the one statement.
func BenchmarkUpdate(b *testing.B) {
	for _, database := range testdb.All() {
		b.Run(database.Name, func(b *testing.B) {
			empty := database.Open(b)
			plain := Reopen(b, empty, gorm.Config{SkipDefaultTransaction: true})
			versioned := Reopen(b, empty, gorm.Config{SkipDefaultTransaction: true}, occ.New())
			require.NoError(b, versioned.AutoMigrate(&Product{}, &Bare{}))

			b.Run("versioned/by hand", func(b *testing.B) { benchmarkByHand(b, plain) })
			b.Run("versioned/occ", func(b *testing.B) { benchmarkCompared(b, versioned) })
			b.Run("unversioned/plain", func(b *testing.B) { benchmarkBare(b, plain) })
			b.Run("unversioned/occ", func(b *testing.B) { benchmarkBare(b, versioned) })
		})
	}
}

func benchmarkByHand(b *testing.B, db *gorm.DB) {
	p := Handmade{Name: "pen", Version: 1}
	require.NoError(b, db.Create(&p).Error)
	b.ReportAllocs()
	for b.Loop() {
		res := db.Model(&p).Where("version = ?", p.Version).Updates(map[string]any{"price": 70, "version": p.Version + 1})
		if res.Error != nil || res.RowsAffected != 1 {
			b.Fatal(res.Error, res.RowsAffected)
		}
	}
}

func benchmarkCompared(b *testing.B, db *gorm.DB) {
	p := Product{Name: "pen"}
	require.NoError(b, db.Create(&p).Error)
	b.ReportAllocs()
	for b.Loop() {
		if err := db.Model(&p).Update("price", 70).Error; err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkBare(b *testing.B, db *gorm.DB) {
	p := Bare{Name: "pen"}
	require.NoError(b, db.Create(&p).Error)
	b.ReportAllocs()
	for b.Loop() {
		if err := db.Model(&p).Update("price", 70).Error; err != nil {
			b.Fatal(err)
		}
	}
}

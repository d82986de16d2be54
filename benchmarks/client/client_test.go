package client_test

import (
	"fmt"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/plugin/optimisticlock"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/benchmarks/client"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

type (
	byHand  = rows.Item[int64]
	locked  = rows.Item[optimisticlock.Version]
	checked = rows.Item[occ.Version]

	wideByHand  = rows.Wide[int64]
	wideChecked = rows.Wide[occ.Version]
)

func open(b testing.TB, found int64, plugins ...gorm.Plugin) *gorm.DB {
	server := &client.Server{Rows: found}
	pool := server.Open()
	b.Cleanup(func() { _ = pool.Close() })
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		b.Fatal(err)
	}
	for _, plugin := range plugins {
		if err := db.Use(plugin); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

// measure runs the work of a peer.
func measure(b *testing.B, name string, db *gorm.DB, work func(*gorm.DB) error) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := work(db); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func plain(b *testing.B) *gorm.DB { return open(b, 1) }

func protected(b *testing.B) *gorm.DB { return open(b, 1, occ.New()) }

func lean(b *testing.B) *gorm.DB { return open(b, 1, occ.New(occ.WithLeanTransactions())) }

func BenchmarkUpdate(b *testing.B) {
	mine := checked{ID: 1, Version: 1}
	update := func(db *gorm.DB) error { return db.Model(&mine).Update("price", 70).Error }
	measure(b, "occ", protected(b), update)
	measure(b, "lean", lean(b), update)
	hand := byHand{ID: 1, Version: 1}
	measure(b, "by hand", plain(b), func(db *gorm.DB) error {
		hand.Version++
		return db.Model(&hand).Where("version = ?", hand.Version-1).Updates(map[string]any{"price": 70, "version": hand.Version}).Error
	})
	measure(b, "no check", plain(b), func(db *gorm.DB) error { return db.Model(&hand).Update("price", 70).Error })
	other := locked{ID: 1, Version: optimisticlock.Version{Int64: 1, Valid: true}}
	measure(b, "optimisticlock", plain(b), func(db *gorm.DB) error { return db.Model(&other).Update("price", 70).Error })
}

func BenchmarkUpdateOfThree(b *testing.B) {
	mine := checked{ID: 1, Version: 1}
	values := map[string]any{"name": "pen", "price": 70, "stock": 3}
	update := func(db *gorm.DB) error { return db.Model(&mine).Updates(values).Error }
	measure(b, "occ", protected(b), update)
	measure(b, "lean", lean(b), update)
	hand := byHand{ID: 1, Version: 1}
	measure(b, "by hand", plain(b), func(db *gorm.DB) error {
		hand.Version++
		with := map[string]any{"name": "pen", "price": 70, "stock": 3, "version": hand.Version}
		return db.Model(&hand).Where("version = ?", hand.Version-1).Updates(with).Error
	})
	measure(b, "no check", plain(b), func(db *gorm.DB) error { return db.Model(&hand).Updates(values).Error })
}

func BenchmarkSave(b *testing.B) {
	mine := checked{ID: 1, Version: 1}
	save := func(db *gorm.DB) error { return db.Save(&mine).Error }
	measure(b, "occ", protected(b), save)
	measure(b, "lean", lean(b), save)
	hand := byHand{ID: 1, Version: 1}
	measure(b, "by hand", plain(b), func(db *gorm.DB) error {
		hand.Version++
		return db.Model(&hand).Where("version = ?", hand.Version-1).Select("*").Updates(&hand).Error
	})
	measure(b, "no check", plain(b), func(db *gorm.DB) error { return db.Save(&hand).Error })
}

func BenchmarkSaveOfThirty(b *testing.B) {
	mine := wideChecked{ID: 1, Version: 1}
	save := func(db *gorm.DB) error { return db.Save(&mine).Error }
	measure(b, "occ", protected(b), save)
	measure(b, "lean", lean(b), save)
	hand := wideByHand{ID: 1, Version: 1}
	measure(b, "by hand", plain(b), func(db *gorm.DB) error {
		hand.Version++
		return db.Model(&hand).Where("version = ?", hand.Version-1).Select("*").Updates(&hand).Error
	})
}

func BenchmarkDelete(b *testing.B) {
	mine := checked{ID: 7, Version: 1}
	remove := func(db *gorm.DB) error { return db.Delete(&mine).Error }
	measure(b, "occ", protected(b), remove)
	measure(b, "lean", lean(b), remove)
	hand := byHand{ID: 7, Version: 1}
	measure(b, "by hand", plain(b), func(db *gorm.DB) error { return db.Where("version = ?", 1).Delete(&hand).Error })
}

func BenchmarkCreate(b *testing.B) {
	create := func(db *gorm.DB) error { return db.Create(&checked{ID: 1}).Error }
	measure(b, "occ", protected(b), create)
	measure(b, "lean", lean(b), create)
	measure(b, "no check", plain(b), func(db *gorm.DB) error { return db.Create(&byHand{ID: 1, Version: 1}).Error })
}

func BenchmarkFirst(b *testing.B) {
	measure(b, "occ", protected(b), func(db *gorm.DB) error { return db.First(&checked{}, 1).Error })
	measure(b, "no check", plain(b), func(db *gorm.DB) error { return db.First(&byHand{}, 1).Error })
}

func BenchmarkFindOfThousand(b *testing.B) {
	measure(b, "occ", open(b, 1000, occ.New()), func(db *gorm.DB) error { return db.Find(new([]checked)).Error })
	measure(b, "no check", open(b, 1000), func(db *gorm.DB) error { return db.Find(new([]byHand)).Error })
}

func BenchmarkUnversioned(b *testing.B) {
	mine := rows.Plain{ID: 1}
	update := func(db *gorm.DB) error { return db.Model(&mine).Update("price", 70).Error }
	measure(b, "occ", protected(b), update)
	measure(b, "no check", plain(b), update)
}

// BenchmarkSaveOfSlice builds the statement of a batch, whose rows have different values in all columns but the version.
func BenchmarkSaveOfSlice(b *testing.B) {
	for _, n := range []int{100, 1000} {
		mine, hand := make([]checked, n), make([]byHand, n)
		for i := range n {
			item := byHand{ID: int64(i + 1000), Name: fmt.Sprint("item ", i), Price: int64(i + 2000), Stock: int64(i + 3000), Version: 1}
			hand[i] = item
			mine[i] = checked{ID: item.ID, Name: item.Name, Price: item.Price, Stock: item.Stock, Version: 1}
		}
		measure(b, fmt.Sprintf("occ %d, dry", n), open(b, 1, occ.New()), func(db *gorm.DB) error {
			return db.Session(&gorm.Session{DryRun: true}).Save(&mine).Error
		})
		measure(b, fmt.Sprintf("no check %d, dry", n), open(b, 1), func(db *gorm.DB) error {
			return db.Session(&gorm.Session{DryRun: true}).Save(&hand).Error
		})
	}
}

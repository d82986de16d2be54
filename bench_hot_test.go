package occ_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// hotPurse is the row that everybody wants to write.
type hotPurse struct {
	ID     uint
	Amount int
	occ.Version
}

// plainPurse is the same without a version, for the transaction written by hand.
type plainPurse struct {
	ID     uint
	Amount int
}

func (plainPurse) TableName() string { return "hot_purses" }

// BenchmarkHotRow has several writers read and write one row, in the ways that lose nothing. An operation is one write
// that went through; p50 and p99 are of the time that one took, with all its attempts.
func BenchmarkHotRow(b *testing.B) {
	ways := []struct {
		name    string
		writers int
		write   func(db *gorm.DB, id uint, attempts *atomic.Int64) error
	}{
		{"writers=4/SelectForUpdate", 4, incrementForUpdate},
		{"writers=4/Retry", 4, incrementWith(occ.WithMaxAttempts(1000))},
		{"writers=4/LockAfter1", 4, incrementWith(occ.WithMaxAttempts(1000), occ.WithLockAfter(1))},
		{"writers=16/SelectForUpdate", 16, incrementForUpdate},
		{"writers=16/Retry", 16, incrementWith(occ.WithMaxAttempts(1000))},
		{"writers=16/LockAfter1", 16, incrementWith(occ.WithMaxAttempts(1000), occ.WithLockAfter(1))},
		{"writers=16/LockAfter0", 16, incrementWith(occ.WithMaxAttempts(1000), occ.WithLockAfter(0))},
	}
	for _, database := range testdb.Of("postgres", "mariadb") {
		db := openHot(b, database)
		for _, way := range ways {
			b.Run(database.Name+"/"+way.name, func(b *testing.B) { benchmarkHotRow(b, db, way.writers, way.write) })
		}
	}
}

func openHot(b *testing.B, database testdb.Database) *gorm.DB {
	const mostWriters = 16
	db := database.Open(b)
	require.NoError(b, db.Use(occ.New()))
	require.NoError(b, db.AutoMigrate(&hotPurse{}))
	pool, err := db.DB()
	require.NoError(b, err)
	pool.SetMaxOpenConns(mostWriters)
	pool.SetMaxIdleConns(mostWriters)
	return db
}

func benchmarkHotRow(b *testing.B, db *gorm.DB, writers int, write func(*gorm.DB, uint, *atomic.Int64) error) {
	purse := hotPurse{}
	require.NoError(b, db.Create(&purse).Error)
	var attempts, next atomic.Int64
	took := make([]time.Duration, b.N)
	var all sync.WaitGroup
	b.ResetTimer()
	for range writers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				if err := write(db, purse.ID, &attempts); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(start)
			}
		})
	}
	all.Wait()
	b.StopTimer()

	require.NoError(b, db.First(&purse).Error)
	require.Equal(b, b.N, purse.Amount)
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	b.ReportMetric(float64(attempts.Load())/float64(b.N), "attempts/op")
	b.ReportMetric(float64(p50.Microseconds()), "p50-us")
	b.ReportMetric(float64(p99)/float64(p50), "p99/p50")
}

func incrementForUpdate(db *gorm.DB, id uint, attempts *atomic.Int64) error {
	return db.Transaction(func(tx *gorm.DB) error {
		attempts.Add(1)
		var p plainPurse
		if err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).First(&p, id).Error; err != nil {
			return err
		}
		return tx.Model(&p).Update("amount", p.Amount+1).Error
	})
}

func incrementWith(opts ...occ.RetryOption) func(*gorm.DB, uint, *atomic.Int64) error {
	return func(db *gorm.DB, id uint, attempts *atomic.Int64) error {
		return occ.Retry(db.Statement.Context, db, func(tx *gorm.DB) error {
			attempts.Add(1)
			var p hotPurse
			if err := tx.First(&p, id).Error; err != nil {
				return err
			}
			return tx.Model(&p).Update("amount", p.Amount+1).Error
		}, opts...)
	}
}

package main

import (
	"errors"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

const (
	workers  = 8
	deposits = 100 // of 1 each, by every worker
)

// Wallet is the model with a version.
type Wallet struct {
	ID      uint
	Balance int
	occ.Version
}

// TableName keeps away from the tables of others.
func (Wallet) TableName() string { return "occ_example_wallets" }

// Unversioned is the same row as an application without occ sees it.
type Unversioned struct {
	ID      uint
	Balance int
}

// TableName is the table of [Wallet].
func (Unversioned) TableName() string { return Wallet{}.TableName() }

// depositUnversioned reads the wallet and writes the new balance, as a request does that only knows what it has read.
func depositUnversioned(db *gorm.DB, id uint, amount int) error {
	var w Unversioned
	if err := db.First(&w, id).Error; err != nil {
		return err
	}
	return db.Model(&w).Update("balance", w.Balance+amount).Error
}

// depositVersioned does the same and starts again with what is there now, as often as it is refused.
func depositVersioned(db *gorm.DB, id uint, amount int, refusals *atomic.Int64) error {
	for {
		var w Wallet
		if err := db.First(&w, id).Error; err != nil {
			return err
		}
		err := db.Model(&w).Update("balance", w.Balance+amount).Error
		if !errors.Is(err, occ.ErrStaleData) {
			return err
		}
		refusals.Add(1)
	}
}

// work has all workers make their deposits at the same time.
func work(deposit func() error) error {
	var all sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		all.Go(func() {
			for range deposits {
				errs[i] = errors.Join(errs[i], deposit())
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

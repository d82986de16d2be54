package occ_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

func ExampleTransaction() {
	db, end := shop()
	defer end()
	var article Article
	db.First(&article, 1)

	err := occ.Transaction(db, func(tx *gorm.DB) error {
		if err := tx.Model(&article).Update("stock", 9).Error; err != nil {
			return err
		}
		return errors.New("no van is free")
	})
	fmt.Println(err, article.Version) // db.Transaction would leave version 2, which the row never got
	// Output: no van is free 1
}

func ExampleRetryError() {
	db, end := shop()
	defer end()

	err := occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		return tx.Save(&Article{ID: 1, Version: 7}).Error // never loaded from the row, so every attempt is refused
	}, occ.WithMaxAttempts(2))
	var gaveUp *occ.RetryError
	fmt.Println(errors.As(err, &gaveUp), gaveUp.Attempts, errors.Is(err, occ.ErrStaleData))
	// Output: true 2 true
}

func ExampleWithAdaptiveLock() {
	db, end := shop()
	defer end()

	err := occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		var article Article
		if err := tx.First(&article, 1).Error; err != nil { // locked, if writes of this row have just been refused
			return err
		}
		return tx.Model(&article).Update("stock", article.Stock-1).Error
	}, occ.WithAdaptiveLock())
	fmt.Println(err)
	// Output: <nil>
}

func ExampleWithBackOff() {
	db, end := shop()
	defer end()
	shortly := func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }

	err := occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		return tx.Model(&Article{}).Where("id = ?", 1).Update("stock", 9).Error
	}, occ.WithBackOff(shortly))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleWithRetryReport() {
	db, end := shop(occ.WithRetryReport(func(_ context.Context, report occ.RetryReport) {
		fmt.Println("attempts:", report.Attempts, "error:", report.Err)
	}))
	defer end()

	_ = occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		return tx.Model(&Article{}).Where("id = ?", 1).Update("stock", 9).Error
	})
	// Output: attempts: 1 error: <nil>
}

func ExampleWithMaxAttempts() {
	db, end := shop()
	defer end()

	err := occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		return tx.Model(&Article{}).Where("id = ?", 1).Update("stock", 9).Error
	}, occ.WithMaxAttempts(3))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleWithRetryHook() {
	db, end := shop()
	defer end()
	others := 0

	err := occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		var article Article
		if err := tx.First(&article, 1).Error; err != nil {
			return err
		}
		others++
		if others == 1 { // somebody else writes the row meanwhile
			tx.Model(&Article{}).Where("id = ?", 1).Update("stock", 5)
		}
		return tx.Model(&article).Update("stock", article.Stock-1).Error
	}, occ.WithRetryHook(func(attempt int, err error, wait time.Duration) {
		fmt.Println("attempt", attempt, "was refused:", errors.Is(err, occ.ErrStaleData))
	}))
	fmt.Println(err)
	// Output:
	// attempt 1 was refused: true
	// <nil>
}

func ExampleWithTxOptions() {
	db, end := shop()
	defer end()

	err := occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
		return tx.Model(&Article{}).Where("id = ?", 1).Update("stock", 9).Error
	}, occ.WithTxOptions(&sql.TxOptions{Isolation: sql.LevelSerializable}))
	fmt.Println(err)
	// Output: <nil>
}

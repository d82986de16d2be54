package main

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

func withoutOCC(out io.Writer, db *gorm.DB) error {
	heading(out, "without occ: two requests read 10, one deposits 5, one 10")
	first, second, err := readTwice[Unversioned](db)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "first  writes", first.Balance+5)
	if err := db.Model(&first).Update("balance", first.Balance+5).Error; err != nil {
		return err
	}
	fmt.Fprintln(out, "second writes", second.Balance+10)
	if err := db.Model(&second).Update("balance", second.Balance+10).Error; err != nil {
		return err
	}
	if err := printBalance(out, db, second.ID, 25); err != nil {
		return err
	}
	heading(out, "without occ: %d workers make %d deposits of 1 each", workers, deposits)
	return crowd(out, db, depositUnversioned)
}

func withOCC(out io.Writer, db *gorm.DB) error {
	if err := db.Use(occ.New()); err != nil {
		return err
	}
	heading(out, "with occ: two requests read 10, one deposits 5, one 10")
	first, second, err := readTwice[Wallet](db)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "first  writes", first.Balance+5)
	if err := db.Model(&first).Update("balance", first.Balance+5).Error; err != nil {
		return err
	}
	fmt.Fprintln(out, "second writes", second.Balance+10)
	if err := refused(out, db, second); err != nil {
		return err
	}
	var refusals atomic.Int64
	deposit := func(db *gorm.DB, id uint, amount int) error { return depositVersioned(db, id, amount, &refusals) }
	fmt.Fprintln(out, "second reads again and deposits 10")
	if err := deposit(db, second.ID, 10); err != nil {
		return err
	}
	if err := printBalance(out, db, second.ID, 25); err != nil {
		return err
	}
	heading(out, "with occ: %d workers make %d deposits of 1 each", workers, deposits)
	err = crowd(out, db, deposit)
	fmt.Fprintf(out, "refused and tried again: %d times\n", refusals.Load())
	return err
}

// readTwice has two requests read a wallet that holds 10.
func readTwice[W any](db *gorm.DB) (first, second W, err error) {
	stored := Unversioned{Balance: 10}
	if err = db.Create(&stored).Error; err == nil {
		err = errors.Join(db.First(&first, stored.ID).Error, db.First(&second, stored.ID).Error)
	}
	return first, second, err
}

// refused makes the stale write of the second request, and shows its SQL.
func refused(out io.Writer, db *gorm.DB, second Wallet) error {
	write := func(tx *gorm.DB) *gorm.DB { return tx.Model(&second).Update("balance", second.Balance+10) }
	fmt.Fprintln(out, " ", db.ToSQL(write))
	err := write(db).Error
	if !errors.Is(err, occ.ErrStaleData) {
		return fmt.Errorf("the stale write was not refused: %w", err)
	}
	fmt.Fprintln(out, " ", err)
	return nil
}

// crowd has all workers deposit into one empty wallet.
func crowd(out io.Writer, db *gorm.DB, deposit func(db *gorm.DB, id uint, amount int) error) error {
	stored := Unversioned{}
	if err := db.Create(&stored).Error; err != nil {
		return err
	}
	if err := work(func() error { return deposit(db, stored.ID, 1) }); err != nil {
		return err
	}
	return printBalance(out, db, stored.ID, workers*deposits)
}

// printBalance puts the balance that the deposits add up to beside the one that is stored.
func printBalance(out io.Writer, db *gorm.DB, id uint, expected int) error {
	var stored Unversioned
	if err := db.First(&stored, id).Error; err != nil {
		return err
	}
	verdict := "nothing lost"
	if lost := expected - stored.Balance; lost != 0 {
		verdict = fmt.Sprintf("%d lost", lost)
	}
	_, err := fmt.Fprintf(out, "balance: expected %d, found %d: %s\n", expected, stored.Balance, verdict)
	return err
}

func heading(out io.Writer, format string, args ...any) {
	fmt.Fprintf(out, "\n"+format+"\n", args...)
}

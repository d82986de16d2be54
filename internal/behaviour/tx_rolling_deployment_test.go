package behaviour_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// oldAccount is the model of the code before the plugin, newAccount the one with it.
type (
	oldAccount struct {
		ID      uint
		Balance int
		Note    string
	}
	newAccount struct {
		ID      uint
		Balance int
		Note    string
		occ.Version
	}
)

func (oldAccount) TableName() string { return "accounts" }
func (newAccount) TableName() string { return "accounts" }

const deposits = 25

// oldDeposits are made by the old code, which adds to the balance in SQL and does not know the version.
func oldDeposits(db *gorm.DB) error {
	for range deposits {
		if err := db.Model(&oldAccount{ID: 1}).Update("balance", gorm.Expr("balance + 1")).Error; err != nil {
			return err
		}
	}
	return nil
}

// newDeposits are made by the new code, which reads, adds and saves the whole row.
func newDeposits(t *testing.T, db *gorm.DB, opts ...occ.RetryOption) error {
	for range deposits {
		err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
			var account newAccount
			if err := tx.First(&account, 1).Error; err != nil {
				return err
			}
			account.Balance++
			return tx.Save(&account).Error
		}, append(opts, occ.WithMaxAttempts(1000))...)
		if err != nil {
			return err
		}
	}
	return nil
}

// TestRollingDeployment goes through the steps of docs/schema.md with writers of both kinds at work.
func TestRollingDeployment(t *testing.T) {
	t.Parallel()
	for _, database := range append(testdb.Like(testdb.Transactions(), "sqlite"), testdb.Of("postgres", "mariadb")...) {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			old := database.Open(t)
			require.NoError(t, old.AutoMigrate(&oldAccount{}))
			require.NoError(t, old.Create(&oldAccount{ID: 1}).Error)
			now := Reopen(t, old, gorm.Config{}, occ.New())
			require.NoError(t, oldDeposits(old))

			require.NoError(t, now.AutoMigrate(&newAccount{}))
			require.NoError(t, occ.CreateTriggers(now, &newAccount{}))
			require.NoError(t, occ.CheckSchema(now, &newAccount{}))
			errs := make([]error, 4)
			var writers sync.WaitGroup
			for i := range errs {
				writers.Go(func() {
					if i%2 == 0 {
						errs[i] = oldDeposits(old)
					} else {
						errs[i] = newDeposits(t, now)
					}
				})
			}
			writers.Wait()

			require.NoError(t, errors.Join(errs...))
			require.Equal(t, newAccount{ID: 1, Balance: 5 * deposits, Version: 1 + 4*deposits}, Reload[newAccount](t, now, 1), "no deposit is lost, and each has moved the version")
			require.NoError(t, occ.DropTriggers(now, &newAccount{}))
			require.NoError(t, newDeposits(t, now))
			require.NoError(t, oldDeposits(old), "and back")
			require.Equal(t, newAccount{ID: 1, Balance: 7 * deposits, Version: 1 + 5*deposits}, Reload[newAccount](t, now, 1))
		})
	}
}

// TestRollingDeploymentUnderLoad has the old code read and write without a pause: the column is added, the triggers are made, the new code comes
// and goes, and all of it is taken back.
func TestRollingDeploymentUnderLoad(t *testing.T) {
	t.Parallel()
	for _, database := range append(testdb.Like(testdb.Transactions(), "sqlite"), testdb.Of("postgres", "mariadb")...) {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			old := database.Open(t, &gorm.Config{QueryFields: true}) // PostgreSQL's plan of SELECT * does not outlive another column
			require.NoError(t, old.AutoMigrate(&oldAccount{}))
			require.NoError(t, old.Create(&oldAccount{ID: 1}).Error)
			now := Reopen(t, old, gorm.Config{QueryFields: true}, occ.New())
			made := deposit(t, old)

			require.NoError(t, now.AutoMigrate(&newAccount{}))
			require.NoError(t, occ.CreateTriggers(now, &newAccount{}))
			before := Reload[newAccount](t, now, 1)
			require.NoError(t, newDeposits(t, now, occ.WithLockAfter(2)))
			after := Reload[newAccount](t, now, 1)
			require.NoError(t, occ.DropTriggers(now, &newAccount{}))
			require.NoError(t, now.Exec("ALTER TABLE accounts DROP COLUMN version").Error)

			require.Equal(t, after.Balance-before.Balance, int(after.Version-before.Version), "each deposit has moved the version")
			deposited, err := made()
			require.NoError(t, err)
			require.Equal(t, deposited+deposits, Reload[oldAccount](t, old, 1).Balance, "no deposit is lost")
		})
	}
}

// deposit has the old code make deposits until it is asked how many there are.
func deposit(t *testing.T, db *gorm.DB) (made func() (int, error)) {
	ctx, stop := context.WithCancel(t.Context())
	var program sync.WaitGroup
	var deposited int
	var err error
	program.Go(func() {
		for ctx.Err() == nil && err == nil {
			if err = db.Model(&oldAccount{ID: 1}).Update("balance", gorm.Expr("balance + 1")).Error; err == nil {
				deposited++
				err = db.First(&oldAccount{}, 1).Error
			}
		}
	})
	made = func() (int, error) {
		stop()
		program.Wait()
		return deposited, err
	}
	t.Cleanup(func() { _, _ = made() })
	return made
}

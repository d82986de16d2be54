package workload

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// Account is one of several between which money is moved. None of it comes or goes.
type Account struct {
	ID      uint
	Balance int64
	Moves   int64
	occ.Version
}

const (
	accounts = 6
	deposit  = 1000
)

// certainty counts what succeeded, and what may have.
type certainty struct{ done, perhaps atomic.Int64 }

// add counts what err is the outcome of. It tells whether that has succeeded for certain.
func (c *certainty) add(s *session, call string, err error) bool {
	s.totals.Operations.Add(1)
	switch {
	case err == nil:
		s.totals.Writes.Add(1)
		c.done.Add(1)
	case !s.isExpected(err):
		s.Report("unexpected error", fmt.Sprintf("%s: %T: %v", call, err, err))
	case disturbed(err):
		s.totals.Unknown.Add(1)
		c.perhaps.Add(1)
	default:
		s.totals.Refusals.Add(1)
	}
	return err == nil
}

// agrees tells whether n can be what was counted.
func (c *certainty) agrees(n int64) bool {
	return n >= c.done.Load() && n <= c.done.Load()+c.perhaps.Load()
}

func (c *certainty) String() string {
	return fmt.Sprintf("%d and perhaps %d more", c.done.Load(), c.perhaps.Load())
}

// bank counts the transfers between the accounts.
type bank struct{ transfers certainty }

func (b *bank) open(db *gorm.DB) error {
	if err := db.AutoMigrate(&Account{}); err != nil {
		return err
	}
	opened := make([]Account, accounts)
	for i := range opened {
		opened[i].Balance = deposit
	}
	return db.Create(&opened).Error
}

// transfer moves money between two accounts, one of several ways.
func (s *session) transfer(ctx context.Context, db *gorm.DB) {
	ids := s.random.Perm(accounts)[:2]
	write := oneOf(s, []func(tx *gorm.DB, from, to *Account) error{saveBoth, updateBoth, expectBoth})
	options := s.retryOptions(sql.LevelDefault, s.random.IntN(4)-1)
	err := occ.Retry(ctx, db, func(tx *gorm.DB) error {
		var from, to Account
		if err := tx.First(&from, ids[0]+1).Error; err != nil {
			return err
		}
		if err := tx.First(&to, ids[1]+1).Error; err != nil {
			return err
		}
		return write(tx, &from, &to)
	}, options...)
	s.bank.transfers.add(s, "transfer", err)
}

func saveBoth(tx *gorm.DB, from, to *Account) error {
	from.Balance, from.Moves = from.Balance-1, from.Moves+1
	to.Balance, to.Moves = to.Balance+1, to.Moves+1
	return tx.Save([]*Account{from, to}).Error
}

func updateBoth(tx *gorm.DB, from, to *Account) error {
	if err := tx.Model(from).Updates(map[string]any{"balance": from.Balance - 1, "moves": from.Moves + 1}).Error; err != nil {
		return err
	}
	return tx.Model(to).Updates(Account{Balance: to.Balance + 1, Moves: to.Moves + 1}).Error
}

func expectBoth(tx *gorm.DB, from, to *Account) error {
	for a, amount := range map[*Account]int64{from: -1, to: 1} {
		err := tx.Model(&Account{}).Clauses(occ.Expect(a.Version)).Where("id = ?", a.ID).
			Updates(map[string]any{"balance": a.Balance + amount, "moves": a.Moves + 1}).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// audit looks whether any money is missing, at a moment when others may be moving some.
func (s *session) audit(db *gorm.DB) {
	var sum int64
	err := db.Model(&Account{}).Select("SUM(balance)").Scan(&sum).Error
	switch {
	case err != nil && !s.isExpected(err):
		s.Report("unexpected error", fmt.Sprintf("sum: %T: %v", err, err))
	case err == nil && sum != accounts*deposit:
		s.Report("the sum is not conserved", fmt.Sprintf("the accounts hold %d together, not %d", sum, accounts*deposit))
	}
}

// check compares the accounts with what was done to them.
func (b *bank) check(w *Workload) {
	var row struct{ Moves, Versions int64 }
	if err := w.db.Model(&Account{}).Select("SUM(moves) AS moves, SUM(version) AS versions").Scan(&row).Error; err != nil {
		w.Report("unexpected error", err.Error())
		return
	}
	if !b.transfers.agrees(row.Moves/2) || row.Versions-accounts != row.Moves {
		w.Report("lost update", fmt.Sprintf("%s transfers; the accounts tell of %d moves, their versions of %d", &b.transfers, row.Moves, row.Versions-accounts))
	}
}

package ledger

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
)

// path is one way of writing accounts that were loaded, each with 1 added to its amount.
type path struct {
	name      string
	rows      int // how many of them
	adds      int64
	withCard  bool // and the card of it
	write     func(tx *gorm.DB, loaded []*Account) error
	isForeign bool // the model does not hold the version afterwards
}

var paths = []path{
	one("Save", func(tx *gorm.DB, a *Account) error { return tx.Save(a).Error }),
	one("Update", func(tx *gorm.DB, a *Account) error { return tx.Model(a).Update("amount", a.Amount).Error }),
	one("Updates of a map", func(tx *gorm.DB, a *Account) error {
		return tx.Model(a).Updates(map[string]any{"amount": a.Amount}).Error
	}),
	one("UpdateColumns", func(tx *gorm.DB, a *Account) error {
		return tx.Model(a).UpdateColumns(map[string]any{"amount": a.Amount}).Error
	}),
	one("Updates of itself", func(tx *gorm.DB, a *Account) error { return tx.Select("*").Updates(a).Error }),
	one("an upsert", func(tx *gorm.DB, a *Account) error {
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(a).Error
	}),
	one("a nested transaction", func(tx *gorm.DB, a *Account) error {
		return tx.Transaction(func(tx *gorm.DB) error { return tx.Save(a).Error })
	}),
	{name: "Expect by gorm.G", rows: 1, adds: 1, isForeign: true, write: func(tx *gorm.DB, loaded []*Account) error {
		a := loaded[0]
		_, err := gorm.G[Account](tx, occ.Expect(a.Version)).Where("id = ?", a.ID).Update(tx.Statement.Context, "amount", a.Amount)
		return err
	}},
	{name: "Touch", rows: 1, write: func(tx *gorm.DB, loaded []*Account) error {
		loaded[0].Amount--
		return occ.Touch(tx, loaded[0])
	}},
	{name: "Save of a slice", rows: 3, adds: 1, write: func(tx *gorm.DB, loaded []*Account) error { return tx.Save(loaded).Error }},
	{name: "two rows one after the other", rows: 2, adds: 1, write: func(tx *gorm.DB, loaded []*Account) error {
		for _, a := range loaded {
			if err := tx.Model(a).Update("amount", a.Amount).Error; err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "one row, then a slice", rows: 3, adds: 1, write: func(tx *gorm.DB, loaded []*Account) error {
		if err := tx.Save(loaded[0]).Error; err != nil {
			return err
		}
		return tx.Save(loaded[1:]).Error
	}},
	{name: "FullSaveAssociations", rows: 1, adds: 1, withCard: true, write: func(tx *gorm.DB, loaded []*Account) error {
		return tx.Session(&gorm.Session{FullSaveAssociations: true}).Save(loaded[0]).Error
	}},
}

func one(name string, write func(tx *gorm.DB, a *Account) error) path {
	return path{name: name, rows: 1, adds: 1, write: func(tx *gorm.DB, loaded []*Account) error { return write(tx, loaded[0]) }}
}

// attempt loads accounts, writes them, and enters that.
func (w *writer) attempt(tx *gorm.DB, attempt string, p path) error {
	first := w.random.IntN(accounts)
	var loaded []*Account
	for i := range p.rows {
		a := &Account{}
		query := tx
		if p.withCard {
			query = tx.Preload("Card")
		}
		if err := query.First(a, 1+(first+i)%accounts).Error; err != nil {
			return err
		}
		a.Amount++
		if p.withCard {
			a.Card.Amount++
		}
		loaded = append(loaded, a)
	}
	if err := p.write(tx, loaded); err != nil {
		return err
	}
	return tx.Create(entries(attempt, p, loaded)).Error
}

func entries(attempt string, p path, loaded []*Account) (entries []Entry) {
	for _, a := range loaded {
		version := int64(a.Version)
		if p.isForeign {
			version++
		}
		entries = append(entries, Entry{attempt, fmt.Sprint("account ", a.ID), version, p.adds, p.name})
		if p.withCard {
			entries = append(entries, Entry{attempt, fmt.Sprint("card ", a.Card.ID), int64(a.Card.Version), 1, p.name})
		}
	}
	return entries
}

package faults_test

import (
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
)

func saveAll(db *gorm.DB) *gorm.DB { return db.Session(&gorm.Session{FullSaveAssociations: true}) }

// faultPaths are the ways to write, with as many statements as each can have.
var faultPaths = []faultPath{
	{name: "Create", do: func(db *gorm.DB, m *faultModels) error { return db.Create(&m.newBook).Error }},
	{name: "Create with associations", isDoneOnce: true, do: func(db *gorm.DB, m *faultModels) error {
		s := &m.newShelf
		s.Room, s.Lamp = &m.newRoom, &m.newLamp
		s.Books, s.Tags = []FaultBook{{Label: "its book"}}, []FaultTag{{Label: "its tag"}}
		return db.Create(s).Error
	}},
	{name: "Create of a child that touches", do: func(db *gorm.DB, m *faultModels) error {
		m.newLeaf.Card = m.cards[0]
		return db.Create(&m.newLeaf).Error
	}},
	{name: "Save", do: func(db *gorm.DB, m *faultModels) error { m.book.Weight = 7; return db.Save(&m.book).Error }},
	{name: "Save of a new model with a key", do: func(db *gorm.DB, m *faultModels) error {
		m.newBook.ID = 2_000_000
		return db.Save(&m.newBook).Error
	}},
	{name: "Save with all associations", do: func(db *gorm.DB, m *faultModels) error {
		s := &m.shelf
		s.Weight, s.Room.Weight, s.Lamp.Weight, s.Books[0].Weight, s.Tags[0].Weight = 7, 7, 7, 7, 7
		return saveAll(db).Save(s).Error
	}},
	{name: "Save of a slice", do: func(db *gorm.DB, m *faultModels) error {
		m.shelf.Books[0].Weight, m.shelf.Books[1].Weight, m.newBook.ID = 7, 7, 77
		return db.Save([]*FaultBook{&m.shelf.Books[0], &m.newBook, &m.shelf.Books[1]}).Error
	}},
	{name: "Save of a slice with generated versions", do: func(db *gorm.DB, m *faultModels) error {
		m.cards[0].Weight, m.cards[1].Weight = 7, 7
		return db.Save([]*FaultCard{m.cards[0], &m.newCard, m.cards[1]}).Error
	}},
	{name: "Update", do: func(db *gorm.DB, m *faultModels) error { return db.Model(&m.cards[0]).Update("weight", 7).Error }},
	{name: "Updates, unchecked", do: func(db *gorm.DB, m *faultModels) error {
		return db.Clauses(occ.Unchecked()).Model(m.cards[0]).Updates(FaultCard{Weight: 7}).Error
	}},
	{name: "Updates of a slice", do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(m.shelf.Books).Updates(map[string]any{"weight": 7}).Error
	}},
	{name: "Update by condition", isByCondition: true, do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(&FaultCard{}).Where("label LIKE 'card%'").Update("weight", 7).Error
	}},
	{name: "Update of a snapshot", do: func(db *gorm.DB, m *faultModels) error { return db.Model(m.copies[0]).Update("weight", 7).Error }},
	{name: "Save of a slice of snapshots", do: func(db *gorm.DB, m *faultModels) error {
		m.copies[0].Weight, m.copies[1].Weight, m.newCopy.ID = 7, 7, 77
		return db.Save([]*FaultCopy{m.copies[0], &m.newCopy, m.copies[1]}).Error
	}},
	{name: "Delete", do: func(db *gorm.DB, m *faultModels) error { return db.Delete(&m.book).Error }},
	{name: "Delete of a slice", do: func(db *gorm.DB, m *faultModels) error { return db.Delete(m.shelf.Books).Error }},
	{name: "soft Delete", do: func(db *gorm.DB, m *faultModels) error { return db.Delete(m.cards[0]).Error }},
	{name: "soft Delete of a slice", do: func(db *gorm.DB, m *faultModels) error { return db.Delete(m.cards).Error }},
	{name: "Delete of a child that touches", isByCondition: true, do: func(db *gorm.DB, m *faultModels) error {
		return db.Delete(&m.leaf).Error
	}},
	{name: "a child moves from parent to parent", isByCondition: true, do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(&m.leaf).Update("card_id", 1_000_002).Error
	}},
	{name: "Delete with its own", isByCondition: true, do: func(db *gorm.DB, m *faultModels) error {
		return db.Select("Books").Delete(&m.shelf).Error
	}},
	{name: "Delete with its links", isByCondition: true, do: func(db *gorm.DB, m *faultModels) error {
		return db.Select("Tags").Delete(&m.shelf).Error
	}},
	{name: "upsert", do: func(db *gorm.DB, m *faultModels) error {
		m.book.Weight = 7
		return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&m.book).Error
	}},
	{name: "upsert of a slice", do: func(db *gorm.DB, m *faultModels) error {
		m.shelf.Books[0].Weight, m.shelf.Books[1].Weight, m.newBook.ID = 7, 7, 77
		return db.Clauses(clause.OnConflict{UpdateAll: true}).Create([]*FaultBook{&m.shelf.Books[0], &m.newBook, &m.shelf.Books[1]}).Error
	}},
	{name: "Append", isDoneOnce: true, copied: []string{"new book"}, do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(&m.shelf).Association("Books").Append(&m.newBook)
	}},
	{name: "Append to many-to-many", isDoneOnce: true, copied: []string{"new tag"}, do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(&m.shelf).Association("Tags").Append(&m.tag, &m.newTag)
	}},
	{name: "Replace", isSeveral: true, isByCondition: true, isDoneOnce: true, copied: []string{"new book"}, do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(&m.shelf).Association("Books").Replace(&m.newBook)
	}},
	{name: "Clear", isByCondition: true, isDoneOnce: true, do: func(db *gorm.DB, m *faultModels) error {
		return db.Model(&m.shelf).Association("Books").Clear()
	}},
	{name: "Touch", do: func(db *gorm.DB, m *faultModels) error { return occ.Touch(db, &m.shelf, m.shelf.Books, m.cards) }},
	{name: "Verify", do: func(db *gorm.DB, m *faultModels) error { return occ.Verify(db, &m.shelf, m.shelf.Books, m.cards) }},
	{name: "Rebase", do: func(db *gorm.DB, m *faultModels) error {
		m.book.Weight = 7
		return occ.Rebase(db, &m.base, &m.book)
	}},
	{name: "several calls in a nested Transaction", do: func(db *gorm.DB, m *faultModels) error {
		return occ.Transaction(db, func(tx *gorm.DB) error {
			m.shelf.Books[0].Weight = 7
			return errors.Join(
				tx.Model(&m.other).Update("weight", 7).Error,
				occ.Transaction(tx, func(tx *gorm.DB) error { return tx.Save(&m.shelf.Books[0]).Error }),
				tx.Delete(m.cards[0]).Error,
			)
		})
	}},
}

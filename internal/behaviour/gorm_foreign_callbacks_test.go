package behaviour_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

type (
	// Aside is written by a callback, along with whatever is.
	Aside struct {
		ID   uint
		Name string
		occ.Version
	}
	// Jotting has no version.
	Jotting struct {
		ID   uint
		Text string
	}
	// coded has a key that is not the database's.
	coded struct {
		Code  string `gorm:"primaryKey;size:40"`
		Price int
		occ.Version
	}
	// hooked has one too, and a hook that fails.
	hooked struct {
		Code  string `gorm:"primaryKey;size:40"`
		Price int
		occ.Version
	}
)

var errLater = errors.New("a later callback failed")

func (h *hooked) AfterUpdate(*gorm.DB) error {
	if h.Price < 0 {
		return errLater
	}
	return nil
}

// TestVersionsThatCallbacksOfOthersWrite has a plugin that writes a versioned model along with every write, which is rolled back.
func TestVersionsThatCallbacksOfOthersWrite(t *testing.T) {
	t.Parallel()
	outer := map[string]func(db *gorm.DB) error{
		"Create of a model without a version": func(db *gorm.DB) error { return db.Create(&Jotting{Text: "a"}).Error },
		"Update of a model without a version": func(db *gorm.DB) error {
			return db.Model(&Jotting{}).Where("id = 1").Update("text", "b").Error
		},
		"Create": func(db *gorm.DB) error { return db.Create(&coded{Code: "new"}).Error },
		"Update": func(db *gorm.DB) error {
			return db.Model(&coded{Code: "a", Version: 1}).Update("price", 2).Error
		},
		"Delete": func(db *gorm.DB) error { return db.Delete(&coded{Code: "a", Version: 1}).Error },
	}
	for _, d := range testdb.All() {
		for name, write := range outer {
			t.Run(d.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				db := Open(t, d, []any{&Aside{}, &Jotting{}, &coded{}})
				require.NoError(t, db.Create(&coded{Code: "a"}).Error)
				require.NoError(t, db.Create(&Jotting{Text: "a"}).Error)
				shelf, shelves := Aside{Name: "a"}, []Aside{{Name: "b"}, {Name: "c"}}
				require.NoError(t, db.Create(&shelf).Error)
				require.NoError(t, db.Create(&shelves).Error)
				ran := 0
				also := func(db *gorm.DB) {
					if db.Statement.Table == "asides" || db.Error != nil {
						return
					}
					ran++
					tx := db.Session(&gorm.Session{NewDB: true})
					require.NoError(t, tx.Model(&shelf).Update("name", "x").Error)
					require.NoError(t, tx.Save(&shelves).Error)
					_ = db.AddError(errLater)
				}
				require.NoError(t, db.Callback().Create().After("gorm:create").Before("gorm:after_create").Register("other:create", also))
				require.NoError(t, db.Callback().Update().After("gorm:update").Before("gorm:after_update").Register("other:update", also))
				require.NoError(t, db.Callback().Delete().After("gorm:delete").Before("gorm:after_delete").Register("other:delete", also))

				require.ErrorIs(t, write(db), errLater)

				require.Equal(t, 1, ran)
				require.Equal(t, []occ.Version{1, 1, 1}, []occ.Version{shelf.Version, shelves[0].Version, shelves[1].Version})
				require.EqualValues(t, 1, Reload[Aside](t, db, shelf.ID).Version)
				require.NoError(t, db.Callback().Update().Replace("other:update", func(*gorm.DB) {}))
				require.NoError(t, db.Model(&shelf).Update("name", "y").Error)
				require.NoError(t, db.Model(&shelves).Update("name", "y").Error)
				require.Equal(t, []occ.Version{2, 2, 2}, []occ.Version{shelf.Version, shelves[0].Version, shelves[1].Version})
			})
		}
	}
}

// TestKeysThatAreRolledBack has a write that gives a row another key, and is rolled back.
func TestKeysThatAreRolledBack(t *testing.T) {
	t.Parallel()
	for _, d := range testdb.All() {
		ways := map[string]func(db *gorm.DB, h *hooked) error{
			"by an after-hook": func(db *gorm.DB, h *hooked) error {
				return db.Model(h).Updates(map[string]any{"code": "b", "price": -1}).Error
			},
			"twice in occ.Transaction": func(db *gorm.DB, h *hooked) error {
				return occ.Transaction(db, func(tx *gorm.DB) error {
					if err := tx.Model(h).Update("price", 3).Error; err != nil {
						return err
					}
					if err := tx.Model(h).Update("code", "b").Error; err != nil {
						return err
					}
					if err := tx.Model(h).Update("code", "c").Error; err != nil {
						return err
					}
					return errLater
				})
			},
			"to a savepoint": func(db *gorm.DB, h *hooked) error {
				return errors.Join(errLater, occ.Transaction(db, func(tx *gorm.DB) error {
					_ = tx.Transaction(func(tx *gorm.DB) error {
						return errors.Join(errLater, tx.Model(h).Update("code", "b").Error)
					})
					return nil
				}))
			},
		}
		for name, write := range ways {
			t.Run(d.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				db := Open(t, d, []any{&hooked{}})
				h := hooked{Code: "a", Price: 1}
				require.NoError(t, db.Create(&h).Error)

				require.ErrorIs(t, write(db, &h), errLater)

				require.Equal(t, "a", h.Code)
				require.EqualValues(t, 1, h.Version)
				require.NoError(t, db.Model(&h).Update("price", 2).Error)
				var stored hooked
				require.NoError(t, db.First(&stored, "code = ?", "a").Error)
				require.Equal(t, 2, stored.Price)
			})
		}
	}
}

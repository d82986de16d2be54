package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// Parcel has a key of the application's own.
type Parcel struct {
	ID      string `gorm:"primaryKey;size:36"`
	Weight  int
	Code    *string `gorm:"size:20;uniqueIndex"`
	Version occ.Version
}

// Mark has no columns but key and version.
type Mark struct {
	ID      string `gorm:"primaryKey;size:36"`
	Version occ.Version
}

const parcelID = "0b6f6c1e-8f2d-4f0a-9f5e-0d6d8f1f7c11"

func TestSave(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a new model with a key of the application's own is inserted", func(t *testing.T, db *gorm.DB) {
			parcel := Parcel{ID: parcelID, Weight: 3}

			res := db.Save(&parcel)

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Equal(t, Parcel{ID: parcelID, Weight: 3, Version: 1}, parcel)
			require.Equal(t, parcel, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
		}},
		{"a new model without a key is inserted and learns it", func(t *testing.T, db *gorm.DB) {
			p := Product{Name: "pen", Price: 10}

			require.NoError(t, db.Save(&p).Error)

			require.NotZero(t, p.ID)
			require.Equal(t, occ.Version(1), p.Version)
			require.Equal(t, p, Reload[Product](t, db, p.ID))
		}},
		{"a new model by value is inserted, and is compared as one that was never loaded once it is there", func(t *testing.T, db *gorm.DB) {
			parcel := Parcel{ID: parcelID, Weight: 3}

			res := db.Save(parcel)

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			stored := Parcel{ID: parcelID, Weight: 3, Version: 1}
			require.Equal(t, stored, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
			require.ErrorIs(t, db.Save(Parcel{ID: parcelID, Weight: 9}).Error, occ.ErrVersionMissing)
			require.Equal(t, stored, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
		}},
		{"a loaded model by value, whose row was deleted, is not inserted again", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Save(mine).Error).Reason)

			RequireNoRow[Product](t, db, mine.ID)
		}},
		{"a new model is inserted where creates go in batches", func(t *testing.T, db *gorm.DB) {
			parcel := Parcel{ID: parcelID, Weight: 3}
			batched := db.Session(&gorm.Session{CreateBatchSize: 2})

			require.NoError(t, batched.Save(&parcel).Error)
			require.ErrorIs(t, batched.Save(&Parcel{ID: parcelID}).Error, occ.ErrVersionMissing)

			require.Equal(t, parcel, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
		}},
		{"a model that was saved new is saved again and deleted", func(t *testing.T, db *gorm.DB) {
			parcel := Parcel{ID: parcelID, Weight: 3}

			require.NoError(t, db.Save(&parcel).Error)
			parcel.Weight = 4
			require.NoError(t, db.Save(&parcel).Error)
			require.Equal(t, occ.Version(2), parcel.Version)
			require.Equal(t, parcel, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
			require.NoError(t, db.Delete(&parcel).Error)
		}},
		{"a model that was never loaded does not overwrite its row", func(t *testing.T, db *gorm.DB) {
			stored := Parcel{ID: parcelID, Weight: 3}
			require.NoError(t, db.Create(&stored).Error)
			mine := Parcel{ID: parcelID, Weight: 9}

			for range 2 {
				res := db.Save(&mine)

				require.ErrorIs(t, res.Error, occ.ErrVersionMissing)
				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": parcelID},
					Expected:   occ.Version(0), Actual: occ.Version(1), Reason: occ.ReasonMissing,
				}, Stale(t, res.Error))
				require.Zero(t, res.RowsAffected)
				require.Equal(t, Parcel{ID: parcelID, Weight: 9}, mine)
				require.Equal(t, stored, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
			}
		}},
		{"of a slice, a model that was never loaded does not overwrite its row", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			for _, slice := range [][]Product{{{ID: stored.ID, Name: "ink"}}, {{Name: "cap"}, {ID: stored.ID, Name: "ink"}}} {
				require.ErrorIs(t, db.Save(&slice).Error, occ.ErrVersionMissing)
				require.Zero(t, slice[0].Version)
			}

			RequireProducts(t, db, stored)
		}},
		{"a deleted row is not inserted again", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

			for range 2 {
				require.Equal(t, occ.ReasonDeleted, Stale(t, db.Save(&mine).Error).Reason)
				require.Equal(t, occ.Version(1), mine.Version)
				RequireNoRow[Product](t, db, mine.ID)
			}
		}},
		{"a soft-deleted row is not resurrected", func(t *testing.T, db *gorm.DB) {
			mine := Note{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			require.NoError(t, db.Delete(&Note{}, mine.ID).Error)

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID},
				Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonDeleted,
			}, Stale(t, db.Save(&mine).Error))

			require.Equal(t, occ.Version(1), mine.Version)
			require.True(t, Reload[Note](t, db, mine.ID).DeletedAt.Valid)
		}},
		{"a soft-deleted row is not resurrected by a model that was never loaded", func(t *testing.T, db *gorm.DB) {
			stored := Note{Text: "a"}
			require.NoError(t, db.Create(&stored).Error)
			require.NoError(t, db.Delete(&stored).Error)
			mine := Note{ID: stored.ID, Text: "b"}

			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Save(&mine).Error).Reason)

			require.Zero(t, mine.Version)
			after := Reload[Note](t, db, stored.ID)
			require.Equal(t, "a", after.Text)
			require.True(t, after.DeletedAt.Valid)
			require.Equal(t, stored.Version, after.Version)
		}},
	}, &Product{}, &Note{}, &Parcel{}, &Seat{}, &Mark{})
}

func TestSaveWhoseConditionsDoNotHold(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"conditions of the caller's that do not hold save nothing and insert nothing", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			mine.Price = 70

			res := db.Where("price > ?", 1000).Save(&mine)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, Reload[Product](t, db, mine.ID))
		}},
		{"what comes back from a Save whose conditions did not hold still writes", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			res := db.Where("price > ?", 1000).Save(&mine)

			require.False(t, res.DryRun)
			require.NoError(t, res.Session(&gorm.Session{NewDB: true}).Model(&mine).Update("price", 70).Error)
			require.NoError(t, res.Session(&gorm.Session{NewDB: true}).Exec("UPDATE products SET name = 'ink'").Error)
			require.Equal(t, Product{ID: mine.ID, Name: "ink", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
		{"a Save whose conditions did not hold is one write, and inserts nothing that is gone by then", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			between := Reopen(t, db, gorm.Config{SkipDefaultTransaction: true}, occ.New())
			require.NoError(t, between.Callback().Update().After("*").Register("theirs", func(*gorm.DB) {
				require.NoError(t, db.Delete(&Product{}, mine.ID).Error)
			}))
			recorded, log := Record(between)

			res := recorded.Where("price > ?", 1000).Save(&mine)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			require.Empty(t, log.Sent("INSERT"))
			RequireNoRow[Product](t, db, mine.ID)
		}},
		{"a statement whose conditions did not hold is used again", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			tx := db.Where("price < ?", 5)

			require.NoError(t, tx.Save(&mine).Error)
			require.NoError(t, db.Model(&mine).Update("price", 1).Error)
			mine.Price = 2
			res := tx.Save(&mine)

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 2, Version: 3}, Reload[Product](t, db, mine.ID))
		}},
		{"another row's unique value is an error and leaves model and rows alone", func(t *testing.T, db *gorm.DB) {
			code := "A1"
			taken := Parcel{ID: "other", Code: &code}
			require.NoError(t, db.Create(&taken).Error)
			mine := Parcel{ID: parcelID, Weight: 9, Code: &code}

			err := db.Save(&mine).Error

			require.Error(t, err)
			require.NotErrorIs(t, err, occ.ErrStaleData)
			require.Zero(t, mine.Version)
			require.Equal(t, taken, Reload[Parcel](t, db, "id = 'other'"))
			RequireNoRow[Parcel](t, db, "id = '"+parcelID+"'")
		}},
	}, &Product{}, &Note{}, &Parcel{}, &Seat{}, &Mark{})
}

func TestSaveOfAKeyWithAZeroPart(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a key with a zero part names its one row", func(t *testing.T, db *gorm.DB) {
			zero, other := Seat{Room: 0, Number: 5, Guest: "Ann"}, Seat{Room: 1, Number: 5, Guest: "Bob"}
			require.NoError(t, db.Create(&zero).Error)
			require.NoError(t, db.Create(&other).Error)

			require.NoError(t, db.Model(&zero).Update("guest", "Cid").Error)
			require.NoError(t, db.Model(&Seat{Number: 5, Version: 2}).UpdateColumn("guest", "Dan").Error)
			require.ErrorIs(t, db.Model(&zero).Update("guest", "Eve").Error, occ.ErrStaleData)

			require.Equal(t, Seat{Room: 0, Number: 5, Guest: "Dan", Version: 3}, Reload[Seat](t, db, "room = 0"))
			require.Equal(t, other, Reload[Seat](t, db, "room = 1"))
		}},
		{"a loaded model whose key has a zero part is saved as an update", func(t *testing.T, db *gorm.DB) {
			zero, other := Seat{Room: 0, Number: 5, Guest: "Ann"}, Seat{Room: 1, Number: 5, Guest: "Bob"}
			require.NoError(t, db.Create(&zero).Error)
			require.NoError(t, db.Create(&other).Error)

			zero.Guest = "Cid"
			require.NoError(t, db.Save(&zero).Error)

			require.Equal(t, Seat{Room: 0, Number: 5, Guest: "Cid", Version: 2}, zero)
			require.Equal(t, zero, Reload[Seat](t, db, "room = 0"))
			require.Equal(t, other, Reload[Seat](t, db, "room = 1"))
		}},
		{"a loaded model whose key has a zero part is not inserted again", func(t *testing.T, db *gorm.DB) {
			zero := Seat{Room: 0, Number: 5, Guest: "Ann"}
			require.NoError(t, db.Create(&zero).Error)
			require.NoError(t, db.Where("number = 5").Delete(&Seat{}).Error)

			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Save(&zero).Error).Reason)

			RequireNoRow[Seat](t, db, "number = 5")
			require.Equal(t, occ.Version(1), zero.Version)
		}},
		{"a new model whose key has a zero part is inserted, and refused if its row is there", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Seat{Room: 0, Number: 5, Guest: "Ann"}, Seat{Room: 0, Number: 5, Guest: "Bob"}

			require.NoError(t, db.Save(&mine).Error)
			require.ErrorIs(t, db.Save(&theirs).Error, occ.ErrVersionMissing)

			require.Equal(t, Seat{Room: 0, Number: 5, Guest: "Ann", Version: 1}, mine)
			require.Zero(t, theirs.Version)
			require.Equal(t, mine, Reload[Seat](t, db, "room = 0"))
		}},
		{"a stale model whose key has a zero part is refused", func(t *testing.T, db *gorm.DB) {
			mine := Seat{Room: 0, Number: 5, Guest: "Ann"}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine
			require.NoError(t, db.Model(&theirs).Update("guest", "Bob").Error)

			err := db.Save(&mine).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"room": 0, "number": 5},
				Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}, Stale(t, err))
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, theirs, Reload[Seat](t, db, "room = 0"))
		}},
	}, &Product{}, &Note{}, &Parcel{}, &Seat{}, &Mark{})
}

func TestSaveInOtherSettings(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a model without further columns is saved, compared and deleted", func(t *testing.T, db *gorm.DB) {
			mine := Mark{ID: "a"}
			require.NoError(t, db.Save(&mine).Error)
			theirs := mine

			require.NoError(t, db.Save(&mine).Error)
			require.Equal(t, Mark{"a", 2}, Reload[Mark](t, db, "id = 'a'"))
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Save(&theirs).Error).Reason)
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Delete(&theirs).Error).Reason)
			require.NoError(t, db.Delete(&mine).Error)
			RequireNoRow[Mark](t, db, "id = 'a'")
		}},
		{"DryRun of a new model shows the statement and changes nothing", func(t *testing.T, db *gorm.DB) {
			parcel := Parcel{ID: parcelID, Weight: 3}

			require.NoError(t, db.Session(&gorm.Session{DryRun: true}).Save(&parcel).Error)

			require.Equal(t, Parcel{ID: parcelID, Weight: 3}, parcel)
			RequireNoRow[Parcel](t, db, "id = '"+parcelID+"'")
		}},
		{"inside the caller's transaction a refused insert leaves it usable", func(t *testing.T, db *gorm.DB) {
			stored := Parcel{ID: parcelID, Weight: 3}
			require.NoError(t, db.Create(&stored).Error)
			other := Parcel{ID: "other"}

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				mine := Parcel{ID: parcelID, Weight: 9}
				require.ErrorIs(t, tx.Save(&mine).Error, occ.ErrVersionMissing)
				require.Zero(t, mine.Version)
				return tx.Save(&other).Error
			}))

			require.Equal(t, stored, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
			require.Equal(t, other, Reload[Parcel](t, db, "id = 'other'"))
		}},
		{"timestamps are kept as GORM's Save keeps them", func(t *testing.T, db *gorm.DB) {
			mine := Note{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			stored := Reload[Note](t, db, mine.ID)
			mine = stored
			mine.Text = "b"

			require.NoError(t, db.Save(&mine).Error)

			after := Reload[Note](t, db, mine.ID)
			require.Equal(t, "b", after.Text)
			require.Equal(t, occ.Version(2), after.Version)
			require.True(t, stored.CreatedAt.Equal(after.CreatedAt))
			require.False(t, after.UpdatedAt.Before(stored.UpdatedAt))
		}},
	}, &Product{}, &Note{}, &Parcel{}, &Seat{}, &Mark{})
}

func TestSaveOfOneNewKeyAtOnce(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"one session wins, the other gets an error, neither is overwritten", func(t *testing.T, db *gorm.DB) {
			const sessions = 4
			parcels := make([]Parcel, sessions)
			errs := make([]error, sessions)
			start := make(chan struct{})
			done := make(chan int, sessions)
			for i := range sessions {
				parcels[i] = Parcel{ID: parcelID, Weight: i + 1}
				go func() {
					<-start
					errs[i] = db.Save(&parcels[i]).Error
					done <- i
				}()
			}
			close(start)
			for range sessions {
				<-done
			}

			stored := Reload[Parcel](t, db, "id = '"+parcelID+"'")
			winner := stored.Weight - 1
			require.Equal(t, stored, parcels[winner])
			require.Equal(t, occ.Version(1), stored.Version)
			for i, err := range errs {
				if i == winner {
					require.NoError(t, err)
					continue
				}
				require.Error(t, err)
				require.Zero(t, parcels[i].Version)
			}
		}},
		{"the one that comes second is refused", func(t *testing.T, db *gorm.DB) {
			first, second := Parcel{ID: parcelID, Weight: 1}, Parcel{ID: parcelID, Weight: 2}
			between := Reopen(t, db, gorm.Config{}, occ.New())
			inserted := false
			require.NoError(t, between.Callback().Create().Before("gorm:create").Register("first", func(*gorm.DB) {
				inserted = true
				require.NoError(t, db.Save(&first).Error) // after the UPDATE that found nothing, before the INSERT
			}))

			err := between.Session(&gorm.Session{SkipDefaultTransaction: true}).Save(&second).Error

			require.True(t, inserted)
			require.Equal(t, occ.ReasonMissing, Stale(t, err).Reason)
			require.Equal(t, Parcel{ID: parcelID, Weight: 2}, second)
			require.Equal(t, first, Reload[Parcel](t, db, "id = '"+parcelID+"'"))
		}},
	}, &Parcel{})
}

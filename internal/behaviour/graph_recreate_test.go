package behaviour_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

type (
	// parcel has parts of every kind; those that it belongs to or shares have no constraints, so that a key that leads nowhere is not found.
	parcel struct {
		ID       uint
		Name     string
		SenderID *uint
		Sender   *sender `gorm:"constraint:-"`
		Labels   []label
		Seal     *seal
		Stamps   []stamp `gorm:"many2many:parcel_stamps;constraint:-"`
		occ.Version
	}
	sender struct {
		ID     uint
		Name   string
		CityID *uint
		City   *city `gorm:"constraint:-"`
		occ.Version
	}
	city struct {
		ID   uint
		Name string
		occ.Version
	}
	label struct {
		ID        uint
		ParcelID  *uint
		Name      string
		Marks     []mark
		DeletedAt gorm.DeletedAt
		occ.Version
	}
	mark struct {
		ID      uint
		LabelID *uint
		Name    string
		occ.Version
	}
	seal struct {
		ID       uint
		ParcelID *uint
		Name     string
		occ.Version
	}
	stamp struct {
		ID   uint
		Name string
		occ.Version
	}
	clockRow struct {
		ID   uint
		Name string
		At   time.Time `gorm:"version"`
	}
)

// fixture is a graph whose keys and versions were written down.
func fixture() parcel {
	return parcel{
		Name: "parcel", Sender: &sender{ID: 11, Name: "sender", Version: 3, City: &city{ID: 12, Name: "city", Version: 4}},
		Labels: []label{{ID: 21, Name: "a", Version: 5, Marks: []mark{{ID: 31, Name: "m", Version: 6}}}, {ID: 22, Name: "b"}},
		Seal:   &seal{ID: 41, Name: "seal", Version: 7}, Stamps: []stamp{{ID: 51, Name: "x", Version: 8}, {ID: 52, Name: "y"}},
	}
}

func loadParcel(t *testing.T, db *gorm.DB, id uint) (p parcel) {
	t.Helper()
	byID := func(tx *gorm.DB) *gorm.DB { return tx.Order("id") }
	require.NoError(t, db.Preload("Sender.City").Preload("Labels", byID).Preload("Labels.Marks").Preload("Seal").Preload("Stamps", byID).First(&p, id).Error)
	return p
}

func rowsOf(t *testing.T, db *gorm.DB, models ...any) (n []int64) {
	t.Helper()
	for _, model := range models {
		var found int64
		require.NoError(t, db.Unscoped().Model(model).Count(&found).Error)
		n = append(n, found)
	}
	return n
}

var parcelModels = []any{&city{}, &sender{}, &parcel{}, &label{}, &mark{}, &seal{}, &stamp{}}

func TestCreateOfAGraphWithPresetVersions(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"inserts what is not there with the version that it brings", func(t *testing.T, db *gorm.DB) {
			for i, db := range []*gorm.DB{db, full(db), db.Session(&gorm.Session{SkipDefaultTransaction: true})} {
				p := fixture()
				p.ID = uint(i + 1)

				require.NoError(t, db.Create(&p).Error)

				want := fixture()
				want.ID, want.Version = p.ID, 1
				want.SenderID, want.Sender.CityID = &p.Sender.ID, &p.Sender.City.ID
				want.Labels[0].ParcelID, want.Labels[1].ParcelID, want.Seal.ParcelID = &p.ID, &p.ID, &p.ID
				want.Labels[0].Marks[0].LabelID = &p.Labels[0].ID
				want.Labels[1].Version, want.Stamps[1].Version = 1, 1
				want.Labels[1].Marks = []mark{}
				require.Equal(t, want, loadParcel(t, db, p.ID))
				p.Labels[1].Marks = []mark{}
				require.Equal(t, want, p)
				require.NoError(t, db.Save(&p).Error)
				for _, table := range []string{"marks", "labels", "seals", "parcel_stamps", "stamps", "senders", "cities"} {
					require.NoError(t, db.Exec("DELETE FROM "+table).Error)
				}
			}
		}},
		{"inserts a slice of owners, and parts of a new owner that has a key", func(t *testing.T, db *gorm.DB) {
			a, b := fixture(), parcel{Sender: &sender{ID: 91, Version: 9}, Seal: &seal{ID: 92, Version: 9}}
			require.NoError(t, db.Create(&[]*parcel{&a, &b}).Error)
			require.Equal(t, sender{ID: 91, Version: 9}, Reload[sender](t, db, 91))
			require.EqualValues(t, 9, Reload[seal](t, db, 92).Version)
			require.EqualValues(t, 6, Reload[mark](t, db, 31).Version)
		}},
		{"takes what is there for loaded", func(t *testing.T, db *gorm.DB) {
			p := fixture()
			require.NoError(t, db.Create(&p).Error)
			before := rowsOf(t, db, parcelModels...)
			again := fixture()
			again.Sender.Name, again.Stamps[0].Name, again.Stamps[1].Version = "other", "other", 1
			again.Labels, again.Seal = nil, nil

			require.NoError(t, db.Create(&again).Error) // links what is linked by belongs-to and many-to-many

			require.Equal(t, "sender", Reload[sender](t, db, 11).Name)
			require.Equal(t, stamp{ID: 51, Name: "x", Version: 8}, Reload[stamp](t, db, 51))
			before[2]++
			require.Equal(t, before, rowsOf(t, db, parcelModels...))

			stale := fixture()
			stale.Sender, stale.Stamps, stale.Labels = nil, nil, nil
			stale.Seal.Version = 6
			require.ErrorIs(t, db.Create(&stale).Error, occ.ErrStaleData) // moving it compares it
			require.Equal(t, before, rowsOf(t, db, parcelModels...))
			stale.Seal.Version = 7
			require.NoError(t, db.Create(&stale).Error)
			require.EqualValues(t, 8, Reload[seal](t, db, 41).Version)
		}},
		{"does not bring back what is soft-deleted", func(t *testing.T, db *gorm.DB) {
			p := fixture()
			require.NoError(t, db.Create(&p).Error)
			require.NoError(t, db.Delete(&p.Labels[0]).Error)
			p = parcel{Labels: []label{p.Labels[0]}}
			before := rowsOf(t, db, parcelModels...)

			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Create(&p).Error).Reason)

			require.Equal(t, before, rowsOf(t, db, parcelModels...))
			require.Zero(t, p.Version)
		}},
		{"names the part that is gone where the owner is not certainly new", func(t *testing.T, db *gorm.DB) {
			p := fixture()
			require.NoError(t, db.Create(&p).Error)
			require.NoError(t, db.Exec("DELETE FROM senders").Error)
			require.NoError(t, db.Exec("DELETE FROM marks").Error)
			before := rowsOf(t, db, parcelModels...)
			p.Labels[0].Marks[0].LabelID = nil
			for _, err := range []error{
				db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&parcel{ID: 900, Sender: p.Sender}).Error,
				db.Create(&parcel{ID: 901, Labels: []label{p.Labels[0]}}).Error,
			} {
				require.Equal(t, occ.ReasonDeleted, Stale(t, err).Reason)
				require.Equal(t, before, rowsOf(t, db, parcelModels...))
			}
		}},
	}, parcelModels...)
}

func TestCreateOfAModelThatWasDeleted(t *testing.T) {
	within := map[string]func(*gorm.DB, func(*gorm.DB) error) error{
		"each in its own": func(db *gorm.DB, do func(*gorm.DB) error) error { return do(db) },
		"in one":          func(db *gorm.DB, do func(*gorm.DB) error) error { return db.Transaction(do) },
		"in occ's":        func(db *gorm.DB, do func(*gorm.DB) error) error { return occ.Transaction(db, do) },
	}
	var behaviours []Behaviour
	for name, in := range within {
		behaviours = append(behaviours,
			Behaviour{"goes on at the next version, " + name, func(t *testing.T, db *gorm.DB) {
				a := Create(t, db)
				require.NoError(t, db.Model(&a).Update("price", 2).Error)
				held := Reload[Product](t, db, a.ID)

				require.NoError(t, in(db, func(tx *gorm.DB) error {
					if err := tx.Delete(&a).Error; err != nil {
						return err
					}
					return tx.Create(&a).Error
				}))

				require.EqualValues(t, 3, a.Version)
				require.Equal(t, a, Reload[Product](t, db, a.ID))
				require.ErrorIs(t, db.Model(&held).Update("price", 9).Error, occ.ErrStaleData)
				require.NoError(t, db.Model(&a).Update("price", 9).Error)
			}},
			Behaviour{"goes on at the next version in slices, " + name, func(t *testing.T, db *gorm.DB) {
				rows := []Product{{Name: "a"}, {Name: "b", Version: 4}, {Name: "c"}}
				leaves := []*leaf{{Name: "a"}, {Name: "b"}}
				clocks := []clockRow{{Name: "a"}, {Name: "b"}}
				require.NoError(t, db.Create(&rows).Error)
				require.NoError(t, db.Create(&leaves).Error)
				require.NoError(t, db.Create(&clocks).Error)
				before, at := []string{leaves[0].V, leaves[1].V}, []time.Time{clocks[0].At, clocks[1].At}

				require.NoError(t, in(db, func(tx *gorm.DB) error {
					for _, err := range []error{
						tx.Delete(&rows).Error, tx.Create(&rows).Error, tx.Delete(leaves).Error, tx.Clauses(clause.OnConflict{DoNothing: true}).Create(leaves).Error,
						tx.Delete(&clocks).Error, tx.CreateInBatches(&clocks, 1).Error,
					} {
						if err != nil {
							return err
						}
					}
					return nil
				}))

				require.Equal(t, []occ.Version{2, 5, 2}, []occ.Version{rows[0].Version, rows[1].Version, rows[2].Version})
				for i := range leaves {
					require.NotEqual(t, before[i], leaves[i].V)
					require.Equal(t, *leaves[i], Reload[leaf](t, db, leaves[i].ID))
					require.True(t, clocks[i].At.After(at[i]))
				}
				for _, row := range rows {
					require.Equal(t, row, Reload[Product](t, db, row.ID))
				}
			}},
		)
	}
	behaviours = append(behaviours,
		Behaviour{"that failed leaves it as it was, and goes on at the next version then", func(t *testing.T, db *gorm.DB) {
			a := Create(t, db)
			require.NoError(t, db.Delete(&a).Error)
			b := Product{ID: a.ID, Version: 7}
			require.NoError(t, db.Create(&b).Error) // another model keeps what it brings
			require.EqualValues(t, 7, b.Version)
			require.Error(t, db.Create(&a).Error)
			require.EqualValues(t, 1, a.Version)
			require.NoError(t, db.Delete(&b).Error)
			require.NoError(t, db.Create(&a).Error)
			require.Equal(t, Product{ID: a.ID, Name: "pen", Price: 10, Version: 2}, Reload[Product](t, db, a.ID))
		}},
		Behaviour{"goes on where a soft-deleted row was removed for good", func(t *testing.T, db *gorm.DB) {
			n := Note{Text: "a"}
			require.NoError(t, db.Create(&n).Error)
			require.NoError(t, db.Delete(&n).Error)
			require.Error(t, db.Create(&n).Error) // the row is there
			require.EqualValues(t, 2, n.Version)
			require.NoError(t, db.Unscoped().Delete(&n).Error)
			n.DeletedAt = gorm.DeletedAt{}
			require.NoError(t, db.Create(&n).Error)
			require.EqualValues(t, 3, n.Version)
			require.EqualValues(t, 3, Reload[Note](t, db, n.ID).Version)
		}},
	)
	Run(t, testdb.All(), behaviours, &Product{}, &Note{}, &leaf{}, &clockRow{})
}

package occ_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/plugin/dbresolver"
	"gorm.io/plugin/soft_delete"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Appointment is what two people edit.
type Appointment struct {
	ID        uint
	Place     string
	Slug      string
	StartsAt  time.Time
	Seats     *int
	Tags      []string        `gorm:"serializer:json"`
	Data      json.RawMessage `gorm:"type:json"`
	Room      *Room           `gorm:"embedded;embeddedPrefix:room_"`
	Secret    string          `gorm:"->:false;<-"`
	Views     int             `gorm:"unversioned"`
	Guests    []Guest
	Version   occ.Version
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt gorm.DeletedAt
}

type Room struct {
	Floor int
	Door  *string
}

type Guest struct {
	ID            uint
	AppointmentID uint
	Name          string
}

var errChurch = errors.New("no meetings in church")

func (a *Appointment) BeforeSave(*gorm.DB) error {
	a.Slug = "at-" + a.Place
	if a.Place == "church" {
		return errChurch
	}
	return nil
}

// TheatreSeat has a composite key whose parts may be zero, and a version that old rows do not have.
type TheatreSeat struct {
	Row     int `gorm:"primaryKey;autoIncrement:false"`
	Number  int `gorm:"primaryKey;autoIncrement:false"`
	Guest   string
	Colour  string
	Version *int64                `gorm:"version"`
	Deleted soft_delete.DeletedAt `gorm:"softDelete:flag"`
}

// Lodger has columns that are NULL where there is no struct.
type Lodger struct {
	ID      uint
	Name    string
	Home    *Lodging `gorm:"embedded;embeddedPrefix:home_"`
	Version occ.Version
}

type Lodging struct {
	City  string
	Floor int
}

// Label has no version.
type Label struct {
	ID   uint
	Text string
}

// Keyless has no primary key.
type Keyless struct {
	Text    string
	Version occ.Version
}

var rebased = []any{&Appointment{}, &Guest{}, &TheatreSeat{}, &Label{}, &Lodger{}}

// appointment is a row as its editor loaded it, and the editor's copy to change.
func appointment(t *testing.T, db *gorm.DB) (base, mine Appointment) {
	t.Helper()
	a := Appointment{Place: "hall", StartsAt: midday, Seats: pointerTo(5), Tags: []string{"a"}, Data: json.RawMessage(`{"a": 1}`),
		Room: &Room{Floor: 1, Door: pointerTo("left")}, Secret: "secret", Guests: []Guest{{Name: "Ann"}}}
	require.NoError(t, db.Create(&a).Error)
	base, mine = Reload[Appointment](t, db, a.ID), Reload[Appointment](t, db, a.ID)
	require.Equal(t, occ.Version(1), base.Version)
	return base, mine
}

// theyWrite is what somebody else does to a row meanwhile.
func theyWrite(t *testing.T, db *gorm.DB, id any, column string, value any) {
	t.Helper()
	theirs := Reload[Appointment](t, db, id)
	require.NoError(t, db.Session(&gorm.Session{NewDB: true}).Model(&theirs).Update(column, value).Error)
}

func TestCurrent(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"the row as it is now, the model left alone", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "place", "garden")

			current, err := occ.Current(db, &mine)

			require.NoError(t, err)
			require.Equal(t, Reload[Appointment](t, db, mine.ID), *current)
			require.Equal(t, "garden", current.Place)
			require.Equal(t, occ.Version(2), current.Version)
			require.Equal(t, base, mine)
		}},
		{"a row that is soft-deleted", func(t *testing.T, db *gorm.DB) {
			_, mine := appointment(t, db)
			require.NoError(t, db.Delete(&Appointment{}, mine.ID).Error)
			seat := TheatreSeat{Row: 1, Number: 0}
			require.NoError(t, db.Create(&seat).Error)
			require.NoError(t, db.Delete(&seat).Error)

			current, err := occ.Current(db, &mine)
			require.NoError(t, err)
			require.True(t, current.DeletedAt.Valid)
			gone, err := occ.Current(db, &seat)
			require.NoError(t, err)
			require.EqualValues(t, 1, gone.Deleted)
		}},
		{"no row is gorm.ErrRecordNotFound", func(t *testing.T, db *gorm.DB) {
			current, err := occ.Current(db, &Appointment{ID: 7})

			require.ErrorIs(t, err, gorm.ErrRecordNotFound)
			require.Nil(t, current)
		}},
		{"a composite key with parts that are zero", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Create(&[]TheatreSeat{{Row: 0, Number: 1, Guest: "Ann"}, {Row: 1, Number: 0, Guest: "Bob"}, {Row: 1, Number: 1}}).Error)

			first, err := occ.Current(db, &TheatreSeat{Number: 1})
			require.NoError(t, err)
			require.Equal(t, "Ann", first.Guest)
			second, err := occ.Current(db, &TheatreSeat{Row: 1})
			require.NoError(t, err)
			require.Equal(t, "Bob", second.Guest)
		}},
		{"a model without a version", func(t *testing.T, db *gorm.DB) {
			label := Label{Text: "a"}
			require.NoError(t, db.Create(&label).Error)

			current, err := occ.Current(db, &Label{ID: label.ID, Text: "mine"})

			require.NoError(t, err)
			require.Equal(t, label, *current)
		}},
		{"table, conditions and preloads of the session, and none of what leaves columns out", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Table("labels_2").AutoMigrate(&Label{}))
			require.NoError(t, db.Create(&Label{ID: 1, Text: "one"}).Error)
			require.NoError(t, db.Table("labels_2").Create(&Label{ID: 1, Text: "two"}).Error)
			_, mine := appointment(t, db)
			session := db.Where("text = ?", "two").Or("text = ?", "three").Select("id").Omit("text").Order("nosuch").Limit(0)

			label, err := occ.Current(session.Table("labels_2").Model(&TheatreSeat{}), &Label{ID: 1})
			require.NoError(t, err)
			require.Equal(t, Label{ID: 1, Text: "two"}, *label)
			_, err = occ.Current(db.Where("text = ?", "two").Or("text = ?", "one"), &Label{ID: 9})
			require.ErrorIs(t, err, gorm.ErrRecordNotFound)
			_, err = occ.Current(db.Where("text = ?", "two"), &Label{ID: 1})
			require.ErrorIs(t, err, gorm.ErrRecordNotFound)
			current, err := occ.Current(db.Preload("Guests"), &mine)
			require.NoError(t, err)
			require.Len(t, current.Guests, 1)
		}},
		{"in a transaction it sees its own writes", func(t *testing.T, db *gorm.DB) {
			_, mine := appointment(t, db)
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&mine).Update("place", "garden").Error)

				current, err := occ.Current(tx, &mine)

				require.NoError(t, err)
				require.Equal(t, "garden", current.Place)
				return nil
			}))
		}},
		{"the session's errors and its context", func(t *testing.T, db *gorm.DB) {
			_, mine := appointment(t, db)
			ended, end := context.WithCancel(t.Context())
			end()

			_, err := occ.Current(db.WithContext(ended), &mine)
			require.ErrorIs(t, err, context.Canceled)
			_, err = occ.Current(db.Session(&gorm.Session{DryRun: true}), &mine)
			require.ErrorIs(t, err, gorm.ErrDryRunModeUnsupported)
			failed := db.Session(&gorm.Session{})
			_ = failed.AddError(errChurch)
			_, err = occ.Current(failed, &mine)
			require.ErrorIs(t, err, errChurch)
		}},
		{"a model that names no row is an error that names the model", func(t *testing.T, db *gorm.DB) {
			for want, call := range map[string]func() error{
				"occ: Current of model Appointment: model is nil":                             func() error { _, err := occ.Current[Appointment](db, nil); return err },
				"occ: Current of model Appointment: the model has no primary key that is set": func() error { _, err := occ.Current(db, &Appointment{}); return err },
				"occ: Current of model Keyless: the model has no primary key that is set":     func() error { _, err := occ.Current(db, &Keyless{}); return err },
				"occ: *occ_test.Appointment is no model: pass a pointer to a struct":          func() error { _, err := occ.Current(db, pointerTo(&Appointment{ID: 1})); return err },
				"occ: []occ_test.Appointment is no model: pass a pointer to a struct":         func() error { _, err := occ.Current(db, &[]Appointment{{ID: 1}}); return err },
				"occ: interface {} is no model: pass a pointer to a struct":                   func() error { _, err := occ.Current(db, pointerTo[any](&Appointment{ID: 1})); return err },
			} {
				require.ErrorContains(t, call(), want)
			}
		}},
	}, rebased...)
}

func TestCurrentPastTheSnapshot(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"where the database can", func(t *testing.T, db *gorm.DB) {
			_, mine := appointment(t, db)
			want := map[string]string{"mysql": "garden", "postgres": "garden", "sqlite": "hall"}[db.Name()]
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.Equal(t, "hall", Reload[Appointment](t, tx, mine.ID).Place)
				theyWrite(t, db, mine.ID, "place", "garden")

				current, err := occ.Current(tx, &mine)

				require.NoError(t, err)
				require.Equal(t, want, current.Place)
				return nil
			}))
		}},
	}, rebased...)
}

func TestRebase(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"changes to different columns both survive", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "starts_at", midday.Add(time.Hour))
			mine.Place, mine.Seats, mine.Tags, mine.Room.Door = "garden", nil, []string{"b"}, nil
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
			mine.Slug = base.Slug // which the hook of that write has set

			require.NoError(t, occ.Rebase(db, &base, &mine))

			require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
			require.Equal(t, occ.Version(3), mine.Version)
			require.Equal(t, "garden", mine.Place)
			require.Equal(t, "at-garden", mine.Slug)
			require.True(t, midday.Add(time.Hour).Equal(mine.StartsAt))
			require.Nil(t, mine.Seats)
			require.Equal(t, []string{"b"}, mine.Tags)
			require.Equal(t, &Room{Floor: 1}, mine.Room)
			require.True(t, base.CreatedAt.Equal(mine.CreatedAt))
			require.False(t, mine.UpdatedAt.Before(base.UpdatedAt))
			require.NoError(t, db.Save(&mine).Error)
		}},
		{"a row nobody else has written is saved", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			mine.Place = "garden"

			require.NoError(t, occ.Rebase(db, &base, &mine))

			require.Equal(t, occ.Version(2), mine.Version)
			require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
		}},
		{"a column both changed to different values is a conflict, and nothing changes", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "place", "garden")
			mine.Place, mine.Seats = "attic", pointerTo(9)
			theirs, before := Reload[Appointment](t, db, mine.ID), mine

			err := occ.Rebase(db, &base, &mine)

			var conflict *occ.MergeConflictError
			require.ErrorAs(t, err, &conflict)
			require.ErrorIs(t, err, occ.ErrMergeConflict)
			require.ErrorIs(t, err, occ.ErrStaleData)
			require.NotErrorIs(t, err, occ.ErrVersionMissing)
			require.Equal(t, "appointments", conflict.Table)
			require.EqualValues(t, map[string]any{"id": mine.ID}, conflict.PrimaryKey)
			require.Equal(t, occ.FieldConflict{Field: "Place", Column: "place", Base: "hall", Mine: "attic", Theirs: "garden"}, conflict.Fields[0])
			require.Equal(t, &theirs, conflict.Theirs)
			require.Equal(t, `occ: merge conflict: "appointments" row id=1: both sides changed Place`, err.Error())
			require.Equal(t, before, mine)
			require.Equal(t, theirs, Reload[Appointment](t, db, mine.ID))
		}},
		{"the same change by both is no conflict and no write", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "starts_at", midday.Add(time.Hour))
			mine.StartsAt = midday.Add(time.Hour).In(time.FixedZone("", 7200))

			require.NoError(t, occ.Rebase(db, &base, &mine))

			require.Equal(t, occ.Version(2), mine.Version)
			require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
		}},
		{"no change of mine is no write, and mine is the row", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "place", "garden")
			mine.Views = 7

			require.NoError(t, occ.Rebase(db, &base, &mine))
			require.NoError(t, occ.Rebase(db, &base, &mine))

			require.Equal(t, occ.Version(2), mine.Version)
			require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
		}},
		{"a row that is gone is refused as deleted", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			require.NoError(t, db.Where("1 = 1").Delete(&Guest{}).Error)
			require.NoError(t, db.Unscoped().Delete(&Appointment{}, mine.ID).Error)
			mine.Place = "garden"
			before := mine

			refused := Stale(t, occ.Rebase(db, &base, &mine))

			require.Equal(t, occ.ReasonDeleted, refused.Reason)
			require.EqualValues(t, map[string]any{"id": mine.ID}, refused.PrimaryKey)
			require.Equal(t, occ.Version(1), refused.Expected)
			require.Nil(t, refused.Actual)
			require.Equal(t, before, mine)
			require.ErrorIs(t, db.First(&Appointment{}, mine.ID).Error, gorm.ErrRecordNotFound)
		}},
		{"a row that is soft-deleted is refused as deleted, unless the session is unscoped", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			require.NoError(t, db.Delete(&Appointment{}, mine.ID).Error)
			mine.Place = "garden"
			before := mine

			refused := Stale(t, occ.Rebase(db, &base, &mine))
			require.Equal(t, occ.ReasonDeleted, refused.Reason)
			require.Equal(t, occ.Version(2), refused.Actual)
			require.Equal(t, before, mine)
			require.Equal(t, "hall", Reload[Appointment](t, db, mine.ID).Place)

			require.NoError(t, occ.Rebase(db.Unscoped(), &base, &mine))
			require.Equal(t, "garden", mine.Place)
			require.True(t, mine.DeletedAt.Valid)
			require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
		}},
	}, rebased...)
}

func TestRebaseBesideOthers(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"a third writer between reading and saving is refused, and Rebase can be called again", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "seats", 8)
			mine.Place = "garden"
			before := mine
			third := interrupted(t, db, func() { theyWrite(t, db, mine.ID, "starts_at", midday.Add(time.Hour)) })

			refused := Stale(t, occ.Rebase(third, &base, &mine))
			require.Equal(t, occ.ReasonChanged, refused.Reason)
			require.Equal(t, occ.Version(2), refused.Expected)
			require.Equal(t, occ.Version(3), refused.Actual)
			require.Equal(t, before, mine)

			require.NoError(t, occ.Rebase(third, &base, &mine))
			require.Equal(t, occ.Version(4), mine.Version)
			require.Equal(t, "garden", mine.Place)
			require.Equal(t, 8, *mine.Seats)
			require.True(t, midday.Add(time.Hour).Equal(mine.StartsAt))
		}},
		{"a row deleted between reading and saving is refused", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			mine.Place = "garden"
			before := mine
			third := interrupted(t, db, func() { require.NoError(t, db.Delete(&Appointment{}, mine.ID).Error) })

			refused := Stale(t, occ.Rebase(third, &base, &mine))

			require.Equal(t, occ.ReasonDeleted, refused.Reason)
			require.Equal(t, before, mine)
			require.Equal(t, "hall", Reload[Appointment](t, db, mine.ID).Place)
		}},
		{"a context that ends leaves row and model alone", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			mine.Place = "garden"
			before := mine
			ctx, end := context.WithCancel(t.Context())
			third := interrupted(t, db, end)

			require.ErrorIs(t, occ.Rebase(third.WithContext(ctx), &base, &mine), context.Canceled)

			require.Equal(t, before, mine)
			require.Equal(t, "hall", Reload[Appointment](t, db, mine.ID).Place)
		}},
		{"a hook that fails leaves row and model alone", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "seats", 8)
			mine.Place = "church"
			before, theirs := mine, Reload[Appointment](t, db, mine.ID)

			require.ErrorIs(t, occ.Rebase(db, &base, &mine), errChurch)

			require.Equal(t, before, mine)
			require.Equal(t, theirs, Reload[Appointment](t, db, mine.ID))
		}},
		{"associations are not saved, columns that are not read are kept", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "views", 5)
			mine.Place, mine.Guests = "garden", []Guest{{Name: "Bob"}}

			require.NoError(t, occ.Rebase(db.Session(&gorm.Session{FullSaveAssociations: true}), &base, &mine))

			var secret, guests string
			require.NoError(t, db.Raw("SELECT secret FROM appointments").Scan(&secret).Error)
			require.NoError(t, db.Raw("SELECT name FROM guests").Scan(&guests).Error)
			require.Equal(t, "secret", secret)
			require.Equal(t, "Ann", guests)
			require.Empty(t, mine.Guests)
			require.Equal(t, 5, mine.Views)
		}},
		{"in a transaction of the caller's, which stays usable", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			other := mine
			theyWrite(t, db, mine.ID, "seats", 8)
			mine.Place, other.Seats = "garden", pointerTo(9)
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, occ.Rebase(tx, &base, &mine))
				require.ErrorIs(t, occ.Rebase(tx, &base, &other), occ.ErrMergeConflict)
				return tx.Model(&mine).Update("place", "attic").Error
			}))

			require.Equal(t, occ.Version(4), mine.Version)
			require.Equal(t, "attic", Reload[Appointment](t, db, mine.ID).Place)
			require.Equal(t, 8, *Reload[Appointment](t, db, mine.ID).Seats)
		}},
		{"rows whose version is NULL are compared, too", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Create(&TheatreSeat{Row: 1, Number: 0, Guest: "Ann"}).Error)
			require.NoError(t, db.Exec("UPDATE theatre_seats SET version = NULL").Error)
			var base, mine TheatreSeat
			require.NoError(t, db.First(&base).Error)
			require.NoError(t, db.First(&mine).Error)
			mine.Guest = "Bob"

			require.NoError(t, occ.Rebase(db, &base, &mine))

			require.EqualValues(t, 1, *mine.Version)
			require.Equal(t, "Bob", mine.Guest)
		}},
		{"another table", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Table("balcony").AutoMigrate(&TheatreSeat{}))
			base := TheatreSeat{Row: 1, Number: 0, Guest: "Ann"}
			require.NoError(t, db.Create(&base).Error)
			require.NoError(t, db.Table("balcony").Create(&base).Error)
			mine := base
			mine.Guest = "Bob"

			require.NoError(t, occ.Rebase(db.Table("balcony"), &base, &mine))

			var guests []string
			require.NoError(t, db.Raw("SELECT guest FROM theatre_seats UNION ALL SELECT guest FROM balcony").Scan(&guests).Error)
			require.Equal(t, []string{"Ann", "Bob"}, guests)
		}},
		{"the caller's conditions apply, and a row they leave out is not called deleted", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			mine.Place = "garden"

			refused := Stale(t, occ.Rebase(db.Where("seats = 1").Or("seats = 2"), &base, &mine))
			require.Equal(t, occ.ReasonUnknown, refused.Reason)
			require.Equal(t, "hall", Reload[Appointment](t, db, mine.ID).Place)

			require.NoError(t, occ.Rebase(db.Where("seats = 1").Or("seats = 5"), &base, &mine))
			require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
		}},
		{"the columns of a struct that neither side has stay NULL", func(t *testing.T, db *gorm.DB) {
			base := Lodger{Name: "Ann"}
			require.NoError(t, db.Create(&base).Error)
			mine := base
			mine.Name = "Bea"

			require.NoError(t, occ.Rebase(db, &base, &mine))

			require.Equal(t, Lodger{ID: base.ID, Name: "Bea", Version: 2}, mine)
			var count int64
			require.NoError(t, db.Model(&Lodger{}).Where("home_city IS NULL AND home_floor IS NULL").Count(&count).Error)
			require.EqualValues(t, 1, count)
		}},
		{"what cannot be rebased is an error that names the model", func(t *testing.T, db *gorm.DB) {
			a, b := &Appointment{ID: 1}, &Appointment{ID: 2}
			require.ErrorContains(t, occ.Rebase(db, nil, a), "occ: Rebase of model Appointment: base is nil")
			require.ErrorContains(t, occ.Rebase(db, a, nil), "occ: Rebase of model Appointment: mine is nil")
			require.ErrorContains(t, occ.Rebase(db, a, b), "different primary keys")
			require.ErrorIs(t, occ.Rebase(db, &Appointment{}, &Appointment{}), gorm.ErrPrimaryKeyRequired)
			require.EqualError(t, occ.Rebase(db, &Label{ID: 1}, &Label{ID: 1}), "occ: Rebase of model Label: it has no version that could be compared")
			require.ErrorIs(t, occ.Rebase(db.Session(&gorm.Session{DryRun: true}), a, a), gorm.ErrDryRunModeUnsupported)
		}},
	}, rebased...)
}

func TestRebaseInATransaction(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"a rollback puts the version of mine back", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "seats", 8)
			mine.Place = "garden"

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, occ.Rebase(tx, &base, &mine))
				require.Equal(t, occ.Version(3), mine.Version)
				return errChurch
			})

			require.ErrorIs(t, err, errChurch)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, occ.Version(2), Reload[Appointment](t, db, mine.ID).Version)
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
		}},
		{"so it does where mine added nothing", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				theyWrite(t, tx, mine.ID, "seats", 8)
				require.NoError(t, occ.Rebase(tx, &base, &mine))
				require.Equal(t, occ.Version(2), mine.Version)
				return errChurch
			})

			require.ErrorIs(t, err, errChurch)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, Reload[Appointment](t, db, mine.ID), base)
		}},
		{"a rollback leaves mine alone where it holds another row by then", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			_, other := appointment(t, db)
			theyWrite(t, db, other.ID, "seats", 8)
			mine.Place = "garden"

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, occ.Rebase(tx, &base, &mine))
				mine = Reload[Appointment](t, tx, other.ID)
				return errChurch
			})

			require.ErrorIs(t, err, errChurch)
			require.Equal(t, Reload[Appointment](t, db, other.ID), mine)
		}},
		{"a conflict leaves it usable, and is not tried again", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			theyWrite(t, db, mine.ID, "place", "garden")
			mine.Place = "attic"
			attempts := 0

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				attempts++
				err := occ.Rebase(tx, &base, &mine)
				require.NoError(t, tx.Create(&Label{Text: "a"}).Error)
				return err
			})

			require.ErrorIs(t, err, occ.ErrMergeConflict)
			require.Equal(t, 1, attempts)
			require.ErrorIs(t, db.Take(&Label{}).Error, gorm.ErrRecordNotFound)
		}},
	}, rebased...)
}

func TestRebaseOfEachKindOfColumn(t *testing.T) {
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&Everything{}})
			require.NoError(t, db.Create(changed(func(e *Everything) { e.Size = 1 })).Error)
			for _, c := range changes {
				if c.field == "Ratio" || c.field == "Size" || c.field == "At" || c.field == "DeletedAt" || c.field == "OwnerID" {
					continue // not what every database stores
				}
				t.Run(c.field, func(t *testing.T) {
					base, mine := Reload[Everything](t, db, 1), Reload[Everything](t, db, 1)
					c.mine(&mine)
					c.mine(&mine) // twice is once
					want := mine
					require.NoError(t, db.Model(&Everything{ID: 1, Version: base.Version}).Update("size", gorm.Expr("size + 1")).Error)

					require.NoError(t, occ.Rebase(db, &base, &mine))

					require.Equal(t, base.Version+2, mine.Version)
					require.Equal(t, base.Size+1, mine.Size)
					require.Equal(t, Reload[Everything](t, db, 1), mine)
					want.Size, want.Version, want.UpdatedAt, want.Touched = mine.Size, mine.Version, mine.UpdatedAt, mine.Touched
					_, conflicts, err := occ.Merge(db, &base, &want, &mine)
					require.NoError(t, err)
					require.Empty(t, conflicts, "what was stored is not what was changed")
				})
			}
		})
	}
}

// Tally has a column for each of its writers.
type Tally struct {
	ID         uint
	A, B, C, D int
	occ.Version
}

func TestRebasesAtTheSameTimeLoseNothing(t *testing.T) {
	const each = 5
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&Tally{}})
			require.NoError(t, db.Create(&Tally{}).Error)
			var base Tally
			require.NoError(t, db.First(&base).Error)
			var all sync.WaitGroup
			errs := make([]error, 4)
			for i, column := range []func(tally *Tally) *int{
				func(tally *Tally) *int { return &tally.A }, func(tally *Tally) *int { return &tally.B },
				func(tally *Tally) *int { return &tally.C }, func(tally *Tally) *int { return &tally.D },
			} {
				all.Go(func() {
					base := base
					for range each {
						mine := base
						*column(&mine)++
						errs[i] = errors.Join(errs[i], rebaseUntilDone(t.Context(), db, i%2 == 0, &base, &mine))
						base = mine
					}
				})
			}
			all.Wait()

			require.NoError(t, errors.Join(errs...))
			require.Equal(t, Tally{ID: 1, A: each, B: each, C: each, D: each, Version: 1 + 4*each}, Reload[Tally](t, db, 1))
		})
	}
}

func rebaseUntilDone(ctx context.Context, db *gorm.DB, inTransaction bool, base, mine *Tally) error {
	if inTransaction {
		return occ.Retry(ctx, db, func(tx *gorm.DB) error { return occ.Rebase(tx, base, mine) }, occ.WithMaxAttempts(100), occ.WithLockAfter(3))
	}
	for {
		if err := occ.Rebase(db, base, mine); !errors.Is(err, occ.ErrStaleData) {
			return err
		}
	}
}

func TestRebaseUnderIsolation(t *testing.T) {
	for _, level := range []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable} {
		for _, database := range testdb.Of("postgres", "mariadb") {
			if level == sql.LevelSerializable && database.Like == "mariadb" {
				continue // a read locks the row there, so that nobody can write it meanwhile
			}
			t.Run(database.Name+"/"+level.String(), func(t *testing.T) {
				t.Parallel()
				db := Open(t, database, rebased)
				base, mine := appointment(t, db)
				mine.Place = "garden"
				before := mine
				err := occ.Transaction(db, func(tx *gorm.DB) error {
					Reload[Appointment](t, tx, mine.ID) // the snapshot
					theyWrite(t, db, mine.ID, "seats", 8)

					err := occ.Rebase(tx, &base, &mine)
					require.NoError(t, tx.Create(&Label{Text: "usable"}).Error)
					return err
				}, &sql.TxOptions{Isolation: level})

				if db.Name() == "postgres" && level != sql.LevelReadCommitted {
					var refused *occ.StaleDataError
					require.ErrorAs(t, err, &refused)
					require.Error(t, refused.Err)
					require.Equal(t, before, mine)
					return
				}
				require.NoError(t, err)
				require.Equal(t, "garden", mine.Place)
				require.Equal(t, Reload[Appointment](t, db, mine.ID), mine)
			})
		}
	}
}

func TestCurrentAndRebaseReadPastASnapshotThatMariaDBHoldsTo(t *testing.T) {
	t.Parallel()
	others := func(d testdb.Database) bool { return d.Configuration != "innodb_snapshot_isolation" }
	Run(t, slices.DeleteFunc(testdb.Transactions(), others), []Behaviour{
		{"after a refusal that says what happened", func(t *testing.T, db *gorm.DB) {
			base, mine := appointment(t, db)
			mine.Place = "garden"

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				Reload[Appointment](t, tx, mine.ID)
				theyWrite(t, db, mine.ID, "seats", 8)
				theirs, err := occ.Current(tx, &mine)
				require.NoError(t, err)
				require.Equal(t, 8, *theirs.Seats)
				row := Stale(t, tx.Model(&mine).Update("place", "hall").Error)
				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.Equal(t, theirs.Version, row.Actual)
				mine.Place = "garden"
				return occ.Rebase(tx, &base, &mine)
			})

			require.NoError(t, err)
			require.Equal(t, "garden", mine.Place)
			require.Equal(t, "garden", Reload[Appointment](t, db, mine.ID).Place)
			require.Equal(t, 8, *Reload[Appointment](t, db, mine.ID).Seats)
		}},
	}, rebased...)
}

func TestCurrentAndRebaseReadThePrimary(t *testing.T) {
	t.Parallel()
	replica := testdb.One(t, "sqlite").Open(t)
	require.NoError(t, replica.AutoMigrate(rebased...))
	db := testdb.One(t, "sqlite").Open(t)
	require.NoError(t, db.AutoMigrate(rebased...))
	require.NoError(t, db.Use(dbresolver.Register(dbresolver.Config{Replicas: []gorm.Dialector{replica.Dialector}})))
	require.NoError(t, db.Use(occ.New()))
	a := Appointment{Place: "hall"}
	require.NoError(t, db.Create(&a).Error)
	require.ErrorIs(t, db.First(&Appointment{}, a.ID).Error, gorm.ErrRecordNotFound)
	base, mine := a, a
	mine.Place = "garden"

	_, err := occ.Current(db, &a)
	require.NoError(t, err)
	require.NoError(t, occ.Rebase(db, &base, &mine))
	require.Equal(t, occ.Version(2), mine.Version)
}

// interrupted gives a session whose next update of an appointment comes after what somebody else does.
func interrupted(t *testing.T, db *gorm.DB, meanwhile func()) *gorm.DB {
	t.Helper()
	done := false
	require.NoError(t, db.Callback().Update().Before("occ:open_update").Register("test:interrupt", func(tx *gorm.DB) {
		if _, ok := tx.Get("test:interrupt"); ok && !done {
			done = true
			require.NoError(t, db.Callback().Update().Remove("test:interrupt"))
			meanwhile()
		}
	}))
	return db.Set("test:interrupt", true).Session(&gorm.Session{})
}

func TestRebaseIsComparedUnderBlindWrites(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, rebased, occ.WithBlindWrites())
			require.NoError(t, db.Create(&TheatreSeat{Row: 1, Number: 0, Guest: "Ann"}).Error)
			require.NoError(t, db.Exec("UPDATE theatre_seats SET version = NULL").Error)
			var base, mine TheatreSeat
			require.NoError(t, db.First(&base).Error)
			require.NoError(t, db.First(&mine).Error)
			mine.Guest = "Bob"
			third := interrupted(t, db, func() {
				require.NoError(t, db.Session(&gorm.Session{NewDB: true}).Model(&TheatreSeat{}).Where("1 = 1").Update("colour", "red").Error)
			})

			require.ErrorIs(t, occ.Rebase(third, &base, &mine), occ.ErrStaleData)
			require.NoError(t, occ.Rebase(third, &base, &mine))

			require.Equal(t, "Bob", mine.Guest)
			require.Equal(t, "red", mine.Colour)
		})
	}
}

func TestARefusedRebaseIsReportedOnce(t *testing.T) {
	t.Parallel()
	var told []*occ.StaleDataError
	plugin := occ.WithConflictHook(func(_ context.Context, err *occ.StaleDataError) { told = append(told, err) })
	db := Open(t, testdb.One(t, "sqlite"), rebased, plugin)
	base, mine := appointment(t, db)
	require.NoError(t, db.Select(clause.Associations).Delete(&Appointment{}, mine.ID).Error)

	err := occ.Rebase(db, &base, &mine)

	require.Len(t, told, 1)
	require.Equal(t, error(told[0]), err)
	stats := db.Plugins["occ"].(*occ.Plugin).Stats()["appointments"]
	require.EqualValues(t, 1, stats.Refused)
}

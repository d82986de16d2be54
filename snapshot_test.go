package occ_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// DirtyCasket compares what is written.
type DirtyCasket struct {
	ID           uint
	Label        string
	Weight       int
	UpdatedAt    time.Time
	occ.Snapshot `gorm:"snapshot:dirty"`
}

// TokenCasket compares one column.
type TokenCasket struct {
	ID        uint
	Label     string
	Weight    int
	UpdatedAt time.Time `gorm:"token"`
	occ.Snapshot
}

// SoftCasket is soft-deleted, counts what needs no comparison, and rounds.
type SoftCasket struct {
	*CasketBase
	Label  string `gorm:"size:20"`
	Price  float64
	Views  int            `gorm:"unversioned"`
	Labels map[string]int `gorm:"serializer:json"`
	Code   string         `gorm:"default:none"`
}

// createStaleCasket is a casket that somebody else has written since.
func createStaleCasket(t *testing.T, db *gorm.DB) Casket {
	c := CreateCasket(t, db)
	theirs := c
	require.NoError(t, db.Model(&theirs).Update("weight", 99).Error)
	return c
}

func casketWrites(db *gorm.DB) []func(c *Casket) *gorm.DB {
	return []func(c *Casket) *gorm.DB{
		func(c *Casket) *gorm.DB { return db.Model(c).Update("label", "x") },
		func(c *Casket) *gorm.DB { c.Label = "y"; return db.Save(c) },
		func(c *Casket) *gorm.DB { return db.Delete(c) },
		func(c *Casket) *gorm.DB { return db.Model(c).Updates(map[string]any{"Label": "z", "Weight": 1}) },
		func(c *Casket) *gorm.DB { return db.Model(c).Updates(Casket{Label: "u"}) },
		func(c *Casket) *gorm.DB { c.Label = "v"; return db.Select("*").Updates(c) },
		func(c *Casket) *gorm.DB { return db.Model(c).UpdateColumn("weight", gorm.Expr("weight + 5")) },
		func(c *Casket) *gorm.DB {
			c.Label = "s"
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(c)
		},
		func(c *Casket) *gorm.DB {
			c.Label = "s"
			return db.Clauses(clause.OnConflict{DoUpdates: clause.AssignmentColumns([]string{"label"})}).Create(c)
		},
		func(c *Casket) *gorm.DB {
			caskets := []*Casket{c, {Label: "new"}}
			c.Label = "slice"
			return db.Save(&caskets)
		},
		func(c *Casket) *gorm.DB {
			caskets := []*Casket{c}
			return db.Model(&caskets).Update("label", "slice")
		},
		func(c *Casket) *gorm.DB {
			second := Casket{Label: "second"}
			_ = db.Create(&second)
			caskets := []*Casket{&second, c}
			return db.Model(&caskets).Updates(map[string]any{"label": "slice"})
		},
		func(c *Casket) *gorm.DB {
			second := Casket{Label: "second"}
			_ = db.Create(&second)
			caskets := []*Casket{&second, c}
			return db.Delete(&caskets)
		},
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"what a create leaves is what a load gives", func(t *testing.T, db *gorm.DB) {
			c := CreateCasket(t, db)

			require.NotZero(t, c.Snapshot)
			require.Equal(t, Reload[Casket](t, db, c.ID), c)
		}},
		{"a stale write is refused and changes nothing", func(t *testing.T, db *gorm.DB) {
			mine := createStaleCasket(t, db)
			theirs := Reload[Casket](t, db, mine.ID)
			for i, write := range casketWrites(db) {
				m := mine
				res := write(&m)

				row := Stale(t, res.Error)
				require.Equal(t, occ.ReasonChanged, row.Reason, i)
				require.Equal(t, mine.Snapshot, row.Expected, i)
				require.Equal(t, theirs.Snapshot, row.Actual, i)
				require.Equal(t, map[string]any{"id": mine.ID}, row.PrimaryKey)
				require.Zero(t, res.RowsAffected)
				require.Equal(t, mine.Snapshot, m.Snapshot, i)
				require.Equal(t, theirs, Reload[Casket](t, db, mine.ID), i)
				require.ErrorContains(t, res.Error, "changed since it was loaded: weight", i)
				require.NotContains(t, res.Error.Error(), "99")
				require.ErrorIs(t, write(&m).Error, occ.ErrStaleData, i)
			}
		}},
		{"the text of a refused digest has the row's own, where it is one row", func(t *testing.T, db *gorm.DB) {
			stored := []Casket{CreateCasket(t, db), CreateCasket(t, db)}
			digest, err := occ.VersionText(db, &stored[0])
			require.NoError(t, err)

			one := db.Model(&stored[0]).Clauses(occ.ExpectText("7")).Update("label", "x").Error
			both := db.Model(&stored).Clauses(occ.ExpectText("7")).Update("label", "x").Error

			require.ErrorContains(t, one, `changed: expected version "[7]", found `+digest)
			require.ErrorContains(t, both, `changed: expected version "[7]"; row id=`)
			none := db.Model(&stored[0]).Clauses(occ.ExpectText()).Update("label", "x").Error
			noneOfBoth := db.Model(&stored).Clauses(occ.ExpectText()).Update("label", "x").Error
			require.ErrorContains(t, none, "is at version "+digest+", but")
			require.ErrorContains(t, noneOfBoth, "row id=1 is there, but")
			for _, err := range []error{one, both, none, noneOfBoth} {
				require.NotContains(t, err.Error()+logLine(err), "{{}")
				require.NotContains(t, err.Error()+logLine(err), "0x")
			}
			require.Contains(t, logLine(one), digest)
		}},
		{"a write of a row that is gone is refused, and inserts nothing", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			require.NoError(t, db.Delete(&Casket{}, mine.ID).Error)
			for i, write := range casketWrites(db) {
				m := mine
				require.Equal(t, occ.ReasonDeleted, Stale(t, write(&m).Error).Reason, i)
				require.ErrorIs(t, db.First(&Casket{}, mine.ID).Error, gorm.ErrRecordNotFound)
			}
		}},
		{"a current write succeeds, and so does the next one with the same model", func(t *testing.T, db *gorm.DB) {
			for i, write := range casketWrites(db) {
				c := CreateCasket(t, db)
				require.NoError(t, write(&c).Error, i)
				var row Casket
				if db.Find(&row, c.ID).RowsAffected == 0 {
					continue // deleted
				}
				require.Equal(t, row.Snapshot, c.Snapshot, i)
				require.NoError(t, db.Model(&c).Update("label", "last").Error, i)
				require.Equal(t, "last", Reload[Casket](t, db, c.ID).Label)
			}
		}},
		{"a model that was never loaded is refused", func(t *testing.T, db *gorm.DB) {
			stored := CreateCasket(t, db)
			for i, write := range casketWrites(db) {
				if i == 7 || i == 8 {
					continue // an upsert of a model that was never loaded asks for no comparison
				}
				err := write(&Casket{ID: stored.ID, Label: "a", Weight: 1}).Error
				require.Equal(t, occ.ReasonMissing, Stale(t, err).Reason, i)
				require.ErrorIs(t, err, occ.ErrVersionMissing)
				require.Equal(t, stored, Reload[Casket](t, db, stored.ID), i)
			}
		}},
		{"a model that takes the snapshot of its refusal overwrites what it ran into", func(t *testing.T, db *gorm.DB) {
			mine := createStaleCasket(t, db)
			mine.Weight = 7
			mine.Snapshot = Stale(t, db.Save(&mine).Error).Actual.(occ.Snapshot)
			require.NoError(t, db.Save(&mine).Error)
			require.Equal(t, mine, Reload[Casket](t, db, mine.ID))
		}},
		{"the snapshot of another row, or of another model, is none", func(t *testing.T, db *gorm.DB) {
			mine, other := CreateCasket(t, db), CreateCasket(t, db)
			mine.Snapshot = other.Snapshot
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrVersionMissing)
			mine.Snapshot = HookedCasket{}.Snapshot
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrVersionMissing)
		}},
		{"a payload says by its snapshot what it was based on", func(t *testing.T, db *gorm.DB) {
			mine := createStaleCasket(t, db)
			theirs := Reload[Casket](t, db, mine.ID)
			payload := mine
			payload.Label = "mine"
			require.ErrorIs(t, db.Model(&theirs).Updates(&payload).Error, occ.ErrStaleData)
			payload.Snapshot = Reload[Casket](t, db, mine.ID).Snapshot
			require.NoError(t, db.Model(&mine).Updates(payload).Error)
			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
		}},
		{"RETURNING gives the model what it asks for", func(t *testing.T, db *gorm.DB) {
			if db.Name() == "mysql" {
				t.Skip("MariaDB's UPDATE has no RETURNING")
			}
			c := CreateCasket(t, db)
			require.NoError(t, db.Model(&c).Clauses(clause.Returning{}).Update("weight", gorm.Expr("weight + 4")).Error)
			require.Equal(t, 5, c.Weight)
			require.Equal(t, Reload[Casket](t, db, c.ID), c)
			require.NoError(t, db.Model(&c).Clauses(clause.Returning{Columns: []clause.Column{{Name: "label"}}}).Update("weight", 6).Error)
			require.NoError(t, db.Model(&[]*Casket{&c}).Clauses(clause.Returning{}).Update("weight", 7).Error)
			require.Equal(t, Reload[Casket](t, db, c.ID).Snapshot, c.Snapshot)
			require.NoError(t, db.Clauses(clause.Returning{}).Delete(&c).Error)
		}},
	}, &Casket{}, &Pallet{})
}

func TestSnapshotTellsRowsApart(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"copies of one row in a slice count once, and are refused if they differ", func(t *testing.T, db *gorm.DB) {
			c := CreateCasket(t, db)
			twice := []Casket{c, Reload[Casket](t, db, c.ID)}
			twice[1].Label = "last"
			require.NoError(t, db.Save(&twice).Error)
			require.Equal(t, "last", Reload[Casket](t, db, c.ID).Label)
			require.Equal(t, twice[0].Snapshot, twice[1].Snapshot)
			require.ErrorIs(t, db.Save(&[]Casket{twice[0], c}).Error, occ.ErrStaleData)
			require.NoError(t, db.Model(&twice).Update("label", "x").Error)
			require.NoError(t, db.Delete(&twice).Error)
		}},
		{"every part of a key counts", func(t *testing.T, db *gorm.DB) {
			all := []Pallet{{Dock: "a", Slot: 0}, {Dock: "a", Slot: 1}, {Dock: "b", Slot: 1}}
			require.NoError(t, db.Create(&all).Error)
			require.NotZero(t, all[0].Snapshot)
			for i := range all {
				all[i].Load = i + 1
				require.NoError(t, db.Model(&all[i]).Update("load", i+1).Error)
			}
			require.NoError(t, db.Save(&all[0]).Error)
			require.NoError(t, db.Save(&all).Error)
			stale := all[0]
			require.NoError(t, db.Model(&all[0]).Update("load", 9).Error)
			require.ErrorIs(t, db.Model(&stale).Update("load", 8).Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Delete(&stale).Error, occ.ErrStaleData)
			require.NoError(t, db.Delete(&all[0]).Error)
			var left []Pallet
			require.NoError(t, db.Find(&left).Error)
			require.Len(t, left, 2)
		}},
		{"NULL is not the zero value", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			require.NoError(t, db.Exec("UPDATE caskets SET note = ''").Error)
			require.ErrorIs(t, db.Model(&mine).Update("label", "b").Error, occ.ErrStaleData)
			mine = Reload[Casket](t, db, mine.ID)
			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
			require.NoError(t, db.Exec("UPDATE caskets SET note = NULL").Error)
			require.ErrorIs(t, db.Model(&mine).Update("label", "c").Error, occ.ErrStaleData)
		}},
		{"conditions of the caller's that do not hold are no conflict", func(t *testing.T, db *gorm.DB) {
			c := CreateCasket(t, db)
			for _, write := range []func() *gorm.DB{
				func() *gorm.DB { return db.Model(&c).Where("weight > 5").Update("label", "b") },
				func() *gorm.DB { return db.Where("weight > 5").Save(&c) },
				func() *gorm.DB { return db.Where("weight > 5").Delete(&c) },
				func() *gorm.DB { return db.Where("weight > 5").Or("weight > 6").Delete(&[]Casket{c}) },
			} {
				res := write()
				require.NoError(t, res.Error)
				require.Zero(t, res.RowsAffected)
				require.Equal(t, "a", Reload[Casket](t, db, c.ID).Label)
			}
			m := createStaleCasket(t, db)
			require.ErrorIs(t, db.Model(&m).Where("weight > 200").Update("label", "b").Error, occ.ErrStaleData)
			require.NoError(t, db.Model(&c).Where("weight > 200 OR weight = 1").Update("label", "b").Error)
			require.Equal(t, "b", Reload[Casket](t, db, c.ID).Label)
		}},
		{"an update that changes nothing succeeds", func(t *testing.T, db *gorm.DB) {
			c := CreateCasket(t, db)
			require.NoError(t, db.Save(&c).Error)
			require.NoError(t, db.Model(&c).Update("label", "a").Error)
			require.NoError(t, db.Save(&[]*Casket{&c}).Error)
			require.NoError(t, db.Model(&[]*Casket{&c}).Update("label", "a").Error)
			require.Equal(t, c, Reload[Casket](t, db, c.ID))
		}},
		{"Save inserts a new model with a key of its own, once", func(t *testing.T, db *gorm.DB) {
			c := Casket{ID: 70, Label: "new"}
			require.NoError(t, db.Save(&c).Error)
			require.Equal(t, Reload[Casket](t, db, 70), c)
			require.ErrorIs(t, db.Save(&Casket{ID: 70, Label: "other"}).Error, occ.ErrVersionMissing)
			c.Label = "newer"
			require.NoError(t, db.Save(&c).Error)
			require.Equal(t, Reload[Casket](t, db, 70), c)
		}},
		{"a loaded model with another key is not that row's", func(t *testing.T, db *gorm.DB) {
			mine, twin := CreateCasket(t, db), CreateCasket(t, db)
			mine.ID = twin.ID
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrVersionMissing)
			mine.ID = 700
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Save(&mine).Error).Reason)
		}},
		{"copies are independent", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			before := mine
			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
			require.NotEqual(t, before.Snapshot, mine.Snapshot)
			require.ErrorIs(t, db.Model(&before).Update("label", "c").Error, occ.ErrStaleData)
		}},
	}, &Casket{}, &Pallet{})
}

func TestSnapshotBesideOtherCalls(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a rolled back transaction puts snapshots back", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			before, fresh := mine.Snapshot, Casket{Label: "new"}
			slice := []Casket{CreateCasket(t, db), CreateCasket(t, db)}
			asLoaded := slice[0].Snapshot
			boom := errors.New("boom")
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&mine).Update("label", "b").Error)
				require.NoError(t, tx.Create(&fresh).Error)
				require.NoError(t, tx.Model(&slice).Update("label", "c").Error)
				require.NotEqual(t, before, mine.Snapshot)
				return boom
			})
			require.ErrorIs(t, err, boom)
			require.Equal(t, before, mine.Snapshot)
			require.Equal(t, asLoaded, slice[0].Snapshot)
			require.Zero(t, fresh.Snapshot)
			require.NoError(t, db.Model(&mine).Update("label", "c").Error)
			require.NoError(t, db.Save(&slice).Error)
		}},
		{"Unchecked overwrites, and leaves the model with the row", func(t *testing.T, db *gorm.DB) {
			for i, write := range []func(db *gorm.DB, c *Casket) error{
				func(db *gorm.DB, c *Casket) error { return db.Model(c).Update("label", "b").Error },
				func(db *gorm.DB, c *Casket) error { return db.Save(c).Error },
				func(db *gorm.DB, c *Casket) error { return db.Save(&[]*Casket{c}).Error },
				func(db *gorm.DB, c *Casket) error { return db.Model(&[]*Casket{c, c}).Update("label", "b").Error },
				func(db *gorm.DB, c *Casket) error {
					return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(c).Error
				},
			} {
				mine := createStaleCasket(t, db)
				require.NoError(t, write(db.Clauses(occ.Unchecked()), &mine), i)
				require.Equal(t, Reload[Casket](t, db, mine.ID).Snapshot, mine.Snapshot, i)
				require.NoError(t, db.Model(&mine).Update("label", "c").Error, i)
			}
			mine := createStaleCasket(t, db)
			require.NoError(t, db.Clauses(occ.Unchecked()).Delete(&mine).Error)
		}},
		{"Expect is an error", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			err := db.Clauses(occ.Expect(1)).Model(&mine).Update("label", "b").Error
			require.ErrorContains(t, err, "Casket has no version")
			require.Equal(t, "a", Reload[Casket](t, db, mine.ID).Label)
		}},
		{"writes by condition are not compared", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			require.NoError(t, db.Model(&Casket{}).Where("id = ?", mine.ID).Update("label", "b").Error)
			require.NoError(t, db.Table("caskets").Where("id = ?", mine.ID).Updates(map[string]any{"label": "c"}).Error)
			require.Equal(t, "c", Reload[Casket](t, db, mine.ID).Label)
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
			require.NoError(t, db.Delete(&Casket{}, mine.ID).Error)
		}},
		{"a dry run shows the statement and changes nothing", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			before := mine.Snapshot
			dry := db.Session(&gorm.Session{DryRun: true})
			stmt := dry.Model(&mine).Update("label", "b").Statement
			require.Contains(t, stmt.SQL.String(), "note")
			require.Contains(t, stmt.SQL.String(), "IS NULL")
			require.Equal(t, before, mine.Snapshot)
			dry.Save(&[]Casket{mine})
			dry.Delete(&mine)
			require.Equal(t, Reload[Casket](t, db, mine.ID).Snapshot, before)
		}},
		{"a statement that is used again works", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			tx := db.Model(&mine)
			require.NoError(t, tx.Update("label", "b").Error)
			require.NoError(t, db.Model(&mine).Update("label", "c").Error)
			require.NoError(t, tx.Update("label", "d").Error)
			require.Equal(t, "d", Reload[Casket](t, db, mine.ID).Label)
		}},
		{"a model passed by value is compared", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			require.NoError(t, db.Model(mine).Update("label", "b").Error)
			require.ErrorIs(t, db.Model(mine).Update("label", "c").Error, occ.ErrStaleData)
		}},
		{"Touch is an error, Verify compares", func(t *testing.T, db *gorm.DB) {
			mine := CreateCasket(t, db)
			require.ErrorContains(t, occ.Touch(db, &mine), "Casket")
			require.ErrorContains(t, occ.CreateTriggers(db, &Casket{}), "Casket")
			require.NoError(t, occ.Verify(db, &mine))
			mine = createStaleCasket(t, db)
			require.ErrorIs(t, occ.Verify(db, &mine), occ.ErrStaleData)
		}},
		{"maps are inserted", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Model(&Casket{}).Create(map[string]any{"label": "m", "weight": 3}).Error)
			require.NoError(t, db.Model(&Casket{}).Create(&[]map[string]any{{"label": "n", "weight": 4}}).Error)
			require.NoError(t, db.Model(&Casket{}).Clauses(clause.OnConflict{DoNothing: true}).Create(map[string]any{"label": "o", "weight": 3}).Error)
			require.NoError(t, db.Model(&Casket{}).Clauses(clause.OnConflict{UpdateAll: true}).Create(map[string]any{"id": 5, "label": "p", "weight": 3}).Error)
			var caskets []Casket
			require.NoError(t, db.Order("id").Find(&caskets).Error)
			require.Len(t, caskets, 4)
			require.NoError(t, db.Save(&caskets).Error)
		}},
		{"an insert that does nothing leaves the model without a snapshot", func(t *testing.T, db *gorm.DB) {
			stored := CreateCasket(t, db)
			caskets := []Casket{{ID: stored.ID, Label: "b"}, {ID: stored.ID + 1, Label: "c"}}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&caskets).Error)
			require.Zero(t, caskets[0].Snapshot)
			require.Equal(t, Reload[Casket](t, db, stored.ID+1), caskets[1])
			single := Casket{ID: stored.ID, Label: "d"}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&single).Error)
			require.Zero(t, single.Snapshot)
			require.Equal(t, "a", Reload[Casket](t, db, stored.ID).Label)
		}},
		{"an upsert leaves the models with their rows", func(t *testing.T, db *gorm.DB) {
			stored := CreateCasket(t, db)
			caskets := []Casket{{ID: stored.ID + 5, Label: "b"}, {ID: stored.ID, Label: "c"}}
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&caskets).Error)
			for _, c := range caskets {
				require.Equal(t, Reload[Casket](t, db, c.ID), c)
			}
			require.NoError(t, db.Save(&caskets).Error)
			require.ErrorIs(t, db.Save(&stored).Error, occ.ErrStaleData)
		}},
	}, &Casket{}, &Pallet{})
}

// Pallet has a key of two parts, one of which may be zero.
type Pallet struct {
	Dock string `gorm:"primaryKey;size:10"`
	Slot int    `gorm:"primaryKey;autoIncrement:false"`
	Load int
	occ.Snapshot
}

func TestSnapshotUnderBlindWrites(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&Casket{}}, occ.WithBlindWrites())
			stored := CreateCasket(t, db)
			blind := Casket{ID: stored.ID, Label: "blind"}

			require.NoError(t, db.Save(&blind).Error)

			require.Equal(t, Reload[Casket](t, db, stored.ID), blind)
			require.ErrorIs(t, db.Save(&stored).Error, occ.ErrStaleData)
			require.NoError(t, db.Save(&[]Casket{{ID: stored.ID, Label: "again"}, {Label: "new"}}).Error)
			require.Equal(t, "again", Reload[Casket](t, db, stored.ID).Label)
		})
	}
}

func TestSnapshotModes(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"dirty: writes of different columns do not conflict, of the same one they do", func(t *testing.T, db *gorm.DB) {
			mine := DirtyCasket{Label: "a", Weight: 1}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine
			require.NoError(t, db.Model(&theirs).Update("weight", 2).Error)

			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
			require.NoError(t, db.Model(&mine).Update("label", "c").Error)
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&mine).Update("weight", 3).Error).Reason)
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Save(&[]*DirtyCasket{&mine}).Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Delete(&mine).Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Model(&theirs).Updates(map[string]any{"label": "d"}).Error, occ.ErrStaleData)

			row := Reload[DirtyCasket](t, db, mine.ID)
			require.Equal(t, "c", row.Label)
			require.Equal(t, 2, row.Weight)
		}},
		{"dirty: slices and upserts compare what they write, too", func(t *testing.T, db *gorm.DB) {
			mine := []DirtyCasket{{Label: "a", Weight: 1}, {Label: "b", Weight: 1}}
			require.NoError(t, db.Create(&mine).Error)
			require.NoError(t, db.Exec("UPDATE dirty_caskets SET weight = 2").Error)

			require.NoError(t, db.Model(&mine).Update("label", "c").Error)
			require.ErrorIs(t, db.Model(&mine).Update("weight", 5).Error, occ.ErrStaleData)
			upsert := db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"label"})})
			mine[0].Label = "d"
			require.NoError(t, upsert.Session(&gorm.Session{}).Create(&mine[0]).Error)
			require.NoError(t, db.Exec("UPDATE dirty_caskets SET label = 'z'").Error)
			require.ErrorIs(t, upsert.Session(&gorm.Session{}).Create(&mine).Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
		}},
		{"dirty: columns that were not loaded cannot be written, others can", func(t *testing.T, db *gorm.DB) {
			c := DirtyCasket{Label: "a", Weight: 1}
			require.NoError(t, db.Create(&c).Error)
			var mine DirtyCasket
			require.NoError(t, db.Select("id", "label").First(&mine, c.ID).Error)

			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
			require.ErrorIs(t, db.Model(&mine).Update("weight", 2).Error, occ.ErrVersionMissing)
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrVersionMissing)
			require.ErrorIs(t, db.Delete(&mine).Error, occ.ErrVersionMissing)
		}},
		{"token: those columns alone are compared", func(t *testing.T, db *gorm.DB) {
			mine := TokenCasket{Label: "a", Weight: 1}
			require.NoError(t, db.Create(&mine).Error)
			require.NoError(t, db.Exec("UPDATE token_caskets SET weight = 2").Error)
			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
			require.NoError(t, db.Model(&mine).Update("label", "c").Error)
			theirs := Reload[TokenCasket](t, db, mine.ID)
			later := theirs.UpdatedAt.Add(time.Hour) // and not within the same tick of the column
			require.NoError(t, db.Model(&theirs).Updates(map[string]any{"weight": 3, "updated_at": later}).Error)
			require.ErrorIs(t, db.Model(&mine).Update("label", "d").Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Delete(&mine).Error, occ.ErrStaleData)
			require.NoError(t, db.Delete(&theirs).Error)
		}},
	}, &DirtyCasket{}, &TokenCasket{})
}

func TestSnapshotOfRicherModels(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"rounding, defaults and serializers are no conflict", func(t *testing.T, db *gorm.DB) {
			c := SoftCasket{Label: "a ", Price: 0.1, Labels: map[string]int{"b": 1, "a": 2}}
			require.NoError(t, db.Create(&c).Error)
			require.Equal(t, Reload[SoftCasket](t, db, c.ID).Snapshot, c.Snapshot)
			for i := range 3 {
				c.Price, c.UpdatedAt = float64(i)/3, time.Now()
				require.NoError(t, db.Save(&c).Error)
				require.NoError(t, db.Model(&c).Updates(SoftCasket{Labels: map[string]int{"c": i}}).Error)
				require.NoError(t, db.Save(&[]SoftCasket{c}).Error)
			}
		}},
		{"a soft delete compares, and deletes no newer row", func(t *testing.T, db *gorm.DB) {
			c := SoftCasket{Label: "a"}
			require.NoError(t, db.Create(&c).Error)
			other := Reload[SoftCasket](t, db, c.ID)
			require.NoError(t, db.Model(&other).Update("label", "b").Error)
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Delete(&c).Error).Reason)
			require.NoError(t, db.Delete(&other).Error)
			require.Equal(t, Reload[SoftCasket](t, db, c.ID).Snapshot, other.Snapshot)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Delete(&c).Error).Reason)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Save(&other).Error).Reason)
			require.NoError(t, db.Unscoped().Model(&other).Update("deleted_at", nil).Error)
			require.NoError(t, db.Model(&other).Update("label", "c").Error)
			slice := []SoftCasket{other}
			require.NoError(t, db.Delete(&slice).Error)
			require.NoError(t, db.Unscoped().Model(&slice).Update("label", "d").Error)
			require.NoError(t, db.Unscoped().Delete(&slice).Error)
		}},
		{"unversioned columns and automatic timestamps are not compared", func(t *testing.T, db *gorm.DB) {
			c := SoftCasket{Label: "a"}
			require.NoError(t, db.Create(&c).Error)
			require.NoError(t, db.Model(&SoftCasket{}).Where("id = ?", c.ID).Updates(map[string]any{"views": 5, "updated_at": time.Now()}).Error)
			require.NoError(t, db.Model(&c).Update("views", 6).Error)
			require.NoError(t, db.Save(&c).Error)
			require.Equal(t, 6, Reload[SoftCasket](t, db, c.ID).Views)
		}},
		{"two copies of a row in one slice may differ in an unversioned column", func(t *testing.T, db *gorm.DB) {
			c := SoftCasket{Label: "a"}
			require.NoError(t, db.Create(&c).Error)
			first := Reload[SoftCasket](t, db, c.ID)
			require.NoError(t, db.Model(&c).Update("views", 6).Error)
			second := Reload[SoftCasket](t, db, c.ID)
			second.Label = "b"

			require.NoError(t, db.Save(&[]*SoftCasket{&first, &second}).Error)

			require.Equal(t, "b", Reload[SoftCasket](t, db, c.ID).Label)
			require.NoError(t, db.Save(&second).Error)
		}},
	}, &SoftCasket{})
}

func TestSnapshotIsLoaded(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"by every query of GORM's own", func(t *testing.T, db *gorm.DB) {
			stored := CreateCasket(t, db)
			CreateCasket(t, db)
			for i, load := range []func() (Casket, error){
				func() (c Casket, err error) { return c, db.Take(&c, stored.ID).Error },
				func() (c Casket, err error) { return c, db.Where("id = ?", stored.ID).Last(&c).Error },
				func() (c Casket, err error) { return c, db.Where("label = 'a'").FirstOrCreate(&c).Error },
				func() (c Casket, err error) { return c, db.Where("label = 'a'").Order("id").FirstOrInit(&c).Error },
				func() (c Casket, err error) { return gorm.G[Casket](db).Where("id = ?", stored.ID).First(t.Context()) },
				func() (c Casket, err error) {
					cs, err := gorm.G[*Casket](db).Where("id = ?", stored.ID).Find(t.Context())
					return *cs[0], err
				},
				func() (c Casket, err error) {
					var cs [3]Casket
					return cs[0], db.Order("id").Find(&cs).Error
				},
				func() (c Casket, err error) {
					var cs []Casket
					err = db.FindInBatches(&cs, 1, func(*gorm.DB, int) error {
						if c.ID == 0 {
							c = cs[0]
						}
						return nil
					}).Error
					return c, err
				},
				func() (c Casket, err error) { return c, db.Table("caskets AS k").Order("id").First(&c).Error },
				func() (c Casket, err error) {
					return c, db.Select("*", "weight * 2 AS twice").Order("id").First(&c).Error
				},
				func() (c Casket, err error) { return c, db.Select("caskets.*, 1 AS one").Order("id").First(&c).Error },
				func() (c Casket, err error) {
					return c, db.Select("id, label, weight, note").Order("id").First(&c).Error
				},
				func() (c Casket, err error) {
					return c, db.Joins("LEFT JOIN caskets other ON other.id = caskets.id").Order("caskets.id").First(&c).Error
				},
				func() (c Casket, err error) { return c, db.Omit("Nothing").Order("id").First(&c).Error },
				func() (c Casket, err error) {
					return c, db.Session(&gorm.Session{QueryFields: true}).Order("id").First(&c).Error
				},
				func() (c Casket, err error) { return c, db.Distinct().Order("id").First(&c).Error },
			} {
				c, err := load()
				require.NoError(t, err, i)
				require.Equal(t, stored, c, i)
			}
		}},
		{"but not where the columns could be anything", func(t *testing.T, db *gorm.DB) {
			stored := CreateCasket(t, db)
			for i, load := range []func(c *Casket) error{
				func(c *Casket) error { return db.Raw("SELECT * FROM caskets").First(c).Error },
				func(c *Casket) error { return db.Model(&Casket{}).Scan(c).Error },
				func(c *Casket) error { return db.Select("id", "label", "upper(label) AS note").First(c).Error },
				func(c *Casket) error {
					return db.Select("id, label, weight, coalesce(note, label, note) AS note").First(c).Error
				},
				func(c *Casket) error { return db.Select("id, label, weight, ? AS note", "x").First(c).Error },
				func(c *Casket) error {
					return db.Table("(?) AS caskets", db.Model(&Casket{}).Select("*")).First(c).Error
				},
				func(c *Casket) error {
					return db.Clauses(clause.Select{Expression: clause.Expr{SQL: "*"}}).First(c).Error
				},
				func(c *Casket) error {
					return db.Select("*").Joins("LEFT JOIN caskets other ON other.id = caskets.id").Order("caskets.id").First(c).Error
				},
				func(c *Casket) error { return db.Select("ID", "Label", "Weight").First(c).Error },
				func(c *Casket) error { return db.Omit("weight").First(c).Error },
				func(c *Casket) error { return json.Unmarshal(jsonOf(t, stored), c) },
				func(c *Casket) error { *c = stored; return db.Raw("SELECT * FROM caskets").First(c).Error },
				func(c *Casket) error { *c = stored; return db.Select("label").First(c).Error },
			} {
				var c Casket
				require.NoError(t, load(&c), i)
				require.Equal(t, stored.ID, c.ID, i)
				require.ErrorIs(t, db.Model(&c).Update("label", "b").Error, occ.ErrVersionMissing, i)
				require.ErrorIs(t, db.Delete(&c).Error, occ.ErrVersionMissing, i)
				require.ErrorIs(t, db.Save(&c).Error, occ.ErrVersionMissing, i)
			}
		}},
		{"before hooks", func(t *testing.T, db *gorm.DB) {
			stored := HookedCasket{Label: "a"}
			require.NoError(t, db.Create(&stored).Error)
			stored.Seen = nil
			mine := Reload[HookedCasket](t, db, stored.ID)
			require.Equal(t, []bool{true}, mine.Seen)
			require.NoError(t, db.Model(&mine).Update("label", "b").Error)
			require.Equal(t, []bool{true, true}, mine.Seen)
		}},
	}, &Casket{}, &HookedCasket{})
}

// HookedCasket notes in its hooks whether it has a snapshot that is equal to the row.
type HookedCasket struct {
	ID    uint
	Label string
	Seen  []bool `gorm:"-"`
	occ.Snapshot
}

func (c *HookedCasket) AfterFind(*gorm.DB) error {
	c.Seen = append(c.Seen, c.Snapshot != occ.Snapshot{})
	return nil
}

func (c *HookedCasket) AfterUpdate(tx *gorm.DB) error {
	var stored HookedCasket
	err := tx.Session(&gorm.Session{NewDB: true}).First(&stored, c.ID).Error
	c.Seen = append(c.Seen, reflect.DeepEqual(c.Snapshot, stored.Snapshot))
	return err
}

func jsonOf(t *testing.T, model any) []byte {
	text, err := json.Marshal(model)
	require.NoError(t, err)
	require.NotContains(t, string(text), "napshot")
	return text
}

package behaviour_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Logbook has columns that do not count.
type Logbook struct {
	ID        uint
	Name      string
	Views     int `gorm:"unversioned"`
	UpdatedAt time.Time
	occ.Version
}

// logbookForm is another type for the same table.
type logbookForm struct {
	Name    string
	Version int
}

func newLogbook(t *testing.T, db *gorm.DB) Logbook {
	l := Logbook{Name: "pen"}
	require.NoError(t, db.Create(&l).Error)
	require.NoError(t, db.Model(&l).Update("name", "ink").Error)
	return l
}

func requireLogbook(t *testing.T, db *gorm.DB, id uint, name string, views int, version occ.Version) {
	t.Helper()
	row := Reload[Logbook](t, db, id)
	require.Equal(t, []any{name, views, version}, []any{row.Name, row.Views, row.Version})
}

// emptyWrites leave the version as it is.
var emptyWrites = map[string]func(tx *gorm.DB) *gorm.DB{
	"nothing":         func(tx *gorm.DB) *gorm.DB { return tx.UpdateColumns(map[string]any{}) },
	"a timestamp":     func(tx *gorm.DB) *gorm.DB { return tx.Updates(map[string]any{}) },
	"the version":     func(tx *gorm.DB) *gorm.DB { return tx.Updates(map[string]any{"version": 77}) },
	"the version raw": func(tx *gorm.DB) *gorm.DB { return tx.UpdateColumn("version", 77) },
	"unversioned":     func(tx *gorm.DB) *gorm.DB { return tx.Update("views", 5) },
	"the same":        func(tx *gorm.DB) *gorm.DB { return tx.UpdateColumn("views", 0) },
}

func TestWhatIsSaidOfAVersionIsCompared(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"Expect on a write that changes nothing that counts", func(t *testing.T, db *gorm.DB) {
			for name, write := range emptyWrites {
				for _, of := range []func(id uint) *gorm.DB{
					func(id uint) *gorm.DB { return db.Model(&Logbook{ID: id}) },
					func(id uint) *gorm.DB { return db.Model(&Logbook{}).Where("id = ?", id) },
					func(id uint) *gorm.DB { return db.Model(&[]Logbook{{ID: id}}) },
				} {
					l := newLogbook(t, db)
					tx := func() *gorm.DB { return of(l.ID) }
					for _, old := range []clause.Expression{occ.Expect(1), occ.ExpectText("1"), occ.ExpectText("1", "x"), occ.ExpectText("02")} {
						row := Stale(t, write(tx().Clauses(old)).Error)
						require.Equal(t, occ.ReasonChanged, row.Reason, name)
						require.Equal(t, occ.Version(2), row.Actual, name)
						require.Equal(t, l.ID, row.PrimaryKey["id"], name)
						requireLogbook(t, db, l.ID, "ink", 0, 2)
					}
					for _, current := range []clause.Expression{occ.Expect(2), occ.ExpectText("2"), occ.ExpectText("*")} {
						require.NoError(t, write(tx().Clauses(current)).Error, name)
						require.Equal(t, occ.Version(2), Reload[Logbook](t, db, l.ID).Version, name)
					}
				}
			}
		}},
		{"a version in the payload, of unversioned columns or of nothing", func(t *testing.T, db *gorm.DB) {
			l := newLogbook(t, db)

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&Logbook{ID: l.ID}).Updates(map[string]any{"views": 5, "version": 1}).Error).Reason)
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&Logbook{ID: l.ID}).Updates(map[string]any{"version": 1}).Error).Reason)
			requireLogbook(t, db, l.ID, "ink", 0, 2)
			require.NoError(t, db.Model(&Logbook{ID: l.ID}).Updates(map[string]any{"views": 5, "version": 2}).Error)
			requireLogbook(t, db, l.ID, "ink", 5, 2)
		}},
		{"a payload of another type on the table, by value or by pointer", func(t *testing.T, db *gorm.DB) {
			l := newLogbook(t, db)
			for _, payload := range []any{logbookForm{"new", 1}, &logbookForm{"new", 1}} {
				err := db.Table("logbooks").Where("id = ?", l.ID).Updates(payload).Error
				require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
				requireLogbook(t, db, l.ID, "ink", 0, 2)
			}
			require.NoError(t, db.Table("logbooks").Where("id = ?", l.ID).Updates(&logbookForm{"new", 2}).Error)
			requireLogbook(t, db, l.ID, "new", 0, 3)
			require.NoError(t, db.Table("logbooks").Where("id = ?", l.ID).Updates(logbookForm{"newer", 3}).Error)
			requireLogbook(t, db, l.ID, "newer", 0, 4)
		}},
		{"a version alone as an expression is an error that names Touch", func(t *testing.T, db *gorm.DB) {
			l := newLogbook(t, db)
			next := gorm.Expr("version + 1")
			for name, err := range map[string]error{
				"column":       db.Model(&l).UpdateColumn("version", next).Error,
				"update":       db.Model(&l).Update("version", next).Error,
				"map":          db.Model(&l).Updates(map[string]any{"version": next}).Error,
				"by condition": db.Model(&Logbook{}).Where("id = ?", l.ID).UpdateColumn("version", next).Error,
				"table":        db.Table("logbooks").Where("id = ?", l.ID).UpdateColumn("version", next).Error,
				"set":          db.Model(&l).Clauses(clause.Set{{Column: clause.Column{Name: "version"}, Value: next}}).Updates(map[string]any{}).Error,
				"slice":        db.Model(&[]Logbook{l}).UpdateColumn("version", next).Error,
			} {
				require.ErrorContains(t, err, "occ.Touch", name)
			}
			_, err := gorm.G[Logbook](db).Where("id = ?", l.ID).Set(clause.Assignment{Column: clause.Column{Name: "version"}, Value: next}).Update(context.Background())
			require.ErrorContains(t, err, "occ.Touch")
			requireLogbook(t, db, l.ID, "ink", 0, 2)
			require.NoError(t, db.Model(&l).Updates(map[string]any{"name": "cap", "version": next}).Error)
			requireLogbook(t, db, l.ID, "cap", 0, 3)
		}},
		{"Expect on a Create that updates nothing, a nil pointer and an unknown table are errors", func(t *testing.T, db *gorm.DB) {
			l := newLogbook(t, db)
			for name, err := range map[string]error{
				"create":     db.Clauses(occ.Expect(2)).Create(&Logbook{Name: "cap"}).Error,
				"text":       db.Clauses(occ.ExpectText("2")).Create(&[]Logbook{{Name: "cap"}, {Name: "cap"}}).Error,
				"save new":   db.Clauses(occ.Expect(2)).Save(&Logbook{Name: "cap"}).Error,
				"do nothing": db.Clauses(occ.Expect(2), clause.OnConflict{DoNothing: true}).Create(&Logbook{ID: l.ID}).Error,
				"map":        db.Model(&Logbook{}).Clauses(occ.Expect(2)).Create(map[string]any{"name": "cap"}).Error,
				"nil":        db.Model(&l).Clauses(occ.Expect((*int)(nil))).Update("name", "cap").Error,
				"nil type":   db.Model(&l).Clauses(occ.Expect((*occ.Version)(nil))).Update("name", "cap").Error,
				"table":      db.Table("elsewhere").Where("id = 1").Clauses(occ.Expect(2)).Update("name", "cap").Error,
			} {
				require.ErrorContains(t, err, "Expect", name)
				require.NotErrorIs(t, err, occ.ErrStaleData, name)
			}
			var n int64
			require.NoError(t, db.Model(&Logbook{}).Count(&n).Error)
			require.EqualValues(t, 1, n)
			requireLogbook(t, db, l.ID, "ink", 0, 2)
		}},
	}, &Logbook{})
}

func TestWhatIsSaidOfARow(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"upserts and slices take texts", func(t *testing.T, db *gorm.DB) {
			l, other := newLogbook(t, db), newLogbook(t, db)
			all := clause.OnConflict{UpdateAll: true}
			for _, old := range []clause.Expression{occ.ExpectText("1"), occ.ExpectText("1", "x"), occ.ExpectText("02")} {
				require.Equal(t, occ.ReasonChanged, Stale(t, db.Clauses(old, all).Create(&Logbook{ID: l.ID, Name: "cap"}).Error).Reason)
				require.ErrorIs(t, db.Clauses(old).Save(&[]Logbook{{ID: l.ID, Name: "cap"}, {ID: other.ID, Name: "cap"}}).Error, occ.ErrStaleData)
				requireLogbook(t, db, l.ID, "ink", 0, 2)
			}
			gone := Logbook{ID: 999, Name: "cap"}
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Clauses(occ.ExpectText("*"), all).Create(&gone).Error).Reason)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Clauses(occ.ExpectText("*")).Save(&[]Logbook{{ID: 999}}).Error).Reason)
			RequireNoRow[Logbook](t, db, 999)
			require.NoError(t, db.Clauses(occ.ExpectText("*"), all).Create(&Logbook{ID: l.ID, Name: "cap"}).Error)
			requireLogbook(t, db, l.ID, "cap", 0, 3)
			saved := []Logbook{{ID: l.ID, Name: "a"}, {ID: other.ID, Name: "b"}}
			require.NoError(t, db.Clauses(occ.ExpectText("2", "3")).Save(&saved).Error)
			requireLogbook(t, db, l.ID, "a", 0, 4)
			requireLogbook(t, db, other.ID, "b", 0, 3)
			require.Equal(t, []occ.Version{4, 3}, []occ.Version{saved[0].Version, saved[1].Version})
		}},
		{"a write by a condition on the key says what became of the row", func(t *testing.T, db *gorm.DB) {
			l := newLogbook(t, db)
			for name, tx := range map[string]*gorm.DB{
				"text":   db.Model(&Logbook{}).Where("id = ?", l.ID),
				"quoted": db.Model(&Logbook{}).Where("logbooks.id = ?", l.ID),
				"map":    db.Model(&Logbook{}).Where(map[string]any{"id": l.ID}),
				"struct": db.Model(&Logbook{}).Where(&Logbook{ID: l.ID}),
				"IN":     db.Model(&Logbook{}).Where(map[string]any{"id": []uint{l.ID}}),
				"also":   db.Model(&Logbook{}).Where("id = ?", l.ID).Where("name = ?", "ink"),
				"table":  db.Table("logbooks").Where("id = ?", l.ID),
			} {
				row := Stale(t, tx.Clauses(occ.Expect(1)).Update("name", "cap").Error)
				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": l.ID}, Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, row, name)
			}
			row := Stale(t, db.Model(&Logbook{}).Where("id = ?", l.ID).Clauses(occ.Expect(9)).Update("name", "cap").Error)
			require.Equal(t, occ.ReasonAhead, row.Reason)
			row = Stale(t, db.Clauses(occ.Expect(1)).Delete(&Logbook{}, l.ID).Error)
			require.Equal(t, occ.ReasonChanged, row.Reason)
			for _, text := range []clause.Expression{occ.Expect(1), occ.ExpectText("1", "2"), occ.ExpectText("*")} {
				row = Stale(t, db.Model(&Logbook{}).Where("id = ?", 999).Clauses(text).Update("name", "cap").Error)
				require.Equal(t, occ.ReasonDeleted, row.Reason)
				require.Equal(t, map[string]any{"id": uint(999)}, row.PrimaryKey)
			}
			row = Stale(t, db.Model(&Logbook{}).Where("id = ? OR name = ?", l.ID, "x").Clauses(occ.Expect(1)).Update("name", "cap").Error)
			require.Equal(t, occ.ReasonUnknown, row.Reason)
			requireLogbook(t, db, l.ID, "ink", 0, 2)
		}},
		{"a payload that is a model of the row is advanced as the model is", func(t *testing.T, db *gorm.DB) {
			for name, write := range map[string]func(x *Logbook) *gorm.DB{
				"by key":       func(x *Logbook) *gorm.DB { return db.Model(&Logbook{ID: x.ID}).Updates(x) },
				"by condition": func(x *Logbook) *gorm.DB { return db.Model(&Logbook{}).Where("id = ?", x.ID).Updates(x) },
				"by table":     func(x *Logbook) *gorm.DB { return db.Table("logbooks").Where("id = ?", x.ID).Updates(x) },
				"Save":         func(x *Logbook) *gorm.DB { return db.Model(&Logbook{ID: x.ID}).Save(x) },
			} {
				x := newLogbook(t, db)
				x.Name = name

				require.NoError(t, write(&x).Error, name)

				requireLogbook(t, db, x.ID, name, 0, 3)
				require.Equal(t, occ.Version(3), x.Version, name)
				require.NoError(t, db.Save(&x).Error, name)
				requireLogbook(t, db, x.ID, name, 0, 4)
				old := x
				old.Version = 2
				require.ErrorIs(t, write(&old).Error, occ.ErrStaleData, name)
				require.Equal(t, occ.Version(2), old.Version, name)
				x.Name = "rolled back"
				require.Error(t, occ.Transaction(db, func(tx *gorm.DB) error {
					require.NoError(t, tx.Model(&Logbook{ID: x.ID}).Updates(&x).Error)
					require.Equal(t, occ.Version(5), x.Version)
					return gorm.ErrInvalidData
				}))
				require.Equal(t, occ.Version(4), x.Version, name)
			}
		}},
		{"a nil pointer as the model is a write by condition", func(t *testing.T, db *gorm.DB) {
			l := newLogbook(t, db)

			result := db.Model((*Logbook)(nil)).Where("id = ?", l.ID).Update("name", "cap")
			require.NoError(t, result.Error)
			require.EqualValues(t, 1, result.RowsAffected)
			requireLogbook(t, db, l.ID, "cap", 0, 3)
			require.NoError(t, db.Model((*Logbook)(nil)).Where("id = ?", l.ID).Updates(map[string]any{"name": "dot"}).Error)
			require.NoError(t, db.Model((*Logbook)(nil)).Where("id = ?", l.ID).UpdateColumns(Logbook{Name: "tip"}).Error)
			requireLogbook(t, db, l.ID, "tip", 0, 5)
			require.ErrorIs(t, db.Model((*Logbook)(nil)).Update("name", "cap").Error, gorm.ErrMissingWhereClause)
			require.ErrorIs(t, db.Model((*Logbook)(nil)).Where("id = ?", l.ID).Clauses(occ.Expect(1)).Update("name", "x").Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Create([]*Logbook{{Name: "a"}, nil}).Error, gorm.ErrInvalidData)
		}},
	}, &Logbook{})
}

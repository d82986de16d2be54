package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// deletion is one of GORM's ways to delete a product.
type deletion struct {
	name string
	do   func(db *gorm.DB, p *Product) *gorm.DB
}

func deletions() []deletion {
	return []deletion{
		{"Delete", func(db *gorm.DB, p *Product) *gorm.DB { return db.Delete(p) }},
		{"Delete by value", func(db *gorm.DB, p *Product) *gorm.DB { return db.Delete(*p) }},
		{"Delete of a pointer to a pointer", func(db *gorm.DB, p *Product) *gorm.DB { return db.Delete(&p) }},
		{"Unscoped", func(db *gorm.DB, p *Product) *gorm.DB { return db.Unscoped().Delete(p) }},
		{"Model", func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).Delete(&Product{}) }},
		{"Model and the model", func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).Delete(p) }},
		{"conditions of the caller's", func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Where("price > 0").Or("price < 0").Delete(p)
		}},
		{"an inline condition", func(db *gorm.DB, p *Product) *gorm.DB { return db.Delete(p, "price > ?", 0) }},
		{"hooks skipped", func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Session(&gorm.Session{SkipHooks: true}).Delete(p)
		}},
		{"Expect", func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Clauses(occ.Expect(p.Version)).Delete(&Product{ID: p.ID})
		}},
		{"Expect and a condition", func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Clauses(occ.Expect(p.Version)).Delete(&Product{}, p.ID)
		}},
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"every call deletes the row if it is at the model's version", func(t *testing.T, db *gorm.DB) {
			for _, deletion := range deletions() {
				t.Run(deletion.name, func(t *testing.T) {
					mine, other := Create(t, db), Create(t, db)

					res := deletion.do(db, &mine)

					require.NoError(t, res.Error)
					require.EqualValues(t, 1, res.RowsAffected)
					require.Equal(t, occ.Version(1), mine.Version)
					RequireNoRow[Product](t, db, mine.ID)
					require.Equal(t, other, Reload[Product](t, db, other.ID))
				})
			}
		}},
		{"every call is refused if the row is at another version", func(t *testing.T, db *gorm.DB) {
			for _, deletion := range deletions() {
				t.Run(deletion.name, func(t *testing.T) {
					mine, theirs := Pair(t, db)

					for range 2 {
						res := deletion.do(db, &mine)

						require.Equal(t, occ.Version(1), Stale(t, res.Error).Expected)
						require.Zero(t, res.RowsAffected)
						require.Equal(t, occ.Version(1), mine.Version)
						require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
					}
				})
			}
		}},
		{"the second delete of one row is refused", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			theirs := mine
			require.NoError(t, db.Delete(&theirs).Error)

			err := db.Delete(&mine).Error

			var refused *occ.StaleDataError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, occ.OpDelete, refused.Op)
			require.Equal(t, "products", refused.Table)
			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonDeleted,
			}, Stale(t, err))
		}},
		{"a model that was never loaded does not delete its row", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			err := db.Delete(&Product{ID: stored.ID}).Error

			require.ErrorIs(t, err, occ.ErrVersionMissing)
			require.Equal(t, stored, Reload[Product](t, db, stored.ID))
		}},
		{"keys and conditions delete whatever version the rows are at", func(t *testing.T, db *gorm.DB) {
			first, _ := Pair(t, db)
			second, third, kept := Create(t, db), Create(t, db), Create(t, db)

			require.NoError(t, db.Delete(&Product{}, first.ID).Error)
			require.NoError(t, db.Delete(&Product{}, []uint{second.ID, third.ID}).Error)
			require.NoError(t, db.Where("price = ?", 9999).Delete(&Product{}).Error)

			RequireProducts(t, db, kept)
		}},
		{"no condition at all is an error", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			require.ErrorIs(t, db.Delete(&Product{}).Error, gorm.ErrMissingWhereClause)
			require.ErrorIs(t, db.Delete(&Product{Version: 1}).Error, gorm.ErrMissingWhereClause)
			require.ErrorIs(t, db.Clauses(occ.Expect(1)).Delete(&Product{}).Error, gorm.ErrMissingWhereClause)

			RequireProducts(t, db, stored)
		}},
		{"a condition that does not hold for a current row deletes nothing, without error", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			res := db.Where("price > 1000").Delete(&mine)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			RequireProducts(t, db, mine)
		}},
		{"DryRun shows the statement and changes nothing", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			res := db.Session(&gorm.Session{DryRun: true}).Delete(&mine)

			require.NoError(t, res.Error)
			require.Contains(t, res.Statement.SQL.String(), "version")
			RequireProducts(t, db, mine)
		}},
		{"a delete is one statement", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			recorded, log := Record(db)

			require.NoError(t, recorded.Delete(&mine).Error)

			require.Len(t, log.Sent(""), 1)
		}},
		{"a key with a zero part deletes its one row", func(t *testing.T, db *gorm.DB) {
			zero, other := Seat{Room: 0, Number: 5}, Seat{Room: 1, Number: 5}
			require.NoError(t, db.Create(&zero).Error)
			require.NoError(t, db.Create(&other).Error)

			require.NoError(t, db.Delete(&zero).Error)

			RequireNoRow[Seat](t, db, "room = 0")
			require.Equal(t, other, Reload[Seat](t, db, "room = 1"))
		}},
	}, &Product{}, &Seat{})
}

func TestSoftDelete(t *testing.T) {
	t.Parallel()
	newNote := func(t *testing.T, db *gorm.DB) Note {
		note := Note{Text: "a"}
		require.NoError(t, db.Create(&note).Error)
		return note
	}
	Run(t, Everywhere(), []Behaviour{
		{"writes the next version, in memory too", func(t *testing.T, db *gorm.DB) {
			mine, other := newNote(t, db), newNote(t, db)

			res := db.Delete(&mine)

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Equal(t, occ.Version(2), mine.Version)
			stored := Reload[Note](t, db, mine.ID)
			require.True(t, stored.DeletedAt.Valid)
			require.Equal(t, occ.Version(2), stored.Version)
			require.False(t, Reload[Note](t, db, other.ID).DeletedAt.Valid)
		}},
		{"is refused if the row is at another version", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)
			theirs := mine
			require.NoError(t, db.Model(&theirs).Update("text", "b").Error)

			for range 2 {
				err := db.Delete(&mine).Error

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, Stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
				require.False(t, Reload[Note](t, db, mine.ID).DeletedAt.Valid)
			}
		}},
		{"of a row that is deleted already is refused as deleted", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)
			require.NoError(t, db.Delete(&Note{}, mine.ID).Error)

			for _, write := range []func() error{
				func() error { return db.Delete(&mine).Error },
				func() error { return db.Model(&mine).Update("text", "b").Error },
				func() error { return db.Save(&mine).Error },
			} {
				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonDeleted,
				}, Stale(t, write()))
			}
			require.Equal(t, "a", Reload[Note](t, db, mine.ID).Text)
		}},
		{"by condition writes every row's next version", func(t *testing.T, db *gorm.DB) {
			first, second := newNote(t, db), newNote(t, db)
			require.NoError(t, db.Model(&second).Update("text", "b").Error)

			res := db.Where("id IN ?", []uint{first.ID, second.ID}).Delete(&Note{})

			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Equal(t, occ.Version(2), Reload[Note](t, db, first.ID).Version)
			require.Equal(t, occ.Version(3), Reload[Note](t, db, second.ID).Version)
		}},
		{"of a model by value is compared", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)

			require.NoError(t, db.Delete(mine).Error)
			err := db.Unscoped().Model(mine).Update("text", "b").Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, occ.Version(2), Reload[Note](t, db, mine.ID).Version)
		}},
		{"is undone by a compared write of the loaded row", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)
			require.NoError(t, db.Delete(&mine).Error)
			theirs := Reload[Note](t, db, mine.ID)

			require.NoError(t, db.Unscoped().Model(&mine).Update("deleted_at", nil).Error)
			err := db.Unscoped().Model(&theirs).Update("deleted_at", nil).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, occ.Version(3), mine.Version)
			require.False(t, Reload[Note](t, db, mine.ID).DeletedAt.Valid)
		}},
		{"is made final by an Unscoped delete, which is compared", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)
			theirs := mine
			require.NoError(t, db.Delete(&mine).Error)

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Unscoped().Delete(&theirs).Error).Reason)
			require.NoError(t, db.Unscoped().Delete(&mine).Error)

			RequireNoRow[Note](t, db, mine.ID)
		}},
		{"of a model that was never loaded is refused", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)

			require.ErrorIs(t, db.Delete(&Note{ID: mine.ID}).Error, occ.ErrVersionMissing)

			require.False(t, Reload[Note](t, db, mine.ID).DeletedAt.Valid)
		}},
		{"with a condition that does not hold for a current row deletes nothing, without error", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)

			res := db.Where("text = ?", "x").Or("text = ?", "y").Delete(&mine)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			require.Equal(t, occ.Version(1), mine.Version)
			require.False(t, Reload[Note](t, db, mine.ID).DeletedAt.Valid)
		}},
		{"in a DryRun changes nothing", func(t *testing.T, db *gorm.DB) {
			mine := newNote(t, db)

			require.NoError(t, db.Session(&gorm.Session{DryRun: true}).Delete(&mine).Error)

			require.Equal(t, occ.Version(1), mine.Version)
			require.False(t, Reload[Note](t, db, mine.ID).DeletedAt.Valid)
		}},
		{"keeps its row out of every later write, whatever the conditions", func(t *testing.T, db *gorm.DB) {
			mine, other := newNote(t, db), newNote(t, db)
			require.NoError(t, db.Delete(&mine).Error)
			deleted := Reload[Note](t, db, mine.ID)

			err := db.Model(&mine).Where("text = ?", "a").Or("text = ?", "b").Update("text", "c").Error
			require.Equal(t, occ.ReasonDeleted, Stale(t, err).Reason)
			require.NoError(t, db.Model(&Note{}).Where("id = ?", mine.ID).Or("id = ?", other.ID).Update("text", "c").Error)

			require.Equal(t, deleted, Reload[Note](t, db, mine.ID))
			require.Equal(t, occ.Version(2), Reload[Note](t, db, other.ID).Version)
		}},
		{"by a statement that is used again", func(t *testing.T, db *gorm.DB) {
			first, second := newNote(t, db), newNote(t, db)
			tx := db.Where("text = ?", "a").Session(&gorm.Session{})

			require.NoError(t, tx.Delete(&first).Error)
			require.NoError(t, tx.Delete(&second).Error)

			require.Equal(t, occ.Version(2), Reload[Note](t, db, first.ID).Version)
			require.Equal(t, occ.Version(2), Reload[Note](t, db, second.ID).Version)
		}},
	}, &Note{})
}

package occ_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

var lockingNoWait = clause.Locking{Strength: "UPDATE", Options: "NOWAIT"}

func reportTo(reports *[]occ.RetryReport) occ.Option {
	return occ.WithRetryReport(func(_ context.Context, r occ.RetryReport) { *reports = append(*reports, r) })
}

func TestAdaptiveLock(t *testing.T) {
	refuse := func(t *testing.T, db *gorm.DB, id uint) {
		t.Helper()
		old := storedPurse(t, db, id)
		require.ErrorIs(t, db.Model(&old).Clauses(occ.Expect(99)).Update("amount", 1).Error, occ.ErrStaleData)
	}
	reads := []struct {
		name string
		read func(tx *gorm.DB, p *Purse, id uint) error
	}{
		{"First by its key", func(tx *gorm.DB, p *Purse, id uint) error { return tx.First(p, id).Error }},
		{"First by its key as text", func(tx *gorm.DB, p *Purse, id uint) error { return tx.First(p, fmt.Sprint(id)).Error }},
		{"Where with a text", func(tx *gorm.DB, p *Purse, id uint) error { return tx.Where("id = ?", id).Take(p).Error }},
		{"Where with a map", func(tx *gorm.DB, p *Purse, id uint) error { return tx.Where(map[string]any{"id": id}).Take(p).Error }},
		{"Where with a model", func(tx *gorm.DB, p *Purse, id uint) error { return tx.Where(&Purse{ID: id}).Take(p).Error }},
		{"the model's own key", func(tx *gorm.DB, p *Purse, id uint) error { p.ID = id; return tx.First(p).Error }},
		{"Find by keys", func(tx *gorm.DB, p *Purse, id uint) error {
			var found []Purse
			err := tx.Find(&found, []uint{id}).Error
			*p = found[0]
			return err
		}},
	}
	Run(t, testdb.All(), []Behaviour{
		{"a row on which a write was refused is locked from the first attempt on, others are not", func(t *testing.T, db *gorm.DB) {
			var reports []occ.RetryReport
			db, _ = WithPlugin(t, db, reportTo(&reports))
			hot, cold := createPurse(t, db), createPurse(t, db)
			for _, r := range reads {
				reports = nil
				add := func(id uint) {
					require.NoError(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
						var p Purse
						if err := r.read(tx, &p, id); err != nil {
							return err
						}
						return tx.Model(&p).Update("amount", p.Amount+1).Error
					}, occ.WithAdaptiveLock()), r.name)
				}
				refuse(t, db, hot.ID)
				add(hot.ID)
				add(cold.ID)

				isWhole := db.Name() == "sqlite" // it has no smaller lock
				require.Equal(t, []occ.RetryReport{{Attempts: 1, Locked: true}, {Attempts: 1, Locked: isWhole}}, reports, r.name)
			}
			require.Equal(t, 10+len(reads), storedPurse(t, db, hot.ID).Amount)
		}},
		{"without the option nothing is locked", func(t *testing.T, db *gorm.DB) {
			var reports []occ.RetryReport
			db, _ = WithPlugin(t, db, reportTo(&reports))
			purse := createPurse(t, db)
			refuse(t, db, purse.ID)

			require.NoError(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error { return increment(tx, purse.ID) }))

			require.Equal(t, []occ.RetryReport{{Attempts: 1}}, reports)
		}},
		{"a locked row keeps another session out", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			refuse(t, db, purse.ID)

			require.NoError(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				p := storedPurse(t, tx, purse.ID)
				if db.Name() != "sqlite" { // where the other session would wait for its busy timeout
					other := db.Clauses(lockingNoWait).First(&Purse{}, purse.ID)
					require.Error(t, other.Error)
				}
				return tx.Model(&p).Update("amount", 11).Error
			}, occ.WithAdaptiveLock()))

			require.Equal(t, 11, storedPurse(t, db, purse.ID).Amount)
		}},
	}, purseModels...)
}

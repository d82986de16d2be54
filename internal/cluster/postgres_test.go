//go:build linux

package cluster

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/plugin/dbresolver"

	"github.com/gorm-occ/occ"
)

// TestAReplicaThatIsBehind has a standby that stays at what the primary was when a purse had 10.
func TestAReplicaThatIsBehind(t *testing.T) {
	p := postgresCluster(t)
	name := database(t, p.writers)
	require.NoError(t, p.CatchUp(t.Context()))
	pool, replica, err := p.Reader(p.Standby()).Open(Options{Database: name})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	resolver := dbresolver.Register(dbresolver.Config{Replicas: []gorm.Dialector{replica}})
	db := open(t, p.writers, Options{Database: name}, resolver)
	primary := open(t, p.writers, Options{Database: name})
	behind := open(t, p.Reader(p.Standby()), Options{Database: name})
	purse := Purse{Amount: 10}
	require.NoError(t, primary.Create(&purse).Error)
	require.NoError(t, p.CatchUp(t.Context()))
	require.NoError(t, p.PauseReplay(t.Context()))
	t.Cleanup(func() { require.NoError(t, p.ResumeReplay(context.Background())) })
	require.NoError(t, primary.Model(&purse).Update("amount", 30).Error)

	read := storedPurse(t, db, purse.ID)
	require.Equal(t, Purse{ID: purse.ID, Amount: 10, Version: 1}, read, "the replica was asked, and is behind")
	require.Equal(t, read, storedPurse(t, behind, purse.ID))

	for name, write := range map[string]func(tx *gorm.DB, p *Purse) error{
		"Save":         func(tx *gorm.DB, p *Purse) error { return tx.Save(p).Error },
		"Update":       func(tx *gorm.DB, p *Purse) error { return tx.Model(p).Update("amount", 70).Error },
		"Delete":       func(tx *gorm.DB, p *Purse) error { return tx.Delete(p).Error },
		"Save a slice": func(tx *gorm.DB, p *Purse) error { return tx.Save([]*Purse{p}).Error },
		"Touch":        func(tx *gorm.DB, p *Purse) error { return occ.Touch(tx, p) },
		"Verify":       func(tx *gorm.DB, p *Purse) error { return occ.Verify(tx, p) },
		"Expect": func(tx *gorm.DB, p *Purse) error {
			return tx.Clauses(occ.Expect(p.Version)).First(&Purse{}, p.ID).Error
		},
	} {
		t.Run(name+" of what the replica shows is refused", func(t *testing.T) {
			mine := read
			err := write(db, &mine)

			if name == "Expect" {
				require.NoError(t, err, "a read of the replica is at the replica's version")
				return
			}
			var refused *occ.StaleDataError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, occ.ReasonChanged, refused.Rows[0].Reason)
			require.EqualValues(t, 2, refused.Rows[0].Actual, "the primary was asked")
			require.Equal(t, Purse{ID: purse.ID, Amount: 30, Version: 2}, storedPurse(t, primary, purse.ID))
		})
	}

	t.Run("Current and Rebase read the primary", func(t *testing.T) {
		now, err := occ.Current(db, &read)
		require.NoError(t, err)
		require.Equal(t, 30, now.Amount)

		mine := read
		mine.Amount = 11
		var conflict *occ.MergeConflictError
		require.ErrorAs(t, occ.Rebase(db, &read, &mine), &conflict)
		require.Equal(t, 30, conflict.Fields[0].Theirs)
	})
	t.Run("Retry reads the primary, and goes through at once", func(t *testing.T) {
		runs := 0
		require.NoError(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error { runs++; return increment(tx, purse.ID) }))
		require.Equal(t, 1, runs)
		require.Equal(t, Purse{ID: purse.ID, Amount: 31, Version: 3}, storedPurse(t, primary, purse.ID))
	})
	t.Run("Retry of what was loaded outside of it ends", func(t *testing.T) {
		err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
			loaded := storedPurse(t, db, purse.ID) // of the replica: db is not tx
			return tx.Model(&loaded).Update("amount", 70).Error
		})
		require.ErrorIs(t, err, occ.ErrStaleData)
		require.Equal(t, 3, attemptsOf(err), "refused three times at the same version: %v", err)
		require.Equal(t, 31, storedPurse(t, primary, purse.ID).Amount)
	})
	t.Run("a created model is at its row's version at once", func(t *testing.T) {
		fresh := Purse{Amount: 1}
		require.NoError(t, db.Create(&fresh).Error)
		require.NoError(t, db.Model(&fresh).Update("amount", 2).Error)
		require.Equal(t, fresh, storedPurse(t, primary, fresh.ID))
		require.ErrorIs(t, db.First(&Purse{}, fresh.ID).Error, gorm.ErrRecordNotFound, "the replica does not have it yet")
	})
}

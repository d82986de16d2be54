//go:build linux

package cluster

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/host"
)

var groupOfPrimaries = shared("group", func(ctx context.Context, h host.Host) (*Group, error) { return StartGroup(ctx, h, true) })

// TestARemoteConflictBeforeASavepoint has a transaction be rolled back for the sake of another member's, and go on with a savepoint.
func TestARemoteConflictBeforeASavepoint(t *testing.T) {
	g := groupOfPrimaries(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	name := database(t, first)
	a := open(t, first, Options{Database: name})
	require.NoError(t, g.nodes[1].await(t.Context(), func(ctx context.Context) error {
		var n int
		return second.query(ctx, name, "SELECT count(*) FROM purses", &n)
	}))
	b := open(t, second, Options{Database: name})
	for _, tt := range []struct {
		name  string
		write func(tx *gorm.DB, p *Purse) error
		in    func(db *gorm.DB, fc func(tx *gorm.DB) error) error
	}{
		{"the plugin's own, in occ.Transaction", func(tx *gorm.DB, p *Purse) error { return tx.Save([]*Purse{p}).Error },
			func(db *gorm.DB, fc func(tx *gorm.DB) error) error { return occ.Transaction(db, fc) }},
		{"GORM's, in occ.Transaction", func(tx *gorm.DB, p *Purse) error {
			return tx.Transaction(func(tx *gorm.DB) error { return tx.Save(p).Error })
		}, func(db *gorm.DB, fc func(tx *gorm.DB) error) error { return occ.Transaction(db, fc) }},
		{"none, in occ.Transaction", func(tx *gorm.DB, p *Purse) error { return tx.Save(p).Error },
			func(db *gorm.DB, fc func(tx *gorm.DB) error) error { return occ.Transaction(db, fc) }},
		{"the plugin's own, in GORM's", func(tx *gorm.DB, p *Purse) error { return tx.Save([]*Purse{p}).Error },
			func(db *gorm.DB, fc func(tx *gorm.DB) error) error { return db.Transaction(fc) }},
		{"GORM's, in GORM's", func(tx *gorm.DB, p *Purse) error {
			return tx.Transaction(func(tx *gorm.DB) error { return tx.Save(p).Error })
		}, func(db *gorm.DB, fc func(tx *gorm.DB) error) error { return db.Transaction(fc) }},
		{"none, in GORM's", func(tx *gorm.DB, p *Purse) error { return tx.Save(p).Error },
			func(db *gorm.DB, fc func(tx *gorm.DB) error) error { return db.Transaction(fc) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			purse, other := Purse{Amount: 10}, Purse{Amount: 20}
			require.NoError(t, a.Create(&purse).Error)
			require.NoError(t, a.Create(&other).Error)
			waitFor(t, b, other)

			err := tt.in(a, func(tx *gorm.DB) error {
				if err := tx.Model(&purse).Update("amount", 11).Error; err != nil {
					return err
				}
				if err := increment(b, purse.ID); err != nil { // at the other member
					return err
				}
				waitFor(t, a, Purse{ID: purse.ID, Version: 2}) // it has arrived here, and has rolled this one back
				other.Amount++
				return tt.write(tx, &other)
			})

			t.Log(err)
			require.Error(t, err)
			require.Equal(t, Purse{other.ID, 20, 1}, storedPurse(t, a, other.ID), "all or nothing")
		})
	}
}

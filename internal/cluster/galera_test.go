//go:build linux

package cluster

import (
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

var galeraCluster = shared("galera", StartGalera)

// TestGaleraConflictAtCommit has two nodes write a row, each in a transaction that the other does not see.
func TestGaleraConflictAtCommit(t *testing.T) {
	g := galeraCluster(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	name := database(t, first)
	a, b := open(t, first, Options{Database: name}), open(t, second, Options{Database: name})
	purse := Purse{Amount: 10}
	require.NoError(t, a.Create(&purse).Error)
	waitFor(t, b, purse)

	runs := 0
	var errs []error
	require.NoError(t, occ.Retry(t.Context(), a, func(tx *gorm.DB) error {
		runs++
		if err := increment(tx, purse.ID); err != nil {
			return err
		}
		if runs == 1 { // commits at the other node, where nothing is locked
			return increment(b, purse.ID)
		}
		return nil
	}, occ.WithRetryHook(hook(&errs))))
	require.Equal(t, 2, runs)
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "1213")
	require.EqualValues(t, 1, a.Plugins["occ"].(*occ.Plugin).Stats()["purses"].Retried, "counted")
	require.Equal(t, Purse{purse.ID, 12, 3}, storedPurse(t, a, purse.ID))
}

// TestGaleraReadsThatWait reads at one node right after each write at another.
func TestGaleraReadsThatWait(t *testing.T) {
	g := galeraCluster(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	name := database(t, first)
	waits := func(c *mysql.Config) { c.Params = map[string]string{"wsrep_sync_wait": "1"} }
	a, b := open(t, first, Options{Database: name, MySQL: waits}), open(t, second, Options{Database: name, MySQL: waits})
	purse := Purse{Amount: 10}
	require.NoError(t, a.Create(&purse).Error)

	for range 100 {
		require.NoError(t, increment(a, purse.ID))
		require.NoError(t, increment(b, purse.ID), "what was read is not stale")
	}

	require.Equal(t, Purse{purse.ID, 210, 201}, storedPurse(t, b, purse.ID))
}

//go:build linux

package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/host"
)

var groupOfPrimaries = shared("group", func(ctx context.Context, h host.Host) (*Group, error) { return StartGroup(ctx, h, true) })

// TestAGroupWithSeveralPrimariesIsRefused shows why, too: without the plugin, GORM's own nested transaction loses the update
// before it.
func TestAGroupWithSeveralPrimariesIsRefused(t *testing.T) {
	g := groupOfPrimaries(t)
	pool, dialector, err := g.nodes[0].endpoint("mysql").Open(Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)

	require.ErrorContains(t, db.Use(occ.New()), "a group with a single primary")

	require.NoError(t, db.Exec("CREATE TABLE counters (id bigint PRIMARY KEY, n bigint)").Error)
	require.NoError(t, db.Exec("INSERT INTO counters VALUES (1, 10), (2, 20)").Error)
	other := g.nodes[1].endpoint("mysql")
	require.NoError(t, g.nodes[1].await(t.Context(), func(ctx context.Context) error {
		var n int
		return other.query(ctx, testDatabase, "SELECT n FROM counters WHERE id = 2", &n)
	}))
	err = db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("UPDATE counters SET n = n + 1 WHERE id = 1").Error; err != nil {
			return err
		}
		if err := other.exec(t.Context(), testDatabase, "UPDATE counters SET n = n + 100 WHERE id = 1"); err != nil {
			return err
		}
		if err := g.nodes[0].await(t.Context(), func(ctx context.Context) error { return hasArrived(ctx, g.nodes[0]) }); err != nil {
			return err
		}
		return tx.Transaction(func(tx *gorm.DB) error { return tx.Exec("UPDATE counters SET n = n + 1 WHERE id = 2").Error })
	})

	require.NoError(t, err, "if this is an error one day, MySQL tells, and the refusal can go")
	var stored []int
	require.NoError(t, db.Raw("SELECT n FROM counters ORDER BY id").Scan(&stored).Error)
	require.Equal(t, []int{110, 21}, stored, "the first update of the transaction is lost, the second is there")
}

func hasArrived(ctx context.Context, n *Node) error {
	var stored int
	err := n.endpoint("mysql").query(ctx, testDatabase, "SELECT n FROM counters WHERE id = 1", &stored)
	if err == nil && stored < 110 {
		err = errors.New("the other member's update is not there yet")
	}
	return err
}

//go:build !race

package occotel_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// TestAWriteThatIsNotRefusedCostsNothing counts allocations, of which the race detector makes some at random.
func TestAWriteThatIsNotRefusedCostsNothing(t *testing.T) {
	bare, reported := sqlite(t), watch(t, sqlite(t))
	require.NoError(t, bare.Use(occ.New()))
	require.NoError(t, bare.AutoMigrate(&Order{}, &Line{}))

	require.InDelta(t, allocations(t, bare), allocations(t, reported.DB), 0.5)
}

// allocations returns how many a write makes: the fewest of several rounds, since what else the process does can only add
// to them.
func allocations(t *testing.T, db *gorm.DB) float64 {
	t.Helper()
	order := Order{State: "new"}
	require.NoError(t, db.Create(&order).Error)
	round(t, db, &order) // fills what is cached
	fewest := round(t, db, &order)
	for range 3 {
		fewest = min(fewest, round(t, db, &order))
	}
	return fewest
}

func round(t *testing.T, db *gorm.DB, order *Order) float64 {
	t.Helper()
	const writes = 300
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range writes {
		require.NoError(t, db.Model(order).Update("state", "sent").Error)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / writes
}

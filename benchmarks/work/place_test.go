package work_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/work"
)

func TestTripsAreCounted(t *testing.T) {
	eachServer(t, func(t *testing.T, server string) {
		place, trips, err := work.NewCountedPlace(server)
		if err != nil && os.Getenv("CI") != "true" {
			t.Skip(err)
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, place.Close()) })
		_, err = place.Pool.Exec("CREATE TABLE t (id int)")
		require.NoError(t, err)
		trips.Reset()

		tx, err := place.Pool.BeginTx(context.Background(), nil)
		require.NoError(t, err)
		stmt, err := tx.Prepare("INSERT INTO t VALUES (1)")
		require.NoError(t, err)
		for range 2 {
			_, err = stmt.Exec()
			require.NoError(t, err)
		}
		var n int
		require.NoError(t, tx.QueryRow("SELECT count(*) FROM t").Scan(&n))
		require.NoError(t, tx.Commit())

		require.Equal(t, 2, n)
		require.Equal(t, []int64{5, 2, 1}, []int64{trips.Statements.Load(), trips.Ends.Load(), trips.Prepares.Load()})
	})
}

func TestADatabaseThatNobodyKnows(t *testing.T) {
	_, err := work.NewPlace("oracle")

	require.EqualError(t, err, `there is no database "oracle": choose of sqlite, postgres, mariadb`)
	require.Equal(t, []string{peers.SQLite, peers.PostgreSQL, peers.MariaDB}, peers.Servers())
}

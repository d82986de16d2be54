package database_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/database"
)

func TestTripsAreCounted(t *testing.T) {
	for _, name := range database.Names() {
		t.Run(name, func(t *testing.T) {
			d := open(t, name)
			_, err := d.Counted.Exec("CREATE TABLE t (id int)")
			require.NoError(t, err)
			d.Trips.Reset()

			tx, err := d.Counted.BeginTx(context.Background(), nil)
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
			require.Equal(t, []int64{5, 2, 1}, []int64{
				d.Trips.Statements.Load(), d.Trips.Ends.Load(), d.Trips.Prepares.Load(),
			})
		})
	}
}

// open gives the test a database of its own, or skips it where the server is not there and need not be.
func open(t *testing.T, name string) *database.Database {
	t.Helper()
	server, err := database.Start(name)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	require.NoError(t, err)
	d, err := server.New()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, err)
	return d
}

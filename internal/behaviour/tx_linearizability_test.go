package behaviour_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/internal/workload"
)

// isolationLevels are those that differ on a database.
var isolationLevels = map[string][]sql.IsolationLevel{
	"sqlite":                            {sql.LevelDefault},
	"sqlite immediate":                  {sql.LevelDefault},
	"postgres":                          {sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable},
	"mariadb":                           {sql.LevelReadUncommitted, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable},
	"mariadb innodb_snapshot_isolation": {sql.LevelRepeatableRead},
}

// concurrently has sessions write the same rows for one epoch, and gives what does not fit.
func concurrently(t *testing.T, db *gorm.DB, c workload.Config, prepare ...func(db *gorm.DB) error) []workload.Anomaly {
	t.Helper()
	c.Sessions, c.Length, c.Limit, c.Slots = 4, time.Minute, 10*time.Second, 2
	w, err := workload.New(db, c)
	require.NoError(t, err)
	for _, prepare := range prepare {
		require.NoError(t, prepare(db))
	}

	w.Epoch(t.Context())

	require.Positive(t, w.Totals().Writes.Load())
	require.Zero(t, w.Totals().Undecided.Load())
	return w.Anomalies()
}

// complain fails t with what does not fit, and leaves a picture of each history that nobody can explain.
func complain(t *testing.T, anomalies []workload.Anomaly) {
	t.Helper()
	for _, anomaly := range anomalies {
		t.Errorf("%s: %s", anomaly.Rule, anomaly.Text)
		if anomaly.Failure == nil {
			continue
		}
		path, err := anomaly.Failure.Picture("")
		require.NoError(t, err)
		t.Logf("a picture of it: %s", path)
	}
}

func TestRowsAreRegistersAtEveryIsolationLevel(t *testing.T) {
	t.Parallel()
	for _, database := range append(testdb.All(), testdb.Transactions()...) {
		for _, level := range isolationLevels[database.Like] {
			t.Run(database.Name+"/"+level.String(), func(t *testing.T) {
				t.Parallel()
				complain(t, concurrently(t, database.Open(t), workload.Config{Seed: 1, Levels: []sql.IsolationLevel{level}, Operations: 100}))
			})
		}
	}
}

func TestRowsAreRegistersWhereConnectionsAreKilled(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			complain(t, concurrently(t, database.Open(t), workload.Config{Seed: 2, Levels: isolationLevels[database.Like], Operations: 80, Disturbs: 1}))
		})
	}
}

func TestWritesThatAreNotComparedAreFoundOut(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			c := workload.Config{Seed: 3, Levels: isolationLevels[database.Like], Operations: 100}

			require.NotEmpty(t, concurrently(t, database.Open(t), c, workload.Sabotage))
		})
	}
}

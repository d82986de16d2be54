package faults_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// crowded are writes of several statements, of a text that no longer fits where the disk is full.
var crowded = []struct {
	name string
	do   func(db *gorm.DB, a, b *FaultBook) error
}{
	{"Update", func(db *gorm.DB, a, _ *FaultBook) error { return db.Model(a).Update("label", a.Label).Error }},
	{"Save", func(db *gorm.DB, a, _ *FaultBook) error { return db.Save(a).Error }},
	{"Save of a slice", func(db *gorm.DB, a, b *FaultBook) error { return db.Save([]*FaultBook{b, a}).Error }},
	{"an upsert after a Touch", func(db *gorm.DB, a, b *FaultBook) error {
		return occ.Transaction(db, func(tx *gorm.DB) error {
			if err := occ.Touch(tx, b); err != nil {
				return err
			}
			return tx.Save(a).Error
		})
	}},
	{"a Transaction that does not mind", func(db *gorm.DB, a, b *FaultBook) error {
		return occ.Transaction(db, func(tx *gorm.DB) error {
			b.Weight = 7
			_ = tx.Save(b).Error
			if tx.Save(a).Error != nil {
				return ErrBoom
			}
			return nil
		})
	}},
	{"Retry", func(db *gorm.DB, a, b *FaultBook) error {
		return occ.Retry(db.Statement.Context, db, func(tx *gorm.DB) error { return tx.Save([]*FaultBook{b, a}).Error }, AtOnce(), occ.WithMaxAttempts(3))
	}},
}

func TestFaultSQLite(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for _, write := range crowded {
		for _, mode := range faultModes {
			name := write.name + ", " + mode.name
			if write.name == "Retry" && mode.name == inTransaction.name {
				continue
			}
			do := func(db *gorm.DB, a, b *FaultBook) error {
				return mode.run(db, func(tx *gorm.DB) error { return write.do(tx, a, b) })
			}
			behaviours = append(behaviours,
				Behaviour{"a full disk: " + name, func(t *testing.T, db *gorm.DB) { testFullDisk(t, db, do) }},
				Behaviour{"a lock of another's: " + name, func(t *testing.T, db *gorm.DB) { testBusy(t, db, do) }},
			)
		}
	}
	Run(t, testdb.Of("sqlite"), behaviours, &FaultShelf{}, &FaultBook{})
}

// limited is the pool of db with so many connections.
func limited(t *testing.T, db *gorm.DB, n int) *sql.DB {
	t.Helper()
	pool, err := db.DB()
	require.NoError(t, err)
	pool.SetMaxIdleConns(0) // those that there are
	pool.SetMaxIdleConns(n)
	pool.SetMaxOpenConns(n)
	return pool
}

func twoBooks(t *testing.T, db *gorm.DB) (a, b *FaultBook) {
	t.Helper()
	a, b = &FaultBook{Label: "a"}, &FaultBook{Label: "b"}
	require.NoError(t, db.Create([]*FaultBook{a, b}).Error)
	return a, b
}

func testFullDisk(t *testing.T, db *gorm.DB, write func(db *gorm.DB, a, b *FaultBook) error) {
	pool := limited(t, db, 1) // the limit is one of a connection
	a, b := twoBooks(t, db)
	require.NoError(t, db.Exec("PRAGMA max_page_count = 1").Error) // which becomes the number there is
	a.Label = strings.Repeat("a", 100_000)

	err := write(db, a, b)

	require.Error(t, err)
	require.Zero(t, pool.Stats().InUse)
	require.Equal(t, []occ.Version{1, 1}, []occ.Version{a.Version, b.Version})
	requireBooks(t, db, "a", 1, 1)
	require.NoError(t, db.Exec("PRAGMA max_page_count = 100000").Error)
	require.NoError(t, write(db, a, b))
	requireBooks(t, db, a.Label, a.Version, b.Version)
}

func testBusy(t *testing.T, db *gorm.DB, write func(db *gorm.DB, a, b *FaultBook) error) {
	pool := limited(t, db, 2)
	a, b := twoBooks(t, db)
	holder, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer holder.Close()
	_, err = holder.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	require.NoError(t, db.Exec("PRAGMA busy_timeout = 1").Error) // of the other connection
	a.Label = "longer"

	err = write(db, a, b)

	require.Error(t, err)
	require.Equal(t, 1, pool.Stats().InUse, "the holder's")
	require.Equal(t, []occ.Version{1, 1}, []occ.Version{a.Version, b.Version})
	requireBooks(t, db, "a", 1, 1)
	_, err = holder.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, write(db, a, b))
	requireBooks(t, db, "longer", a.Version, b.Version)
}

func requireBooks(t *testing.T, db *gorm.DB, label string, a, b occ.Version) {
	t.Helper()
	var books []FaultBook
	require.NoError(t, db.Order("id").Find(&books).Error)
	require.Len(t, books, 2)
	require.Equal(t, label, books[0].Label)
	require.Equal(t, []occ.Version{a, b}, []occ.Version{books[0].Version, books[1].Version})
}

func TestFaultSQLiteIsBusyForAWhile(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("sqlite"), []Behaviour{
		{"Retry writes once the lock is free, and once only", func(t *testing.T, db *gorm.DB) {
			pool := limited(t, db, 2)
			a, _ := twoBooks(t, db)
			holder, err := pool.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer func() { _ = holder.Rollback() }()
			_, err = holder.Exec("UPDATE fault_books SET weight = 100")
			require.NoError(t, err)
			require.NoError(t, db.Exec("PRAGMA busy_timeout = 1").Error)

			attempts := 0
			err = occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				attempts++
				*a = Reload[FaultBook](t, tx, a.ID)
				return tx.Model(a).Update("weight", a.Weight+1).Error
			}, occ.WithRetryHook(func(int, error, time.Duration) { _ = holder.Rollback() }), AtOnce())

			require.NoError(t, err)
			require.Equal(t, 2, attempts)
			require.Equal(t, FaultBook{ID: a.ID, Label: "a", Weight: 1, Version: 2}, Reload[FaultBook](t, db, a.ID))
			require.Equal(t, occ.Version(2), a.Version)
			require.Zero(t, pool.Stats().InUse)
		}},
	}, &FaultShelf{}, &FaultBook{})
}

package behaviour_test

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestConflictsThatPostgreSQLReports(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		writes := map[string]func(tx *gorm.DB, p *Product) error{
			"update": func(tx *gorm.DB, p *Product) error { return tx.Model(p).Update("price", 70).Error },
			"save":   func(tx *gorm.DB, p *Product) error { return tx.Save(p).Error },
			"delete": func(tx *gorm.DB, p *Product) error { return tx.Delete(p).Error },
		}
		for name, write := range writes {
			behaviours = append(behaviours, Behaviour{level.String() + ": a stale " + name + " is refused with the database's error", func(t *testing.T, db *gorm.DB) {
				stored := Create(t, db)
				tx := Begin(t, db, &sql.TxOptions{Isolation: level})
				var mine Product
				require.NoError(t, tx.First(&mine, stored.ID).Error)
				theirs := stored
				require.NoError(t, db.Model(&theirs).Update("price", 30).Error)

				err := write(tx, &mine)

				var refused *occ.StaleDataError
				require.ErrorAs(t, err, &refused)
				require.ErrorContains(t, refused.Err, "40001")
				require.ErrorIs(t, err, occ.ErrStaleData)
				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonUnknown,
				}, Stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
				require.NoError(t, tx.Rollback().Error)
				RequireProducts(t, db, theirs)
			}})
		}
	}
	Run(t, Only("postgres", "postgres PrepareStmt", "postgres simple protocol"), behaviours, &Product{})
}

func TestMariaDBSnapshots(t *testing.T) {
	t.Parallel()
	inSnapshot := func(t *testing.T, db *gorm.DB, isolation string, f func(tx *gorm.DB, mine Product)) Product {
		t.Helper()
		stored := Create(t, db)
		require.NoError(t, db.Connection(func(conn *gorm.DB) error {
			if isolation == "ON" || hasSnapshotIsolation(t, conn) { // MySQL is as MariaDB where it is off
				require.NoError(t, conn.Exec("SET SESSION innodb_snapshot_isolation = "+isolation).Error)
			}
			tx := conn.Begin(&sql.TxOptions{Isolation: sql.LevelRepeatableRead})
			require.NoError(t, tx.Error)
			defer tx.Rollback()
			var mine Product
			require.NoError(t, tx.First(&mine, stored.ID).Error)
			require.NoError(t, db.Model(&stored).Update("price", 30).Error)
			f(tx, mine)
			return nil
		}))
		return stored
	}
	databases := Only("mariadb", "mariadb clientFoundRows", "mariadb PrepareStmt")
	isNew := func(d testdb.Database) bool { return strings.HasPrefix(d.Name, "mariadb11") } // from 11.6.2 on it can be read past
	Run(t, slices.DeleteFunc(Products(slices.Clone(databases), "mariadb"), isNew), []Behaviour{
		{"innodb_snapshot_isolation: a stale write is refused with the database's error", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "ON", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Update("price", 70).Error

				var refused *occ.StaleDataError
				require.ErrorAs(t, err, &refused)
				require.ErrorContains(t, refused.Err, "1020")
				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonUnknown,
				}, Stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
			})
			RequireProducts(t, db, theirs)
		}},
	}, &Product{})
	isOld := func(d testdb.Database) bool { return !isNew(d) }
	Run(t, slices.DeleteFunc(slices.Clone(databases), isOld), []Behaviour{
		{"innodb_snapshot_isolation: the refusal says what happened", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "ON", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Update("price", 70).Error

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, Stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
				require.NoError(t, tx.Create(&Product{Name: "later"}).Error, "the transaction goes on")
			})
			RequireProducts(t, db, theirs)
		}},
	}, &Product{})
	Run(t, databases, []Behaviour{
		{"REPEATABLE READ: the refusal reads past the snapshot", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Update("price", 70).Error

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, Stale(t, err))
				require.Equal(t, occ.Version(1), Reload[Product](t, tx, mine.ID).Version) // the snapshot is still there
			})
			RequireProducts(t, db, theirs)
		}},
		{"REPEATABLE READ: a row that was deleted past the snapshot is deleted", func(t *testing.T, db *gorm.DB) {
			inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

				require.Equal(t, occ.ReasonDeleted, Stale(t, tx.Save(&mine).Error).Reason)
			})
			RequireProducts(t, db)
		}},
		{"REPEATABLE READ: DO NOTHING inserts what was deleted past the snapshot", func(t *testing.T, db *gorm.DB) {
			inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				other := Create(t, db)
				require.NoError(t, db.Delete(&Product{}, mine.ID).Error)
				again := []Product{{ID: other.ID, Name: "left alone"}, {ID: mine.ID, Name: "again"}, {ID: other.ID + 1, Name: "new"}}

				result := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&again)

				require.NoError(t, result.Error)
				require.EqualValues(t, 2, result.RowsAffected)
				require.Equal(t, []int{0, 1, 1}, versions(again))
				require.NoError(t, tx.Commit().Error)
				RequireProducts(t, db, again[1], other, again[2])
			})
		}},
		{"REPEATABLE READ: a condition that fails on a row past the snapshot is a refusal", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Where("price < 20").Update("price", 70).Error

				require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			})
			RequireProducts(t, db, theirs)
		}},
	}, &Product{})
}

func hasSnapshotIsolation(t *testing.T, db *gorm.DB) bool {
	var variables []struct{ VariableName, Value string }
	require.NoError(t, db.Session(&gorm.Session{NewDB: true}).Raw("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'").Scan(&variables).Error)
	return len(variables) > 0
}

func TestSQLiteTransactions(t *testing.T) {
	t.Parallel()
	Run(t, Only("sqlite"), []Behaviour{
		{"a write of a row that changed under a reading transaction is never lost", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			tx := Begin(t, db)
			var mine Product
			require.NoError(t, tx.First(&mine, stored.ID).Error)
			theirs := stored
			require.NoError(t, db.Model(&theirs).Update("price", 30).Error)

			err := tx.Model(&mine).Update("price", 70).Error

			require.ErrorContains(t, err, "database is locked") // SQLite's own: the transaction has to start again
			require.Equal(t, occ.Version(1), mine.Version)
			require.NoError(t, tx.Rollback().Error)
			RequireProducts(t, db, theirs)
		}},
	}, &Product{})
}

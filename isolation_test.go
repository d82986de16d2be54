package occ_test

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// only are the databases that are like one of the names, each with a configuration or in the usual one.
func only(names ...string) []testdb.Database {
	return slices.DeleteFunc(everywhere(), func(d testdb.Database) bool { return !slices.Contains(names, d.Kind()) })
}

func TestConflictsThatPostgreSQLReports(t *testing.T) {
	t.Parallel()
	var behaviours []behaviour
	for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		writes := map[string]func(tx *gorm.DB, p *Product) error{
			"update": func(tx *gorm.DB, p *Product) error { return tx.Model(p).Update("price", 70).Error },
			"save":   func(tx *gorm.DB, p *Product) error { return tx.Save(p).Error },
			"delete": func(tx *gorm.DB, p *Product) error { return tx.Delete(p).Error },
		}
		for name, write := range writes {
			behaviours = append(behaviours, behaviour{level.String() + ": a stale " + name + " is refused with the database's error", func(t *testing.T, db *gorm.DB) {
				stored := create(t, db)
				tx := begin(t, db, &sql.TxOptions{Isolation: level})
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
				}, stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
				require.NoError(t, tx.Rollback().Error)
				requireProducts(t, db, theirs)
			}})
		}
	}
	run(t, only("postgres", "postgres PrepareStmt", "postgres simple protocol"), behaviours, &Product{})
}

func TestMariaDBSnapshots(t *testing.T) {
	t.Parallel()
	inSnapshot := func(t *testing.T, db *gorm.DB, isolation string, f func(tx *gorm.DB, mine Product)) Product {
		t.Helper()
		stored := create(t, db)
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
	databases := only("mariadb", "mariadb clientFoundRows", "mariadb PrepareStmt")
	isNew := func(d testdb.Database) bool { return strings.HasPrefix(d.Name, "mariadb11") } // from 11.6.2 on it can be read past
	run(t, slices.DeleteFunc(products(slices.Clone(databases), "mariadb"), isNew), []behaviour{
		{"innodb_snapshot_isolation: a stale write is refused with the database's error", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "ON", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Update("price", 70).Error

				var refused *occ.StaleDataError
				require.ErrorAs(t, err, &refused)
				require.ErrorContains(t, refused.Err, "1020")
				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonUnknown,
				}, stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
			})
			requireProducts(t, db, theirs)
		}},
	}, &Product{})
	isOld := func(d testdb.Database) bool { return !isNew(d) }
	run(t, slices.DeleteFunc(slices.Clone(databases), isOld), []behaviour{
		{"innodb_snapshot_isolation: the refusal says what happened", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "ON", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Update("price", 70).Error

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, stale(t, err))
				require.Equal(t, occ.Version(1), mine.Version)
				require.NoError(t, tx.Create(&Product{Name: "later"}).Error, "the transaction goes on")
			})
			requireProducts(t, db, theirs)
		}},
	}, &Product{})
	run(t, databases, []behaviour{
		{"REPEATABLE READ: the refusal reads past the snapshot", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Update("price", 70).Error

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, stale(t, err))
				require.Equal(t, occ.Version(1), reload[Product](t, tx, mine.ID).Version) // the snapshot is still there
			})
			requireProducts(t, db, theirs)
		}},
		{"REPEATABLE READ: a row that was deleted past the snapshot is deleted", func(t *testing.T, db *gorm.DB) {
			inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

				require.Equal(t, occ.ReasonDeleted, stale(t, tx.Save(&mine).Error).Reason)
			})
			requireProducts(t, db)
		}},
		{"REPEATABLE READ: DO NOTHING inserts what was deleted past the snapshot", func(t *testing.T, db *gorm.DB) {
			inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				other := create(t, db)
				require.NoError(t, db.Delete(&Product{}, mine.ID).Error)
				again := []Product{{ID: other.ID, Name: "left alone"}, {ID: mine.ID, Name: "again"}, {ID: other.ID + 1, Name: "new"}}

				result := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&again)

				require.NoError(t, result.Error)
				require.EqualValues(t, 2, result.RowsAffected)
				require.Equal(t, []int{0, 1, 1}, versions(again))
				require.NoError(t, tx.Commit().Error)
				requireProducts(t, db, again[1], other, again[2])
			})
		}},
		{"REPEATABLE READ: a condition that fails on a row past the snapshot is a refusal", func(t *testing.T, db *gorm.DB) {
			theirs := inSnapshot(t, db, "OFF", func(tx *gorm.DB, mine Product) {
				err := tx.Model(&mine).Where("price < 20").Update("price", 70).Error

				require.Equal(t, occ.ReasonChanged, stale(t, err).Reason)
			})
			requireProducts(t, db, theirs)
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
	run(t, only("sqlite"), []behaviour{
		{"a write of a row that changed under a reading transaction is never lost", func(t *testing.T, db *gorm.DB) {
			stored := create(t, db)
			tx := begin(t, db)
			var mine Product
			require.NoError(t, tx.First(&mine, stored.ID).Error)
			theirs := stored
			require.NoError(t, db.Model(&theirs).Update("price", 30).Error)

			err := tx.Model(&mine).Update("price", 70).Error

			require.ErrorContains(t, err, "database is locked") // SQLite's own: the transaction has to start again
			require.Equal(t, occ.Version(1), mine.Version)
			require.NoError(t, tx.Rollback().Error)
			requireProducts(t, db, theirs)
		}},
	}, &Product{})
}

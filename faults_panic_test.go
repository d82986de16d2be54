package occ_test

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

const faultPanic = "the hook panics"

func TestFaultPanics(t *testing.T) {
	t.Parallel()
	panics := fault{
		isFor: func(p faultPoint) bool {
			return !p.isDriver && !p.isGORMs && !strings.HasSuffix(p.name, "Value") // of a Valuer: below
		},
		strike: func(*faults, driver.Conn, context.CancelFunc) error { panic(faultPanic) },
		check: func(t require.TestingT, o outcome) {
			if o.err != nil { // of a generator, that is documented
				o.panicked = o.err.Error()[max(0, strings.LastIndex(o.err.Error(), faultPanic)):]
			}
			require.Equal(t, faultPanic, o.panicked)
		},
	}
	eachFaults(t, []string{"sqlite"}, func(t *testing.T, f *faults) { f.sweepAll(t, faultModes, panics) })
	eachFaults(t, []string{"postgres", "mariadb"}, func(t *testing.T, f *faults) { f.sweepAll(t, faultModes[:1], panics) })
}

// database/sql gives a connection up on which a Valuer panics as it is asked for a parameter of a query. INSERT is one
// where GORM adds RETURNING.
func TestFaultPanicOfAValuer(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		for _, mode := range faultModes {
			t.Run(database.Name+"/"+mode.name+" it reaches the caller, and the database has rolled back", func(t *testing.T) {
				t.Parallel()
				db := open(t, database, faultTables, occ.WithGenerator("fault", faultGenerator{}))
				f := &faults{strike: func(driver.Conn) error { panic(faultPanic) }}
				faultsByCode.Store(t.Name(), f)
				t.Cleanup(func() { faultsByCode.Delete(t.Name()) })
				for _, write := range []func(tx *gorm.DB, stored, fresh *FaultCard) error{
					func(tx *gorm.DB, _, fresh *FaultCard) error { return tx.Create(fresh).Error },
					func(tx *gorm.DB, stored, fresh *FaultCard) error { return tx.Save([]*FaultCard{stored, fresh}).Error },
					func(tx *gorm.DB, _, fresh *FaultCard) error {
						return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(fresh).Error
					},
				} {
					testPanicOfAValuer(t, db, f, mode, write)
				}
			})
		}
	}
}

func testPanicOfAValuer(t *testing.T, db *gorm.DB, f *faults, mode faultMode, write func(tx *gorm.DB, stored, fresh *FaultCard) error) {
	t.Helper()
	stored := FaultCard{Label: "stored"}
	require.NoError(t, db.Create(&stored).Error)
	fresh := FaultCard{Label: "fresh", Code: faultCode(t.Name())}
	f.isCounting, f.passed = true, nil

	require.PanicsWithValue(t, faultPanic, func() {
		_ = mode.run(db, func(tx *gorm.DB) error { return write(tx, &stored, &fresh) })
	})

	f.isCounting = false
	requireTablesFree(t, db)
	require.Zero(t, fresh.Version)
	require.EqualValues(t, 1, stored.Version)
	require.ErrorIs(t, db.First(&FaultCard{}, "label = ?", "fresh").Error, gorm.ErrRecordNotFound)
	require.NoError(t, write(db, &stored, &fresh))
	require.NoError(t, db.Unscoped().Delete(&fresh).Error)
}

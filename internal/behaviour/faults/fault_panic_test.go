package faults_test

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
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
	for i, database := range testdb.All() {
		for _, mode := range faultModes {
			t.Run(database.Name+"/"+mode.name+" it reaches the caller, and the database has rolled back", func(t *testing.T) {
				t.Parallel()
				f := &faults{}
				db := Open(t, testdb.Intercepted(f.aroundBegin)[i], faultTables, occ.WithGenerator("fault", faultGenerator{}))
				f.strike = func(driver.Conn) error {
					conn := f.begun
					t.Cleanup(func() { _ = conn.Close() }) // nobody else is going to
					panic(faultPanic)
				}
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

// aroundBegin notes the connection of a transaction.
func (f *faults) aroundBegin(call testdb.Call, do func() error) error {
	if call.Name == "begin" {
		f.begun = call.Conn
	}
	return do()
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

// What runs outside of GORM's callbacks panics too: the functions of the user's that the plugin calls.
func TestFaultPanicOfAFunction(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		call func(t *testing.T, db *gorm.DB, book *FaultBook) error
	}{
		{"the function of a Transaction", func(_ *testing.T, db *gorm.DB, book *FaultBook) error {
			return occ.Transaction(db, func(tx *gorm.DB) error { _ = tx.Save(book).Error; panic(faultPanic) })
		}},
		{"the function of a nested Transaction", func(_ *testing.T, db *gorm.DB, book *FaultBook) error {
			return occ.Transaction(db, func(tx *gorm.DB) error {
				_ = tx.Save(book).Error
				return occ.Transaction(tx, func(tx *gorm.DB) error { _ = tx.Save(book).Error; panic(faultPanic) })
			})
		}},
		{"the function of Retry", func(t *testing.T, db *gorm.DB, book *FaultBook) error {
			return occ.Retry(t.Context(), db, func(tx *gorm.DB) error { _ = tx.Save(book).Error; panic(faultPanic) })
		}},
		{"the hook of Retry", func(t *testing.T, db *gorm.DB, book *FaultBook) error {
			return occ.Retry(t.Context(), db, func(tx *gorm.DB) error { _ = tx.Save(book).Error; return occ.ErrStaleData },
				occ.WithRetryHook(func(int, error, time.Duration) { panic(faultPanic) }))
		}},
		{"the hook of conflicts", func(_ *testing.T, db *gorm.DB, book *FaultBook) error {
			return db.Clauses(occ.Expect(9)).Save(book).Error
		}},
		{"the hook of conflicts, in a Transaction", func(_ *testing.T, db *gorm.DB, book *FaultBook) error {
			return occ.Transaction(db, func(tx *gorm.DB) error {
				_ = tx.Save(book).Error
				return tx.Clauses(occ.Expect(9)).Save([]*FaultBook{book, {Label: "new"}}).Error
			})
		}},
		{"the hook of conflicts, for Verify", func(_ *testing.T, db *gorm.DB, book *FaultBook) error {
			return occ.Transaction(db, func(tx *gorm.DB) error {
				_ = tx.Save(book).Error
				return occ.Verify(tx, &FaultBook{ID: book.ID, Version: 9})
			})
		}},
		{"a callback in a Transaction, before the statement", inCallback(func(db *gorm.DB, panics func(*gorm.DB)) error {
			return db.Callback().Update().Before("gorm:update").Register("panics", panics)
		})},
		{"a callback in a Transaction, behind the statement", inCallback(func(db *gorm.DB, panics func(*gorm.DB)) error {
			return db.Callback().Update().After("gorm:update").Register("panics", panics)
		})},
	} {
		for _, database := range testdb.All() {
			t.Run(database.Name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				db := Open(t, database, []any{&FaultShelf{}, &FaultBook{}},
					occ.WithConflictHook(func(context.Context, *occ.StaleDataError) { panic(faultPanic) }))
				book := &FaultBook{Label: "book"}
				require.NoError(t, db.Create(book).Error)
				pool, err := db.DB()
				require.NoError(t, err)

				require.PanicsWithValue(t, faultPanic, func() { _ = tt.call(t, db, book) })

				require.Zero(t, pool.Stats().InUse)
				require.Equal(t, occ.Version(1), book.Version)
				require.Equal(t, *book, Reload[FaultBook](t, db, book.ID))
				require.NoError(t, Reopen(t, db, gorm.Config{}, occ.New()).Save(book).Error)
				require.Equal(t, occ.Version(2), book.Version)
			})
		}
	}
}

// inCallback has a callback of the user's panic in a save with associations, which the plugin and GORM leave open: a
// transaction around it ends it.
func inCallback(register func(*gorm.DB, func(*gorm.DB)) error) func(*testing.T, *gorm.DB, *FaultBook) error {
	return func(t *testing.T, db *gorm.DB, book *FaultBook) error {
		panicking := Reopen(t, db, gorm.Config{}, occ.New())
		require.NoError(t, register(panicking, func(db *gorm.DB) {
			if db.Statement.Table == "fault_books" {
				panic(faultPanic)
			}
		}))
		return occ.Transaction(panicking, func(tx *gorm.DB) error { return tx.Save(book).Error })
	}
}

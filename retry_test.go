package occ_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/plugin/dbresolver"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// increment adds one to a purse as an application does: it reads the amount and writes a new one.
func increment(tx *gorm.DB, id uint) error {
	var p Purse
	if err := tx.First(&p, id).Error; err != nil {
		return err
	}
	return tx.Model(&p).Update("amount", p.Amount+1).Error
}

func attemptsOf(t testing.TB, err error) int {
	t.Helper()
	var gaveUp *occ.RetryError
	require.ErrorAs(t, err, &gaveUp)
	return gaveUp.Attempts
}

func TestRetry(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"another session's write in between is tried again, and nothing is lost", func(t *testing.T, db *gorm.DB) {
			inEveryLevel(t, db, func(t *testing.T, opts *sql.TxOptions) {
				purse, attempts, hooked := createPurse(t, db), 0, 0

				err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
					attempts++
					mine := storedPurse(t, tx, purse.ID)
					if attempts == 1 && opts.Isolation != sql.LevelSerializable {
						require.NoError(t, db.Model(purse).Update("amount", 20).Error)
					}
					if attempts == 1 && opts.Isolation == sql.LevelSerializable {
						return fmt.Errorf("as if refused: %w", occ.ErrStaleData) // the other session would wait for this one
					}
					return tx.Model(&mine).Update("amount", mine.Amount+1).Error
				}, occ.WithTxOptions(opts), occ.WithRetryHook(func(attempt int, err error, wait time.Duration) {
					hooked++
					require.Equal(t, 1, attempt)
					require.Error(t, err)
					require.GreaterOrEqual(t, wait, time.Duration(0))
					require.Less(t, wait, 5*time.Millisecond)
				}))

				require.NoError(t, err)
				require.Equal(t, []int{2, 1}, []int{attempts, hooked})
				require.Equal(t, purse.Amount+1, storedPurse(t, db, purse.ID).Amount)
			})
		}},
		{"writers at the same time lose nothing", func(t *testing.T, db *gorm.DB) {
			for _, opt := range []occ.RetryOption{occ.WithTxOptions(nil), occ.WithLockAfter(1), occ.WithLockAfter(0)} {
				inEveryLevel(t, db, func(t *testing.T, opts *sql.TxOptions) {
					purse := createPurse(t, db)
					const writers, each = 4, 5
					var errs [writers]error
					var all sync.WaitGroup
					for i := range writers {
						all.Go(func() {
							for range each {
								errs[i] = errors.Join(errs[i], occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
									return increment(tx, purse.ID)
								}, occ.WithMaxAttempts(1000), occ.WithTxOptions(opts), opt))
							}
						})
					}
					all.Wait()

					require.NoError(t, errors.Join(errs[:]...))
					require.Equal(t, purse.Amount+writers*each, storedPurse(t, db, purse.ID).Amount)
					require.EqualValues(t, 1+writers*each, storedPurse(t, db, purse.ID).Version)
				})
			}
		}},
		{"other errors are not tried again", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			for _, tt := range []struct {
				name string
				fc   func(tx *gorm.DB) error
				want error
			}{
				{"the application's", func(*gorm.DB) error { return ErrBoom }, ErrBoom},
				{"no record", func(tx *gorm.DB) error { return tx.First(&Purse{}, 999).Error }, gorm.ErrRecordNotFound},
				{"a version that was not loaded", func(tx *gorm.DB) error {
					return tx.Model(&Purse{ID: purse.ID}).Update("amount", 1).Error
				}, occ.ErrVersionMissing},
				{"a merge conflict", func(*gorm.DB) error {
					return errors.Join(occ.ErrMergeConflict, occ.ErrStaleData)
				}, occ.ErrMergeConflict},
				{"a context of its own", func(*gorm.DB) error {
					return errors.Join(context.DeadlineExceeded, occ.ErrStaleData)
				}, context.DeadlineExceeded},
			} {
				err := occ.Retry(t.Context(), db, tt.fc, AtOnce())

				require.ErrorIs(t, err, tt.want, tt.name)
				require.Equal(t, 1, attemptsOf(t, err), tt.name)
			}
		}},
	}, purseModels...)
}

func TestRetryEnds(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"it gives up when the attempts are used up", func(t *testing.T, db *gorm.DB) {
			for _, tt := range []struct {
				want int
				opts []occ.RetryOption
			}{
				{10, []occ.RetryOption{AtOnce()}},
				{3, []occ.RetryOption{AtOnce(), occ.WithMaxAttempts(3)}},
				{1, []occ.RetryOption{occ.WithMaxAttempts(1)}},
				{1, []occ.RetryOption{occ.WithBackOff(func() backoff.BackOff { return &backoff.StopBackOff{} })}},
			} {
				purse, attempts, waits := createPurse(t, db), 0, 0

				err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
					attempts++
					old := *purse
					return tx.Model(&old).Clauses(occ.Expect(1+attempts)).Update("amount", 2).Error
				}, append(tt.opts, occ.WithRetryHook(func(int, error, time.Duration) { waits++ }))...)

				require.ErrorIs(t, err, occ.ErrStaleData)
				require.Equal(t, occ.ReasonAhead, Stale(t, err).Reason)
				require.Equal(t, []int{tt.want, tt.want, tt.want - 1}, []int{attempts, attemptsOf(t, err), waits})
				require.Equal(t, *purse, storedPurse(t, db, purse.ID))
			}
			plugin := db.Plugins["occ"].(*occ.Plugin)
			require.EqualValues(t, 9+2, plugin.Stats()["purses"].Retried)
		}},
		{"what fc has not loaded itself is not tried to the end", func(t *testing.T, db *gorm.DB) {
			purse, attempts := createPurse(t, db), 0
			old := *purse
			require.NoError(t, db.Model(purse).Update("amount", 1).Error)

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				attempts++
				return tx.Model(&old).Update("amount", 2).Error
			}, AtOnce())

			require.ErrorIs(t, err, occ.ErrStaleData)
			require.ErrorContains(t, err, "gave up after 3 attempts: occ: attempt after attempt was refused at the same version of the same row")
			require.Equal(t, occ.Version(1), Stale(t, err).Expected)
			require.Equal(t, 3, attempts)
			require.Equal(t, *purse, storedPurse(t, db, purse.ID))
		}},
		{"a row that changes each time is tried to the end", func(t *testing.T, db *gorm.DB) {
			purse, attempts := createPurse(t, db), 0

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				attempts++
				old := storedPurse(t, tx, purse.ID)
				return tx.Model(&old).Clauses(occ.Expect(int64(old.Version)+int64(attempts%3)+1)).Update("amount", 2).Error
			}, AtOnce())

			require.Equal(t, []int{10, 10}, []int{attempts, attemptsOf(t, err)})
		}},
		{"the end of the context ends the wait", func(t *testing.T, db *gorm.DB) {
			ctx, cancel := context.WithCancel(t.Context())

			err := occ.Retry(ctx, db, func(*gorm.DB) error { return occ.ErrStaleData },
				occ.WithBackOff(func() backoff.BackOff { return backoff.NewConstantBackOff(time.Hour) }),
				occ.WithRetryHook(func(int, error, time.Duration) { cancel() }))

			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, occ.ErrStaleData)
			require.Equal(t, 1, attemptsOf(t, err))
		}},
		{"the end of the context in an attempt is the last", func(t *testing.T, db *gorm.DB) {
			ctx, cancel := context.WithCancel(t.Context())
			purse := createPurse(t, db)

			err := occ.Retry(ctx, db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(purse).Update("amount", 1).Error)
				cancel()
				return nil
			})

			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 1, attemptsOf(t, err))
			require.Equal(t, *createdLike(purse), storedPurse(t, db, purse.ID))
			require.Equal(t, occ.Version(1), purse.Version)
		}},
		{"with a context that has ended nothing is run", func(t *testing.T, db *gorm.DB) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()

			err := occ.Retry(ctx, db, Never)

			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, attemptsOf(t, err))
		}},
		{"it is an error inside a transaction", func(t *testing.T, db *gorm.DB) {
			for _, begin := range []func(fc func(tx *gorm.DB) error) error{
				func(fc func(tx *gorm.DB) error) error { return db.Transaction(fc) },
				func(fc func(tx *gorm.DB) error) error { return occ.Transaction(db, fc) },
				func(fc func(tx *gorm.DB) error) error { return occ.Retry(t.Context(), db, fc) },
			} {
				require.NoError(t, begin(func(tx *gorm.DB) error {
					require.ErrorIs(t, occ.Retry(t.Context(), tx, Never), gorm.ErrInvalidTransaction)
					return nil
				}))
			}
		}},
		{"what cannot be meant is an error, and nothing is run", func(t *testing.T, db *gorm.DB) {
			for _, opt := range []occ.RetryOption{
				occ.WithMaxAttempts(0), occ.WithLockAfter(-1), occ.WithBackOff(nil),
				occ.WithBackOff(func() backoff.BackOff { return nil }),
			} {
				require.ErrorContains(t, occ.Retry(t.Context(), db, Never, opt), "occ: With")
			}
			require.ErrorContains(t, occ.Retry(t.Context(), db, nil), "nil")
			require.ErrorIs(t, occ.Retry(t.Context(), failed(db), Never), ErrBoom)
		}},
		{"each call has a backoff of its own", func(t *testing.T, db *gorm.DB) {
			var made []*countingBackOff
			newBackOff := occ.WithBackOff(func() backoff.BackOff {
				made = append(made, &countingBackOff{})
				return made[len(made)-1]
			})
			for range 2 {
				require.Error(t, occ.Retry(t.Context(), db, func(*gorm.DB) error { return occ.ErrStaleData }, newBackOff))
			}

			require.Equal(t, []*countingBackOff{{1, 9}, {1, 9}}, made)
		}},
		{"a panic goes through, and memory is put back", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)

			require.PanicsWithValue(t, "boom", func() {
				_ = occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
					require.NoError(t, tx.Model(purse).Update("amount", 1).Error)
					panic("boom")
				})
			})

			require.Equal(t, occ.Version(1), purse.Version)
		}},
	}, purseModels...)
}

type countingBackOff struct{ resets, waits int }

func (b *countingBackOff) Reset()                     { b.resets++ }
func (b *countingBackOff) NextBackOff() time.Duration { b.waits++; return 0 }

func TestRetryAfterWhatTheDatabaseReports(t *testing.T) {
	Run(t, testdb.Of("postgres", "mariadb"), []Behaviour{
		{"a deadlock", func(t *testing.T, db *gorm.DB) {
			inEveryLevel(t, db, func(t *testing.T, opts *sql.TxOptions) {
				a, b := createPurse(t, db), createPurse(t, db)
				var all, met sync.WaitGroup
				met.Add(2)
				var errs [2]error
				var attempts atomic.Int32
				for i, ids := range [][2]uint{{a.ID, b.ID}, {b.ID, a.ID}} {
					meet := sync.OnceFunc(func() { met.Done(); met.Wait() })
					all.Go(func() {
						errs[i] = occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
							attempts.Add(1)
							err := errors.Join(lookForDeadlocksSoon(tx), addBlindly(tx, ids[0]))
							meet()
							if err != nil {
								return err
							}
							return addBlindly(tx, ids[1])
						}, occ.WithTxOptions(opts))
					})
				}
				all.Wait()

				require.NoError(t, errors.Join(errs[:]...))
				require.Greater(t, attempts.Load(), int32(2))
				require.Equal(t, 12, storedPurse(t, db, a.ID).Amount)
				require.Equal(t, 12, storedPurse(t, db, b.ID).Amount)
			})
		}},
		{"a lock that is not to be had", func(t *testing.T, db *gorm.DB) {
			purse, attempts := createPurse(t, db), 0
			holder := db.Begin()
			require.NoError(t, addBlindly(holder, purse.ID))

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				attempts++
				err := tx.Clauses(clause.Locking{Strength: "UPDATE", Options: "NOWAIT"}).First(&Purse{}, purse.ID).Error
				if attempts == 1 {
					require.Error(t, err)
					require.NoError(t, holder.Commit().Error)
				}
				return err
			})

			require.NoError(t, err)
			require.Equal(t, 2, attempts)
		}},
		{"a lock timeout ends the statement alone, on MariaDB", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			holder := db.Begin()
			require.NoError(t, addBlindly(holder, purse.ID))
			defer holder.Rollback()

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.Error(t, tx.Clauses(clause.Locking{Strength: "UPDATE", Options: "NOWAIT"}).First(&Purse{}, purse.ID).Error)
				_ = tx.Create(&Token{Text: "after"})
				return nil
			})

			if db.Name() == "mysql" {
				require.NoError(t, err)
				require.EqualValues(t, 1, count(t, db, "after"))
			} else {
				require.ErrorContains(t, err, "55P03")
			}
		}},
	}, purseModels...)
}

func addBlindly(tx *gorm.DB, id uint) error {
	return tx.Exec("UPDATE purses SET amount = amount + 1 WHERE id = ?", id).Error
}

func TestRetryOfWriteSkew(t *testing.T) {
	Run(t, testdb.Of("postgres"), []Behaviour{{"a serialization failure that COMMIT reports", func(t *testing.T, db *gorm.DB) {
		a, b := createPurse(t, db), createPurse(t, db)
		var all, read, written sync.WaitGroup
		read.Add(2)
		written.Add(2)
		var errs [2]error
		var firsts [2]error // what fc returned at first: COMMIT is what fails
		var reported atomic.Int32
		for i, ids := range [][2]uint{{a.ID, b.ID}, {b.ID, a.ID}} {
			haveRead := sync.OnceFunc(func() { read.Done(); read.Wait() })
			haveWritten := sync.OnceFunc(func() { written.Done(); written.Wait() })
			attempt := 0
			all.Go(func() {
				errs[i] = occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
					attempt++
					amount := storedPurse(t, tx, ids[0]).Amount
					haveRead()
					p := storedPurse(t, tx, ids[1])
					err := tx.Model(&p).Update("amount", amount+1).Error
					haveWritten()
					if attempt == 1 {
						firsts[i] = err
					}
					return err
				}, occ.WithTxOptions(&sql.TxOptions{Isolation: sql.LevelSerializable}),
					occ.WithRetryHook(func(attempt int, err error, _ time.Duration) {
						if attempt == 1 {
							reported.Add(1)
							require.ErrorContains(t, err, "40001")
						}
					}))
			})
		}
		all.Wait()

		require.NoError(t, errors.Join(errs[:]...))
		require.NoError(t, errors.Join(firsts[:]...))
		require.EqualValues(t, 1, reported.Load(), "one of the two is committed at first")
		amounts := []int{storedPurse(t, db, a.ID).Amount, storedPurse(t, db, b.ID).Amount}
		require.ElementsMatch(t, []int{11, 12}, amounts, "as if one had come after the other")
	}}}, purseModels...)
}

func TestRetryReadsThePrimary(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.Of("sqlite") { // the resolver is the same on all of them
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			replica, source := Open(t, database, purseModels), Open(t, database, purseModels)
			for _, tt := range []struct {
				name   string
				config dbresolver.Config
				main   *gorm.DB // where the rows are
			}{
				{"a replica", dbresolver.Config{Replicas: []gorm.Dialector{replica.Dialector}}, nil},
				{"a source", dbresolver.Config{
					Sources: []gorm.Dialector{source.Dialector}, Replicas: []gorm.Dialector{replica.Dialector},
				}, source},
			} {
				db := Open(t, database, purseModels)
				if tt.main == nil {
					tt.main = db.Session(&gorm.Session{})
				}
				purse := createPurse(t, tt.main)
				require.NoError(t, db.Use(dbresolver.Register(tt.config)))
				for _, asked := range []*gorm.DB{db, db.Clauses(dbresolver.Read), db.Clauses(dbresolver.Write)} {
					err := occ.Retry(t.Context(), asked, func(tx *gorm.DB) error { return increment(tx, purse.ID) })
					require.NoError(t, err, tt.name)
				}
				var stored Purse
				require.NoError(t, db.Clauses(dbresolver.Write).First(&stored, purse.ID).Error)
				require.Equal(t, 13, stored.Amount, tt.name)
			}
		})
	}
}

// breaker breaks connections in the COMMIT of a transaction, once it is told to.
type breaker struct{ before, after atomic.Bool }

func (b *breaker) wrap(conn net.Conn) net.Conn { return &breakingConn{Conn: conn, breaker: b} }

type breakingConn struct {
	net.Conn
	breaker   *breaker
	committed atomic.Bool
}

func (c *breakingConn) Write(p []byte) (int, error) {
	if !bytes.Contains(bytes.ToLower(p), []byte("commit")) {
		return c.Conn.Write(p)
	}
	if c.breaker.before.Swap(false) {
		return 0, errors.Join(c.Close(), io.ErrClosedPipe)
	}
	if c.breaker.after.Swap(false) {
		c.committed.Store(true)
	}
	return c.Conn.Write(p)
}

// Read waits for the server's answer to COMMIT, and keeps it to itself.
func (c *breakingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.committed.Load() {
		return 0, errors.Join(c.Close(), err, io.ErrUnexpectedEOF)
	}
	return n, err
}

func TestACommitThatIsLookedAfter(t *testing.T) {
	for _, cut := range []struct {
		name string
		arm  func(b *breaker)
		runs int // on PostgreSQL
	}{
		{"before it is sent", func(b *breaker) { b.before.Store(true) }, 2},
		{"after it is carried out", func(b *breaker) { b.after.Store(true) }, 1},
	} {
		var b breaker
		for _, database := range testdb.Wired(b.wrap) {
			t.Run(database.Name+"/"+cut.name, func(t *testing.T) {
				db := Open(t, database, purseModels)
				for _, prepare := range []bool{false, true} {
					db := db.Session(&gorm.Session{PrepareStmt: prepare})
					purse, runs := createPurse(t, db), 0
					var mine Purse

					err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
						if runs++; runs == 1 {
							cut.arm(&b)
						}
						mine = storedPurse(t, tx, purse.ID)
						return tx.Model(&mine).Update("amount", mine.Amount+1).Error
					}, AtOnce(), occ.WithCommitCheck())

					if database.Like != "postgres" {
						require.Error(t, err)
						require.Equal(t, []int{1, 1}, []int{runs, attemptsOf(t, err)}, "%v", err)
						continue
					}
					require.NoError(t, err)
					require.Equal(t, cut.runs, runs)
					require.Equal(t, storedPurse(t, db, purse.ID), mine, "the model is at the row's version")
					require.Equal(t, []any{11, occ.Version(2)}, []any{mine.Amount, mine.Version}, "written once")
				}
			})
		}
	}
}

func TestAConnectionThatBreaksInCommit(t *testing.T) {
	for _, cut := range []struct {
		name   string
		arm    func(b *breaker)
		stored int
	}{
		{"before it is sent", func(b *breaker) { b.before.Store(true) }, 10},
		{"after it is carried out", func(b *breaker) { b.after.Store(true) }, 11},
	} {
		var b breaker
		for _, database := range testdb.Wired(b.wrap) {
			t.Run(database.Name+"/"+cut.name, func(t *testing.T) {
				db := Open(t, database, purseModels)
				purse, runs := createPurse(t, db), 0

				err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
					runs++
					cut.arm(&b)
					return tx.Model(purse).Update("amount", purse.Amount+1).Error
				}, AtOnce())

				require.Error(t, err)
				require.Equal(t, []int{1, 1}, []int{runs, attemptsOf(t, err)}, "%v", err)
				require.Equal(t, cut.stored, storedPurse(t, db, purse.ID).Amount)
				require.Equal(t, occ.Version(1), purse.Version)
				again := db.Model(purse).Update("amount", 11).Error
				if cut.stored == 10 {
					require.NoError(t, again)
				} else {
					require.ErrorIs(t, again, occ.ErrStaleData)
				}
				require.Equal(t, 11, storedPurse(t, db, purse.ID).Amount)
			})
		}
	}
}

// outage is a network that is down for the next dials.
type outage struct{ dials atomic.Int32 }

func (o *outage) wrap(conn net.Conn) net.Conn {
	if o.dials.Add(-1) >= 0 {
		_ = conn.Close()
	}
	return conn
}

func TestRetryRidesOutAnOutage(t *testing.T) {
	var o outage
	for _, database := range testdb.Wired(o.wrap) {
		t.Run(database.Name, func(t *testing.T) {
			db := Open(t, database, purseModels)
			purse, runs := createPurse(t, db), 0
			pool, err := db.DB()
			require.NoError(t, err)
			pool.SetMaxIdleConns(-1) // so that every transaction dials
			add := func(tx *gorm.DB) error { runs++; return increment(tx, purse.ID) }

			o.dials.Store(9) // database/sql itself dials three times where it knows that nothing was sent
			require.NoError(t, occ.Retry(t.Context(), db, add, AtOnce()))
			require.Equal(t, 1, runs)
			require.Equal(t, 11, storedPurse(t, db, purse.ID).Amount)

			o.dials.Store(1 << 20)
			err = occ.Retry(t.Context(), db, add, AtOnce(), occ.WithMaxAttempts(3))
			o.dials.Store(0)
			require.Error(t, err)
			require.Equal(t, []int{3, 1}, []int{attemptsOf(t, err), runs})

			o.dials.Store(3)
			var waits []time.Duration
			require.NoError(t, occ.Retry(t.Context(), db, add,
				occ.WithRetryHook(func(_ int, _ error, wait time.Duration) { waits = append(waits, wait) })))
			require.NotEmpty(t, waits)
			require.GreaterOrEqual(t, waits[0], 75*time.Millisecond)
			require.Equal(t, 12, storedPurse(t, db, purse.ID).Amount)
		})
	}
}

func TestErrorsOfApplicationsAreNotTheDatabases(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{{"whatever their numbers and codes", func(t *testing.T, db *gorm.DB) {
		for _, err := range []error{numberedError{1213}, &numberedError{1205}, codedError{5}, statusError{6}, errors.Join(ErrBoom, statusError{5})} {
			runs := 0

			got := occ.Retry(t.Context(), db, func(*gorm.DB) error { runs++; return err }, AtOnce())

			require.ErrorIs(t, got, err)
			require.Equal(t, []int{1, 1}, []int{runs, attemptsOf(t, got)}, "%#v", err)
		}
	}}}, purseModels...)
}

// Errors of applications that look like those of drivers: gRPC's has such a Code.
type (
	numberedError struct{ Number int }
	codedError    struct{ Code int }
	statusError   struct{ code int }
)

func (numberedError) Error() string { return "an error with a number" }
func (codedError) Error() string    { return "an error with a code" }
func (statusError) Error() string   { return "not found" }
func (s statusError) Code() int     { return s.code }

func TestAConflictAtCommitIsCounted(t *testing.T) {
	var fail atomic.Bool
	for _, database := range testdb.Like(testdb.Intercepted(func(call testdb.Call, do func() error) error {
		if call.Name == "commit" && fail.Swap(false) {
			_, err := call.Conn.(driver.ExecerContext).ExecContext(context.Background(), "ROLLBACK", nil) // as Galera has done
			return errors.Join(&mysql.MySQLError{Number: 1213, Message: "Deadlock found"}, err)
		}
		return do()
	}), "mariadb") {
		t.Run(database.Name, func(t *testing.T) {
			db := Open(t, database, purseModels)
			purse, runs := createPurse(t, db), 0

			require.NoError(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				runs++
				fail.Store(runs == 1)
				return increment(tx, purse.ID)
			}, AtOnce()))

			require.Equal(t, []int{2, 11}, []int{runs, storedPurse(t, db, purse.ID).Amount})
			require.EqualValues(t, 1, db.Plugins["occ"].(*occ.Plugin).Stats()["purses"].Retried)
		})
	}
}

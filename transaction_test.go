package occ_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Purse is what transactions write, with the coins in it.
type Purse struct {
	ID     uint
	Amount int
	Coins  []Coin
	occ.Version
}

type Coin struct {
	ID      uint
	PurseID uint
	Worth   int
	occ.Version
}

// Token has no version.
type Token struct {
	ID   uint
	Text string
}

var purseModels = []any{&Purse{}, &Coin{}, &Token{}}

func createPurse(t testing.TB, db *gorm.DB) *Purse {
	p := &Purse{Amount: 10, Coins: []Coin{{Worth: 1}, {Worth: 2}}}
	require.NoError(t, db.Create(p).Error)
	return p
}

func storedPurse(t testing.TB, db *gorm.DB, id uint) (p Purse) {
	require.NoError(t, db.Preload("Coins", func(db *gorm.DB) *gorm.DB { return db.Order("id") }).First(&p, id).Error)
	return p
}

// writeEverything writes the purse, its coins, one more coin and a slice, and leaves all at later versions.
func writeEverything(tx *gorm.DB, p *Purse, fresh *Coin) error {
	fresh.PurseID = p.ID
	p.Amount, p.Coins[0].Worth = 70, 70
	return errors.Join(
		tx.Model(p).Update("amount", 50).Error,
		tx.Save(p).Error,
		tx.Model(&p.Coins[0]).Update("worth", 71).Error,
		tx.Create(fresh).Error,
	)
}

func versionsOf(p *Purse, more ...*Coin) (versions []occ.Version) {
	versions = []occ.Version{p.Version}
	for _, c := range p.Coins {
		versions = append(versions, c.Version)
	}
	for _, c := range more {
		versions = append(versions, c.Version)
	}
	return versions
}

func TestARolledBackTransactionRollsMemoryBack(t *testing.T) {
	for _, end := range []struct {
		name string
		run  func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error)
	}{
		{"an error of fc", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, write(tx))
				return ErrBoom
			})
			require.Equal(t, ErrBoom, err)
		}},
		{"a panic in fc", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			require.PanicsWithValue(t, "boom", func() {
				_ = occ.Transaction(db, func(tx *gorm.DB) error {
					require.NoError(t, write(tx))
					panic("boom")
				})
			})
		}},
		{"Goexit in fc", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			var all sync.WaitGroup
			all.Go(func() {
				_ = occ.Transaction(db, func(tx *gorm.DB) error {
					if err := write(tx); err != nil {
						panic(err)
					}
					runtime.Goexit()
					return nil
				})
			})
			all.Wait()
		}},
		{"a context that ends", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			ctx, cancel := context.WithCancel(t.Context())
			err := occ.Transaction(db.WithContext(ctx), func(tx *gorm.DB) error {
				err := write(tx)
				cancel()
				return err
			})
			require.ErrorIs(t, err, context.Canceled)
		}},
		{"an error that only tx has", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, write(tx))
				_ = tx.AddError(ErrBoom)
				return nil
			})
			require.ErrorIs(t, err, ErrBoom)
		}},
		{"a savepoint's error", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.Equal(t, ErrBoom, occ.Transaction(tx, func(tx *gorm.DB) error {
					require.NoError(t, write(tx))
					return ErrBoom
				}))
				return nil
			})
			require.NoError(t, err)
		}},
		{"a savepoint's panic", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.Panics(t, func() {
					_ = occ.Transaction(tx, func(tx *gorm.DB) error {
						require.NoError(t, write(tx))
						panic("boom")
					})
				})
				return nil
			})
			require.NoError(t, err)
		}},
		{"the transaction around a savepoint", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, occ.Transaction(tx, write))
				return ErrBoom
			})
			require.Equal(t, ErrBoom, err)
		}},
		{"a savepoint of GORM's", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.Equal(t, ErrBoom, tx.Transaction(func(tx *gorm.DB) error {
					require.NoError(t, write(tx))
					return ErrBoom
				}))
				return nil
			})
			require.NoError(t, err)
		}},
		{"a savepoint by hand", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.SavePoint("mine").Error)
				require.NoError(t, write(tx))
				return tx.RollbackTo("mine").Error
			})
			require.NoError(t, err)
		}},
		{"a savepoint in SQL", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("savepoint Mine").Error)
				require.NoError(t, write(tx))
				return tx.Exec("rollback to mine").Error
			})
			require.NoError(t, err)
		}},
		{"a savepoint in a transaction of GORM's", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			err := db.Transaction(func(tx *gorm.DB) error {
				require.Equal(t, ErrBoom, occ.Transaction(tx, func(tx *gorm.DB) error {
					require.NoError(t, write(tx))
					return ErrBoom
				}))
				return nil
			})
			require.NoError(t, err)
		}},
		{"the transaction around one without savepoints", func(t *testing.T, db *gorm.DB, write func(tx *gorm.DB) error) {
			db = db.Session(&gorm.Session{DisableNestedTransaction: true})
			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, occ.Transaction(tx, write))
				return ErrBoom
			})
			require.Equal(t, ErrBoom, err)
		}},
	} {
		databases := slices.DeleteFunc(Everywhere(), func(d testdb.Database) bool {
			return end.name == "a savepoint in SQL" && d.Product == "mysql" && d.Configuration == "PrepareStmt" // error 1295
		})
		Run(t, databases, []Behaviour{{end.name, func(t *testing.T, db *gorm.DB) {
			purse, fresh := createPurse(t, db), &Coin{Worth: 3}
			before, stored := versionsOf(purse, fresh), storedPurse(t, db, purse.ID)

			end.run(t, db, func(tx *gorm.DB) error {
				err := writeEverything(tx, purse, fresh)
				if err == nil && purse.Version != 3 {
					err = fmt.Errorf("the purse is at version %d", purse.Version)
				}
				return err
			})

			require.Equal(t, before, versionsOf(purse, fresh))
			require.Equal(t, stored, storedPurse(t, db, purse.ID))
			require.NoError(t, db.Model(purse).Update("amount", 1).Error, "the model can be written again")
		}}}, purseModels...)
	}
}

func TestTransaction(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"a committed transaction leaves memory at what was written", func(t *testing.T, db *gorm.DB) {
			purse, fresh := createPurse(t, db), &Coin{Worth: 3}

			err := occ.Transaction(db, func(tx *gorm.DB) error { return writeEverything(tx, purse, fresh) })

			require.NoError(t, err)
			purse.Coins = append(purse.Coins, *fresh)
			require.Equal(t, *purse, storedPurse(t, db, purse.ID))
		}},
		{"what a savepoint undid is undone, and the rest is committed", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(purse).Update("amount", 20).Error)
				require.Equal(t, ErrBoom, occ.Transaction(tx, func(tx *gorm.DB) error {
					require.NoError(t, tx.Model(purse).Update("amount", 30).Error)
					return ErrBoom
				}))
				return tx.Model(&purse.Coins[0]).Update("worth", 5).Error
			})

			require.NoError(t, err)
			require.Equal(t, []occ.Version{2, 2, 1}, versionsOf(purse))
			purse.Amount = 20
			require.Equal(t, *purse, storedPurse(t, db, purse.ID))
		}},
		{"without savepoints, an inner error undoes nothing by itself", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)

			err := occ.Transaction(db.Session(&gorm.Session{DisableNestedTransaction: true}), func(tx *gorm.DB) error {
				require.Equal(t, ErrBoom, occ.Transaction(tx, func(tx *gorm.DB) error {
					require.NoError(t, tx.Model(purse).Update("amount", 30).Error)
					return ErrBoom
				}))
				return nil
			})

			require.NoError(t, err)
			require.Equal(t, *purse, storedPurse(t, db, purse.ID))
			require.Equal(t, occ.Version(2), purse.Version)
		}},
		{"a savepoint is undone after its own context has ended", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			ctx, cancel := context.WithCancel(t.Context())

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.ErrorIs(t, occ.Transaction(tx.WithContext(ctx), func(tx *gorm.DB) error {
					require.NoError(t, tx.Model(purse).Update("amount", 30).Error)
					cancel()
					return ctx.Err()
				}), context.Canceled)
				return tx.Create(&Token{Text: "outer"}).Error
			})

			require.NoError(t, err)
			require.Equal(t, *createdLike(purse), storedPurse(t, db, purse.ID))
			require.Equal(t, occ.Version(1), purse.Version)
		}},
		{"the transaction stays usable after a refusal", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			old := *purse
			require.NoError(t, db.Model(purse).Update("amount", 20).Error)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.ErrorIs(t, tx.Model(&old).Update("amount", 30).Error, occ.ErrStaleData)
				return tx.Model(purse).Update("amount", 40).Error
			})

			require.NoError(t, err)
			require.Equal(t, *purse, storedPurse(t, db, purse.ID))
		}},
		{"what only GORM's own transaction rolled back stays as GORM has it", func(t *testing.T, db *gorm.DB) {
			require.ErrorContains(t, occ.Transaction(db, nil), "nil")
			require.ErrorIs(t, occ.Transaction(failed(db), func(*gorm.DB) error { panic("not to be run") }), ErrBoom)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, occ.Transaction(db.WithContext(ctx), func(*gorm.DB) error { panic("not to be run") }), context.Canceled)
		}},
		{"a swallowed error of the database is not committed where it ended the transaction", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			var swallowed error

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(purse).Update("amount", 30).Error)
				swallowed = tx.Exec("INSERT INTO tokens (id, no_such_column) VALUES (1, 2)").Error
				return nil
			})

			require.Error(t, swallowed)
			if db.Name() == "postgres" {
				require.ErrorIs(t, err, swallowed)
				require.Equal(t, occ.Version(1), purse.Version)
			} else {
				require.NoError(t, err)
				require.Equal(t, occ.Version(2), purse.Version)
			}
			require.Equal(t, purse.Version, storedPurse(t, db, purse.ID).Version)
		}},
		{"an error that a savepoint has undone does not count", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(purse).Update("amount", 30).Error)
				require.Error(t, occ.Transaction(tx, func(tx *gorm.DB) error {
					return tx.Exec("INSERT INTO tokens (id, no_such_column) VALUES (1, 2)").Error
				}))
				return nil
			})

			require.NoError(t, err)
			require.Equal(t, *purse, storedPurse(t, db, purse.ID))
		}},
		{"the connection of a transaction is GORM's own", func(t *testing.T, db *gorm.DB) {
			var plain, ours any
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error { plain = tx.Statement.ConnPool; return nil }))
			require.NoError(t, occ.Transaction(db, func(tx *gorm.DB) error { ours = tx.Statement.ConnPool; return nil }))
			require.IsType(t, plain, ours)
		}},
	}, purseModels...)
	// MariaDB defers no constraint to COMMIT.
	Run(t, Except("mariadb", Everywhere()), []Behaviour{
		{"a failed commit puts memory back", func(t *testing.T, db *gorm.DB) {
			failCommit := map[string]string{
				"sqlite":   "PRAGMA defer_foreign_keys = 1",
				"postgres": "SET CONSTRAINTS ALL DEFERRED",
			}[db.Name()]
			if db.Name() == "postgres" {
				require.NoError(t, db.Exec(`ALTER TABLE coins ALTER CONSTRAINT fk_purses_coins DEFERRABLE`).Error)
			}
			purse := createPurse(t, db)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec(failCommit).Error)
				return tx.Model(&purse.Coins[0]).Update("purse_id", 999).Error
			})

			require.Error(t, err)
			require.Equal(t, []occ.Version{1, 1, 1}, versionsOf(purse))
			require.Equal(t, occ.Version(1), storedPurse(t, db, purse.ID).Coins[0].Version)
		}},
	}, purseModels...)
}

// createdLike is a purse as createPurse left it.
func createdLike(p *Purse) *Purse {
	return &Purse{ID: p.ID, Amount: 10, Version: 1, Coins: []Coin{
		{p.Coins[0].ID, p.ID, 1, 1}, {p.Coins[1].ID, p.ID, 2, 1},
	}}
}

func failed(db *gorm.DB) *gorm.DB {
	db = db.Session(&gorm.Session{})
	_ = db.AddError(ErrBoom)
	return db
}

func TestATransactionNeedsThePlugin(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		never := func(*gorm.DB) error { panic("not to be run") }
		require.ErrorContains(t, occ.Transaction(db, never), "not registered")
		require.ErrorContains(t, occ.Retry(t.Context(), db, never), "not registered")
	})
}

// levels are the isolation levels that a database has.
func levels(db *gorm.DB) []sql.IsolationLevel {
	if db.Name() == "sqlite" {
		return []sql.IsolationLevel{sql.LevelDefault}
	}
	return []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable}
}

func inEveryLevel(t *testing.T, db *gorm.DB, test func(t *testing.T, opts *sql.TxOptions)) {
	for _, level := range levels(db) {
		t.Run(level.String(), func(t *testing.T) { test(t, &sql.TxOptions{Isolation: level}) })
	}
}

// deadlock has two transactions write two purses in opposite orders. Each of them calls after with the error of its
// second write.
func deadlock(db *gorm.DB, opts *sql.TxOptions, a, b uint, write func(tx *gorm.DB, id uint) error, after func(tx *gorm.DB, err error) error) (errs [2]error) {
	var all, met sync.WaitGroup
	met.Add(2)
	for i, ids := range [][2]uint{{a, b}, {b, a}} {
		all.Go(func() {
			errs[i] = occ.Transaction(db, func(tx *gorm.DB) error {
				err := errors.Join(lookForDeadlocksSoon(tx), write(tx, ids[0]))
				met.Done()
				if err != nil {
					return err
				}
				met.Wait()
				return after(tx, write(tx, ids[1]))
			}, opts)
		})
	}
	all.Wait()
	return errs
}

func TestADeadlock(t *testing.T) {
	servers := func() (servers []testdb.Database) {
		for _, d := range Everywhere() {
			if d.Like != "sqlite" {
				servers = append(servers, d)
			}
		}
		return servers
	}()
	for _, way := range []struct {
		name  string
		write func(tx *gorm.DB, id uint) error
	}{
		{"in SQL", func(tx *gorm.DB, id uint) error {
			return tx.Exec("UPDATE purses SET amount = amount + 1 WHERE id = ?", id).Error
		}},
		{"in a write by condition", func(tx *gorm.DB, id uint) error {
			return tx.Model(&Purse{}).Where("id = ?", id).Update("amount", gorm.Expr("amount + 1")).Error
		}},
		{"in a compared write", func(tx *gorm.DB, id uint) error {
			return tx.Model(&Purse{ID: id, Version: 1}).Update("amount", gorm.Expr("amount + 1")).Error
		}},
		{"in a query", func(tx *gorm.DB, id uint) error {
			return tx.Raw("SELECT * FROM purses WHERE id = ? FOR UPDATE", id).Scan(&Purse{}).Error
		}},
		{"in rows", func(tx *gorm.DB, id uint) error {
			rows, err := tx.Raw("SELECT * FROM purses WHERE amount = 10 AND id = ? FOR UPDATE", id).Rows()
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			return errors.Join(rows.Err(), rows.Close())
		}},
		{"in a row", func(tx *gorm.DB, id uint) error {
			return tx.Raw("SELECT id FROM purses WHERE id = ? FOR UPDATE", id).Row().Scan(&id)
		}},
	} {
		Run(t, servers, []Behaviour{{way.name, func(t *testing.T, db *gorm.DB) {
			inEveryLevel(t, db, func(t *testing.T, opts *sql.TxOptions) {
				a, b := createPurse(t, db), createPurse(t, db)
				var swallowed, refused error
				var token Token

				errs := deadlock(db, opts, a.ID, b.ID, way.write, func(tx *gorm.DB, err error) error {
					if err != nil {
						swallowed = err
						token.Text = "lost"
						refused = errors.Join(tx.Create(&token).Error)
						require.Error(t, tx.Exec("INSERT INTO tokens (text) VALUES ('lost')").Error)
						require.Error(t, tx.First(&Purse{}).Error)
						require.Error(t, tx.Raw("SELECT 1").Row().Scan(new(int)))
						_, err := tx.Raw("SELECT 1").Rows()
						require.Error(t, err)
					}
					return nil
				})

				require.Error(t, swallowed)
				require.Error(t, refused)
				require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v", errs)
				require.ErrorIs(t, errors.Join(errs[:]...), rootOf(swallowed))
				require.Zero(t, count(t, db, "lost"))
			})
		}}}, purseModels...)
	}
}

// lookForDeadlocksSoon saves the second that PostgreSQL waits before it looks for one.
func lookForDeadlocksSoon(tx *gorm.DB) error {
	if tx.Name() != "postgres" {
		return nil
	}
	return tx.Exec("SET LOCAL deadlock_timeout = '20ms'").Error
}

// rootOf is the driver's error.
func rootOf(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

func count(t testing.TB, db *gorm.DB, text string) (n int64) {
	require.NoError(t, db.Model(&Token{}).Where("text = ?", text).Count(&n).Error)
	return n
}

func TestARecordThatChangedEndsATransactionOfMariaDB(t *testing.T) {
	isNew := func(d testdb.Database) bool { return strings.HasPrefix(d.Name, "mariadb11") } // 1020 is not met there
	Run(t, slices.DeleteFunc(Products(testdb.All(), "mariadb"), isNew), []Behaviour{{"1020 is not committed", func(t *testing.T, db *gorm.DB) {
		purse := createPurse(t, db)
		other := createPurse(t, db)
		require.NoError(t, db.Connection(func(conn *gorm.DB) error {
			conn = conn.Session(&gorm.Session{})
			require.NoError(t, conn.Exec("SET SESSION innodb_snapshot_isolation = ON").Error)
			defer conn.Exec("SET SESSION innodb_snapshot_isolation = DEFAULT")
			var swallowed error

			err := occ.Transaction(conn, func(tx *gorm.DB) error {
				mine := storedPurse(t, tx, purse.ID)
				require.NoError(t, tx.Model(other).Update("amount", 20).Error)
				require.NoError(t, db.Model(purse).Update("amount", 20).Error)
				swallowed = tx.Model(&mine).Update("amount", 30).Error
				require.ErrorIs(t, tx.Create(&Token{Text: "lost"}).Error, rootOf(swallowed))
				return nil
			})

			require.ErrorIs(t, swallowed, occ.ErrStaleData)
			require.ErrorIs(t, err, rootOf(swallowed))
			require.ErrorContains(t, err, "1020")
			return nil
		}))
		require.Equal(t, occ.Version(1), other.Version)
		require.Equal(t, occ.Version(1), storedPurse(t, db, other.ID).Version)
		require.Zero(t, count(t, db, "lost"))
	}}}, purseModels...)
}

func TestSQLiteEndsATransaction(t *testing.T) {
	Run(t, testdb.Of("sqlite"), []Behaviour{{"a trigger's rollback is not committed", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec(`CREATE TRIGGER no_token BEFORE INSERT ON tokens WHEN NEW.text = 'no'
			BEGIN SELECT RAISE(ROLLBACK, 'no tokens'); END`).Error)
		purse := createPurse(t, db)
		var swallowed error

		err := occ.Transaction(db, func(tx *gorm.DB) error {
			require.NoError(t, tx.Model(purse).Update("amount", 20).Error)
			swallowed = tx.Create(&Token{Text: "no"}).Error
			require.ErrorIs(t, tx.Create(&Token{Text: "lost"}).Error, swallowed)
			return nil
		})

		require.Error(t, swallowed)
		require.ErrorIs(t, err, swallowed)
		require.Equal(t, *createdLike(purse), storedPurse(t, db, purse.ID))
		require.Equal(t, occ.Version(1), purse.Version)
		require.Zero(t, count(t, db, "lost"))
		require.NoError(t, db.Create(&Token{Text: "after"}).Error, "the connection is clean")
	}}, {"an interrupted write is not committed", func(t *testing.T, db *gorm.DB) {
		purse := createPurse(t, db)
		ctx := endsOnceSQLiteWrites(t, db)
		var swallowed error

		err := occ.Transaction(db, func(tx *gorm.DB) error {
			require.NoError(t, tx.Model(purse).Update("amount", 20).Error)
			swallowed = tx.WithContext(ctx).Exec(`INSERT INTO tokens (text)
				WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT 'lost' FROM endless`).Error
			require.Error(t, tx.Create(&Token{Text: "lost"}).Error)
			return nil
		})

		require.Error(t, swallowed)
		require.ErrorIs(t, err, swallowed)
		require.Equal(t, *createdLike(purse), storedPurse(t, db, purse.ID))
		require.Zero(t, count(t, db, "lost"))
	}}, {"another error leaves it as it is", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, occ.Transaction(db, func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&Token{ID: 7, Text: "kept"}).Error)
			require.Error(t, tx.Create(&Token{ID: 7, Text: "kept"}).Error)
			return tx.Create(&Token{ID: 8, Text: "kept"}).Error
		}))
		require.EqualValues(t, 2, count(t, db, "kept"))
	}}}, purseModels...)
}

// endsOnceSQLiteWrites gives a context that ends when a statement is at work: it has written so much that the log grows.
// SQLite knows nothing of an interrupt that comes before the statement, and would go on for ever.
func endsOnceSQLiteWrites(t *testing.T, db *gorm.DB) context.Context {
	t.Helper()
	var database struct{ File string }
	require.NoError(t, db.Raw("PRAGMA database_list").Scan(&database).Error)
	size := func() int64 {
		log, err := os.Stat(database.File + "-wal")
		if err != nil {
			return -1
		}
		return log.Size()
	}
	before := size()
	require.GreaterOrEqual(t, before, int64(0))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for range time.Tick(time.Millisecond) {
			if size() >= before+1<<20 || t.Context().Err() != nil {
				return
			}
		}
	}()
	return ctx
}

func TestADatabaseOpenedWithACopiedConfiguration(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{{"is compared too, and another one is an error", func(t *testing.T, db *gorm.DB) {
		config := *db.Config
		second, err := gorm.Open(db.Dialector, &config)
		require.NoError(t, err)
		old := *createPurse(t, second)
		require.NoError(t, second.Model(&Purse{}).Where("id = ?", old.ID).Update("amount", 20).Error)

		require.ErrorIs(t, second.Model(&old).Update("amount", 30).Error, occ.ErrStaleData)

		plain, err := gorm.Open(db.Dialector, &gorm.Config{Logger: db.Logger})
		require.NoError(t, err)
		require.ErrorContains(t, plain.Use(db.Plugins["occ"]), "registered already")
	}}}, purseModels...)
}

func TestAVariableUsedForSeveralRows(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a rollback does not give it the version of another row", func(t *testing.T, db *gorm.DB) {
			first, second := Create(t, db), Create(t, db)
			for range 5 {
				require.NoError(t, db.Model(&first).Update("price", gorm.Expr("price + 1")).Error)
			}
			var p Product
			_ = occ.Transaction(db, func(tx *gorm.DB) error {
				for _, id := range []uint{first.ID, second.ID} {
					p = Product{}
					require.NoError(t, tx.First(&p, id).Error)
					require.NoError(t, tx.Model(&p).Update("price", 1).Error)
				}
				return gorm.ErrInvalidData
			})
			require.Equal(t, second.ID, p.ID)
			require.EqualValues(t, 1, p.Version)
		}},
	}, &Product{})
}

package occ_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// sqlLog is a logger that keeps the statements.
type sqlLog struct {
	logger.Interface
	mu         sync.Mutex
	statements []string
}

func (l *sqlLog) LogMode(logger.LogLevel) logger.Interface { return l }

func (l *sqlLog) Trace(_ context.Context, _ time.Time, fc func() (string, int64), _ error) {
	statement, _ := fc()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statements = append(l.statements, statement)
}

func (l *sqlLog) locking() (n int) {
	for _, s := range l.statements {
		if strings.HasSuffix(s, "FOR UPDATE") {
			n++
		}
	}
	return n
}

// locked runs read in an attempt that locks, and tells how many of its statements did.
func locked(t testing.TB, db *gorm.DB, read func(tx *gorm.DB) error) int {
	log := &sqlLog{Interface: logger.Discard}
	err := occ.Retry(t.Context(), db.Session(&gorm.Session{Logger: log}), read, occ.WithLockAfter(0), occ.WithMaxAttempts(1))
	require.NoError(t, err)
	return log.locking()
}

func TestReadsThatLock(t *testing.T) {
	ctx := t.Context()
	Run(t, Everywhere(), lockingBehaviours(map[string]func(tx *gorm.DB) error{
		"First":          func(tx *gorm.DB) error { return tx.First(&Purse{}).Error },
		"Take":           func(tx *gorm.DB) error { return tx.Take(&Purse{}).Error },
		"Last":           func(tx *gorm.DB) error { return tx.Last(&Purse{}).Error },
		"Find":           func(tx *gorm.DB) error { return tx.Find(&[]Purse{}).Error },
		"Find, pointers": func(tx *gorm.DB) error { return tx.Find(&[]*Purse{}).Error },
		"FirstOrCreate":  func(tx *gorm.DB) error { return tx.Where("amount = 10").FirstOrCreate(&Purse{}).Error },
		"conditions":     func(tx *gorm.DB) error { return tx.Where("amount = ?", 10).Order("id").Limit(1).Find(&[]Purse{}).Error },
		"a sub-query": func(tx *gorm.DB) error {
			return tx.Where("id IN (?)", tx.Model(&Coin{}).Select("purse_id")).Find(&[]Purse{}).Error
		},
		"columns":         func(tx *gorm.DB) error { return tx.Select("id", "version").First(&Purse{}).Error },
		"columns in one":  func(tx *gorm.DB) error { return tx.Select("id, purses.version").First(&Purse{}).Error },
		"all but one":     func(tx *gorm.DB) error { return tx.Omit("amount").First(&Purse{}).Error },
		"a table by name": func(tx *gorm.DB) error { return tx.Table("purses").First(&Purse{}).Error },
		"associations":    func(tx *gorm.DB) error { return tx.Model(&Purse{ID: 1}).Association("Coins").Find(&[]Coin{}) },
		"in a savepoint": func(tx *gorm.DB) error {
			return occ.Transaction(tx, func(tx *gorm.DB) error { return tx.First(&Purse{}).Error })
		},
		"a new session":  func(tx *gorm.DB) error { return tx.Session(&gorm.Session{NewDB: true}).First(&Purse{}).Error },
		"generics":       func(tx *gorm.DB) error { _, err := gorm.G[Purse](tx).Where("id > 0").First(ctx); return err },
		"generics, Find": func(tx *gorm.DB) error { _, err := gorm.G[Purse](tx).Find(ctx); return err },
		"prepared":       func(tx *gorm.DB) error { return tx.Session(&gorm.Session{PrepareStmt: true}).First(&Purse{}).Error },
	}, 1), purseModels...)
	Run(t, testdb.All(), lockingBehaviours(map[string]func(tx *gorm.DB) error{
		"Preload": func(tx *gorm.DB) error { return tx.Preload("Coins").First(&Purse{}).Error },
	}, 2), purseModels...)
	Run(t, testdb.All(), lockingBehaviours(map[string]func(tx *gorm.DB) error{
		"Count":    func(tx *gorm.DB) error { return tx.Model(&Purse{}).Count(new(int64)).Error },
		"Pluck":    func(tx *gorm.DB) error { return tx.Model(&Purse{}).Pluck("id", &[]uint{}).Error },
		"Distinct": func(tx *gorm.DB) error { return tx.Distinct("amount").Find(&[]Purse{}).Error },
		"GROUP BY": func(tx *gorm.DB) error {
			return tx.Select("amount").Group("amount").Having("COUNT(*) > 0").Find(&[]Purse{}).Error
		},
		"an aggregate":        func(tx *gorm.DB) error { return tx.Select("MAX(amount) AS amount").Find(&[]Purse{}).Error },
		"an aggregate, bound": func(tx *gorm.DB) error { return tx.Select("MAX(amount + ?) AS amount", 1).Find(&[]Purse{}).Error },
		"an association's": func(tx *gorm.DB) error {
			return tx.Joins("JOIN coins ON coins.purse_id = purses.id").Find(&[]Purse{}).Error
		},
		"another struct": func(tx *gorm.DB) error { return tx.Model(&Purse{}).Find(&[]struct{ Amount int }{}).Error },
		"a map":          func(tx *gorm.DB) error { return tx.Model(&Purse{}).Find(&[]map[string]any{}).Error },
		"a derived table": func(tx *gorm.DB) error {
			return tx.Table("(?) AS purses", tx.Model(&Purse{}).Distinct("id")).Find(&[]Purse{}).Error
		},
		"raw SQL":    func(tx *gorm.DB) error { return tx.Raw("SELECT * FROM purses").Find(&[]Purse{}).Error },
		"no version": func(tx *gorm.DB) error { return tx.Find(&[]Token{}).Error },
		"a lock of its own": func(tx *gorm.DB) error {
			return tx.Clauses(clause.Locking{Strength: clause.LockingStrengthShare}).Find(&[]Purse{}).Error
		},
	}, 0), purseModels...)
}

func lockingBehaviours(reads map[string]func(tx *gorm.DB) error, want int) (behaviours []Behaviour) {
	for name, read := range reads {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			createPurse(t, db)
			want := want
			if db.Name() == "sqlite" {
				want = 0 // the whole database is locked
			}

			require.Equal(t, want, locked(t, db, read))
		}})
	}
	return behaviours
}

func TestLockAfter(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"a row that was read cannot be written by others", func(t *testing.T, db *gorm.DB) {
			inEveryLevel(t, db, func(t *testing.T, opts *sql.TxOptions) {
				purse := createPurse(t, db)

				err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
					var mine Purse
					require.NoError(t, tx.First(&mine, purse.ID).Error)
					require.Error(t, writeAtOnce(db, purse.ID), "another session")
					return tx.Model(&mine).Update("amount", 20).Error
				}, occ.WithLockAfter(0), occ.WithMaxAttempts(1), occ.WithTxOptions(opts))

				require.NoError(t, err)
				require.NoError(t, writeAtOnce(db, purse.ID), "the lock is gone")
				require.Equal(t, 21, storedPurse(t, db, purse.ID).Amount)
			})
		}},
		{"the first n attempts do not lock, those after do", func(t *testing.T, db *gorm.DB) {
			purse, attempts := createPurse(t, db), 0

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				attempts++
				var mine Purse
				require.NoError(t, tx.First(&mine, purse.ID).Error)
				if attempts <= 2 {
					require.NoError(t, writeAtOnce(db, purse.ID))
					require.NoError(t, db.Model(&Purse{}).Where("id = ?", purse.ID).Update("amount", 20).Error)
				} else {
					require.Error(t, writeAtOnce(db, purse.ID))
				}
				return tx.Model(&mine).Update("amount", mine.Amount+1).Error
			}, occ.WithLockAfter(2))

			require.NoError(t, err)
			require.Equal(t, 3, attempts)
			require.Equal(t, 21, storedPurse(t, db, purse.ID).Amount)
		}},
		{"an attempt that locks is not refused for what it has read", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)
			const writers = 8
			var errs [writers]error
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					errs[i] = occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
						return increment(tx, purse.ID)
					}, occ.WithLockAfter(0), occ.WithMaxAttempts(1))
				})
			}
			all.Wait()

			for _, err := range errs {
				require.NoError(t, err)
			}
			require.Equal(t, 10+writers, storedPurse(t, db, purse.ID).Amount)
		}},
		{"the caller's statement is as it was", func(t *testing.T, db *gorm.DB) {
			createPurse(t, db)

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				var purses []Purse
				query := tx.Where("amount = 10").Find(&purses)
				require.NotContains(t, query.Statement.Clauses, "FOR")
				require.NotContains(t, query.Statement.Clauses, "occ:locked")
				return query.Error
			}, occ.WithLockAfter(0))

			require.NoError(t, err)
		}},
		{"other transactions do not lock", func(t *testing.T, db *gorm.DB) {
			purse := createPurse(t, db)

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				log := &sqlLog{Interface: logger.Discard}
				other := db.Session(&gorm.Session{Logger: log})
				err := occ.Transaction(other, func(tx *gorm.DB) error { return tx.First(&Purse{}, purse.ID).Error })
				require.Zero(t, log.locking())
				return err
			}, occ.WithLockAfter(0))

			require.NoError(t, err)
		}},
	}, purseModels...)
}

// writeAtOnce adds one to a purse in a session that does not wait for locks.
func writeAtOnce(db *gorm.DB, id uint) error {
	return db.Connection(func(conn *gorm.DB) error {
		conn = conn.Session(&gorm.Session{})
		if conn.Name() != "sqlite" {
			return conn.Transaction(func(tx *gorm.DB) error {
				lock := clause.Locking{Strength: "UPDATE", Options: "NOWAIT"}
				if err := tx.Clauses(lock).First(&Purse{}, id).Error; err != nil {
					return err
				}
				return addBlindly(tx, id)
			})
		}
		conn.Exec("PRAGMA busy_timeout = 0")
		defer conn.Exec("PRAGMA busy_timeout = 10000")
		return addBlindly(conn, id)
	})
}

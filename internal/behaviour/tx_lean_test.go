package behaviour_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/plugin/dbresolver"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// countLean opens the database of db again, counted, with lean transactions.
func countLean(t testing.TB, db *gorm.DB, config gorm.Config, plugins ...gorm.Plugin) (*gorm.DB, *RoundTrips) {
	t.Helper()
	again := Reopen(t, db, config)
	trips := &RoundTrips{}
	again.ConnPool = &CountedPool{CountedConn: CountedConn{ConnPool: again.ConnPool, Trips: trips}}
	again.Statement.ConnPool = again.ConnPool
	for _, plugin := range append(plugins, occ.New(occ.WithLeanTransactions())) {
		require.NoError(t, again.Use(plugin))
	}
	trips.Take()
	return again, trips
}

// leanHooked has a hook of every sort but one for queries.
type (
	leanCreated struct{ Product }
	leanUpdated struct{ Product }
	leanSaved   struct{ Product }
	leanDeleted struct{ Product }
)

func (leanCreated) TableName() string { return "products" }
func (leanUpdated) TableName() string { return "products" }
func (leanSaved) TableName() string   { return "products" }
func (leanDeleted) TableName() string { return "products" }

func (*leanCreated) AfterCreate(*gorm.DB) error { return errTold }
func (*leanUpdated) AfterUpdate(*gorm.DB) error { return errTold }
func (*leanSaved) AfterSave(*gorm.DB) error     { return errTold }
func (*leanDeleted) AfterDelete(*gorm.DB) error { return errTold }

func TestLeanTransactionsAreNoneForOneStatement(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, p *Product) error{
		"Create":                 func(db *gorm.DB, _ *Product) error { return db.Create(&Product{Name: "new"}).Error },
		"Update":                 func(db *gorm.DB, p *Product) error { return db.Model(p).Update("price", 70).Error },
		"Update with conditions": func(db *gorm.DB, p *Product) error { return db.Model(p).Where("price > 0").Update("price", 70).Error },
		"Updates of a struct":    func(db *gorm.DB, p *Product) error { return db.Model(p).Updates(Product{Price: 70}).Error },
		"UpdateColumn":           func(db *gorm.DB, p *Product) error { return db.Model(p).UpdateColumn("price", 70).Error },
		"Save":                   func(db *gorm.DB, p *Product) error { return db.Save(p).Error },
		"Delete":                 func(db *gorm.DB, p *Product) error { return db.Delete(p).Error },
		"Expect": func(db *gorm.DB, p *Product) error {
			return db.Model(&Product{ID: p.ID}).Clauses(occ.Expect(p.Version)).Update("price", 70).Error
		},
		"by condition": func(db *gorm.DB, p *Product) error {
			return db.Model(&Product{}).Where("id = ?", p.ID).Update("price", 70).Error
		},
		"without a hook that the call runs": func(db *gorm.DB, p *Product) error {
			return db.Model(&leanCreated{*p}).Update("price", 70).Error
		},
		"hooks skipped": func(db *gorm.DB, p *Product) error {
			return db.Session(&gorm.Session{SkipHooks: true}).Model(&leanUpdated{*p}).Update("price", 70).Error
		},
		"gorm.G": func(db *gorm.DB, p *Product) error {
			_, err := gorm.G[Product](db).Where("id = ?", p.ID).Update(context.Background(), "price", 70)
			return err
		},
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{})
			require.NoError(t, counted.Model(&Product{}).Where("1 = 0").Update("price", 0).Error) // the first asks for the column's type
			trips.Take()

			require.NoError(t, write(counted, &p))

			require.Len(t, trips.Take(), 1)
		}})
	}
	Run(t, testdb.All(), behaviours, &Product{})
}

func TestLeanTransactionsStayWhereMoreThanOneStatementIsNeeded(t *testing.T) {
	t.Parallel()
	all := clause.OnConflict{UpdateAll: true}
	failing := map[string]func(db *gorm.DB, p *Product) error{
		"a create hook": func(db *gorm.DB, _ *Product) error { return db.Create(&leanCreated{}).Error },
		"an update hook": func(db *gorm.DB, p *Product) error {
			return db.Model(&leanUpdated{*p}).Update("price", 70).Error
		},
		"a save hook":   func(db *gorm.DB, p *Product) error { return db.Save(&leanSaved{*p}).Error },
		"a delete hook": func(db *gorm.DB, p *Product) error { return db.Delete(&leanDeleted{*p}).Error },
	}
	staying := map[string]func(db *gorm.DB, p *Product) error{
		"slices":  func(db *gorm.DB, p *Product) error { return db.Save([]*Product{p}).Error },
		"upserts": func(db *gorm.DB, p *Product) error { return db.Clauses(all).Create(p).Error },
		"Unchecked": func(db *gorm.DB, p *Product) error {
			return db.Clauses(occ.Unchecked()).Model(p).Update("price", 7).Error
		},
		"RETURNING":                     func(db *gorm.DB, p *Product) error { return db.Clauses(clause.Returning{}).Delete(p).Error },
		"Save of what was never loaded": func(db *gorm.DB, _ *Product) error { return db.Save(&Product{ID: 77}).Error },
		"Touch":                         func(db *gorm.DB, p *Product) error { return occ.Touch(db, p) },
	}
	var behaviours []Behaviour
	for name, write := range failing {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{})

			require.ErrorIs(t, write(counted, &p), errTold)

			sent := trips.Take()
			require.Equal(t, []string{"BEGIN", "ROLLBACK"}, []string{sent[0], sent[len(sent)-1]})
			require.Equal(t, p, Reload[Product](t, db, p.ID))
			var rows int64
			require.NoError(t, db.Model(&Product{}).Count(&rows).Error)
			require.EqualValues(t, 1, rows)
		}})
	}
	for name, write := range staying {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{})

			require.NoError(t, write(counted, &p))

			require.Contains(t, trips.Take(), "BEGIN")
		}})
	}
	Run(t, testdb.All(), behaviours, &Product{})
}

func TestLeanTransactionsStayForAssociationsAndParents(t *testing.T) {
	t.Parallel()
	models := []any{&Choir{}, &Patron{}, &Singer{}, &Medal{}, &Hall{}, &Song{}, &Photo{}, &Poster{}}
	Run(t, testdb.All(), []Behaviour{
		{"an association that is saved along", func(t *testing.T, db *gorm.DB) {
			counted, trips := countLean(t, db, gorm.Config{})
			choir := Choir{Name: "choir"}
			require.NoError(t, counted.Omit(clause.Associations).Create(&choir).Error)
			require.Len(t, trips.Take(), 1)

			choir.Hall = &Hall{Name: "hall"}
			require.NoError(t, counted.Save(&choir).Error)
			require.Contains(t, trips.Take(), "BEGIN")

			require.NoError(t, counted.Omit(clause.Associations).Save(&choir).Error)
			require.Len(t, trips.Take(), 1)
		}},
		{"an association in the payload", func(t *testing.T, db *gorm.DB) {
			counted, trips := countLean(t, db, gorm.Config{})
			choir := Choir{Name: "choir"}
			require.NoError(t, counted.Omit(clause.Associations).Create(&choir).Error)
			trips.Take()

			require.NoError(t, counted.Model(&choir).Updates(map[string]any{"Name": "x", "Patron": &Patron{Name: "patron"}}).Error)

			require.Contains(t, trips.Take(), "BEGIN")
		}},
		{"associations that are deleted along", func(t *testing.T, db *gorm.DB) {
			counted, trips := countLean(t, db, gorm.Config{})
			choir := Choir{Name: "choir", Hall: &Hall{Name: "hall"}}
			require.NoError(t, counted.Create(&choir).Error)
			trips.Take()

			require.NoError(t, counted.Select("Hall").Delete(&choir).Error)

			require.Contains(t, trips.Take(), "BEGIN")
		}},
	}, models...)
	Run(t, testdb.All(), []Behaviour{{"a parent that is touched", func(t *testing.T, db *gorm.DB) {
		counted, trips := countLean(t, db, gorm.Config{})
		cart := Cart{}
		require.NoError(t, counted.Create(&cart).Error)
		trips.Take()

		require.NoError(t, counted.Omit(clause.Associations).Create(&Line{CartID: &cart.ID}).Error)

		require.Contains(t, trips.Take(), "BEGIN")
	}}}, &Cart{}, &Line{})
}

// otherPlugin registers a callback of its own between GORM's begin and commit, or replaces one of GORM's.
type otherPlugin struct {
	name     string
	register func(db *gorm.DB) error
}

func (p otherPlugin) Name() string                 { return p.name }
func (p otherPlugin) Initialize(db *gorm.DB) error { return p.register(db) }

func TestLeanTransactionsStayForCallbacksOfOthers(t *testing.T) {
	t.Parallel()
	plugins := map[string]func(db *gorm.DB) error{
		"before the statement": func(db *gorm.DB) error {
			return db.Callback().Update().Before("gorm:update").Register("other", func(*gorm.DB) {})
		},
		"behind the statement": func(db *gorm.DB) error {
			return db.Callback().Update().After("gorm:update").Before("gorm:commit_or_rollback_transaction").Register("other", func(*gorm.DB) {})
		},
		"in the place of the statement": func(db *gorm.DB) error {
			update := db.Callback().Update().Get("gorm:update")
			return db.Callback().Update().Replace("gorm:update", func(db *gorm.DB) { update(db) })
		},
		"in the place of a hook": func(db *gorm.DB) error {
			return db.Callback().Update().Replace("gorm:after_update", func(*gorm.DB) {})
		},
	}
	var behaviours []Behaviour
	for name, register := range plugins {
		behaviours = append(behaviours,
			Behaviour{name + ", registered first", func(t *testing.T, db *gorm.DB) {
				p := Create(t, db)
				counted, trips := countLean(t, db, gorm.Config{}, otherPlugin{"other", register})

				require.NoError(t, counted.Model(&p).Update("price", 70).Error)

				require.Equal(t, []string{"BEGIN", "COMMIT"}, withoutMiddle(trips.Take()))
			}},
			Behaviour{name + ", registered later", func(t *testing.T, db *gorm.DB) {
				p := Create(t, db)
				counted, trips := countLean(t, db, gorm.Config{})
				require.NoError(t, counted.Model(&p).Update("price", 70).Error)
				require.Len(t, trips.Take(), 1)

				require.NoError(t, counted.Use(otherPlugin{"other", register}))
				require.NoError(t, counted.Model(&p).Update("price", 71).Error)

				require.Equal(t, []string{"BEGIN", "COMMIT"}, withoutMiddle(trips.Take()))
			}},
		)
	}
	behaviours = append(behaviours, Behaviour{"outside of the transaction they do not matter", func(t *testing.T, db *gorm.DB) {
		p := Create(t, db)
		counted, trips := countLean(t, db, gorm.Config{}, otherPlugin{"other", func(db *gorm.DB) error {
			return errors.Join(
				db.Callback().Update().Before("*").Register("first", func(*gorm.DB) {}),
				db.Callback().Update().After("gorm:commit_or_rollback_transaction").Register("last", func(*gorm.DB) {}))
		}})

		require.NoError(t, counted.Model(&p).Update("price", 70).Error)

		require.Len(t, trips.Take(), 1)
	}})
	Run(t, testdb.All(), behaviours, &Product{})
}

func withoutMiddle(sent []string) []string { return []string{sent[0], sent[len(sent)-1]} }

func TestLeanTransactionsUnderSettings(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"DefaultTransactionTimeout keeps the transaction, whose timeout it is, unless the context has a deadline", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{DefaultTransactionTimeout: time.Minute})
			require.NoError(t, counted.Model(&p).Update("price", 70).Error)
			require.Contains(t, trips.Take(), "BEGIN")

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.NoError(t, counted.WithContext(ctx).Model(&p).Update("price", 71).Error)

			require.Len(t, trips.Take(), 1)
		}},
		{"under PrepareStmt nothing is prepared anew", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			prepared := Reopen(t, db, gorm.Config{PrepareStmt: true}, occ.New(occ.WithLeanTransactions()))
			below := prepared.ConnPool.(*gorm.PreparedStmtDB)
			pool := &preparingPool{ConnPool: below.ConnPool}
			below.ConnPool = pool
			require.NoError(t, prepared.Model(&p).Update("price", 1).Error) // asks for the column's type, too
			pool.prepared.Store(0)
			pool.begun.Store(0)

			for price := range 3 {
				require.NoError(t, prepared.Model(&p).Update("price", price).Error)
			}

			require.Zero(t, pool.prepared.Load())
			require.Zero(t, pool.begun.Load())
			require.Equal(t, p, Reload[Product](t, db, p.ID))
			require.Equal(t, occ.Version(5), p.Version)
		}},
		{"dbresolver", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{})
			require.NoError(t, counted.Use(dbresolver.Register(dbresolver.Config{Replicas: []gorm.Dialector{db.Dialector}})))
			trips.Take()

			require.NoError(t, counted.Model(&p).Update("price", 70).Error)

			require.Len(t, trips.Take(), 1)
			require.Equal(t, p, Reload[Product](t, db, p.ID))
		}},
		{"a connection of one's own, whose session may be any", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			again := Reopen(t, db, gorm.Config{}, occ.New(occ.WithLeanTransactions()))
			began := false
			require.NoError(t, again.Callback().Update().After("gorm:commit_or_rollback_transaction").Register("look", func(db *gorm.DB) {
				_, began = db.InstanceGet("gorm:started_transaction")
			}))

			require.NoError(t, again.Connection(func(conn *gorm.DB) error { return conn.Model(&p).Update("price", 7).Error }))
			require.True(t, began)

			require.NoError(t, again.Model(&p).Update("price", 8).Error)
			require.False(t, began)
		}},
		{"inside a transaction nothing is different", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{})
			err := occ.Transaction(counted, func(tx *gorm.DB) error {
				return errors.Join(tx.Model(&p).Update("price", 70).Error, errTold)
			})
			require.ErrorIs(t, err, errTold)
			require.Len(t, trips.Take(), 3)
			require.Equal(t, occ.Version(1), p.Version)
			require.Equal(t, p.Version, Reload[Product](t, db, p.ID).Version)
		}},
		{"a refusal is explained, and nothing is written", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			counted, trips := countLean(t, db, gorm.Config{})

			row := Stale(t, counted.Model(&mine).Update("price", 70).Error)

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID},
				Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}, row)
			require.Len(t, trips.Take(), 2)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
		}},
		{"a panic leaves row and model as they were, and the connection usable", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			lean, _ := WithPlugin(t, db, occ.WithLeanTransactions())
			require.Panics(t, func() { lean.Model(&p).Update("price", panickingValuer{}) })
			require.Equal(t, p, Reload[Product](t, db, p.ID))

			require.NoError(t, lean.Model(&p).Update("price", 70).Error)
			require.Equal(t, p, Reload[Product](t, db, p.ID))
		}},
		{"a model without a version has its transaction", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Bare{}))
			counted, trips := countLean(t, db, gorm.Config{})

			require.NoError(t, counted.Create(&Bare{Name: "x"}).Error)

			require.Equal(t, []string{"BEGIN", "COMMIT"}, withoutMiddle(trips.Take()))
		}},
	}, &Product{})
}

// preparingPool counts what is prepared and begun on it. In a transaction, GORM prepares on the transaction.
type preparingPool struct {
	gorm.ConnPool
	prepared, begun atomic.Int64
}

func (p *preparingPool) PrepareContext(ctx context.Context, sql string) (*sql.Stmt, error) {
	p.prepared.Add(1)
	return p.ConnPool.PrepareContext(ctx, sql)
}

func (p *preparingPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	p.begun.Add(1)
	return p.ConnPool.(gorm.TxBeginner).BeginTx(ctx, opts)
}

func TestLeanTransactionsStayWhereNothingElseCommits(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, p *Product) error{
		"Create": func(db *gorm.DB, _ *Product) error { return db.Create(&Product{Name: "new"}).Error },
		"Update": func(db *gorm.DB, p *Product) error { return db.Model(p).Update("price", 70).Error },
		"Save":   func(db *gorm.DB, p *Product) error { return db.Save(p).Error },
		"Delete": func(db *gorm.DB, p *Product) error { return db.Delete(p).Error },
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours, Behaviour{name + " is committed by its transaction", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			counted, trips := countLean(t, db, gorm.Config{})

			require.NoError(t, write(counted, &p))

			require.Equal(t, []string{"BEGIN", "COMMIT"}, withoutMiddle(trips.Take()))
			other := Begin(t, db)
			defer other.Rollback()
			var found []Product
			require.NoError(t, other.Order("id").Find(&found).Error)
			require.Len(t, found, map[string]int{"Create": 2, "Update": 1, "Save": 1}[name])
			if len(found) == 1 {
				require.Equal(t, p, found[0])
				require.Equal(t, occ.Version(2), p.Version)
			}
		}})
	}
	Run(t, testdb.WithoutAutocommit(), behaviours, &Product{})
}

// versionedCasket has a Snapshot beside its version.
type versionedCasket struct {
	ID    uint
	Label string
	occ.Version
	occ.Snapshot
}

func (versionedCasket) TableName() string { return "versioned_caskets" }

func TestLeanTransactionsStayForSnapshots(t *testing.T) {
	t.Parallel()
	behaviours := slices.Concat(snapshotWrites[Casket]("in the place of a version"), snapshotWrites[versionedCasket]("beside a version"))
	Run(t, append(testdb.All(), testdb.WithoutAutocommit()...), behaviours, &Casket{}, &versionedCasket{})
}

func snapshotWrites[M any](where string) []Behaviour {
	return []Behaviour{{"a Snapshot " + where + " is read in the transaction of the write", func(t *testing.T, db *gorm.DB) {
		counted, trips := countLean(t, db, gorm.Config{})
		var m M
		for _, write := range []func() error{
			func() error { return counted.Create(&m).Error },
			func() error { return counted.Model(&m).Update("label", "b").Error },
			func() error { return counted.Save(&m).Error },
			func() error { return counted.Delete(&m).Error },
		} {
			trips.Take()
			require.NoError(t, write())
			require.Equal(t, []string{"BEGIN", "COMMIT"}, withoutMiddle(trips.Take()))
		}
	}}}
}

// panickingValuer panics while GORM builds the statement.
type panickingValuer struct{}

func (panickingValuer) GormValue(context.Context, *gorm.DB) clause.Expr { panic("told") }

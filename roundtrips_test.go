package occ_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// roundTrips counts what goes to a database, which is more than a logger hears of: savepoints and the like too.
type roundTrips struct {
	mu   sync.Mutex
	sent []string
}

func (r *roundTrips) add(sql string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, sql)
}

// take gives what was sent since it was last called.
func (r *roundTrips) take() (sent []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, r.sent = r.sent, nil
	return sent
}

// countedPool is a connection pool whose round trips are counted; countedTx a transaction of it.
type (
	countedPool struct{ countedConn }
	countedTx   struct{ countedConn }
	countedConn struct {
		gorm.ConnPool
		trips *roundTrips
	}
)

func (c countedConn) ExecContext(ctx context.Context, sql string, args ...any) (sql.Result, error) {
	c.trips.add(sql)
	return c.ConnPool.ExecContext(ctx, sql, args...)
}

func (c countedConn) QueryContext(ctx context.Context, sql string, args ...any) (*sql.Rows, error) {
	c.trips.add(sql)
	return c.ConnPool.QueryContext(ctx, sql, args...)
}

func (c countedConn) QueryRowContext(ctx context.Context, sql string, args ...any) *sql.Row {
	c.trips.add(sql)
	return c.ConnPool.QueryRowContext(ctx, sql, args...)
}

// GetDBConn is how GORM finds the pool: what is sent to that is not counted.
func (c *countedPool) GetDBConn() (*sql.DB, error) {
	return (&gorm.DB{Config: &gorm.Config{ConnPool: c.ConnPool}}).DB()
}

func (c *countedPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	c.trips.add("BEGIN")
	tx, err := c.ConnPool.(gorm.TxBeginner).BeginTx(ctx, opts)
	return &countedTx{countedConn{tx, c.trips}}, err
}

func (c *countedTx) Commit() error {
	c.trips.add("COMMIT")
	return c.ConnPool.(gorm.TxCommitter).Commit()
}

func (c *countedTx) Rollback() error {
	c.trips.add("ROLLBACK")
	return c.ConnPool.(gorm.TxCommitter).Rollback()
}

// countRoundTrips opens the database of db again, counted and without a default transaction.
func countRoundTrips(t testing.TB, db *gorm.DB) (*gorm.DB, *roundTrips) {
	again := reopen(t, db, gorm.Config{SkipDefaultTransaction: true}, occ.New())
	trips := &roundTrips{}
	again.ConnPool = &countedPool{countedConn{again.ConnPool, trips}}
	again.Statement.ConnPool = again.ConnPool
	return again, trips
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	all := clause.OnConflict{UpdateAll: true}
	writes := map[string]func(db *gorm.DB, p *Product) error{
		"Update":            func(db *gorm.DB, p *Product) error { return db.Model(p).Update("price", 70).Error },
		"Save":              func(db *gorm.DB, p *Product) error { return db.Save(p).Error },
		"Save of a slice":   func(db *gorm.DB, p *Product) error { return db.Save([]*Product{p}).Error },
		"Update of a slice": func(db *gorm.DB, p *Product) error { return db.Model([]*Product{p}).Update("price", 70).Error },
		"upsert":            func(db *gorm.DB, p *Product) error { return db.Clauses(all).Create(p).Error },
		"upsert of a slice": func(db *gorm.DB, p *Product) error { return db.Clauses(all).Create([]*Product{p}).Error },
		"Touch":             func(db *gorm.DB, p *Product) error { return occ.Touch(db, p) },
		"Delete":            func(db *gorm.DB, p *Product) error { return db.Delete(p).Error },
		"Delete of a slice": func(db *gorm.DB, p *Product) error { return db.Delete([]*Product{p}).Error },
	}
	var behaviours []behaviour
	for name, write := range writes {
		behaviours = append(behaviours,
			behaviour{name + ": one row is one round trip, without a savepoint", func(t *testing.T, db *gorm.DB) {
				counted, trips := countRoundTrips(t, db)
				first, second := create(t, counted), create(t, counted)
				tx := begin(t, counted)
				trips.take()

				require.NoError(t, write(tx, &first))
				require.Len(t, trips.take(), 1)
				require.NoError(t, tx.Commit().Error)
				trips.take()

				require.NoError(t, write(counted, &second))
				require.Len(t, trips.take(), 1)
			}},
			behaviour{name + ": a refusal of one row takes one more, to say why", func(t *testing.T, db *gorm.DB) {
				mine, theirs := pair(t, db)
				counted, trips := countRoundTrips(t, db)

				row := stale(t, write(counted, &mine))

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, row)
				require.Len(t, trips.take(), 2)
				require.Equal(t, theirs, reload[Product](t, db, mine.ID))
			}},
		)
	}
	run(t, testdb.All(), behaviours, &Product{})
}

func TestASaveThatReachesNoVersionIsGORMsAlone(t *testing.T) {
	t.Parallel()
	run(t, testdb.All(), []behaviour{
		{"without a default transaction it has none, and no savepoint in the caller's", func(t *testing.T, db *gorm.DB) {
			counted, trips := countRoundTrips(t, db)
			require.NoError(t, counted.Create(&Shelf{ID: 1, Books: []Book{{ID: 1, Title: "x"}}}).Error)
			require.NoError(t, counted.Unscoped().Select("Books").Delete(&Shelf{ID: 1}).Error)
			require.NotContains(t, trips.take(), "BEGIN")

			tx := begin(t, counted)
			trips.take()
			require.NoError(t, tx.Create(&Shelf{ID: 2, Books: []Book{{ID: 2, Title: "y"}}}).Error)

			require.Len(t, trips.take(), 2) // an INSERT for each of them
		}},
	}, &Shelf{}, &Book{})
}

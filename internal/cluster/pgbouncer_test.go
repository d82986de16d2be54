//go:build linux

package cluster

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
)

// bounced starts a PgBouncer, and makes a database with a table of purses.
func bounced(t *testing.T, settings string) (e *Endpoint, database_ string) {
	t.Helper()
	p := postgresCluster(t)
	name := database(t, p.writers)
	e, err := p.Bounce(t.Context(), settings)
	require.NoError(t, err)
	return e, name
}

func mode(m pgx.QueryExecMode) func(*pgx.ConnConfig) {
	return func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = m }
}

// everyPath writes a purse in every way, in turn with all others that do, through retries, and returns how often.
func everyPath(ctx context.Context, db *gorm.DB, id uint) (writes int, err error) {
	paths := []func(tx *gorm.DB, p *Purse) error{
		func(tx *gorm.DB, p *Purse) error { return tx.Save(p).Error },
		func(tx *gorm.DB, p *Purse) error { return tx.Model(p).Update("amount", p.Amount).Error },
		func(tx *gorm.DB, p *Purse) error { return tx.Save([]*Purse{p}).Error },
		func(tx *gorm.DB, p *Purse) error {
			return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(p).Error
		},
		func(tx *gorm.DB, p *Purse) error {
			return tx.Transaction(func(tx *gorm.DB) error { return tx.Updates(p).Error })
		},
		func(tx *gorm.DB, p *Purse) error {
			_, err := gorm.G[Purse](tx, occ.Expect(p.Version)).Where("id = ?", p.ID).Update(ctx, "amount", p.Amount)
			return err
		},
	}
	for _, write := range paths {
		err := occ.Retry(ctx, db, func(tx *gorm.DB) error {
			var p Purse
			if err := tx.First(&p, id).Error; err != nil {
				return err
			}
			p.Amount++
			return write(tx, &p)
		}, occ.WithMaxAttempts(1000), occ.WithLockAfter(3), occ.WithCommitCheck())
		if err != nil {
			return writes, err
		}
		writes++
	}
	return writes, nil
}

func TestPgBouncer(t *testing.T) {
	for _, tt := range []struct {
		name, settings string
		options        Options
		prepares       bool // GORM does
	}{
		{"statements are prepared on it", "max_prepared_statements = 200", Options{}, false},
		{"and by GORM too", "max_prepared_statements = 200", Options{}, true},
		{"nothing is prepared, by the simple protocol", "max_prepared_statements = 0", Options{Postgres: mode(pgx.QueryExecModeSimpleProtocol)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, name := bounced(t, tt.settings+"\ndefault_pool_size = 3")
			tt.options.Database = name
			var all sync.WaitGroup
			const writers = 8
			writes, errs := [writers]int{}, [writers]error{}
			db := open(t, e, tt.options)
			purse := Purse{Amount: 0}
			require.NoError(t, db.Create(&purse).Error)

			for i := range writers {
				db := open(t, e, tt.options).Session(&gorm.Session{PrepareStmt: tt.prepares})
				all.Go(func() { writes[i], errs[i] = everyPath(t.Context(), db, purse.ID) })
			}
			all.Wait()

			sum := 0
			for i := range writers {
				require.NoError(t, errs[i])
				sum += writes[i]
			}
			require.Equal(t, Purse{ID: purse.ID, Amount: sum, Version: occ.Version(1 + sum)}, storedPurse(t, db, purse.ID))
			require.Equal(t, 6*writers, sum)
		})
	}
}

func TestPgBouncerThatForgetsPreparedStatements(t *testing.T) {
	e, name := bounced(t, "max_prepared_statements = 0\ndefault_pool_size = 3")

	var clients [2]*sql.DB // pgx prepares what they send
	for i := range clients {
		pool, _, err := e.Open(Options{Database: name})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pool.Close()) })
		clients[i] = pool
	}
	var failed error
	for i := 0; i < 20 && failed == nil; i++ { // their transactions overlap, and take the server's connections in turn
		for j := range clients {
			tx, err := clients[(i+j)%2].BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			var n int
			failed = errors.Join(failed, tx.QueryRowContext(t.Context(), "SELECT 1").Scan(&n))
			if i%3 != 0 || j != 0 {
				_ = tx.Rollback()
			}
		}
	}

	require.ErrorContains(t, failed, "prepared statement", "docs/clusters.md says that this does not work")
}

func TestPgBouncerAndSearchPath(t *testing.T) {
	inSchema := func(name, schema string) Options {
		return Options{Database: name, Postgres: func(c *pgx.ConnConfig) { c.RuntimeParams["search_path"] = schema }}
	}
	t.Run("as a parameter of connections it is refused by default", func(t *testing.T) {
		e, name := bounced(t, "")
		pool, _, err := e.Open(inSchema(name, "one"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pool.Close()) })
		require.ErrorContains(t, pool.PingContext(t.Context()), "unsupported startup parameter")
	})
	t.Run("tracked, it is still not told from another one's", func(t *testing.T) {
		e, name := bounced(t, "track_extra_parameters = IntervalStyle, search_path\ndefault_pool_size = 1")
		plain := open(t, e, Options{Database: name})
		require.NoError(t, plain.Exec("CREATE SCHEMA one").Error)
		require.NoError(t, plain.Exec("CREATE SCHEMA two").Error)
		require.NoError(t, plain.Exec("CREATE TABLE one.purses (id bigint)").Error)
		require.NoError(t, plain.Exec("CREATE TABLE two.purses (id bigint)").Error)
		var in [2]string
		for i, schema := range []string{"one", "two"} {
			require.NoError(t, open(t, e, inSchema(name, schema)).Raw("SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'purses'::regclass").Scan(&in[i]).Error)
		}
		require.NotEqual(t, [2]string{"one", "two"}, in, "docs/clusters.md says that PostgreSQL before 18 does not report it")
	})
	t.Run("tables that are named with their schema need none", func(t *testing.T) {
		e, name := bounced(t, "max_prepared_statements = 200\ndefault_pool_size = 1")
		plain := open(t, e, Options{Database: name})
		for amount, s := range []string{"one", "two"} {
			require.NoError(t, plain.Exec("CREATE SCHEMA "+s).Error)
			db := openAs(t, e, Options{Database: name}, &gorm.Config{NamingStrategy: schema.NamingStrategy{TablePrefix: s + "."}})
			require.NoError(t, db.AutoMigrate(&Purse{}))
			require.NoError(t, db.Create(&Purse{ID: 1, Amount: amount}).Error)
			require.NoError(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error { return increment(tx, 1) }))
			require.Equal(t, Purse{ID: 1, Amount: amount + 1, Version: 2}, storedPurse(t, db, 1))
		}
	})
}

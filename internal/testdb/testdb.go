// Package testdb gives a test its databases: an empty one of its own on every kind of database that occ supports.
//
// The servers are named by TEST_POSTGRES_DSN and TEST_MARIADB_DSN; the defaults fit compose.yaml. A test whose server
// does not answer is skipped, or fails where CI=true says that the server has to be there.
package testdb

import (
	"database/sql"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// maxOpenConns is how many connections a test can have at the same time to one database.
const maxOpenConns = 8

// Database is a kind of database and how GORM is configured for it. Its Name fits a subtest.
type Database struct {
	Name      string
	create    func(t testing.TB) gorm.Dialector // of an empty database that ends with t
	configure func(c *gorm.Config)              // nil: GORM's defaults
}

// All returns the databases on which every behaviour is tested.
func All() []Database {
	return []Database{
		{Name: "sqlite", create: createSQLite},
		{Name: "postgres", create: createPostgres},
		{Name: "mariadb", create: createMariaDB()},
	}
}

// Configurations returns settings of the driver and of GORM that a library may trip over, apart from those of [All].
func Configurations() []Database {
	configurations := []Database{
		{Name: "postgres simple protocol", create: createSimplePostgres},
		{Name: "mariadb clientFoundRows", create: createMariaDB(clientFoundRows)},
	}
	for _, d := range All() {
		configurations = append(configurations,
			Database{d.Name + " PrepareStmt", d.create, func(c *gorm.Config) { c.PrepareStmt = true }},
			Database{d.Name + " SkipDefaultTransaction", d.create, func(c *gorm.Config) { c.SkipDefaultTransaction = true }},
		)
	}
	return configurations
}

// Transactions returns databases whose transactions get in each other's way differently from those of [All].
func Transactions() []Database {
	return []Database{
		{Name: "sqlite immediate", create: createImmediateSQLite},
		{Name: "mariadb innodb_snapshot_isolation", create: createMariaDB(snapshotIsolation)},
	}
}

// Each runs f on all databases, as parallel subtests.
func Each(t *testing.T, f func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for _, d := range All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			f(t, d.Open(t))
		})
	}
}

// Open returns an empty database that belongs to t and is removed when t ends. It logs nothing unless opts bring a
// logger. A further gorm.Open of its Dialector shares the database and the connection pool, and need not be closed.
func (d Database) Open(t testing.TB, opts ...gorm.Option) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(d.create(t), d.options(opts)...)
	require.NoError(t, err)
	return db
}

func (d Database) options(opts []gorm.Option) []gorm.Option {
	opts = slices.Clone(opts)
	for i, opt := range opts {
		if config, ok := opt.(*gorm.Config); ok {
			own := *config // GORM keeps the config it is given and writes to it
			opts[i] = &own
		}
	}
	return append(opts, setting(func(c *gorm.Config) {
		if c.Logger == nil {
			c.Logger = logger.Discard
		}
		if d.configure != nil {
			d.configure(c)
		}
	}))
}

// setting is a gorm.Option. GORM applies a gorm.Config first, so a setting adds to the caller's.
type setting func(c *gorm.Config)

func (s setting) Apply(c *gorm.Config) error {
	s(c)
	return nil
}

func (setting) AfterInitialize(*gorm.DB) error { return nil }

// closeAfter bounds the pool and closes it when t ends.
func closeAfter(t testing.TB, pool *sql.DB) *sql.DB {
	pool.SetMaxOpenConns(maxOpenConns)
	pool.SetMaxIdleConns(maxOpenConns / 2)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

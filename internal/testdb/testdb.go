// Package testdb gives a test its databases: an empty one of its own on every kind of database that occ supports.
//
// The servers are named by variables of the environment, which docs/testing.md lists; for the first two there are
// defaults, which fit compose.yaml. A test whose server does not answer is skipped, or fails where CI=true says that the
// server has to be there. TEST_DATABASES=sqlite,mysql leaves out all others, and so does -short all but SQLite.
package testdb

import (
	"database/sql"
	"errors"
	"flag"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Database is a kind of database and how GORM is configured for it. Its Name fits a subtest.
type Database struct {
	Name          string // product, version and configuration: "mariadb11 PrepareStmt"
	Product       string // sqlite, postgres, mariadb or mysql
	Like          string // sqlite, postgres or mariadb, which MySQL is like
	Configuration string // empty for the usual one
	create        create
	server        *server              // nil: SQLite
	configure     func(c *gorm.Config) // nil: GORM's defaults
	turn          int                  // from 1 on, see InTurn; 0: every test's
}

// builders say for each kind of database how one is made; nil leaves the kind out.
type builders struct {
	sqlite            create
	postgres, mariadb func(*server) create // the latter for MySQL also
}

// build returns a database for each that is wanted.
func build(by builders) (databases []Database) {
	if by.sqlite != nil && isWanted("sqlite") {
		databases = append(databases, Database{Name: "sqlite", Product: "sqlite", Like: "sqlite", create: by.sqlite})
	}
	for _, s := range servers {
		make, like := by.mariadb, "mariadb"
		if s.product == "postgres" {
			make, like = by.postgres, "postgres"
		}
		if make != nil && s.dsn() != "" && isWanted(s.name) {
			databases = append(databases, Database{Name: s.name, Product: s.product, Like: like, create: make(s), server: s})
		}
	}
	return databases
}

// isWanted reports whether TEST_DATABASES has the name; where it is not set, all are wanted, with -short only SQLite.
func isWanted(name string) bool {
	if testing.Testing() && flag.Parsed() && testing.Short() && name != "sqlite" {
		return false
	}
	wanted := os.Getenv("TEST_DATABASES")
	return wanted == "" || slices.Contains(strings.Split(wanted, ","), name)
}

// All returns the databases on which every behaviour is tested.
func All() []Database {
	return build(builders{
		sqlite:   createSQLite,
		postgres: func(s *server) create { return s.lendPostgres("default") },
		mariadb:  func(s *server) create { return s.lendMariaDB() },
	})
}

// TellingTypes returns PostgreSQL with a driver that tells the server of which type each parameter is, by what it is in Go.
func TellingTypes() []Database {
	return called("telling types", build(builders{
		postgres: func(s *server) create { return s.lendPostgres("telling types", tellingTypes) },
	}))
}

// Of returns those of [All] that are like one of the names: sqlite, postgres, mariadb.
func Of(names ...string) []Database { return Like(All(), names...) }

// Like returns those databases that are like one of the names.
func Like(databases []Database, names ...string) []Database {
	return slices.DeleteFunc(databases, func(d Database) bool { return !slices.Contains(names, d.Like) })
}

// IsLong reports whether the environment asks for the programs that take long, by TEST_LONG.
func IsLong() bool { return os.Getenv("TEST_LONG") != "" }

// IsLongest reports whether TEST_LONG asks for all there is on every server, which takes longer than CI has.
func IsLongest() bool { return os.Getenv("TEST_LONG") == "all" }

// Some returns every nth of what takes long, and all of it where [IsLong].
func Some[T any](all []T, nth int) []T {
	if IsLong() {
		return all
	}
	return Every(all, nth)
}

// Every returns every nth.
func Every[T any](all []T, nth int) (some []T) {
	for i := 0; i < len(all); i += nth {
		some = append(some, all[i])
	}
	return some
}

// One returns the first of [All] that is like a name, or skips t where TEST_DATABASES or -short leaves all of them out.
func One(t testing.TB, name string) Database {
	t.Helper()
	databases := Of(name)
	if len(databases) == 0 {
		t.Skipf("TEST_DATABASES or -short leaves out what is like %s", name)
	}
	return databases[0]
}

// Kind is what a database is like, with the configuration.
func (d Database) Kind() string { return strings.TrimSpace(d.Like + " " + d.Configuration) }

// configured returns databases in a configuration of GORM's.
func configured(name string, configure func(*gorm.Config), databases []Database) []Database {
	for i := range databases {
		databases[i].configure = configure
	}
	return called(name, databases)
}

// called returns databases under the name of their configuration.
func called(configuration string, databases []Database) []Database {
	for i := range databases {
		databases[i].Name += " " + configuration
		databases[i].Configuration = configuration
	}
	return databases
}

// Lean is the configuration of databases whose tests give the plugin WithLeanTransactions.
const Lean = "WithLeanTransactions"

// Configurations returns settings of the driver and of GORM that a library may trip over, apart from those of [All].
func Configurations() []Database {
	return slices.Concat(
		called("simple protocol", build(builders{
			postgres: func(s *server) create { return s.lendPostgres("simple protocol", simpleProtocol) },
		})),
		called("clientFoundRows", build(builders{
			mariadb: func(s *server) create { return s.lendMariaDB(clientFoundRows) },
		})),
		configured("PrepareStmt", func(c *gorm.Config) { c.PrepareStmt = true }, All()),
		configured("SkipDefaultTransaction", func(c *gorm.Config) { c.SkipDefaultTransaction = true }, All()),
		called(Lean, All()),
	)
}

// InTurn returns databases each of which has its share of the tests, those that [Database.IsTurn] chooses.
func InTurn(databases []Database) []Database {
	databases = slices.Clone(databases)
	for i := range databases {
		databases[i].turn = i + 1
	}
	return databases
}

// IsTurn reports whether a test of that name runs on the database: each test comes to every fourth of those in turn, to every second
// where [IsLong], to all of them where [IsLongest].
func (d Database) IsTurn(test string) bool {
	nth := uint32(4)
	switch {
	case d.turn == 0, IsLongest():
		return true
	case IsLong():
		nth = 2
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(test))
	return (hash.Sum32()+uint32(d.turn))%nth == 0
}

// Own returns the databases of [All] with connections that are their own, as the driver opens them: for what measures.
func Own() []Database {
	return build(builders{
		sqlite: createSQLite,
		postgres: func(s *server) create {
			return s.ownPostgres(func(c *pgx.ConnConfig) *sql.DB { return stdlib.OpenDB(*c) })
		},
		mariadb: func(s *server) create { return s.ownMariaDB(openMariaDB) },
	})
}

// Transactions returns databases whose transactions get in each other's way differently from those of [All].
func Transactions() []Database {
	return slices.Concat(
		called("immediate", build(builders{sqlite: createImmediateSQLite})),
		called("innodb_snapshot_isolation", slices.DeleteFunc(build(builders{
			mariadb: func(s *server) create { return s.lendMariaDB(snapshotIsolation) },
		}), func(d Database) bool { return d.Product == "mysql" })),
	)
}

// WithoutAutocommit returns the databases whose connections can be told not to commit by themselves, told so.
func WithoutAutocommit() []Database {
	return called("autocommit=0", build(builders{
		mariadb: func(s *server) create { return s.lendMariaDB(withoutAutocommit) },
	}))
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
	if d.server != nil {
		d.server.admit(t)
	}
	db, remove, err := d.Create(opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, remove(), "removing the test's database; did the test leave a transaction open?")
	})
	return db
}

// Create opens an empty database for a program, which is no test that could own it: remove ends it.
func (d Database) Create(opts ...gorm.Option) (db *gorm.DB, remove func() error, err error) {
	p, err := d.create()
	if err != nil {
		return nil, nil, err
	}
	db, err = gorm.Open(p.dialector, d.options(opts)...)
	if err != nil {
		return nil, nil, errors.Join(err, p.remove())
	}
	return db, p.remove, nil
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

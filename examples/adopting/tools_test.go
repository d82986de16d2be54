package adopting_test

import (
	"database/sql"
	"fmt"
	"io"
	"log"
	"strings"
	"testing"
	"testing/fstest"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/golang-migrate/migrate/v4"
	migratedb "github.com/golang-migrate/migrate/v4/database"
	migratemysql "github.com/golang-migrate/migrate/v4/database/mysql"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	migratesqlite "github.com/golang-migrate/migrate/v4/database/sqlite3"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// eachTool runs a migration on each database, on the table of articles.
func eachTool(t *testing.T, migration func(t *testing.T, db *gorm.DB, up, down []string)) {
	t.Helper()
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&Article{}))
		require.NoError(t, db.Create(&Article{ID: 1}).Error)
		up, down, err := occ.TriggerSQL(db, &Article{})
		require.NoError(t, err)
		migration(t, db, up, down)
	})
}

// requireTriggers looks whether raw SQL moves the version.
func requireTriggers(t *testing.T, db *gorm.DB, there bool) {
	t.Helper()
	var before, after Article
	require.NoError(t, db.First(&before, 1).Error)
	require.NoError(t, db.Exec("UPDATE articles SET title = ? WHERE id = 1", before.Title+"+").Error)
	require.NoError(t, db.First(&after, 1).Error)
	require.Equal(t, there, after.Version == before.Version+1, "from %d to %d", before.Version, after.Version)
	require.NoError(t, occ.CheckSchema(db, &Article{}))
}

func pool(t *testing.T, db *gorm.DB) *sql.DB {
	t.Helper()
	pool, err := db.DB()
	require.NoError(t, err)
	return pool
}

// annotated is a migration of goose: each statement between StatementBegin and StatementEnd, as docs/schema.md shows it.
func annotated(direction string, statements []string) string {
	text := "-- +goose " + direction + "\n"
	for _, statement := range statements {
		text += "-- +goose StatementBegin\n" + statement + ";\n-- +goose StatementEnd\n"
	}
	return text
}

func newGoose(t *testing.T, db *gorm.DB, migration string) *goose.Provider {
	t.Helper()
	dialect := map[string]goose.Dialect{"sqlite": goose.DialectSQLite3, "postgres": goose.DialectPostgres, "mysql": goose.DialectMySQL}[db.Name()]
	files := fstest.MapFS{"00001_triggers.sql": {Data: []byte(migration)}}
	provider, err := goose.NewProvider(dialect, pool(t, db), files, goose.WithLogger(log.New(io.Discard, "", 0)))
	require.NoError(t, err)
	return provider
}

func TestGoose(t *testing.T) {
	eachTool(t, func(t *testing.T, db *gorm.DB, up, down []string) {
		provider := newGoose(t, db, annotated("Up", up)+annotated("Down", down))

		_, err := provider.Up(t.Context())
		require.NoError(t, err)
		requireTriggers(t, db, true)
		_, err = provider.Down(t.Context())
		require.NoError(t, err)

		requireTriggers(t, db, false)
	})
}

// TestGooseWithoutAnnotations: a statement of PostgreSQL's has lines that end with a semicolon, those of the others have not.
func TestGooseWithoutAnnotations(t *testing.T) {
	eachTool(t, func(t *testing.T, db *gorm.DB, up, _ []string) {
		provider := newGoose(t, db, "-- +goose Up\n"+strings.Join(up, ";\n")+";\n")

		_, err := provider.Up(t.Context())

		isSplit := db.Name() == "postgres"
		require.Equal(t, isSplit, err != nil, err)
		requireTriggers(t, db, !isSplit)
	})
}

// files are what golang-migrate reads: the statements of each direction, ended by semicolons.
func files(up, down []string) fstest.MapFS {
	return fstest.MapFS{
		"001_triggers.up.sql":   {Data: []byte(strings.Join(up, ";\n") + ";\n")},
		"001_triggers.down.sql": {Data: []byte(strings.Join(down, ";\n") + ";\n")},
	}
}

// filesOfOne are a file for each statement.
func filesOfOne(up, down []string) fstest.MapFS {
	of := fstest.MapFS{}
	for i, statement := range up {
		of[fmt.Sprintf("%03d_up.up.sql", i+1)] = &fstest.MapFile{Data: []byte(statement + ";\n")}
	}
	for i, statement := range down { // the last file is undone first
		of[fmt.Sprintf("%03d_up.down.sql", max(len(up), len(down))-i)] = &fstest.MapFile{Data: []byte(statement + ";\n")}
	}
	return of
}

// newMigrate is golang-migrate on a pool of its own, which it closes.
func newMigrate(t *testing.T, db *gorm.DB, files fstest.MapFS, adjust func(*mysqldriver.Config), multi bool) *migrate.Migrate {
	t.Helper()
	source, err := iofs.New(files, ".")
	require.NoError(t, err)
	var driver migratedb.Driver
	switch db.Name() {
	case "mysql":
		driver, err = migratemysql.WithInstance(ownPool(t, db, adjust), &migratemysql.Config{})
	case "postgres":
		driver, err = migratepgx.WithInstance(pool(t, db), &migratepgx.Config{MultiStatementEnabled: multi, MultiStatementMaxSize: 1 << 20})
	default:
		driver, err = migratesqlite.WithInstance(pool(t, db), &migratesqlite.Config{})
	}
	require.NoError(t, err)
	m, err := migrate.NewWithInstance("iofs", source, db.Name(), driver)
	require.NoError(t, err)
	t.Cleanup(func() {
		ofSource, ofDatabase := m.Close()
		require.NoError(t, ofSource)
		require.NoError(t, ofDatabase)
	})
	return m
}

// ownPool is a pool on the test's database of MariaDB, with a DSN that is adjusted.
func ownPool(t *testing.T, db *gorm.DB, adjust func(*mysqldriver.Config)) *sql.DB {
	t.Helper()
	config := db.Dialector.(*mysql.Dialector).DSNConfig.Clone()
	require.NoError(t, db.Raw("SELECT database()").Scan(&config.DBName).Error)
	adjust(config)
	connector, err := mysqldriver.NewConnector(config)
	require.NoError(t, err)
	return sql.OpenDB(connector)
}

func several(c *mysqldriver.Config) { c.MultiStatements = true }
func single(*mysqldriver.Config)    {}

func TestGolangMigrate(t *testing.T) {
	eachTool(t, func(t *testing.T, db *gorm.DB, up, down []string) {
		m := newMigrate(t, db, files(up, down), several, false)

		require.NoError(t, m.Up())
		requireTriggers(t, db, true)
		require.NoError(t, m.Down())

		requireTriggers(t, db, false)
	})
}

func TestGolangMigrateWithAFileForEachStatement(t *testing.T) {
	eachTool(t, func(t *testing.T, db *gorm.DB, up, down []string) {
		m := newMigrate(t, db, filesOfOne(up, down), single, false)

		require.NoError(t, m.Up())
		requireTriggers(t, db, true)
		require.NoError(t, m.Down())

		requireTriggers(t, db, false)
	})
}

func TestGolangMigrateThatSplitsFiles(t *testing.T) {
	eachTool(t, func(t *testing.T, db *gorm.DB, up, down []string) {
		switch db.Name() {
		case "postgres":
			require.Error(t, newMigrate(t, db, files(up, down), several, true).Up(), "x-multi-statement")
		case "mysql":
			twice := append(append([]string{}, up...), up...)
			require.Error(t, newMigrate(t, db, files(twice, down), single, false).Up(), "without multiStatements")
		default:
			return // it has no such setting
		}
		requireTriggers(t, db, false)
	})
}

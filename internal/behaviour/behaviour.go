package behaviour

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Product is the model of most behaviours.
type Product struct {
	ID    uint
	Name  string
	Price int
	occ.Version
}

// Note is soft-deleted and has automatic timestamps.
type Note struct {
	ID        uint
	Text      string
	Version   occ.Version
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt gorm.DeletedAt
}

// Behaviour is an outcome in plain words and the calls that show it.
type Behaviour = struct {
	Name string
	Test func(t *testing.T, db *gorm.DB)
}

// Everywhere are all databases, and all configurations of them in turn, for behaviours that the settings of a driver could break.
func Everywhere() []testdb.Database {
	return append(testdb.All(), testdb.InTurn(testdb.Configurations())...)
}

// Except are databases but for those whose kind contains part: for what they do not have.
func Except(part string, databases []testdb.Database) []testdb.Database {
	return slices.DeleteFunc(databases, func(d testdb.Database) bool { return strings.Contains(d.Kind(), part) })
}

// Products are those databases that are of some products: for what no other has that is like them.
func Products(databases []testdb.Database, names ...string) []testdb.Database {
	return slices.DeleteFunc(databases, func(d testdb.Database) bool { return !slices.Contains(names, d.Product) })
}

// Run runs behaviours on every database, each in tables of its own, where it is the database's turn.
func Run(t *testing.T, databases []testdb.Database, behaviours []Behaviour, models ...any) {
	for _, database := range databases {
		for _, b := range behaviours {
			if !database.IsTurn(t.Name() + "/" + b.Name) {
				continue
			}
			t.Run(database.Name+"/"+b.Name, func(t *testing.T) {
				t.Parallel()
				b.Test(t, Open(t, database, models))
			})
		}
	}
}

// Open gives a test its own database with the plugin and the models' tables.
func Open(t testing.TB, database testdb.Database, models []any, opts ...occ.Option) *gorm.DB {
	t.Helper()
	db := database.Open(t)
	if database.Configuration == testdb.Lean {
		opts = append(opts, occ.WithLeanTransactions())
	}
	require.NoError(t, db.Use(occ.New(opts...)))
	require.NoError(t, db.AutoMigrate(models...))
	return db
}

// Reopen opens the database of db again: the same tables and connections, its own plugins and settings.
func Reopen(t testing.TB, db *gorm.DB, config gorm.Config, plugins ...gorm.Plugin) *gorm.DB {
	t.Helper()
	if config.Logger == nil {
		config.Logger = logger.Discard
	}
	again, err := gorm.Open(db.Dialector, &config)
	require.NoError(t, err)
	for _, plugin := range plugins {
		require.NoError(t, again.Use(plugin))
	}
	return again
}

// WithPlugin opens the database of db again with a plugin of other options.
func WithPlugin(t testing.TB, db *gorm.DB, opts ...occ.Option) (*gorm.DB, *occ.Plugin) {
	t.Helper()
	plugin := occ.New(opts...)
	return Reopen(t, db, gorm.Config{}, plugin), plugin
}

// Create stores a product.
func Create(t testing.TB, db *gorm.DB) Product {
	t.Helper()
	p := Product{Name: "pen", Price: 10}
	require.NoError(t, db.Create(&p).Error)
	return p
}

// Reload reads the row of a key, also where it is soft-deleted.
func Reload[T any](t testing.TB, db *gorm.DB, id any) T {
	t.Helper()
	var row T
	require.NoError(t, db.Session(&gorm.Session{NewDB: true}).Unscoped().First(&row, id).Error)
	return row
}

// Pair is a row that two sessions have read, and theirs has written since.
func Pair(t testing.TB, db *gorm.DB) (mine, theirs Product) {
	t.Helper()
	mine = Create(t, db)
	theirs = Reload[Product](t, db, mine.ID)
	require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
	return mine, theirs
}

// Stale is the one row that err refused.
func Stale(t testing.TB, err error) occ.StaleRow {
	t.Helper()
	var refused *occ.StaleDataError
	require.ErrorIs(t, err, occ.ErrStaleData)
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused.Rows, 1)
	return refused.Rows[0]
}

// RequireNoRow wants no row to have the key.
func RequireNoRow[T any](t testing.TB, db *gorm.DB, id any) {
	t.Helper()
	require.ErrorIs(t, db.Unscoped().First(new(T), id).Error, gorm.ErrRecordNotFound)
}

// Begin begins a transaction that ends with the test at the latest.
func Begin(t testing.TB, db *gorm.DB, opts ...*sql.TxOptions) *gorm.DB {
	t.Helper()
	tx := db.Begin(opts...)
	require.NoError(t, tx.Error)
	t.Cleanup(func() { tx.Rollback() }) // of a transaction that the test left open
	return tx
}

// WithoutSettings is a statement without what stands before it on MariaDB from 11.6.2 on, and is set for it alone.
func WithoutSettings(sql string) string {
	if _, statement, ok := strings.Cut(sql, "FOR */"); ok {
		return strings.TrimSpace(statement)
	}
	return sql
}

// Recorder is a logger that keeps the SQL of a session.
type Recorder struct {
	logger.Interface
	mu         sync.Mutex
	statements []string
}

// Record gives a session of db whose statements are recorded.
func Record(db *gorm.DB) (*gorm.DB, *Recorder) {
	r := &Recorder{Interface: logger.Discard}
	return db.Session(&gorm.Session{Logger: r}), r
}

func (r *Recorder) LogMode(logger.LogLevel) logger.Interface { return r }

func (r *Recorder) Trace(_ context.Context, _ time.Time, fc func() (string, int64), _ error) {
	sql, _ := fc()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, sql)
}

// Sent are the statements so far that begin with verb, all of them where it is empty.
func (r *Recorder) Sent(verb string) (sent []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sql := range r.statements {
		if strings.HasPrefix(WithoutSettings(sql), verb) {
			sent = append(sent, sql)
		}
	}
	return sent
}

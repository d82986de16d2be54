package occ_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

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

// behaviour is an outcome in plain words and the calls that show it.
type behaviour struct {
	name string
	test func(t *testing.T, db *gorm.DB)
}

// run runs behaviours on every database, each in tables of its own.
func run(t *testing.T, databases []testdb.Database, behaviours []behaviour, models ...any) {
	for _, database := range databases {
		for _, b := range behaviours {
			t.Run(database.Name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				b.test(t, open(t, database, models))
			})
		}
	}
}

// open gives a test its own database with the plugin and the models' tables.
func open(t *testing.T, database testdb.Database, models []any, opts ...occ.Option) *gorm.DB {
	db := database.Open(t)
	require.NoError(t, db.Use(occ.New(opts...)))
	require.NoError(t, db.AutoMigrate(models...))
	return db
}

func create(t *testing.T, db *gorm.DB) Product {
	p := Product{Name: "pen", Price: 10}
	require.NoError(t, db.Create(&p).Error)
	return p
}

func reload[T any](t *testing.T, db *gorm.DB, id any) T {
	var row T
	require.NoError(t, db.Unscoped().First(&row, id).Error)
	return row
}

// pair is a row that two sessions have read, and theirs has written since.
func pair(t *testing.T, db *gorm.DB) (mine, theirs Product) {
	mine = create(t, db)
	theirs = reload[Product](t, db, mine.ID)
	require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
	return mine, theirs
}

func stale(t *testing.T, err error) occ.StaleRow {
	t.Helper()
	var refused *occ.StaleDataError
	require.ErrorIs(t, err, occ.ErrStaleData)
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused.Rows, 1)
	return refused.Rows[0]
}

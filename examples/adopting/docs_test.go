package adopting_test

import (
	"context"
	"log"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occtest"
)

// TestTheNotionsOfMigratingAreThere looks for each name of the tables in the public face.
func TestTheNotionsOfMigratingAreThere(t *testing.T) {
	t.Parallel()
	face := read(t, "../../api.txt")
	names := 0
	for _, quoted := range strings.Split(read(t, "../../docs/migrating.md"), "`") {
		name, isName := strings.CutPrefix(strings.TrimPrefix(quoted, "*"), "occ.")
		if !isName {
			continue
		}
		name = strings.FieldsFunc(name, func(r rune) bool { return r == '(' || r == ' ' })[0]
		names++
		require.Regexp(t, `(?m)^\s*(func|type|var|const)?\s*`+name+`\b`, face)
	}
	require.Greater(t, names, 20)
}

// articles are the code under test of docs/testing-your-code.md.
type articles struct{ db *gorm.DB }

func (a articles) Rename(ctx context.Context, id uint, title string) error {
	var article Article
	if err := a.db.WithContext(ctx).First(&article, id).Error; err != nil {
		return err
	}
	return a.db.WithContext(ctx).Model(&article).Update("title", title).Error
}

func open(t *testing.T) *gorm.DB {
	t.Helper()
	db := testdb.One(t, "sqlite").Open(t)
	require.NoError(t, db.Use(occ.New()))
	require.NoError(t, db.AutoMigrate(&Article{}))
	return db
}

func create(t *testing.T, db *gorm.DB) Article {
	t.Helper()
	article := Article{Title: "old"}
	require.NoError(t, db.Create(&article).Error)
	return article
}

func TestRename(t *testing.T) {
	db := open(t)
	article := create(t, db)
	occtest.RefusesStale[Article](t, db, article.ID, func(ctx context.Context) error {
		return articles{db}.Rename(ctx, article.ID, "mine")
	})
}

func TestNothingIsForgotten(t *testing.T) {
	db := open(t)
	occtest.NoRawWrites(t, db, &Article{})
	article := create(t, db)
	require.NoError(t, articles{db}.Rename(t.Context(), article.ID, "mine"))

	occtest.Versioned(t, db, []any{&Article{}, &AuditLine{}}, &AuditLine{}) // lines are never changed
}

// AuditLine has no version.
type AuditLine struct {
	ID   uint
	Text string
}

func inMemory() (*gorm.DB, error) {
	db, err := gorm.Open(sqlite.Open(":memory:"), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	return db, db.Use(occ.New())
}

func TestInMemorySQLiteWithOneConnection(t *testing.T) {
	db, err := inMemory()
	require.NoError(t, err)
	defer closePool(db)
	require.NoError(t, db.AutoMigrate(&Article{}))
	article := create(t, db)

	occtest.RefusesStale[Article](t, db, article.ID, func(ctx context.Context) error {
		return articles{db}.Rename(ctx, article.ID, "mine")
	})

	ctx, cancel := context.WithCancel(t.Context())
	err = db.Transaction(func(tx *gorm.DB) error {
		cancel() // or it waits for the one connection for ever
		return db.WithContext(ctx).First(&Article{}, article.ID).Error
	})
	require.ErrorIs(t, err, context.Canceled)
}

func closePool(db *gorm.DB) {
	pool, err := db.DB()
	if err == nil {
		err = pool.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
}

func TestTriggerSQLSendsNothing(t *testing.T) {
	db := open(t)

	up, down, err := occ.TriggerSQL(db, &Article{})

	require.NoError(t, err)
	for _, statement := range append(up, down...) {
		require.NotEqual(t, ';', rune(statement[len(statement)-1]))
	}
	requireTriggers(t, db.Create(&Article{ID: 1}).Session(&gorm.Session{NewDB: true}), false)
}

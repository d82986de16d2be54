package adopting_test

import (
	"database/sql"
	"regexp"
	"testing"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
)

// Article is the model of docs/testing-your-code.md.
type Article struct {
	ID      uint
	Title   string
	Version occ.Version
}

// mocked is one dialect on a connection that is a mock.
type mocked struct {
	name   string
	open   func(pool *sql.DB) gorm.Dialector
	opens  string // what the dialect asks as it is opened
	update string
	read   string // what occ reads for the error, as a pattern
}

var mocks = []mocked{
	{
		name: "mysql",
		open: func(pool *sql.DB) gorm.Dialector {
			return mysql.New(mysql.Config{Conn: pool, SkipInitializeWithVersion: true})
		},
		update: "UPDATE `articles` SET `title`=?,`version`=? WHERE `articles`.`id` = ? AND `articles`.`version` = ?",
		read:   "SELECT .*`version`, 0 FROM `articles` WHERE `articles`.`id` = . (LOCK IN SHARE MODE|FOR SHARE)$",
	},
	{
		name:   "postgres",
		open:   func(pool *sql.DB) gorm.Dialector { return postgres.New(postgres.Config{Conn: pool}) },
		update: `UPDATE "articles" SET "title"=$1,"version"=$2 WHERE "articles"."id" = $3 AND "articles"."version" = $4`,
		read:   `SELECT .*"version", 0 FROM "articles" WHERE "articles"."id" = .1$`,
	},
	{
		name:   "sqlite",
		open:   func(pool *sql.DB) gorm.Dialector { return sqlite.New(sqlite.Config{Conn: pool}) },
		opens:  "select sqlite_version()",
		update: "UPDATE `articles` SET `title`=?,`version`=? WHERE `articles`.`id` = ? AND `articles`.`version` = ?",
		read:   "SELECT .*`version`, 0 FROM `articles` WHERE `articles`.`id` = .$",
	},
}

// mock opens a gorm.DB with the plugin on a mock.
func (m mocked) mock(t *testing.T, config *gorm.Config) (*gorm.DB, sqlmock.Sqlmock) {
	t.Helper()
	pool, mock, err := sqlmock.New()
	require.NoError(t, err)
	if m.opens != "" {
		mock.ExpectQuery(regexp.QuoteMeta(m.opens)).WillReturnRows(sqlmock.NewRows([]string{"version"}).AddRow("3.40.1"))
	}
	config.Logger = logger.Discard
	db, err := gorm.Open(m.open(pool), config)
	require.NoError(t, err)
	require.NoError(t, db.Use(occ.New()))
	t.Cleanup(func() {
		require.NoError(t, mock.ExpectationsWereMet())
		mock.ExpectClose()
		require.NoError(t, pool.Close())
	})
	return db, mock
}

func TestWhatAMockHasToExpect(t *testing.T) {
	t.Parallel()
	for _, m := range mocks {
		t.Run(m.name+", success", func(t *testing.T) {
			t.Parallel()
			db, mock := m.mock(t, &gorm.Config{})
			mock.ExpectBegin()
			mock.ExpectExec(regexp.QuoteMeta(m.update)).WithArgs("new", 4, 7, 3).WillReturnResult(sqlmock.NewResult(0, 1))
			mock.ExpectCommit()
			article := Article{ID: 7, Title: "old", Version: 3}

			err := db.Model(&article).Update("title", "new").Error

			require.NoError(t, err)
			require.Equal(t, Article{ID: 7, Title: "new", Version: 4}, article)
		})
		t.Run(m.name+", refusal", func(t *testing.T) {
			t.Parallel()
			db, mock := m.mock(t, &gorm.Config{})
			article := Article{ID: 7, Title: "old", Version: 3}

			mock.ExpectBegin()
			mock.ExpectExec("UPDATE .articles. SET .title.=.*,.version.=.* WHERE").
				WithArgs("new", 4, 7, 3).
				WillReturnResult(sqlmock.NewResult(0, 0)) // no row has this key and version 3
			mock.ExpectQuery("SELECT .*version.* FROM .articles. WHERE").
				WithArgs(7).
				WillReturnRows(sqlmock.NewRows([]string{"version", "deleted"}).AddRow(5, 0))
			mock.ExpectRollback()
			err := db.Model(&article).Update("title", "new").Error

			require.ErrorIs(t, err, occ.ErrStaleData)
			require.ErrorContains(t, err, "expected version 3, found 5")
			require.Equal(t, occ.Version(3), article.Version)
		})
		t.Run(m.name+", a row that is gone", func(t *testing.T) {
			t.Parallel()
			db, mock := m.mock(t, &gorm.Config{})
			mock.ExpectBegin()
			mock.ExpectExec(regexp.QuoteMeta(m.update)).WithArgs("new", 4, 7, 3).WillReturnResult(sqlmock.NewResult(0, 0))
			mock.ExpectQuery(m.read).WithArgs(7).WillReturnRows(sqlmock.NewRows([]string{"version", "deleted"}))
			mock.ExpectRollback()
			article := Article{ID: 7, Title: "old", Version: 3}

			err := db.Model(&article).Update("title", "new").Error

			require.ErrorIs(t, err, occ.ErrStaleData)
			require.ErrorContains(t, err, "deleted")
		})
		t.Run(m.name+", without a transaction", func(t *testing.T) {
			t.Parallel()
			db, mock := m.mock(t, &gorm.Config{SkipDefaultTransaction: true})
			mock.ExpectExec(regexp.QuoteMeta(m.update)).WithArgs("new", 4, 7, 3).WillReturnResult(sqlmock.NewResult(0, 1))
			article := Article{ID: 7, Title: "old", Version: 3}

			err := db.Model(&article).Update("title", "new").Error

			require.NoError(t, err)
			require.Equal(t, occ.Version(4), article.Version)
		})
	}
}

package testdb

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

type note struct {
	ID   uint
	Text string
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, d := range append(All(), Configurations()...) {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			mine, other := d.Open(t), d.Open(t)

			require.NoError(t, mine.AutoMigrate(&note{}))
			require.NoError(t, mine.Create(&note{Text: "mine"}).Error)

			require.True(t, mine.Migrator().HasTable(&note{}))
			require.False(t, other.Migrator().HasTable(&note{}))
			require.NoError(t, other.AutoMigrate(&note{}))
			requireNotes(t, other, 0)
			requireNotes(t, mine, 1)
		})
	}
}

func TestDatabasesTakeTurns(t *testing.T) {
	for long, want := range map[string]int{"": 2, "1": 4, "all": 8} {
		t.Setenv("TEST_LONG", long)
		for test := range 20 {
			count := 0
			for _, d := range InTurn(make([]Database, 8)) {
				if d.IsTurn(fmt.Sprint(test)) {
					count++
				}
			}
			require.Equal(t, want, count)
		}
		require.True(t, Database{}.IsTurn("a test"), "of those that take no turns")
	}
}

func TestEveryPooledConnectionSeesTheSameDatabase(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&note{}))

		var all sync.WaitGroup
		errs := make([]error, 2*maxOpenConns)
		for i := range errs {
			all.Go(func() { errs[i] = db.Create(&note{Text: fmt.Sprint(i)}).Error })
		}
		all.Wait()

		require.NoError(t, errors.Join(errs...))
		requireNotes(t, db, len(errs))
	})
}

func TestADatabaseIsGoneWhenItsTestEnds(t *testing.T) {
	t.Parallel()
	for _, s := range configuredServers() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.mustAnswer(t)
			admin, err := s.open()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, admin.Close()) })
			var name string

			t.Run("its test", func(t *testing.T) {
				name = newNamespace(t, s)
				require.Equal(t, 1, countNamespaces(t, admin, name))
			})

			require.NotEmpty(t, name)
			require.Zero(t, countNamespaces(t, admin, name))
		})
	}
}

func TestAProgramHasADatabaseUntilItRemovesIt(t *testing.T) {
	t.Parallel()
	for _, d := range append(All(), Transactions()...) {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			require.NotNil(t, d.Open(t)) // or skip this, where the server is not there
			db, remove, err := d.Create()
			require.NoError(t, err)
			require.NoError(t, db.AutoMigrate(&note{}))
			requireNotes(t, db, 0)

			require.NoError(t, remove())

			require.Error(t, db.Find(&[]note{}).Error)
		})
	}
}

func TestAProgramIsToldWhatWentWrong(t *testing.T) {
	t.Parallel()
	refused, ended := errors.New("refused"), 0
	end := func() error { ended++; return nil }

	_, _, err := Database{create: absentServer().lendPostgres("default")}.Create()
	require.ErrorContains(t, err, "postgres does not answer")
	_, err = placed(nil, refused, ofSQLite, end)
	require.ErrorIs(t, err, refused)
	_, _, err = Database{create: func() (place, error) { return place{failing{ofSQLite(nil), refused}, end}, nil }}.Create()
	require.ErrorIs(t, err, refused)
	require.Equal(t, 2, ended, "what was made for it")
}

// failing is a dialector that cannot be opened.
type failing struct {
	gorm.Dialector
	err error
}

func (f failing) Initialize(*gorm.DB) error { return f.err }

// newNamespace creates a namespace that is dropped when t ends.
func newNamespace(t *testing.T, s *server) string {
	t.Helper()
	s.admit(t)
	name, drop, err := s.namespace()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, drop()) })
	return name
}

func TestAConfigurationAddsToTheCallersConfig(t *testing.T) {
	t.Parallel()
	d := configured("PrepareStmt", func(c *gorm.Config) { c.PrepareStmt = true }, []Database{{Name: "sqlite", create: createSQLite}})[0]
	config := &gorm.Config{TranslateError: true}

	db := d.Open(t, config)

	require.True(t, db.PrepareStmt)
	require.True(t, db.TranslateError)
	require.Equal(t, logger.Discard, db.Logger)
	require.Equal(t, &gorm.Config{TranslateError: true}, config)
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	absent := absentServer()
	for _, tt := range []struct{ name, ci, want string }{
		{"skips its test", "", "skip: postgres does not answer; start it with: docker compose up -d --wait, or see docs/testing.md (refused)"},
		{"fails its test in CI", "true", "fatal: postgres does not answer; start it with: docker compose up -d --wait, or see docs/testing.md (refused)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			var log complaints

			absent.mustAnswer(&log)

			require.Equal(t, tt.want, strings.Join(log.lines, "\n"))
		})
	}
}

// complaints is a test that keeps what it was told instead of ending.
type complaints struct {
	testing.TB
	lines []string
}

func (c *complaints) Helper() {}
func (c *complaints) Skipf(format string, args ...any) {
	c.lines = append(c.lines, "skip: "+fmt.Sprintf(format, args...))
}
func (c *complaints) Fatalf(format string, args ...any) {
	c.lines = append(c.lines, "fatal: "+fmt.Sprintf(format, args...))
}

func requireNotes(t *testing.T, db *gorm.DB, want int) {
	t.Helper()
	var notes []note
	require.NoError(t, db.Find(&notes).Error)
	require.Len(t, notes, want)
}

func countNamespaces(t *testing.T, admin *sql.DB, name string) (n int) {
	t.Helper()
	query := fmt.Sprintf("SELECT count(*) FROM information_schema.schemata WHERE schema_name = '%s'", name)
	require.NoError(t, admin.QueryRow(query).Scan(&n))
	return n
}

// configuredServers are those that tests are run on.
func configuredServers() []*server {
	return slices.DeleteFunc(slices.Clone(servers), func(s *server) bool { return s.dsn() == "" || !isWanted(s.name) })
}

func absentServer() *server {
	s := newServer("postgres", "", "")
	s.open = func() (*sql.DB, error) { return nil, errors.New("refused") }
	return s
}

package behaviour_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// alwaysCommits is a pool like that of gorm.io/sharding: it has the methods of a transaction whatever it goes round, and
// begins none of a database's.
type alwaysCommits struct{ gorm.ConnPool }

func (p *alwaysCommits) BeginTx(context.Context, *sql.TxOptions) (gorm.ConnPool, error) {
	return p, nil
}
func (p *alwaysCommits) Commit() error   { return nil }
func (p *alwaysCommits) Rollback() error { return nil }

// onPool has every statement of db go through a new pool of its own.
func onPool(t testing.TB, db *gorm.DB) *gorm.DB {
	t.Helper()
	again := Reopen(t, db, gorm.Config{}, occ.New())
	wrap := func(tx *gorm.DB) { tx.Statement.ConnPool = &alwaysCommits{tx.Statement.ConnPool} }
	callbacks := again.Callback()
	require.NoError(t, errors.Join(
		callbacks.Create().Before("*").Register("wrap", wrap),
		callbacks.Update().Before("*").Register("wrap", wrap),
		callbacks.Delete().Before("*").Register("wrap", wrap),
		callbacks.Query().Before("*").Register("wrap", wrap),
	))
	return again
}

func TestAPoolThatAlwaysCommits(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"one row is compared", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			other := onPool(t, db)

			require.ErrorIs(t, other.Model(&mine).Update("price", 70).Error, occ.ErrStaleData)
			require.NoError(t, other.Model(&theirs).Update("price", 40).Error)

			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 40, Version: 3})
		}},
		{"several rows are refused where nothing can be undone", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)
			current := Create(t, db)
			all := []Product{current, mine}

			err := onPool(t, db).Model(&all).Update("price", 70).Error

			require.ErrorIs(t, err, gorm.ErrInvalidTransaction)
			require.ErrorContains(t, err, "alwaysCommits")
			require.Equal(t, []occ.Version{1, 1}, []occ.Version{all[0].Version, all[1].Version})
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 30, Version: 2}, current)
		}},
		{"an upsert that has to be read afterwards leaves the model as it was", func(t *testing.T, db *gorm.DB) {
			fresh := Product{ID: 7, Name: "pen"}

			err := onPool(t, db).Clauses(clause.OnConflict{UpdateAll: true}).Create(&fresh).Error

			if err == nil { // the statement has returned the version
				RequireProducts(t, db, Product{ID: 7, Name: "pen", Version: 1})
				require.EqualValues(t, 1, fresh.Version)
				return
			}
			require.ErrorIs(t, err, gorm.ErrInvalidTransaction)
			require.Zero(t, fresh.Version)
			RequireProducts(t, db)
		}},
		{"in a transaction it is one", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)
			current := Create(t, db)
			all := []Product{current, mine}

			require.NoError(t, onPool(t, db).Connection(func(conn *gorm.DB) error {
				return db.Transaction(func(tx *gorm.DB) error {
					through := onPool(t, db).Session(&gorm.Session{})
					through.Statement.ConnPool = tx.Statement.ConnPool
					require.ErrorIs(t, through.Model(&all).Update("price", 70).Error, occ.ErrStaleData)
					return through.Model(&current).Update("price", 50).Error
				})
			}))

			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 30, Version: 2}, Product{ID: current.ID, Name: "pen", Price: 50, Version: 2})
		}},
		{"occ.Transaction runs nothing that it could not undo", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			other := Reopen(t, db, gorm.Config{}, occ.New())
			pool, err := other.DB()
			require.NoError(t, err)
			other = other.Session(&gorm.Session{})
			other.Statement.ConnPool = &alwaysCommits{pool}

			err = occ.Transaction(other, Never)

			require.ErrorIs(t, err, gorm.ErrInvalidTransaction)
			RequireProducts(t, db, mine)
		}},
	}, &Product{})
}

func TestACallbackThatIsReplaced(t *testing.T) {
	isReplaced := func(t *testing.T, db *gorm.DB, opts ...occ.Option) {
		mine, _ := Pair(t, db)
		other := Reopen(t, db, gorm.Config{}, occ.New(opts...))
		foreign := Reopen(t, db, gorm.Config{}) // whose callbacks are GORM's own
		require.NoError(t, errors.Join(
			other.Callback().Create().Replace("gorm:create", foreign.Callback().Create().Get("gorm:create")),
			other.Callback().Update().Replace("gorm:update", foreign.Callback().Update().Get("gorm:update")),
			other.Callback().Delete().Replace("gorm:delete", foreign.Callback().Delete().Get("gorm:delete")),
		))
		before := mine

		for _, err := range []error{
			other.Create(&Product{Name: "new"}).Error,
			other.Model(&mine).Update("price", 70).Error,
			other.Save(&before).Error,
			other.Delete(&before).Error,
		} {
			require.ErrorContains(t, err, "occ: model Product: the write was not checked")
		}
		RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 30, Version: 2})
	}
	Run(t, testdb.All(), []Behaviour{
		{"after db.Use is an error, and nothing is written", func(t *testing.T, db *gorm.DB) { isReplaced(t, db) }},
		{"keeps the transaction that undoes what it has sent", func(t *testing.T, db *gorm.DB) {
			isReplaced(t, db, occ.WithLeanTransactions())
		}},
	}, &Product{})
}

func TestTheHookComesAfterTheCallsOwnTransaction(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{{"also where an association is refused", func(t *testing.T, db *gorm.DB) {
		author := Author{Name: "A", Books: []Volume{{Title: "x"}}}
		require.NoError(t, db.Create(&author).Error)
		now := Reload[Volume](t, db, author.Books[0].ID)
		require.NoError(t, db.Model(&now).Update("title", "theirs").Error)
		told := 0
		var watched *gorm.DB
		watched, _ = WithPlugin(t, db, occ.WithConflictHook(func(context.Context, *occ.StaleDataError) {
			told++
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			owner := Author{ID: author.ID} // its row is one that the call has written
			require.NoError(t, watched.WithContext(ctx).Model(&owner).Clauses(occ.Unchecked()).Update("name", "hooked").Error)
		}))
		pool, err := watched.DB()
		require.NoError(t, err)
		pool.SetMaxOpenConns(1)
		author.Name, author.Books[0].Title = "mine", "mine"

		err = watched.Session(&gorm.Session{FullSaveAssociations: true}).Save(&author).Error

		require.ErrorIs(t, err, occ.ErrStaleData)
		require.Equal(t, 1, told)
		require.Equal(t, "hooked", Reload[Author](t, db, author.ID).Name)
		require.Equal(t, "theirs", Reload[Volume](t, db, now.ID).Title)
	}}}, &Author{}, &Volume{})
}

// Author has books; both have versions.
type Author struct {
	ID    uint
	Name  string
	Books []Volume
	occ.Version
}

// Volume is a book of an author.
type Volume struct {
	ID       uint
	Title    string
	AuthorID uint
	occ.Version
}

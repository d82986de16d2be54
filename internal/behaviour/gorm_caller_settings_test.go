package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/plugin/dbresolver"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestWhatTheCallerHasSetHolds(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a table, for Touch, Verify, Current and Rebase", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			old := db.Table("products_2025")
			require.NoError(t, old.AutoMigrate(&Product{}))
			theirs := Product{Name: "old", Price: 1}
			require.NoError(t, db.Table("products_2025").Create(&theirs).Error)
			require.Equal(t, mine.ID, theirs.ID)
			require.NoError(t, db.Table("products_2025").Model(&theirs).Update("price", 2).Error)
			stored := func() (p Product) {
				require.NoError(t, db.Table("products_2025").First(&p, theirs.ID).Error)
				return p
			}

			require.NoError(t, occ.Touch(db.Table("products_2025"), &theirs))
			require.Equal(t, occ.Version(3), theirs.Version)
			require.Equal(t, theirs, stored())
			require.NoError(t, occ.Verify(db.Table("products_2025"), &theirs))
			require.Equal(t, occ.Version(3), Stale(t, occ.Verify(db.Table("products_2025"), &mine)).Actual)
			require.Equal(t, occ.Version(3), Stale(t, occ.Touch(db.Table("products_2025"), &mine)).Actual)
			current, err := occ.Current(db.Table("products_2025"), &mine)
			require.NoError(t, err)
			require.Equal(t, theirs, *current)
			base, changed := theirs, theirs
			changed.Price = 5
			require.NoError(t, occ.Rebase(db.Table("products_2025"), &base, &changed))
			require.Equal(t, Product{ID: theirs.ID, Name: "old", Price: 5, Version: 4}, stored())
			RequireProducts(t, db, mine)
			require.ErrorContains(t, occ.Touch(db.Table("products_2025"), &theirs, &Note{ID: 1}), "one type")
		}},
		{"a scope, for Touch", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			elsewhere := db.Scopes(func(tx *gorm.DB) *gorm.DB { return tx.Where("name = ?", "nobody") })

			require.ErrorIs(t, occ.Touch(elsewhere, &mine), gorm.ErrRecordNotFound)

			require.EqualValues(t, 1, mine.Version)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1})
		}},
		{"scopes that leave out one row of several keep all from being touched", func(t *testing.T, db *gorm.DB) {
			mine, other := Create(t, db), Create(t, db)
			here := db.Scopes(func(tx *gorm.DB) *gorm.DB { return tx.Where("id = ?", mine.ID) })

			require.ErrorIs(t, occ.Touch(here, &mine, &other), gorm.ErrRecordNotFound)

			require.Equal(t, []occ.Version{1, 1}, []occ.Version{mine.Version, other.Version})
			RequireProducts(t, db, mine, other)
			require.NoError(t, occ.Touch(here, &mine))
			require.EqualValues(t, 2, Reload[Product](t, db, mine.ID).Version)
		}},
		{"what an earlier statement left on it does not", func(t *testing.T, db *gorm.DB) {
			mine, other := Create(t, db), Create(t, db)
			used := db.Where("id = ?", other.ID).Select("name").First(&Product{})

			require.NoError(t, occ.Touch(used, &mine))
			require.NoError(t, occ.Verify(used, &mine))

			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 2}, other)
		}},
	}, &Product{}, &Note{})
}

func TestTheDatabaseThatTheCallerChose(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db, orders := Open(t, database, []any{&Product{}}), Open(t, database, []any{&Product{}})
			require.NoError(t, db.Use(dbresolver.Register(dbresolver.Config{Sources: []gorm.Dialector{orders.Dialector}}, "orders")))
			use := func() *gorm.DB { return db.Clauses(dbresolver.Use("orders")) }
			here := Create(t, db)
			there := Product{Name: "order", Price: 1}
			require.NoError(t, use().Create(&there).Error)
			require.Equal(t, here.ID, there.ID)
			require.NoError(t, use().Model(&there).Update("price", 2).Error)

			require.NoError(t, occ.Touch(use(), &there))
			require.NoError(t, occ.Verify(use(), &there))
			require.Equal(t, occ.Version(3), Stale(t, occ.Verify(use(), &here)).Actual)
			current, err := occ.Current(use(), &here)
			require.NoError(t, err)
			require.Equal(t, there, *current)
			require.Equal(t, occ.Version(3), Stale(t, use().Model(&Product{ID: here.ID, Version: 1}).Update("price", 9).Error).Actual)
			err = use().Session(&gorm.Session{SkipDefaultTransaction: true}).Model(&Product{ID: here.ID, Version: 1}).
				Where("price < ?", 100).Update("price", 9).Error
			require.Equal(t, occ.Version(3), Stale(t, err).Actual)
			base, mine := there, there
			mine.Price = 7
			require.NoError(t, occ.Rebase(use(), &base, &mine))
			RequireProducts(t, db, here)
			RequireProducts(t, orders, Product{ID: there.ID, Name: "order", Price: 7, Version: 4})
		})
	}
}

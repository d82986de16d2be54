package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// renamed is a driver for GORM with a name of its own, for a database that behaves like another one.
type renamed struct {
	gorm.Dialector
	name string
}

func (r renamed) Name() string { return r.name }

func openRenamed(t *testing.T, db *gorm.DB, name string) *gorm.DB {
	t.Helper()
	again, err := gorm.Open(renamed{db.Dialector, name}, &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	return again
}

func TestADialectThatIsNotKnown(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&Product{}))
		for _, name := range []string{"sqlserver", "clickhouse", "cockroach", ""} {
			other := openRenamed(t, db, name)

			err := other.Use(occ.New())

			require.ErrorContains(t, err, `the dialect "`+name+`" is not known: known are mysql, postgres, sqlite`)
			require.ErrorContains(t, err, "WithDialect")
			require.Empty(t, other.Plugins)
			require.NoError(t, other.Create(&PriceTagged{Price: 1}).Error, "nothing was registered")
		}
		require.ErrorContains(t, openRenamed(t, db, "cockroach").Use(occ.New(occ.WithDialect("oracle"))), `"oracle" is not known`)
	})
}

// PriceTagged is without a version, in the table of products.
type PriceTagged struct {
	ID    uint
	Price int
}

func (PriceTagged) TableName() string { return "products" }

func TestADialectThatBehavesLikeAKnownOne(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		other := openRenamed(t, db, "cousin")
		require.NoError(t, other.Use(occ.New(occ.WithDialect(db.Name()))))
		require.NoError(t, db.Session(&gorm.Session{}).AutoMigrate(&Product{}))
		mine, theirs := Pair(t, other)

		require.Equal(t, occ.ReasonChanged, Stale(t, other.Model(&mine).Update("price", 70).Error).Reason)
		require.NoError(t, other.Save(&theirs).Error)
		require.Equal(t, theirs, Reload[Product](t, other, mine.ID))
	})
}

package occ_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// madeElsewhere has a version whose column no migration of GORM's makes.
type madeElsewhere struct {
	ID      uint
	Text    string
	Version occ.Version `gorm:"-:migration"`
}

// tiny has a counter of a size that no column has.
type tiny struct {
	ID      uint
	Text    string
	Version int64 `gorm:"version;size:2"`
}

func TestOddDeclarationsAreCompared(t *testing.T) {
	t.Parallel()
	run(t, testdb.All(), []behaviour{
		{"a version that GORM does not migrate", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&madeElsewhere{}))
			require.NoError(t, db.Exec("ALTER TABLE made_elsewheres ADD version bigint").Error)
			mine := madeElsewhere{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine

			require.NoError(t, db.Model(&mine).Update("text", "b").Error)
			err := db.Model(&theirs).Update("text", "c").Error

			require.Equal(t, occ.ReasonChanged, stale(t, err).Reason)
			require.Equal(t, madeElsewhere{mine.ID, "b", 2}, reload[madeElsewhere](t, db, mine.ID))
		}},
		{"a counter of two bits, which every database gives eight at least", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&tiny{}))
			mine := tiny{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine

			require.NoError(t, db.Model(&mine).Update("text", "b").Error)
			err := db.Model(&theirs).Update("text", "c").Error

			require.Equal(t, occ.ReasonChanged, stale(t, err).Reason)
			require.Equal(t, tiny{mine.ID, "b", 2}, reload[tiny](t, db, mine.ID))
		}},
	})
}

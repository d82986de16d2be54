package kinds_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
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

// The types below have versions that cannot be one.
type (
	// Revised is embedded.
	Revised struct{ occ.Version }
	// Revision is a model of its own.
	Revision struct{ ID uint }
	shadowed struct {
		ID   uint
		Text string
		Revised
		Number int `gorm:"column:version"`
	}
	columnless struct {
		ID   uint
		Text string
		VID  uint
		V    Revision `gorm:"version"`
	}
	keyVersion struct {
		ID   uint `gorm:"primaryKey"`
		Text string
		V    int `gorm:"version;primaryKey"`
	}
	deletedVersion struct {
		ID   uint
		Text string
		V    gorm.DeletedAt `gorm:"version"`
	}
	// again declares the version of an embedded struct again.
	again struct {
		ID   uint
		Text string
		Revised
		Version occ.Version
	}
)

func TestADeclarationThatCannotBeComparedIsAnError(t *testing.T) {
	t.Parallel()
	for _, wrong := range []struct {
		name  string
		model any
		want  string
	}{
		{"its column is that of another field", &shadowed{}, `model shadowed, field Version: its column "version" is that of field Number`},
		{"GORM has no column for its type", &columnless{}, "model columnless, field V: GORM has no column for type"},
		{"it is part of the primary key", &keyVersion{}, "model keyVersion, field V: a version cannot be part of the primary key"},
		{"it marks rows as deleted", &deletedVersion{}, "model deletedVersion, field V: a version cannot be of type gorm.DeletedAt"},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, testdb.One(t, "sqlite"), nil)
			for _, err := range []error{
				db.Create(wrong.model).Error,
				db.Model(wrong.model).Where("id = 1").Update("text", "b").Error,
				db.Where("id = 1").Delete(wrong.model).Error,
				db.First(wrong.model).Error,
			} {
				require.ErrorContains(t, err, wrong.want)
			}
		})
	}
}

func TestOddDeclarationsAreCompared(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		declared("a version that is declared again", func(a *again) int64 { return int64(a.Version) }),
		{"a version that GORM does not migrate", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&madeElsewhere{}))
			require.NoError(t, db.Exec("ALTER TABLE made_elsewheres ADD version bigint").Error)
			mine := madeElsewhere{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine

			require.NoError(t, db.Model(&mine).Update("text", "b").Error)
			err := db.Model(&theirs).Update("text", "c").Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, madeElsewhere{mine.ID, "b", 2}, Reload[madeElsewhere](t, db, mine.ID))
		}},
		{"a counter of two bits, which every database gives eight at least", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&tiny{}))
			mine := tiny{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine

			require.NoError(t, db.Model(&mine).Update("text", "b").Error)
			err := db.Model(&theirs).Update("text", "c").Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, tiny{mine.ID, "b", 2}, Reload[tiny](t, db, mine.ID))
		}},
	})
}

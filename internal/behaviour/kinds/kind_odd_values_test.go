package kinds_test

import (
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// The types below look like sql.NullInt64 and are none.
type (
	hiddenNumber struct {
		n     int64
		Valid bool
	}
	spelledOut struct {
		N     int64
		Valid string
	}
)

func (hiddenNumber) Value() (driver.Value, error) { return int64(1), nil }
func (*hiddenNumber) Scan(any) error              { return nil }
func (spelledOut) Value() (driver.Value, error)   { return int64(1), nil }
func (*spelledOut) Scan(any) error                { return nil }

// requireNoVersion requires that a value is refused as the version of a payload and of Expect, by an error that names the
// field, and that nothing is written.
func requireNoVersion(t *testing.T, db *gorm.DB, value any) {
	t.Helper()
	stored := Reload[Product](t, db, 1)
	for _, err := range []error{
		db.Model(&Product{ID: 1}).Updates(map[string]any{"price": 70, "version": value}).Error,
		db.Model(&Product{ID: 1}).Clauses(occ.Expect(value)).Update("price", 70).Error,
	} {
		require.ErrorContains(t, err, "model Product, field Version")
		require.NotErrorIs(t, err, occ.ErrStaleData)
	}
	require.Equal(t, stored, Reload[Product](t, db, 1))
}

// pointedAt has a version that GORM writes through a pointer.
type pointedAt struct {
	ID      uint
	Text    string
	Version *int64 `gorm:"version"`
}

func TestAVersionThatIsAPointerIsTheModelsOwn(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"whatever a refused payload held", func(t *testing.T, db *gorm.DB) {
			mine := pointedAt{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			theirs := Reload[pointedAt](t, db, mine.ID)
			require.NoError(t, db.Model(&theirs).Update("text", "b").Error)

			for range 2 {
				err := db.Model(&mine).Clauses(occ.Expect(1)).Updates(map[string]any{"text": "c", "version": 2}).Error
				require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
				require.EqualValues(t, 1, *mine.Version)
				require.ErrorIs(t, db.Model(&mine).Update("text", "c").Error, occ.ErrStaleData)
			}

			require.Equal(t, theirs, Reload[pointedAt](t, db, mine.ID))
		}},
		{"where a payload holds zero, which says nothing", func(t *testing.T, db *gorm.DB) {
			mine := pointedAt{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)

			require.NoError(t, db.Model(&mine).Updates(map[string]any{"text": "b", "version": 0}).Error)

			require.EqualValues(t, 2, *mine.Version)
			require.Equal(t, mine, Reload[pointedAt](t, db, mine.ID))
		}},
	}, &pointedAt{})
}

func TestAPayloadNamesTheVersion(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"in quotes, as GORM takes it", func(t *testing.T, db *gorm.DB) {
			_, theirs := Pair(t, db)
			quote := map[bool]string{false: "`", true: `"`}[db.Name() == "postgres"]
			for _, name := range []string{quote + "version" + quote, quote + "products" + quote + "." + quote + "VERSION" + quote} {
				err := db.Model(&Product{ID: 1}).Updates(map[string]any{"price": 70, name: 1}).Error

				require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
				require.Equal(t, theirs, Reload[Product](t, db, 1))
			}
		}},
		{"twice, and says nothing by that", func(t *testing.T, db *gorm.DB) {
			_, theirs := Pair(t, db)
			for range 20 { // in whatever order a map is walked
				err := db.Model(&Product{ID: 1}).Updates(map[string]any{"price": 70, "version": 2, "Version": 1}).Error

				require.ErrorContains(t, err, "model Product, field Version: the payload holds two versions")
			}
			require.Equal(t, theirs, Reload[Product](t, db, 1))
			require.NoError(t, db.Model(&Product{ID: 1}).Updates(map[string]any{"price": 70, "version": 2, "Version": 2}).Error)
		}},
	}, &Product{})
}

func TestWhatIsNoVersion(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a struct that looks like a nullable number", func(t *testing.T, db *gorm.DB) {
			Create(t, db)
			for _, value := range []any{
				hiddenNumber{n: 1, Valid: true}, &hiddenNumber{n: 1, Valid: true}, spelledOut{N: 1, Valid: "true"},
			} {
				requireNoVersion(t, db, value)
			}
		}},
		{"a float that may have been rounded", func(t *testing.T, db *gorm.DB) {
			Create(t, db)
			require.NoError(t, db.Exec("UPDATE products SET version = 9007199254740992").Error)
			requireNoVersion(t, db, float64(9007199254740993))
			require.NoError(t, db.Exec("UPDATE products SET version = 16777216").Error)
			number := float32(16777217)
			requireNoVersion(t, db, &number)
		}},
	}, &Product{})
}

package kinds_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// labelled is a model whose version is text.
type labelled struct {
	ID      uint
	Price   int
	Version string `gorm:"version;size:64"`
}

func (labelled) TableName() string { return "labelled" }

// Countries have natural keys: a row that is deleted and inserted again has the same one.
type (
	countryByUUID struct {
		Code    string `gorm:"primaryKey;size:2"`
		Name    string
		Version uuid.UUID `gorm:"version"`
	}
	countryByCounter struct {
		Code string `gorm:"primaryKey;size:2"`
		Name string
		occ.Version
	}
)

func TestRandomVersions(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"are compared byte for byte, whatever the collation", func(t *testing.T, db *gorm.DB) {
			ignoreCase(t, db)
			for _, pair := range [][2]string{{"abc", "ABC"}, {"abc", "abc "}, {"abc", "ábc"}, {"strasse", "straße"}} {
				m := labelled{Version: pair[0]}
				require.NoError(t, db.Create(&m).Error)
				other, several := labelled{ID: m.ID, Version: pair[1]}, []labelled{{ID: m.ID, Version: pair[1]}, {ID: m.ID, Version: pair[1]}}

				require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&other).Update("price", 1).Error).Reason)
				require.Equal(t, occ.ReasonChanged, Stale(t, db.Delete(&other).Error).Reason)
				require.ErrorIs(t, db.Save(&several).Error, occ.ErrStaleData)
				require.Equal(t, m, Reload[labelled](t, db, m.ID))
				require.NoError(t, db.Model(&m).Update("price", 2).Error)
			}
		}},
		{"are UUIDs of version 4, each row its own, also by condition", func(t *testing.T, db *gorm.DB) {
			ms := []labelled{{}, {}, {}, {}}
			require.NoError(t, db.Create(&ms).Error)

			require.NoError(t, db.Model(&labelled{}).Where("id > 0").Update("price", 7).Error)

			var rows []labelled
			require.NoError(t, db.Find(&rows).Error)
			seen := map[string]bool{}
			for _, row := range append(rows, ms...) {
				id, err := uuid.Parse(row.Version)
				require.NoError(t, err)
				require.Equal(t, uuid.Version(4), id.Version())
				require.Equal(t, uuid.RFC4122, id.Variant())
				require.Equal(t, strings.ToLower(row.Version), row.Version)
				require.False(t, seen[row.Version])
				seen[row.Version] = true
			}
		}},
		{"tell a row from one that was deleted and inserted again", func(t *testing.T, db *gorm.DB) {
			held := countryByUUID{Code: "at", Name: "Austria"}
			require.NoError(t, db.Create(&held).Error)
			require.NoError(t, db.Delete(&countryByUUID{}, "code = ?", "at").Error)
			again := countryByUUID{Code: "at", Name: "another"}
			require.NoError(t, db.Create(&again).Error)

			err := db.Model(&held).Update("name", "stale").Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.NoError(t, db.Model(&again).Update("name", "current").Error)
		}},
		{"which a counter cannot", func(t *testing.T, db *gorm.DB) {
			held := countryByCounter{Code: "at", Name: "Austria"}
			require.NoError(t, db.Create(&held).Error)
			require.NoError(t, db.Delete(&countryByCounter{}, "code = ?", "at").Error)
			require.NoError(t, db.Create(&countryByCounter{Code: "at", Name: "another"}).Error)

			require.NoError(t, db.Model(&held).Update("name", "stale").Error)
		}},
		{"may be text that is no UUID", func(t *testing.T, db *gorm.DB) {
			m := labelled{Version: "2024/rev 'a' ☃"}
			require.NoError(t, db.Create(&m).Error)
			require.NoError(t, db.Model(&m).Update("price", 1).Error)
			require.NoError(t, uuid.Validate(m.Version))
		}},
		{"an empty string counts as no version", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("INSERT INTO labelled (id, price, version) VALUES (1, 0, '')").Error)
			row := Reload[labelled](t, db, 1)

			require.NoError(t, db.Model(&row).Update("price", 1).Error)

			require.Equal(t, row, Reload[labelled](t, db, 1))
		}},
	}, &labelled{}, &countryByUUID{}, &countryByCounter{})
}

// ignoreCase gives the version a collation for which versions are equal that are not; MariaDB's default is one.
func ignoreCase(t *testing.T, db *gorm.DB) {
	t.Helper()
	switch db.Name() {
	case "sqlite":
		require.NoError(t, db.Exec("DROP TABLE labelled").Error)
		require.NoError(t, db.Exec("CREATE TABLE labelled (id integer PRIMARY KEY, price integer, version text COLLATE NOCASE)").Error)
	case "postgres":
		require.NoError(t, db.Exec(`CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`).Error)
		require.NoError(t, db.Exec(`ALTER TABLE labelled ALTER COLUMN version TYPE varchar(64) COLLATE loose`).Error)
	}
}

// inUUIDColumn has text in a column of the database's own type, which writes it in its own way.
type inUUIDColumn struct {
	ID      uint
	Price   int
	Version string `gorm:"version;type:uuid"`
}

func TestAUUIDColumnIsComparedWithEveryFormOfAUUID(t *testing.T) {
	t.Parallel()
	Run(t, Products(testdb.All(), "postgres", "mariadb"), []Behaviour{ // MySQL has no uuid
		{"preset, expected and stored", func(t *testing.T, db *gorm.DB) {
			id := uuid.New()
			m := inUUIDColumn{Version: strings.ToUpper(id.String())}
			require.NoError(t, db.Create(&m).Error)
			require.Equal(t, id.String(), m.Version)
			require.Equal(t, m, Reload[inUUIDColumn](t, db, m.ID))

			require.NoError(t, db.Model(&m).Clauses(occ.Expect(strings.ToUpper(m.Version))).Update("price", 1).Error)
			require.NoError(t, db.Model(&m).Clauses(occ.Expect(uuid.MustParse(m.Version))).Update("price", 2).Error)
			err := db.Model(&m).Clauses(occ.Expect("no uuid")).Update("price", 3).Error
			require.ErrorContains(t, err, "model inUUIDColumn, field Version")
			require.NotErrorIs(t, err, occ.ErrStaleData)
		}},
	}, &inUUIDColumn{})
}

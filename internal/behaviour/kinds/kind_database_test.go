package kinds_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// timed is a model whose version MariaDB writes: a row that an UPDATE does not change keeps it.
type timed struct {
	ID      uint
	Price   int
	Version time.Time `gorm:"version:database;type:timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"`
}

func TestAnUpdateThatChangesNothingIsNoConflict(t *testing.T) {
	t.Parallel()
	var mariadb []testdb.Database
	for _, d := range Everywhere() {
		if d.Like == "mariadb" {
			mariadb = append(mariadb, d)
		}
	}
	Run(t, mariadb, []Behaviour{
		{"of one row", func(t *testing.T, db *gorm.DB) {
			m := timed{Price: 10}
			require.NoError(t, db.Create(&m).Error)
			require.False(t, m.Version.IsZero())
			before := m

			require.NoError(t, db.Model(&m).Update("price", 10).Error)
			require.NoError(t, db.Save(&m).Error)
			require.NoError(t, db.Model(&m).Clauses(occ.Unchecked()).Update("price", 10).Error)

			require.Equal(t, before, m)
			require.Equal(t, before, Reload[timed](t, db, m.ID))
			require.NoError(t, db.Model(&m).Update("price", 11).Error)
			require.True(t, m.Version.After(before.Version))
			require.ErrorIs(t, db.Model(&before).Update("price", 11).Error, occ.ErrStaleData)
		}},
		{"of a model that was not loaded, which then holds the row's version", func(t *testing.T, db *gorm.DB) {
			m := timed{Price: 10}
			require.NoError(t, db.Create(&m).Error)
			same := timed{ID: m.ID, Price: 10}

			require.NoError(t, db.Clauses(occ.Expect(m.Version)).Save(&same).Error)

			require.Equal(t, m, same)
			require.Equal(t, m, Reload[timed](t, db, m.ID))
		}},
		{"of a model that was not loaded and is not compared, which then holds it too", func(t *testing.T, db *gorm.DB) {
			m := timed{Price: 10}
			require.NoError(t, db.Create(&m).Error)
			same, other := timed{ID: m.ID}, timed{ID: m.ID}

			require.NoError(t, db.Clauses(occ.Unchecked()).Model(&same).Update("price", 10).Error)
			require.NoError(t, db.Clauses(occ.Unchecked()).Model(&other).Where("price > 10").Update("price", 10).Error)

			require.Equal(t, m, same)
			require.Zero(t, other.Version, "of a row that its conditions do not reach, nothing is known")
			require.Equal(t, m, Reload[timed](t, db, m.ID))
		}},
		{"of a slice", func(t *testing.T, db *gorm.DB) {
			ms := []timed{{Price: 1}, {Price: 2}, {Price: 3}}
			require.NoError(t, db.Create(&ms).Error)
			ms[1].Price = 20
			before := ms[1].Version

			require.NoError(t, db.Save(&ms).Error)

			require.True(t, ms[1].Version.After(before))
			var rows []timed
			require.NoError(t, db.Order("id").Find(&rows).Error)
			require.Equal(t, ms, rows)
		}},
		{"and one of a stale model is refused all the same", func(t *testing.T, db *gorm.DB) {
			m := timed{Price: 10}
			require.NoError(t, db.Create(&m).Error)
			require.NoError(t, db.Exec("UPDATE timeds SET price = 20").Error)
			m.Price = 20

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Save(&m).Error).Reason)
		}},
	}, &timed{})
}

// numbered is a model whose version a trigger counts, or a default.
type numbered struct {
	ID        uint
	Price     int
	Version   int64 `gorm:"version:database;default:5"`
	DeletedAt gorm.DeletedAt
}

func (numbered) TableName() string { return "parts" }

func TestVersionsOfTheDatabase(t *testing.T) {
	t.Parallel()
	newDB := func(t *testing.T, db *gorm.DB) {
		execAll(t, db, map[string]string{
			"sqlite":   `CREATE TRIGGER u AFTER UPDATE ON parts WHEN NEW.version IS OLD.version BEGIN UPDATE parts SET version = OLD.version + 1 WHERE id = NEW.id; END`,
			"postgres": databaseCounter["postgres"],
			"mysql":    `CREATE TRIGGER u BEFORE UPDATE ON parts FOR EACH ROW SET NEW.version = OLD.version + 1`,
		}[db.Name()])
		if db.Name() == "postgres" {
			require.NoError(t, db.Exec("ALTER TABLE parts ALTER COLUMN version SET DEFAULT 5").Error)
		}
	}
	Run(t, Everywhere(), []Behaviour{
		{"come from a default", func(t *testing.T, db *gorm.DB) {
			newDB(t, db)
			require.NoError(t, db.Exec(map[bool]string{true: "SELECT 1", false: "ALTER TABLE parts ALTER COLUMN version SET DEFAULT 8"}[db.Name() == "sqlite"]).Error)
			want := int64(8)
			if db.Name() == "sqlite" {
				want = 5
			}
			m := numbered{Price: 10}

			require.NoError(t, db.Create(&m).Error)

			require.Equal(t, want, m.Version)
			require.Equal(t, m, Reload[numbered](t, db, m.ID))
		}},
		{"are kept where a new row has one", func(t *testing.T, db *gorm.DB) {
			newDB(t, db)
			m := numbered{Price: 10, Version: 40}
			mixed := []numbered{{Version: 41}, {Version: 0}}

			require.NoError(t, db.Create(&m).Error)
			require.Equal(t, m, Reload[numbered](t, db, m.ID))
			require.NoError(t, db.Create(&mixed).Error)
			require.Equal(t, []int64{41, 5}, []int64{mixed[0].Version, mixed[1].Version})
		}},
		{"are those of the write, not of one behind it", func(t *testing.T, db *gorm.DB) {
			newDB(t, db)
			m := numbered{Price: 10}
			require.NoError(t, db.Create(&m).Error)
			old := m

			for price := range 3 {
				require.NoError(t, db.Model(&m).Update("price", price).Error)
				require.EqualValues(t, 6+price, m.Version)
			}
			require.NoError(t, db.Exec("UPDATE parts SET price = 99").Error)

			require.EqualValues(t, 9, Stale(t, db.Save(&m).Error).Actual)
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&old).Update("price", 1).Error).Reason)
		}},
		{"are not written by a payload", func(t *testing.T, db *gorm.DB) {
			newDB(t, db)
			m := numbered{Price: 10}
			require.NoError(t, db.Create(&m).Error)

			require.NoError(t, db.Model(&m).Updates(map[string]any{"price": 1, "version": m.Version}).Error)
			require.EqualValues(t, 6, m.Version)
			require.NoError(t, db.Model(&m).Select("*").Updates(m).Error)
			require.EqualValues(t, 7, m.Version)
		}},
		{"come back with what DO NOTHING inserted", func(t *testing.T, db *gorm.DB) {
			newDB(t, db)
			one, several := numbered{ID: 7}, []numbered{{ID: 7}, {Price: 1}, {Price: 2}, {ID: 20}}
			preset := numbered{Version: 40}

			for _, models := range []any{&one, &several, &preset} {
				require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(models).Error)
			}

			require.Equal(t, []int64{0, 5, 5, 5}, []int64{several[0].Version, several[1].Version, several[2].Version, several[3].Version})
			for _, m := range []numbered{one, several[1], several[2], several[3], preset} {
				require.Equal(t, m, Reload[numbered](t, db, m.ID))
			}
			require.NoError(t, db.Model(&one).Update("price", 3).Error)
		}},
		{"come back with maps and CreateInBatches", func(t *testing.T, db *gorm.DB) {
			newDB(t, db)
			ms := make([]numbered, 5)

			require.NoError(t, db.CreateInBatches(&ms, 2).Error)
			require.NoError(t, db.Model(&numbered{}).Create(map[string]any{"price": 3, "version": 0}).Error)

			var rows []numbered
			require.NoError(t, db.Order("id").Find(&rows).Error)
			require.Equal(t, ms, rows[:5])
			require.EqualValues(t, 5, rows[5].Version)
		}},
	}, &numbered{})
}

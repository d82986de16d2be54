package kinds_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// watched is a model with a trigger and a version of any type.
type watched[V any] struct {
	ID        uint
	Name      string
	Price     int
	Views     int `gorm:"unversioned"`
	UpdatedAt time.Time
	Version   V `gorm:"version;column:row_version"`
}

func (watched[V]) TableName() string { return "watched" }

// Models whose tables are hard to name, and one of two keys.
type (
	orderLine struct {
		OrderID int    `gorm:"primaryKey;autoIncrement:false;column:order no"`
		Product string `gorm:"primaryKey;size:20"`
		Count   int    `gorm:"column:Count of Select"`
		Version int64  `gorm:"version;column:Row Version"`
	}
	unkeyed struct {
		Name    string `gorm:"size:20"`
		Version int64  `gorm:"version"`
	}
	countedByTrigger struct {
		ID      uint
		Price   int
		Version int64 `gorm:"version:database;default:1"`
	}
)

func (orderLine) TableName() string { return "Order Lines of Select" }

func TestTriggers(t *testing.T) {
	t.Parallel()
	for _, database := range Everywhere() {
		testTriggers[int64](t, database, "int64")
		testTriggers[*uint16](t, database, "*uint16")
		testTriggers[time.Time](t, database, "time.Time")
		testTriggers[string](t, database, "string")
		testTriggers[uuid.UUID](t, database, "uuid.UUID")
		testTriggers[bareID](t, database, "16 bytes")
	}
}

func testTriggers[V any](t *testing.T, database testdb.Database, name string) {
	if !database.IsTurn(name) {
		return
	}
	t.Run(name+"/"+database.Name, func(t *testing.T) {
		t.Parallel()
		db := Open(t, database, []any{&watched[V]{}})
		require.NoError(t, occ.CreateTriggers(db, &watched[V]{}))
		require.NoError(t, occ.CreateTriggers(db, &watched[V]{}), "a second time")
		m := watched[V]{Name: "pen", Price: 10}
		require.NoError(t, db.Create(&m).Error)
		version := func() any { return plainVersion(Reload[watched[V]](t, db, m.ID).Version) }
		exec := func(sql string) { require.NoError(t, db.Exec(sql).Error) }
		moves := func(sql string) {
			t.Helper()
			before := version()
			exec(sql)
			require.NotEqual(t, before, version(), sql)
		}
		stays := func(sql string) {
			t.Helper()
			before := version()
			exec(sql)
			require.Equal(t, before, version(), sql)
		}

		moves("UPDATE watched SET price = 11")
		require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&m).Update("price", 1).Error).Reason)
		moves("UPDATE watched SET price = 12")
		moves("UPDATE watched SET name = 'PEN'")
		moves("UPDATE watched SET name = 'PEN '")
		stays("UPDATE watched SET name = 'PEN ', price = 12")
		stays("UPDATE watched SET views = views + 1")
		stays("UPDATE watched SET updated_at = '2020-01-01 00:00:00'")
		exec("UPDATE watched SET row_version = NULL")
		moves("UPDATE watched SET price = 13")

		m = Reload[watched[V]](t, db, m.ID)
		require.NoError(t, db.Model(&m).Update("price", 14).Error)
		require.Equal(t, version(), plainVersion(m.Version), "the plugin's own write is left as it is")
		m.Name = "ink"
		require.NoError(t, db.Save(&m).Error)
		require.NoError(t, db.Save([]*watched[V]{&m}).Error)
		require.Equal(t, version(), plainVersion(m.Version))
		require.NoError(t, db.Model(&watched[V]{}).Where("price = 14").Update("price", 15).Error)
		m = Reload[watched[V]](t, db, m.ID)
		require.NoError(t, db.Model(&m).Update("price", 16).Error)

		require.NoError(t, occ.DropTriggers(db, &watched[V]{}))
		require.NoError(t, occ.DropTriggers(db, &watched[V]{}), "a second time")
		stays("UPDATE watched SET price = 99")
	})
}

func TestTriggersOnOddTables(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a name that needs quoting, two keys, renamed columns", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &orderLine{}, &unkeyed{}))
			lines := []orderLine{{OrderID: 0, Product: "a", Count: 1}, {OrderID: 0, Product: "b", Count: 1}}
			require.NoError(t, db.Create(&lines).Error)
			quote := func(name string) string { return db.Statement.Quote(name) }

			require.NoError(t, db.Exec("UPDATE "+quote("Order Lines of Select")+" SET "+quote("Count of Select")+" = 5 WHERE product = 'b'").Error)

			var rows []orderLine
			require.NoError(t, db.Order("product").Find(&rows).Error)
			require.Equal(t, []orderLine{{0, "a", 1, 1}, {0, "b", 5, 2}}, rows)
		}},
		{"no key at all", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &unkeyed{}))
			require.NoError(t, db.Create(&[]unkeyed{{Name: "a"}, {Name: "b"}}).Error)

			require.NoError(t, db.Exec("UPDATE unkeyeds SET name = 'c' WHERE name = 'b'").Error)

			var rows []unkeyed
			require.NoError(t, db.Order("name").Find(&rows).Error)
			require.Equal(t, []unkeyed{{"a", 1}, {"c", 2}}, rows)
		}},
		{"a table that is named with its schema", func(t *testing.T, db *gorm.DB) {
			var source string
			query := map[string]string{"sqlite": "SELECT 'main'", "postgres": "SELECT current_schema()", "mysql": "SELECT database()"}[db.Name()]
			require.NoError(t, db.Raw(query).Scan(&source).Error)
			table := db.Table(source + ".products")
			require.NoError(t, occ.CreateTriggers(table, &Product{}))
			require.NoError(t, occ.CreateTriggers(table, &Product{}))
			p := Create(t, db)

			require.NoError(t, db.Exec("UPDATE products SET price = 77").Error)
			require.EqualValues(t, 2, Reload[Product](t, db, p.ID).Version)
			require.NoError(t, occ.DropTriggers(table, &Product{}))
			require.NoError(t, db.Exec("UPDATE products SET price = 78").Error)
			require.EqualValues(t, 2, Reload[Product](t, db, p.ID).Version)
		}},
		{"a version that only the trigger writes", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &countedByTrigger{}))
			m := countedByTrigger{Price: 1}
			require.NoError(t, db.Create(&m).Error)

			require.NoError(t, db.Model(&m).Update("price", 2).Error)
			require.EqualValues(t, 2, m.Version)
			require.NoError(t, db.Exec("UPDATE counted_by_triggers SET price = 3").Error)

			require.ErrorIs(t, db.Model(&m).Update("price", 4).Error, occ.ErrStaleData)
		}},
	}, &orderLine{}, &unkeyed{}, &Product{}, &countedByTrigger{})
	// The others replace a trigger in one step, and have no recursive_triggers.
	Run(t, Only("sqlite", "sqlite PrepareStmt", "sqlite SkipDefaultTransaction"), []Behaviour{
		{"triggers that call each other", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &Product{}))
			p := Create(t, db)
			require.NoError(t, db.Connection(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("PRAGMA recursive_triggers = 1").Error)
				return tx.Exec("UPDATE products SET price = 5").Error
			}))
			require.EqualValues(t, 2, Reload[Product](t, db, p.ID).Version)
		}},
		{"a second time it does not even touch the schema", func(t *testing.T, db *gorm.DB) {
			var before, after int
			require.NoError(t, occ.CreateTriggers(db, &Product{}, &orderLine{}))
			require.NoError(t, db.Raw("PRAGMA schema_version").Scan(&before).Error)

			require.NoError(t, occ.CreateTriggers(db, &Product{}, &orderLine{}))

			require.NoError(t, db.Raw("PRAGMA schema_version").Scan(&after).Error)
			require.Equal(t, before, after)
		}},
	}, &orderLine{}, &Product{})
}

func TestTriggersCountAsTheTypeDoes(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		testTriggerRollover[int8](t, db, math.MaxInt8, 1)
		testTriggerRollover[int16](t, db, math.MaxInt16, 1)
		testTriggerRollover[int32](t, db, math.MaxInt32, 1)
		testTriggerRollover[int64](t, db, math.MaxInt64, 1)
		testTriggerRollover[uint8](t, db, math.MaxUint8, 1)
		testTriggerRollover[uint32](t, db, math.MaxUint32, 1)
		testTriggerRollover[int64](t, db, -1, 1)
	})
}

func testTriggerRollover[V any](t *testing.T, db *gorm.DB, last, next V) {
	t.Helper()
	require.NoError(t, db.AutoMigrate(&counted[V]{}))
	require.NoError(t, occ.CreateTriggers(db, &counted[V]{}))
	m := counted[V]{Version: last}
	require.NoError(t, db.Create(&m).Error)

	require.NoError(t, db.Exec("UPDATE "+m.TableName()+" SET price = 1").Error)

	require.Equal(t, next, Reload[counted[V]](t, db, m.ID).Version)
}

func TestTimesOfATriggerAreAlwaysLater(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&dated{}))
		require.NoError(t, occ.CreateTriggers(db, &dated{}))
		future := time.Date(2200, 1, 2, 3, 4, 5, 999999999, time.UTC)
		m := dated{Version: future}
		require.NoError(t, db.Create(&m).Error)

		for price := range 5 {
			before := Reload[dated](t, db, m.ID).Version
			require.NoError(t, db.Exec("UPDATE dated SET price = ?", price+1).Error)
			require.True(t, Reload[dated](t, db, m.ID).Version.After(before))
		}
	})
}

func TestTriggersThatCannotBe(t *testing.T) {
	t.Parallel()
	type Versionless struct{ ID uint }
	for _, misuse := range []struct {
		name  string
		model any
		want  []string
	}{
		{"no version", &Versionless{}, []string{"Versionless", "no version"}},
		{"a generator's version", &stamped{}, []string{"stamped", "field Version", `"stamp"`}},
		{"no model", "products", []string{"string is no model"}},
		{"nil", nil, []string{"no model"}},
		{"Xmin", &onlyPostgres{}, []string{"onlyPostgres", "field Xmin"}},
	} {
		for _, database := range testdb.Of("sqlite", "postgres") {
			t.Run(misuse.name+"/"+database.Name, func(t *testing.T) {
				t.Parallel()
				db := Open(t, database, []any{&Product{}}, occ.WithGenerator("stamp", &stamps{}))

				err := occ.CreateTriggers(db, &Product{}, misuse.model)

				for _, want := range misuse.want {
					require.ErrorContains(t, err, want)
				}
				p := Create(t, db)
				require.NoError(t, db.Exec("UPDATE products SET price = 5").Error)
				require.Equal(t, occ.Version(1), Reload[Product](t, db, p.ID).Version, "nothing was created")
			})
		}
	}
	require.Error(t, occ.CreateTriggers(testdb.One(t, "sqlite").Open(t), &Product{}), "without the plugin")
}

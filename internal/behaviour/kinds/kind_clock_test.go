package kinds_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// dated is a model whose version is a time.
type dated struct {
	ID      uint
	Price   int
	Version time.Time `gorm:"version"`
}

func (dated) TableName() string { return "dated" }

// Models whose columns keep fewer digits of a second.
type (
	datedInTenths struct {
		ID      uint
		Price   int
		Version time.Time `gorm:"version;precision:1"`
	}
	datedInSeconds struct {
		ID      uint
		Price   int
		Version time.Time `gorm:"version;type:datetime"`
	}
	datedInMicroseconds struct {
		ID      uint
		Price   int
		Version time.Time `gorm:"version;precision:6"`
	}
)

// stoppedClock is a database with a clock that shows what the test sets it to.
func stoppedClock(t *testing.T, database testdb.Database, models ...any) (db *gorm.DB, set func(time.Time)) {
	now := time.Date(2030, 5, 17, 12, 0, 0, 123456789, time.FixedZone("east", 3*3600))
	db = database.Open(t, &gorm.Config{NowFunc: func() time.Time { return now }})
	require.NoError(t, db.Use(occ.New()))
	require.NoError(t, db.AutoMigrate(models...))
	return db, func(to time.Time) { now = to }
}

func TestTimeVersionsFollowEachOtherWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db, set := stoppedClock(t, database, &dated{})
			m := dated{}
			require.NoError(t, db.Create(&m).Error)
			start := m.Version

			for i, now := range []time.Time{start, start, start.Add(-time.Hour), start.Add(time.Second), start} {
				set(now.In(time.FixedZone("west", -5*3600)))
				before := m.Version

				require.NoError(t, db.Model(&m).Update("price", i).Error)

				require.True(t, m.Version.After(before), "%s after %s", m.Version, before)
				row := Reload[dated](t, db, m.ID)
				require.True(t, row.Version.Equal(m.Version), "%s stored, %s in memory", row.Version, m.Version)
				require.Equal(t, i, row.Price)
			}
			require.NoError(t, db.Model(&dated{}).Where("id = ?", m.ID).Update("price", 9).Error)
			require.True(t, Reload[dated](t, db, m.ID).Version.After(m.Version))
		})
	}
}

func TestTimeVersionsFitTheColumn(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db, _ := stoppedClock(t, database)
			testPrecision(t, db, time.Second/10, func(m *datedInTenths) time.Time { return m.Version }, &datedInTenths{})
			testPrecision(t, db, time.Microsecond, func(m *datedInMicroseconds) time.Time { return m.Version }, &datedInMicroseconds{})
			if database.Like == "mariadb" {
				testPrecision(t, db, time.Second, func(m *datedInSeconds) time.Time { return m.Version }, &datedInSeconds{})
				testPrecision(t, db, time.Millisecond, func(m *dated) time.Time { return m.Version }, &dated{})
			}
		})
	}
}

// testPrecision writes one model three times within a tick of the clock.
func testPrecision[M any](t *testing.T, db *gorm.DB, unit time.Duration, version func(*M) time.Time, m *M) {
	t.Helper()
	require.NoError(t, db.AutoMigrate(m))
	require.NoError(t, db.Create(m).Error)
	for price := range 3 {
		before := version(m)

		require.NoError(t, db.Model(m).Update("price", price).Error)

		require.Equal(t, unit, version(m).Sub(before))
	}
	row := new(M)
	require.NoError(t, db.First(row).Error)
	require.True(t, version(row).Equal(version(m)))
}

func TestTimeVersionsAreComparedAsInstants(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"in whatever zone the model holds them", func(t *testing.T, db *gorm.DB) {
			m := dated{}
			require.NoError(t, db.Create(&m).Error)
			m.Version = m.Version.In(time.FixedZone("east", 5*3600+1800))

			require.NoError(t, db.Model(&m).Update("price", 1).Error)

			before := m.Version
			require.NoError(t, db.Model(&m).Clauses(occ.Expect(before.Local())).Update("price", 2).Error)
			require.NoError(t, db.Model(&m).Clauses(occ.Expect(m.Version.Format(time.RFC3339Nano))).Update("price", 3).Error)
			require.ErrorIs(t, db.Model(&m).Clauses(occ.Expect(before)).Update("price", 4).Error, occ.ErrStaleData)
			require.Equal(t, 3, Reload[dated](t, db, m.ID).Price)
		}},
		{"in whatever zone a new row was given one", func(t *testing.T, db *gorm.DB) {
			at := time.Date(2021, 2, 3, 4, 5, 6, 789123456, time.FixedZone("east", 2*3600))
			m := dated{Version: at}

			require.NoError(t, db.Create(&m).Error)

			require.WithinDuration(t, at, m.Version, time.Millisecond)
			require.True(t, m.Version.Equal(Reload[dated](t, db, m.ID).Version), "memory and row")
			require.NoError(t, db.Model(&m).Update("price", 1).Error)
			values := map[string]any{"id": 99, "version": at}
			require.NoError(t, db.Model(&dated{}).Create(values).Error)
			row := Reload[dated](t, db, 99)
			require.NoError(t, db.Model(&row).Update("price", 2).Error)
		}},
		{"in whatever zone and form the row holds them", func(t *testing.T, db *gorm.DB) {
			for i, text := range []string{
				"2024-03-01 10:20:30", "2024-03-01 10:20:30.5", "2024-03-01 10:20:30.250", "2024-03-01 12:20:30.123456+02:00", "2024-03-01 05:20:30-05:00",
			} {
				if db.Name() == "mysql" && i > 2 {
					continue
				}
				require.NoError(t, db.Exec("INSERT INTO dated (id, price, version) VALUES (?, 0, ?)", i+1, text).Error)
				row := Reload[dated](t, db, i+1)
				old := row

				require.NoError(t, db.Model(&row).Update("price", 1).Error, text)
				require.ErrorIs(t, db.Model(&old).Update("price", 2).Error, occ.ErrStaleData)
			}
		}},
		{"a second apart they are two, at the very end of it too", func(t *testing.T, db *gorm.DB) {
			at := time.Date(2024, 3, 1, 10, 20, 30, 999e6, time.UTC)
			if db.Name() != "mysql" {
				at = at.Add(999999) // the default of MariaDB's columns is milliseconds
			}
			m := dated{Version: at}
			require.NoError(t, db.Create(&m).Error)

			err := db.Model(&m).Clauses(occ.Expect(m.Version.Add(time.Second))).Update("price", 1).Error

			require.ErrorIs(t, err, occ.ErrStaleData)
			require.Zero(t, Reload[dated](t, db, m.ID).Price)
		}},
		{"a fraction of a second apart they are two", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("INSERT INTO dated (id, price, version) VALUES (1, 0, '2024-03-01 10:20:30.124')").Error)
			m := dated{ID: 1, Version: time.Date(2024, 3, 1, 10, 20, 30, 123e6, time.UTC)}

			require.ErrorIs(t, db.Model(&m).Update("price", 1).Error, occ.ErrStaleData)
		}},
	}, &dated{})
}

// datedInNanoseconds has a column of more digits than servers keep.
type datedInNanoseconds struct {
	ID      uint
	Price   int
	Version time.Time `gorm:"version;precision:9"`
}

func TestATimeVersionAdvancesByWhatItsColumnKeeps(t *testing.T) {
	t.Parallel()
	for _, database := range Except("mariadb", testdb.All()) { // it refuses such a column
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db, _ := stoppedClock(t, database, &datedInNanoseconds{})
			mine := datedInNanoseconds{}
			require.NoError(t, db.Create(&mine).Error)
			theirs := Reload[datedInNanoseconds](t, db, mine.ID)
			require.True(t, theirs.Version.Equal(mine.Version), "memory and row")

			require.NoError(t, db.Model(&mine).Update("price", 1).Error)

			require.ErrorIs(t, db.Model(&theirs).Update("price", 2).Error, occ.ErrStaleData)
			require.Equal(t, 1, Reload[datedInNanoseconds](t, db, mine.ID).Price)
		})
	}
}

func TestAZeroTimeCountsAsNoVersion(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&dated{}))
		zero := "0001-01-01 00:00:00+00:00"
		if db.Name() == "mysql" {
			zero = "0000-00-00 00:00:00"
		}
		require.NoError(t, db.Exec("INSERT INTO dated (id, price, version) VALUES (1, 0, ?)", zero).Error)
		row := Reload[dated](t, db, 1)
		require.True(t, row.Version.IsZero())

		require.NoError(t, db.Model(&row).Update("price", 1).Error)

		require.False(t, row.Version.IsZero())
		require.True(t, row.Version.Equal(Reload[dated](t, db, 1).Version))
	})
}

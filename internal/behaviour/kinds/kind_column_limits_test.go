package kinds_test

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// waysToWrite are the ways in which one row's next version is written.
var waysToWrite = map[string]func(db *gorm.DB, m *checked[int]) error{
	"by condition": func(db *gorm.DB, _ *checked[int]) error {
		return db.Model(&checked[int]{}).Where("price > 0").Update("price", 70).Error
	},
	"by table": func(db *gorm.DB, _ *checked[int]) error {
		return db.Table("checked").Where("price > 0").Updates(map[string]any{"price": 70}).Error
	},
	"unchecked": func(db *gorm.DB, m *checked[int]) error {
		return db.Clauses(occ.Unchecked()).Model(m).Update("price", 70).Error
	},
	"upsert": func(db *gorm.DB, m *checked[int]) error {
		return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&checked[int]{ID: m.ID, Price: 70}).Error
	},
	"a compared upsert": func(db *gorm.DB, m *checked[int]) error {
		return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&checked[int]{ID: m.ID, Price: 70, Version: m.Version}).Error
	},
	"compared": func(db *gorm.DB, m *checked[int]) error { return db.Model(m).Update("price", 70).Error },
	"Save":     func(db *gorm.DB, m *checked[int]) error { return db.Save(m).Error },
	"a slice":  func(db *gorm.DB, m *checked[int]) error { return db.Save([]*checked[int]{m}).Error },
	"two": func(db *gorm.DB, m *checked[int]) error {
		other := checked[int]{}
		if err := db.FirstOrCreate(&other, checked[int]{ID: 2}).Error; err != nil {
			return err
		}
		return db.Model([]*checked[int]{m, &other}).Update("price", 70).Error
	},
	"Touch": func(db *gorm.DB, m *checked[int]) error { return occ.Touch(db, m) },
}

// TestCountersAtTheColumnsLastValue has rows whose column holds no later version, though the field's type does.
func TestCountersAtTheColumnsLastValue(t *testing.T) {
	t.Parallel()
	columns := []struct {
		kind []string
		name string
		last int
	}{
		{[]string{"mariadb", "mariadb PrepareStmt"}, "tinyint", 127}, {[]string{"mariadb"}, "tinyint unsigned", 255},
		{[]string{"mariadb", "postgres"}, "smallint", 32767}, {[]string{"mariadb"}, "mediumint", 1<<23 - 1},
		{[]string{"mariadb", "postgres", "postgres PrepareStmt"}, "int", 1<<31 - 1}, {[]string{"mariadb"}, "int unsigned", 1<<32 - 1},
	}
	for _, column := range columns {
		var behaviours []Behaviour
		for name, write := range waysToWrite {
			behaviours = append(behaviours, Behaviour{name + " in " + column.name, func(t *testing.T, db *gorm.DB) {
				require.NoError(t, db.Exec("CREATE TABLE checked (id integer PRIMARY KEY, price integer, version "+column.name+")").Error)
				m := checked[int]{ID: 1, Price: 1, Version: column.last}
				require.NoError(t, db.Create(&m).Error)
				mine := Reload[checked[int]](t, db, 1)

				require.NoError(t, db.Connection(func(tx *gorm.DB) error {
					if db.Name() == "mysql" {
						require.NoError(t, tx.Exec("SET sql_mode = ''").Error)
						defer tx.Exec("SET sql_mode = DEFAULT")
					}
					return write(tx.Session(&gorm.Session{}), &m)
				}))

				stored := Reload[checked[int]](t, db, 1)
				require.Equal(t, 1, stored.Version)
				err := db.Model(&mine).Update("price", 30).Error
				require.ErrorIs(t, err, occ.ErrStaleData)
				var refused *occ.StaleDataError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, occ.ReasonChanged, refused.Rows[0].Reason, "1 is the version after the last one")
				require.Equal(t, stored, Reload[checked[int]](t, db, 1))
			}})
		}
		Run(t, Only(column.kind...), behaviours)
	}
}

// checkedTime keeps more digits of a second than the columns that it is given.
type checkedTime struct {
	ID      uint
	Price   int
	Version time.Time `gorm:"version;precision:6"`
}

func (checkedTime) TableName() string { return "checked" }

// TestTimesInCoarserColumns has times that the column keeps fewer digits of than the tag says.
func TestTimesInCoarserColumns(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for _, column := range []string{"(0)", "(3)"} {
		behaviours = append(behaviours, Behaviour{column, func(t *testing.T, db *gorm.DB) {
			kind := map[string]string{"mysql": "datetime", "postgres": "timestamp"}[db.Name()]
			require.NoError(t, db.Exec("CREATE TABLE checked (id integer PRIMARY KEY, price integer, version "+kind+column+")").Error)
			m := checkedTime{ID: 1, Price: 1}
			require.NoError(t, db.Create(&m).Error)
			for range 5 {
				mine := Reload[checkedTime](t, db, 1)
				require.True(t, mine.Version.Equal(m.Version), "memory holds what is stored: %s, %s", mine.Version, m.Version)
				require.NoError(t, db.Model(&m).Update("price", 70).Error)
				require.ErrorIs(t, db.Model(&mine).Update("price", 30).Error, occ.ErrStaleData)
				mine = Reload[checkedTime](t, db, 1)
				require.NoError(t, db.Model(&checkedTime{}).Where("1 = 1").Update("price", 71).Error)
				require.ErrorIs(t, db.Model(&mine).Update("price", 30).Error, occ.ErrStaleData)
				m = Reload[checkedTime](t, db, 1)
				require.Equal(t, 71, m.Price)
			}
		}})
	}
	Run(t, Only("mariadb", "postgres"), behaviours)
}

// padded has a generator whose versions are shorter than the columns that it is given.
type padded struct {
	ID      uint
	Price   int
	Version string `gorm:"version:short"`
}

// TestTextInPaddedColumns has versions that are shorter than the column, which PostgreSQL fills with blanks.
func TestTextInPaddedColumns(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, m *padded) error{
		"compared": func(db *gorm.DB, m *padded) error { return db.Model(m).Update("price", 70).Error },
		"slice": func(db *gorm.DB, m *padded) error {
			other := padded{}
			if err := db.FirstOrCreate(&other, padded{ID: 2}).Error; err != nil {
				return err
			}
			return db.Model([]*padded{m, &other}).Update("price", 70).Error
		},
		"Touch":  func(db *gorm.DB, m *padded) error { return occ.Touch(db, m) },
		"Verify": func(db *gorm.DB, m *padded) error { return occ.Verify(db, m) },
		"delete": func(db *gorm.DB, m *padded) error { return db.Delete(m).Error },
	}
	for name, write := range writes {
		for _, d := range Only("sqlite", "mariadb", "postgres") {
			t.Run(d.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				db := Open(t, d, nil, occ.WithGenerator("short", short{}))
				require.NoError(t, db.Exec("CREATE TABLE paddeds (id integer PRIMARY KEY, price integer, version char(10))").Error)
				m := padded{ID: 1, Price: 1}
				require.NoError(t, db.Create(&m).Error)
				mine, theirs := Reload[padded](t, db, 1), Reload[padded](t, db, 1)

				require.NoError(t, write(db, &m))
				if name == "Verify" || name == "delete" {
					return
				}
				require.ErrorIs(t, write(db, &mine), occ.ErrStaleData)
				theirs = Reload[padded](t, db, 1)
				require.NoError(t, write(db, &theirs))
				again := theirs
				require.NoError(t, db.Model(&theirs).Where("price < 0").Update("price", 1).Error)
				require.NoError(t, write(db, &again))
			})
		}
	}
}

// short makes v1, v2 and so on.
type short struct{}

func (short) Next(_ context.Context, current any) (any, error) {
	text, _ := current.(string)
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimRight(text, " "), "v"))
	if text != "" && err != nil {
		return nil, err
	}
	return "v" + strconv.Itoa(n+1), nil
}

// TestTextThatAColumnCutsOff has a column that would store two versions of a generator as the same text.
func TestTextThatAColumnCutsOff(t *testing.T) {
	t.Parallel()
	for _, d := range testdb.Of("mariadb") {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, d, nil, occ.WithGenerator("short", short{}))
			require.NoError(t, db.Exec("CREATE TABLE paddeds (id integer PRIMARY KEY, price integer, version varchar(2))").Error)
			m := padded{ID: 1, Price: 1, Version: "v9"}
			require.NoError(t, db.Create(&m).Error)

			err := db.Connection(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("SET sql_mode = ''").Error)
				defer tx.Exec("SET sql_mode = DEFAULT")
				return tx.Session(&gorm.Session{}).Model(&m).Update("price", 2).Error
			})

			require.ErrorContains(t, err, `"v10", which a column of type varchar(2) does not hold`)
			require.Equal(t, padded{1, 1, "v9"}, Reload[padded](t, db, 1))
			require.Equal(t, "v9", m.Version)
		})
	}
}

// zoned has a time for a version.
type zoned struct {
	ID      uint
	Price   int
	Version time.Time `gorm:"version"`
}

// TestTimesWhereClocksGoBack has two writes at the same time of the day, an hour apart, and a connection that sends that alone.
func TestTimesWhereClocksGoBack(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, m *zoned) error{
		"compared": func(db *gorm.DB, m *zoned) error { return db.Model(m).Update("price", 70).Error },
		"slice":    func(db *gorm.DB, m *zoned) error { return db.Save([]*zoned{m}).Error },
		"by condition": func(db *gorm.DB, m *zoned) error {
			return db.Model(&zoned{}).Where("price > 0").Update("price", 70).Error
		},
	}
	for _, d := range Only("mariadb") {
		for name, write := range writes {
			t.Run(d.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				now := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC) // 02:30 in Berlin
				db := inZone(t, d, "Europe/Berlin", func() time.Time { return now })
				m := zoned{Price: 1}
				require.NoError(t, db.Create(&m).Error)
				first := Reload[zoned](t, db, m.ID)
				for range 3 {
					now = now.Add(30 * time.Minute)
					mine := Reload[zoned](t, db, m.ID)
					m := mine
					require.NoError(t, write(db, &m))

					require.ErrorIs(t, db.Model(&mine).Update("price", 30).Error, occ.ErrStaleData)
					earlier := first
					require.ErrorIs(t, db.Model(&earlier).Update("price", 30).Error, occ.ErrStaleData)
					stored := Reload[zoned](t, db, m.ID)
					require.NotEqual(t, 30, stored.Price)
					if name != "by condition" {
						require.True(t, stored.Version.Equal(m.Version), "memory holds what is stored: %s, %s", stored.Version, m.Version)
						require.NoError(t, write(db, &m))
					}
				}
			})
		}
	}
}

// inZone opens an empty database whose connections take times to be in a zone.
func inZone(t *testing.T, d testdb.Database, zone string, now func() time.Time) *gorm.DB {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	db := d.Open(t)
	config := db.Dialector.(*gormmysql.Dialector).DSNConfig.Clone()
	require.NoError(t, db.Raw("SELECT DATABASE()").Scan(&config.DBName).Error)
	config.Loc = location
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	again, err := gorm.Open(gormmysql.New(gormmysql.Config{Conn: pool}), &gorm.Config{NowFunc: now, Logger: logger.Discard})
	require.NoError(t, err)
	require.NoError(t, again.Use(occ.New()))
	require.NoError(t, again.AutoMigrate(&zoned{}))
	return again
}

package kinds_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestCountersInNarrowColumns has a Go int in columns that are narrower, as a migration by hand may make them.
func TestCountersInNarrowColumns(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, m *checked[int]) error{
		"by condition": func(db *gorm.DB, _ *checked[int]) error {
			return db.Model(&checked[int]{}).Where("price > 0").Update("price", 70).Error
		},
		"unchecked": func(db *gorm.DB, m *checked[int]) error {
			return db.Clauses(occ.Unchecked()).Model(m).Update("price", 70).Error
		},
		"upsert": func(db *gorm.DB, m *checked[int]) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&checked[int]{ID: m.ID, Price: 70}).Error
		},
		"compared": func(db *gorm.DB, m *checked[int]) error { return db.Model(m).Update("price", 70).Error },
		"a slice":  func(db *gorm.DB, m *checked[int]) error { return db.Save([]*checked[int]{m}).Error },
		"Touch":    func(db *gorm.DB, m *checked[int]) error { return occ.Touch(db, m) },
	}
	var behaviours []Behaviour
	for name, write := range writes {
		for _, column := range []string{"smallint", "integer", "bigint"} {
			behaviours = append(behaviours, Behaviour{name + " in " + column, func(t *testing.T, db *gorm.DB) {
				require.NoError(t, db.Exec("CREATE TABLE checked (id integer PRIMARY KEY, price integer, version "+column+")").Error)
				m := checked[int]{ID: 1, Price: 1}
				require.NoError(t, db.Create(&m).Error)

				require.NoError(t, write(db, &m))

				require.Equal(t, 2, Reload[checked[int]](t, db, 1).Version)
			}})
		}
	}
	Run(t, Everywhere(), behaviours)
}

// TestZeroDates has rows whose time is the one that MariaDB makes of none: GORM without the plugin writes it.
func TestZeroDates(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, m *dated) error{
		"by condition": func(db *gorm.DB, _ *dated) error {
			return db.Model(&dated{}).Where("price > 0").Update("price", 70).Error
		},
		"unchecked": func(db *gorm.DB, m *dated) error {
			return db.Clauses(occ.Unchecked()).Model(m).Update("price", 70).Error
		},
		"compared": func(db *gorm.DB, m *dated) error { return db.Model(m).Update("price", 70).Error },
		"upsert": func(db *gorm.DB, m *dated) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&dated{ID: m.ID, Price: 70}).Error
		},
		"raw, with a trigger": func(db *gorm.DB, _ *dated) error {
			if err := occ.CreateTriggers(db, &dated{}); err != nil {
				return err
			}
			return db.Exec("UPDATE dated SET price = 70").Error
		},
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Connection(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("SET sql_mode = ''").Error)
				require.NoError(t, tx.Exec("INSERT INTO dated (id, price, version) VALUES (1, 1, '0000-00-00')").Error)
				return tx.Exec("SET sql_mode = DEFAULT").Error
			}))
			m := Reload[dated](t, db, 1)
			require.True(t, m.Version.IsZero())

			require.NoError(t, write(db, &m))

			stored := Reload[dated](t, db, 1)
			require.Equal(t, 70, stored.Price)
			require.Less(t, time.Since(stored.Version).Abs(), 24*time.Hour)
		}})
	}
	Run(t, Only("mariadb", "mariadb PrepareStmt", "mariadb clientFoundRows"), behaviours, &dated{})
}

// TestTablesOfOtherSchemas names a versioned table otherwise than its model does.
func TestTablesOfOtherSchemas(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&Product{}))
		var own string
		query := map[string]string{"sqlite": "SELECT 'main'", "postgres": "SELECT current_schema()", "mysql": "SELECT database()"}[db.Name()]
		require.NoError(t, db.Raw(query).Scan(&own).Error)
		p := Create(t, db)
		want := p.Version
		names := []string{"products", own + ".products", db.Statement.Quote("products") + " ", db.Statement.Quote(own+".products") + " "}
		if db.Name() == "sqlite" {
			names = append(names, "PRODUCTS", strings.ToUpper(own)+".Products")
		}
		for _, name := range names {
			require.NoError(t, db.Table(name).Where("id = ?", p.ID).Updates(map[string]any{"price": 70}).Error, name)
			want++
			require.Equal(t, want, Reload[Product](t, db, p.ID).Version, name)
		}
	})
}

// raceParent has a version that GORM cannot read by itself; raceChild touches it.
type (
	raceParent struct {
		ID      uint
		Name    string
		Version bareID `gorm:"version"`
	}
	raceChild struct {
		ID       uint
		ParentID uint
		Parent   raceParent `gorm:"touch"`
		Version  occ.Version
	}
)

// TestModelsThatManyMeetAtOnce is for -race: a child's first write has to know its parent's version, which queries read.
func TestModelsThatManyMeetAtOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&raceParent{}, &raceChild{}))
		require.NoError(t, db.Use(occ.New()))
		parent := raceParent{Name: "a"}
		require.NoError(t, db.Create(&parent).Error)
		errs := make([]error, 4)
		var readers sync.WaitGroup
		for i := range errs {
			readers.Go(func() {
				for range 20 {
					if errs[i] = db.First(&raceParent{}, parent.ID).Error; errs[i] != nil {
						return
					}
				}
			})
		}

		err := db.Create(&raceChild{ParentID: parent.ID}).Error

		readers.Wait()
		require.NoError(t, err)
		require.Equal(t, make([]error, len(errs)), errs)
		require.NotEqual(t, parent.Version, Reload[raceParent](t, db, parent.ID).Version)
	})
}

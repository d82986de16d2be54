package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// gem has a version that SQL cannot make, shot none of its own.
type (
	gem struct {
		ID   uint
		Name string
		V    string `gorm:"version:uuid;size:36"`
	}
	source struct {
		ID   uint
		Name string
	}
	shot struct {
		ID   uint
		Name string
		N    int
		occ.Snapshot
	}
	xidRow struct {
		ID   uint
		Name string
		N    int
		occ.Xmin
	}
)

func TestUpdateOfSeveralRowsFromAnotherTable(t *testing.T) {
	from := clause.From{Tables: []clause.Table{{Name: "sources"}}}
	arrange := func(t *testing.T, db *gorm.DB) ([]Product, []gem) {
		products, items := []Product{{Name: "a"}, {Name: "b"}, {Name: "c"}}, []gem{{Name: "a"}, {Name: "b"}, {Name: "c"}}
		require.NoError(t, db.Create(&products).Error)
		require.NoError(t, db.Create(&items).Error)
		require.NoError(t, db.Create(&[]source{{1, "x"}, {2, "y"}}).Error)
		return products, items
	}
	set := map[string]any{"name": gorm.Expr("sources.name")}
	Run(t, Except("m", testdb.All()), []Behaviour{ // neither MySQL nor MariaDB has UPDATE ... FROM
		{"compares each of a slice, and leaves out those that it does not join", func(t *testing.T, db *gorm.DB) {
			products, items := arrange(t, db)
			require.NoError(t, db.Clauses(from).Model(&products).Where("products.id = sources.id").Updates(set).Error)
			require.NoError(t, db.Clauses(from).Model(&items).Where("gems.id = sources.id").Updates(set).Error)
			require.Equal(t, []occ.Version{2, 2, 1}, []occ.Version{products[0].Version, products[1].Version, products[2].Version})
			for i, name := range []string{"x", "y", "c"} {
				require.Equal(t, Product{ID: uint(i + 1), Name: name, Version: products[i].Version}, Reload[Product](t, db, i+1))
				require.Equal(t, gem{ID: uint(i + 1), Name: name, V: items[i].V}, Reload[gem](t, db, i+1))
			}
			two := products[:2]
			require.NoError(t, db.Clauses(from).Model(&two).Where("products.id = sources.id").Updates(map[string]any{"name": gorm.Expr("sources.name"), "price": 4}).Error)
			require.EqualValues(t, 3, Reload[Product](t, db, 2).Version)
		}},
		{"refuses a slice with a stale row", func(t *testing.T, db *gorm.DB) {
			products, _ := arrange(t, db)
			require.NoError(t, db.Model(&Product{ID: 2, Version: 1}).Update("price", 7).Error)
			err := db.Clauses(from).Model(&products).Where("products.id = sources.id").Updates(set).Error
			require.Equal(t, 1, Stale(t, err).Index)
			require.Equal(t, "a", Reload[Product](t, db, 1).Name)
		}},
		{"gives rows by condition their next versions", func(t *testing.T, db *gorm.DB) {
			_, items := arrange(t, db)
			require.NoError(t, db.Clauses(from).Model(&Product{}).Where("products.id = sources.id").Updates(set).Error)
			require.NoError(t, db.Clauses(from).Model(&gem{}).Where("gems.id = sources.id").Updates(set).Error)
			for i, name := range []string{"x", "y", "c"} {
				stored := Reload[gem](t, db, i+1)
				require.Equal(t, name, stored.Name)
				require.Equal(t, i == 2, stored.V == items[i].V)
				require.Equal(t, name, Reload[Product](t, db, i+1).Name)
			}
			require.EqualValues(t, 2, Reload[Product](t, db, 1).Version)
			require.EqualValues(t, 1, Reload[Product](t, db, 3).Version)
		}},
	}, &Product{}, &gem{}, &source{})
}

func TestRowsThatReturningGivesCanBeWritten(t *testing.T) {
	Run(t, Except("m", testdb.All()), []Behaviour{{"snapshots", func(t *testing.T, db *gorm.DB) {
		requireReturned(t, db, func(name string) shot { return shot{Name: name} })
		var part []shot
		require.NoError(t, db.Model(&part).Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}}}).Where("id = 1").Update("n", 9).Error)
		require.ErrorIs(t, db.Save(&part[0]).Error, occ.ErrVersionMissing) // it does not hold the row
	}}}, &shot{})
	Run(t, Products(testdb.All(), "postgres"), []Behaviour{{"Xmin", func(t *testing.T, db *gorm.DB) {
		requireReturned(t, db, func(name string) xidRow { return xidRow{Name: name} })
	}}}, &xidRow{})
}

func requireReturned[T any](t *testing.T, db *gorm.DB, row func(name string) T) {
	rows := []T{row("a"), row("b")}
	require.NoError(t, db.Create(&rows).Error)
	var all []T
	require.NoError(t, db.Model(&all).Clauses(clause.Returning{}).Where("1 = 1").Update("n", 5).Error)
	require.Len(t, all, 2)
	var one T
	require.NoError(t, db.Model(&all[1]).Update("n", 6).Error)
	require.NoError(t, db.Model(&one).Clauses(clause.Returning{}).Where("id = 2").Update("n", 7).Error)
	require.NoError(t, db.Model(&one).Update("n", 8).Error)
	require.ErrorIs(t, db.Model(&all[1]).Update("n", 9).Error, occ.ErrStaleData)
	require.Equal(t, Reload[T](t, db, 2), one)
}

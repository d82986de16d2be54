package behaviour_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestTablesWithoutTheirModel writes a versioned model's table through Table, with a model of another type or none.
func TestTablesWithoutTheirModel(t *testing.T) {
	t.Parallel()
	writes := map[string]func(table *gorm.DB, id uint) *gorm.DB{
		"a map": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Where("id = ?", id).Updates(map[string]any{"price": 70})
		},
		"a model of another type": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Model(&PriceTag{ID: id}).Update("price", 70)
		},
		"a model of another type and conditions": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Model(&PriceTag{ID: id}).Where("price > 0").Or("price < 0").Update("price", 70)
		},
		"another type that is its own payload": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Where("price > 0").Updates(&PriceTag{ID: id, Price: 70})
		},
		"another type that is saved": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Save(&PriceTag{ID: id, Price: 70})
		},
		"a slice of another type": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Model(&[]PriceTag{{ID: id}}).Where("price > 0").Update("price", 70)
		},
		"an empty slice": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Model(&[]Product{}).Where("id = ?", id).Update("price", 70)
		},
		"delete: another type": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Where("price > 0").Delete(&PriceTag{ID: id})
		},
		"delete: a slice of another type": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Where("price > 0").Delete(&[]PriceTag{{ID: id}})
		},
		"delete: nothing and a condition": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Where("id = ?", id).Delete(nil)
		},
		"delete: another type and a condition": func(table *gorm.DB, id uint) *gorm.DB {
			return table.Where("id = ?", id).Delete(&PriceTag{})
		},
	}
	after := func(name string, p, other Product) []Product {
		if strings.HasPrefix(name, "delete") {
			return []Product{other}
		}
		return []Product{{ID: p.ID, Name: p.Name, Price: 70, Version: p.Version + 1}, other}
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours,
			Behaviour{name + ": the named row is written, and takes its next version", func(t *testing.T, db *gorm.DB) {
				_, stored := Pair(t, db)
				other := Create(t, db)

				res := write(db.Table("products"), stored.ID)

				require.NoError(t, res.Error)
				require.EqualValues(t, 1, res.RowsAffected)
				RequireProducts(t, db, after(name, stored, other)...)
			}},
			Behaviour{name + ": an expected version is compared", func(t *testing.T, db *gorm.DB) {
				_, stored := Pair(t, db)
				other := Create(t, db)

				res := write(db.Table("products").Clauses(occ.Expect(1)), stored.ID)
				require.Equal(t, occ.Version(1), Stale(t, res.Error).Expected)
				require.Zero(t, res.RowsAffected)
				RequireProducts(t, db, stored, other)

				require.NoError(t, write(db.Table("products").Clauses(occ.Expect(2)), stored.ID).Error)
				RequireProducts(t, db, after(name, stored, other)...)
			}},
		)
	}
	behaviours = append(behaviours,
		Behaviour{"a version in the payload of a table is compared", func(t *testing.T, db *gorm.DB) {
			_, stored := Pair(t, db)
			write := func(version int) *gorm.DB {
				return db.Table("products").Where("id = ?", stored.ID).Updates(map[string]any{"price": 70, "version": version})
			}

			require.Equal(t, occ.Version(1), Stale(t, write(1).Error).Expected)
			RequireProducts(t, db, stored)
			require.NoError(t, write(2).Error)
			RequireProducts(t, db, Product{ID: stored.ID, Name: "pen", Price: 70, Version: 3})
		}},
		Behaviour{"what is created through a table starts at the first version", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			require.NoError(t, db.Table("products").Create(map[string]any{"name": "ink"}).Error)
			require.NoError(t, db.Table("products").Create(&PriceTag{Price: 5}).Error)

			RequireProducts(t, db, stored, Product{ID: stored.ID + 1, Name: "ink", Price: 0, Version: 1}, Product{ID: stored.ID + 2, Name: "", Price: 5, Version: 1})
		}},
		Behaviour{"an alias of the table is compared", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)

			err := db.Table("products AS p").Model(&mine).Where("p.price > 0").Update("price", 70).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			RequireProducts(t, db, theirs)
			require.NoError(t, db.Table("products AS p").Model(&theirs).Update("price", 70).Error)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3})
		}},
		Behaviour{"an alias of the table is written unchecked", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)
			gone := Create(t, db)
			require.NoError(t, db.Delete(&Product{}, gone.ID).Error)
			unchecked := func() *gorm.DB { return db.Table("products AS p").Clauses(occ.Unchecked()) }

			require.NoError(t, unchecked().Model(&mine).Update("price", 70).Error)
			res := unchecked().Model(&gone).Update("price", 70)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			require.EqualValues(t, 3, mine.Version)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3})
		}},
	)
	Run(t, testdb.All(), behaviours, &Product{})
}

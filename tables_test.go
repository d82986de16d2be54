package occ_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// PriceTag is part of a product's columns, without the version.
type PriceTag struct {
	ID    uint
	Price int
}

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
		return []Product{{p.ID, p.Name, 70, p.Version + 1}, other}
	}
	var behaviours []behaviour
	for name, write := range writes {
		behaviours = append(behaviours,
			behaviour{name + ": the named row is written, and takes its next version", func(t *testing.T, db *gorm.DB) {
				_, stored := pair(t, db)
				other := create(t, db)

				res := write(db.Table("products"), stored.ID)

				require.NoError(t, res.Error)
				require.EqualValues(t, 1, res.RowsAffected)
				requireProducts(t, db, after(name, stored, other)...)
			}},
			behaviour{name + ": an expected version is compared", func(t *testing.T, db *gorm.DB) {
				_, stored := pair(t, db)
				other := create(t, db)

				res := write(db.Table("products").Clauses(occ.Expect(1)), stored.ID)
				require.Equal(t, occ.Version(1), stale(t, res.Error).Expected)
				require.Zero(t, res.RowsAffected)
				requireProducts(t, db, stored, other)

				require.NoError(t, write(db.Table("products").Clauses(occ.Expect(2)), stored.ID).Error)
				requireProducts(t, db, after(name, stored, other)...)
			}},
		)
	}
	behaviours = append(behaviours,
		behaviour{"a version in the payload of a table is compared", func(t *testing.T, db *gorm.DB) {
			_, stored := pair(t, db)
			write := func(version int) *gorm.DB {
				return db.Table("products").Where("id = ?", stored.ID).Updates(map[string]any{"price": 70, "version": version})
			}

			require.Equal(t, occ.Version(1), stale(t, write(1).Error).Expected)
			requireProducts(t, db, stored)
			require.NoError(t, write(2).Error)
			requireProducts(t, db, Product{stored.ID, "pen", 70, 3})
		}},
		behaviour{"what is created through a table starts at the first version", func(t *testing.T, db *gorm.DB) {
			stored := create(t, db)

			require.NoError(t, db.Table("products").Create(map[string]any{"name": "ink"}).Error)
			require.NoError(t, db.Table("products").Create(&PriceTag{Price: 5}).Error)

			requireProducts(t, db, stored, Product{stored.ID + 1, "ink", 0, 1}, Product{stored.ID + 2, "", 5, 1})
		}},
		behaviour{"an alias of the table is compared", func(t *testing.T, db *gorm.DB) {
			mine, theirs := pair(t, db)

			err := db.Table("products AS p").Model(&mine).Where("p.price > 0").Update("price", 70).Error

			require.Equal(t, occ.ReasonChanged, stale(t, err).Reason)
			requireProducts(t, db, theirs)
			require.NoError(t, db.Table("products AS p").Model(&theirs).Update("price", 70).Error)
			requireProducts(t, db, Product{mine.ID, "pen", 70, 3})
		}},
	)
	run(t, testdb.All(), behaviours, &Product{})
}

package behaviour_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Stock has a natural key of its own beside the generated one.
type Stock struct {
	ID       uint
	SKU      string `gorm:"size:40;uniqueIndex"`
	Quantity int
	Seen     int `gorm:"unversioned"`
	occ.Version
}

var bySKU = clause.OnConflict{Columns: []clause.Column{{Name: "sku"}}, DoUpdates: clause.AssignmentColumns([]string{"quantity"})}

func createStock(t *testing.T, db *gorm.DB, sku string) Stock {
	stock := Stock{SKU: sku, Quantity: 1}
	require.NoError(t, db.Create(&stock).Error)
	return stock
}

func TestUpsert(t *testing.T) {
	databases := Everywhere()
	Run(t, databases, []Behaviour{
		{"an upsert of a new model bumps the row that is there, and memory learns it", func(t *testing.T, db *gorm.DB) {
			first := createStock(t, db, "a")

			for i, upsert := range []Stock{{SKU: "a", Quantity: 5}, {SKU: "a", Quantity: 6}} {
				require.NoError(t, db.Clauses(bySKU).Create(&upsert).Error)
				require.EqualValues(t, 2+i, upsert.Version)
				require.Equal(t, first.ID, upsert.ID)
				require.Equal(t, upsert, Reload[Stock](t, db, first.ID))
			}

			fresh := Stock{SKU: "b", Quantity: 7}
			require.NoError(t, db.Clauses(bySKU).Create(&fresh).Error)
			require.EqualValues(t, 1, fresh.Version)
			require.Equal(t, fresh, Reload[Stock](t, db, fresh.ID))
		}},
		{"an upsert of all columns bumps, and leaves unversioned ones alone", func(t *testing.T, db *gorm.DB) {
			first := createStock(t, db, "a")
			require.NoError(t, db.Model(&first).Update("seen", 9).Error)

			again := Stock{ID: first.ID, SKU: "a", Quantity: 5, Seen: 1}
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&again).Error)

			require.EqualValues(t, 2, again.Version)
			row := Reload[Stock](t, db, first.ID)
			require.Equal(t, Stock{ID: first.ID, SKU: "a", Quantity: 5, Seen: 9, Version: 2}, row)
		}},
		{"an upsert of several new models gives each its own version", func(t *testing.T, db *gorm.DB) {
			createStock(t, db, "x")
			b := createStock(t, db, "b")
			require.NoError(t, db.Model(&b).Update("quantity", 2).Error)

			all := []*Stock{{SKU: "a", Quantity: 10}, {SKU: "b", Quantity: 11}, {SKU: "c", Quantity: 12}, {SKU: "x", Quantity: 13}}
			res := db.Clauses(bySKU).Create(&all)

			require.NoError(t, res.Error)
			for i, version := range []int{1, 3, 1, 2} {
				require.EqualValues(t, version, all[i].Version, all[i].SKU)
				require.Equal(t, *all[i], Reload[Stock](t, db, all[i].ID))
				require.Equal(t, 10+i, all[i].Quantity)
			}
		}},
	}, &Stock{})
	haveWhere := slices.DeleteFunc(databases, func(d testdb.Database) bool { return d.Like == "mariadb" })
	Run(t, haveWhere, []Behaviour{
		{"what the condition of an upsert leaves alone stays as it was, in memory too", func(t *testing.T, db *gorm.DB) {
			a, b := createStock(t, db, "a"), createStock(t, db, "b")
			require.NoError(t, db.Model(&b).Update("quantity", 100).Error)
			conditional := bySKU
			conditional.Where = clause.Where{Exprs: []clause.Expression{clause.Lt{Column: clause.Column{Table: "stocks", Name: "quantity"}, Value: 50}}}

			all := []Stock{{SKU: "b", Quantity: 10}, {SKU: "new", Quantity: 11}, {SKU: "a", Quantity: 12}}
			require.NoError(t, db.Clauses(conditional).Create(&all).Error)
			one := Stock{SKU: "b", Quantity: 13}
			require.NoError(t, db.Clauses(conditional).Create(&one).Error)

			require.Equal(t, Stock{SKU: "b", Quantity: 10}, all[0])
			require.Equal(t, Stock{SKU: "b", Quantity: 13}, one)
			require.Equal(t, Stock{ID: all[1].ID, SKU: "new", Quantity: 11, Version: 1}, Reload[Stock](t, db, all[1].ID))
			require.Equal(t, all[1], Reload[Stock](t, db, all[1].ID))
			require.Equal(t, Stock{ID: a.ID, SKU: "a", Quantity: 12, Version: 2}, all[2])
			require.Equal(t, all[2], Reload[Stock](t, db, a.ID))
			require.Equal(t, b, Reload[Stock](t, db, b.ID))
		}},
	}, &Stock{})
}

func TestDoNothing(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"a row that is left alone leaves the model as it was", func(t *testing.T, db *gorm.DB) {
			first := createStock(t, db, "a")

			one := Stock{SKU: "a", Quantity: 5}
			res := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&one)
			keyed := Stock{ID: first.ID, SKU: "other", Quantity: 5}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&keyed).Error)

			require.NoError(t, res.Error)
			require.EqualValues(t, 0, res.RowsAffected)
			require.EqualValues(t, 0, one.Version)
			require.EqualValues(t, 0, keyed.Version)
			require.Equal(t, first, Reload[Stock](t, db, first.ID))
		}},
		{"of several, those inserted have the first version and their keys", func(t *testing.T, db *gorm.DB) {
			createStock(t, db, "a")
			createStock(t, db, "c")

			all := []Stock{{SKU: "a", Quantity: 5}, {SKU: "b", Quantity: 6}, {SKU: "c", Quantity: 7}, {SKU: "d", Quantity: 8}, {ID: 1, SKU: "e"}}
			res := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&all)

			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			for i, version := range []int{0, 1, 0, 1, 0} {
				require.EqualValues(t, version, all[i].Version)
				if version == 1 {
					require.Equal(t, all[i], Reload[Stock](t, db, all[i].ID))
				}
			}
		}},
		{"of several with keys of their own, those that are there are left alone", func(t *testing.T, db *gorm.DB) {
			there := createStock(t, db, "a")
			all := []Stock{{ID: there.ID, SKU: "x"}, {ID: there.ID + 1, SKU: "y"}}

			res := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&all)

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Zero(t, all[0].Version)
			require.Equal(t, all[1], Reload[Stock](t, db, all[1].ID))
			require.Equal(t, there, Reload[Stock](t, db, there.ID))
		}},
		{"of several new ones, all are inserted", func(t *testing.T, db *gorm.DB) {
			all := []*Stock{{SKU: "a", Quantity: 5}, {SKU: "b", Version: 7}}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&all).Error)
			require.EqualValues(t, 1, all[0].Version)
			require.EqualValues(t, 7, all[1].Version)
			require.Equal(t, *all[0], Reload[Stock](t, db, all[0].ID))
			require.Equal(t, *all[1], Reload[Stock](t, db, all[1].ID))
		}},
	}, &Stock{})
}

func TestUpsertOfLoadedModels(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"a loaded model is compared on the conflict columns, and bumped", func(t *testing.T, db *gorm.DB) {
			first := createStock(t, db, "a")

			mine := Stock{SKU: "a", Quantity: 5, Version: 1}
			require.NoError(t, db.Clauses(bySKU).Create(&mine).Error)
			require.EqualValues(t, 2, mine.Version)
			first.Quantity = 6
			err := db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&first).Error

			row := Stale(t, err)
			require.Equal(t, occ.ReasonChanged, row.Reason)
			require.EqualValues(t, 2, row.Actual)
			require.EqualValues(t, 1, first.Version)
			require.Equal(t, map[string]any{"id": first.ID}, row.PrimaryKey)
			require.Equal(t, Stock{ID: first.ID, SKU: "a", Quantity: 5, Version: 2}, Reload[Stock](t, db, first.ID))
			first.Version = 2
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&first).Error)
			require.EqualValues(t, 3, first.Version)
			require.Equal(t, first, Reload[Stock](t, db, first.ID))
		}},
		{"a loaded model whose row is gone is not inserted again", func(t *testing.T, db *gorm.DB) {
			first := createStock(t, db, "a")
			require.NoError(t, db.Where("id = ?", first.ID).Delete(&Stock{}).Error)
			for _, conflict := range []clause.OnConflict{bySKU, {UpdateAll: true}} {
				err := db.Clauses(conflict).Create(&first).Error
				require.Equal(t, occ.ReasonDeleted, Stale(t, err).Reason)
				require.EqualValues(t, 1, first.Version)
			}
			var n int64
			require.NoError(t, db.Model(&Stock{}).Count(&n).Error)
			require.Zero(t, n)
		}},
		{"of a mixed slice, nothing is written where one is stale", func(t *testing.T, db *gorm.DB) {
			a, b := createStock(t, db, "a"), createStock(t, db, "b")
			theirs := b
			require.NoError(t, db.Model(&theirs).Update("quantity", 9).Error)

			all := []Stock{{SKU: "new", Quantity: 2}, a, b}
			all[1].Quantity, all[2].Quantity = 3, 4
			tx := db.Begin()
			err := tx.Clauses(bySKU).Create(&all).Error
			require.NoError(t, tx.Commit().Error)

			require.Equal(t, 2, Stale(t, err).Index)
			require.EqualValues(t, 0, all[0].Version)
			require.EqualValues(t, 1, all[1].Version)
			require.Equal(t, a, Reload[Stock](t, db, a.ID))
			require.Equal(t, theirs, Reload[Stock](t, db, b.ID))
			var n int64
			require.NoError(t, db.Model(&Stock{}).Count(&n).Error)
			require.EqualValues(t, 2, n)

			all[2].Version = theirs.Version
			require.NoError(t, db.Clauses(bySKU).Create(&all).Error)
			for i, version := range []int{1, 2, 3} {
				require.EqualValues(t, version, all[i].Version)
				require.Equal(t, all[i], Reload[Stock](t, db, all[i].ID))
			}
		}},
		{"Expect and Unchecked work on upserts", func(t *testing.T, db *gorm.DB) {
			first := createStock(t, db, "a")
			require.ErrorIs(t, db.Clauses(bySKU, occ.Expect(3)).Create(&Stock{SKU: "a", Quantity: 5}).Error, occ.ErrStaleData)
			ok := Stock{SKU: "a", Quantity: 5}
			require.NoError(t, db.Clauses(bySKU, occ.Expect(1)).Create(&ok).Error)
			require.EqualValues(t, 2, ok.Version)
			require.NoError(t, db.Clauses(bySKU, occ.Unchecked()).Create(&first).Error)
			require.EqualValues(t, 3, first.Version)
			require.Equal(t, first, Reload[Stock](t, db, first.ID))
		}},
	}, &Stock{})
}

func TestUpsertOfVersionsThatTheDatabaseWrites(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"memory learns what the trigger has made of it", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &StampedStock{}))
			first := StampedStock{SKU: "a", Quantity: 1}
			require.NoError(t, db.Clauses(bySKU).Create(&first).Error)
			require.EqualValues(t, 1, first.Version)
			for i := range 3 {
				again := StampedStock{SKU: "a", Quantity: 5 + i}
				require.NoError(t, db.Clauses(bySKU).Create(&again).Error)
				require.EqualValues(t, 2+i, again.Version)
				require.Equal(t, again, Reload[StampedStock](t, db, first.ID))
			}
			all := []StampedStock{{SKU: "b", Quantity: 1}, {SKU: "a", Quantity: 10}}
			require.NoError(t, db.Clauses(bySKU).Create(&all).Error)
			require.EqualValues(t, 1, all[0].Version)
			require.EqualValues(t, 5, all[1].Version)
			all[1].Quantity = 11
			require.NoError(t, db.Save(&all[1]).Error)
			require.Equal(t, all[1], Reload[StampedStock](t, db, first.ID))
		}},
		{"an insert that fails leaves memory as it was, beside a model with a version too", func(t *testing.T, db *gorm.DB) {
			first := StampedStock{SKU: "a", Quantity: 1}
			require.NoError(t, db.Create(&first).Error)

			all := []StampedStock{{ID: first.ID, SKU: "b", Version: 4}, {ID: first.ID + 1, SKU: "c"}}
			require.Error(t, db.Create(&all).Error)
			one := StampedStock{ID: first.ID, SKU: "d"}
			require.Error(t, db.Create(&one).Error)

			require.Equal(t, []int64{4, 0, 0}, []int64{all[0].Version, all[1].Version, one.Version})
			require.Equal(t, first, Reload[StampedStock](t, db, first.ID))
		}},
	}, &StampedStock{})
}

func TestConditionOnProposedRow(t *testing.T) {
	t.Parallel()
	upsert := func(db *gorm.DB, isAll bool, condition string) *gorm.DB {
		conflict := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, UpdateAll: isAll, Where: clause.Where{
			Exprs: []clause.Expression{clause.Expr{SQL: condition}}}}
		if !isAll {
			conflict.DoUpdates = clause.AssignmentColumns([]string{"name"})
		}
		return db.Clauses(conflict)
	}
	var behaviours []Behaviour
	for _, isAll := range []bool{false, true} {
		behaviours = append(behaviours, Behaviour{fmt.Sprintf("a loaded model is written if excluded fits the condition, all columns: %t", isAll), func(t *testing.T, db *gorm.DB) {
			products := []Product{{Name: "one", Price: 1}, {Name: "two", Price: 2}}
			require.NoError(t, db.Create(&products).Error)
			products[0].Name, products[1].Name, products[1].Price = "first", "second", 9

			result := upsert(db, isAll, "excluded.price > products.price").Create(&products)

			require.NoError(t, result.Error)
			require.EqualValues(t, 1, result.RowsAffected)
			require.Equal(t, Product{ID: 1, Name: "one", Price: 1, Version: 1}, Reload[Product](t, db, 1))
			require.Equal(t, "second", Reload[Product](t, db, 2).Name)
			require.Equal(t, []occ.Version{1, 2}, []occ.Version{products[0].Version, products[1].Version})

			result = upsert(db, isAll, "excluded.price > products.price").Create(&products[0])

			require.NoError(t, result.Error)
			require.Zero(t, result.RowsAffected)
		}})
	}
	Run(t, Except("mariadb", testdb.All()), behaviours, &Product{})
	Run(t, Except("postgres", Except("mariadb", testdb.All())), []Behaviour{{"excluded compares as the column it is of does", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec("CREATE TABLE caseless (id integer PRIMARY KEY, name text COLLATE NOCASE, price integer, version integer)").Error)
		products := []Product{{Name: "one"}, {Name: "two"}}
		require.NoError(t, db.Table("caseless").Create(&products).Error)
		products[0].Name, products[1].Name = "ONE", "second"

		result := upsert(db.Table("caseless"), false, "excluded.name <> caseless.name").Create(&products)

		require.NoError(t, result.Error)
		require.EqualValues(t, 1, result.RowsAffected)
	}}}, &Product{})
}

// Stub has a time of its update.
type Stub struct {
	ID        uint
	Name      string `gorm:"size:40;uniqueIndex"`
	Price     int
	UpdatedAt time.Time
	occ.Version
}

func TestAnUpsertLeavesTheTimeOfTheUpdateInMemory(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, conflict := range map[string]clause.OnConflict{
		"UpdateAll":             {UpdateAll: true},
		"UpdateAll by name":     {UpdateAll: true, Columns: []clause.Column{{Name: "name"}}},
		"columns with the time": {Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"price", "updated_at"})},
	} {
		for _, loaded := range []bool{false, true} {
			behaviours = append(behaviours, Behaviour{fmt.Sprint(name, ", loaded ", loaded), func(t *testing.T, db *gorm.DB) {
				first, other := Stub{Name: "a", Price: 1}, Stub{Name: "b", Price: 1}
				require.NoError(t, db.Create(&first).Error)
				require.NoError(t, db.Create(&other).Error)
				require.NoError(t, db.Exec("UPDATE stubs SET updated_at = ?", Noon).Error)
				first, other = Reload[Stub](t, db, first.ID), Reload[Stub](t, db, other.ID)
				if !loaded {
					first.Version, other.Version = 0, 0
				}
				first.Price, other.Price = 2, 3

				require.NoError(t, db.Clauses(conflict).Create(&[]*Stub{&first, &other}).Error)

				for _, one := range []Stub{first, other} {
					row := Reload[Stub](t, db, one.ID)
					require.EqualValues(t, 2, one.Version)
					require.WithinDuration(t, row.UpdatedAt, one.UpdatedAt, time.Millisecond)
					row.UpdatedAt = one.UpdatedAt
					require.Equal(t, row, one)
				}
			}})
		}
	}
	Run(t, testdb.All(), behaviours, &Stub{})
}

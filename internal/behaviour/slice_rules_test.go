package behaviour_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// seat has a key of two columns, parts of which may be zero.
type seat struct {
	Row    int `gorm:"primaryKey;autoIncrement:false"`
	Number int `gorm:"primaryKey;autoIncrement:false"`
	Guest  string
	occ.Version
}

// word has a text key, which MariaDB compares without case.
type word struct {
	Text  string `gorm:"primaryKey;size:40"`
	Count int
	occ.Version
}

// legacyItem is a row that may have no version yet.
type legacyItem struct {
	ID      int `gorm:"autoIncrement:false"`
	Name    string
	Version *int32 `gorm:"version"`
}

// hookedItem sees its version in hooks, and fails them on demand.
type hookedItem struct {
	ID      uint
	Name    string
	Seen    string `gorm:"-"`
	Failing bool   `gorm:"-"`
	occ.Version
}

var errItemHook = errors.New("hook")

func (h *hookedItem) BeforeSave(*gorm.DB) error {
	h.Seen += fmt.Sprint("before ", h.Version, ";")
	return nil
}

func (h *hookedItem) AfterSave(*gorm.DB) error {
	if h.Seen += fmt.Sprint("after ", h.Version, ";"); h.Failing {
		return errItemHook
	}
	return nil
}

func (h *hookedItem) AfterDelete(*gorm.DB) error {
	if h.Failing {
		return errItemHook
	}
	return nil
}

func changePrice(t *testing.T, db *gorm.DB, p Product) {
	t.Helper()
	require.NoError(t, db.Model(&Product{}).Where("id = ?", p.ID).Update("price", gorm.Expr("price + 1000")).Error)
}

func versions(products []Product) (versions []int) {
	for _, p := range products {
		versions = append(versions, int(p.Version))
	}
	return versions
}

// someConfigurations are all databases, and each setting that writes of slices could trip over once.
func someConfigurations() []testdb.Database {
	return append(testdb.All(), Only("mariadb clientFoundRows", "sqlite SkipDefaultTransaction", "postgres PrepareStmt",
		"mariadb SkipDefaultTransaction")...)
}

// sliceWrites are the calls that write several loaded rows.
var sliceWrites = map[string]func(db *gorm.DB, products *[]Product) *gorm.DB{
	"Save":          func(db *gorm.DB, products *[]Product) *gorm.DB { return db.Save(products) },
	"Save by value": func(db *gorm.DB, products *[]Product) *gorm.DB { return db.Save(*products) },
	"Update":        func(db *gorm.DB, products *[]Product) *gorm.DB { return db.Model(products).Update("price", 1) },
	"UpdateColumn":  func(db *gorm.DB, products *[]Product) *gorm.DB { return db.Model(*products).UpdateColumn("price", 1) },
	"Updates map": func(db *gorm.DB, products *[]Product) *gorm.DB {
		return db.Model(products).Updates(map[string]any{"price": 1})
	},
	"Updates struct": func(db *gorm.DB, products *[]Product) *gorm.DB { return db.Model(products).Updates(Product{Price: 1}) },
	"Updates expr": func(db *gorm.DB, products *[]Product) *gorm.DB {
		return db.Model(products).Where("price >= ?", 0).Update("price", gorm.Expr("price + 1"))
	},
	"Delete": func(db *gorm.DB, products *[]Product) *gorm.DB { return db.Delete(products) },
}

func TestEveryWriteOfASlice(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, write := range sliceWrites {
		behaviours = append(behaviours, Behaviour{name + " of current rows writes them", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)

			res := write(db, &products)

			require.NoError(t, res.Error)
			require.EqualValues(t, 3, res.RowsAffected)
			if name == "Delete" {
				require.Empty(t, all[Product](t, db))
				return
			}
			require.Equal(t, []int{2, 2, 2}, versions(products))
			require.Equal(t, []int{2, 2, 2}, versions(all[Product](t, db)))
			require.NoError(t, write(db, &products).Error)
			require.Equal(t, []int{3, 3, 3}, versions(products))
		}}, Behaviour{name + " of a stale row writes none, in a transaction whose error is swallowed", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 4)
			changePrice(t, db, products[1])
			require.NoError(t, db.Delete(&Product{}, products[3].ID).Error)
			stored := all[Product](t, db)

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				for range 2 {
					res := write(tx, &products)
					rows := staleRows(t, res.Error)
					require.Len(t, rows, 2)
					require.Equal(t, []int{1, 3}, []int{rows[0].Index, rows[1].Index})
					require.Equal(t, occ.ReasonChanged, rows[0].Reason)
					require.Equal(t, occ.ReasonDeleted, rows[1].Reason)
					require.EqualValues(t, 0, res.RowsAffected)
					require.Equal(t, []int{1, 1, 1, 1}, versions(products))
				}
				return tx.Create(&Product{Name: "other"}).Error
			}))

			require.Equal(t, stored, all[Product](t, db)[:3])
			require.Len(t, all[Product](t, db), 4)
		}}, Behaviour{name + " shows its statement in a dry run and changes nothing", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			stored := all[Product](t, db)

			res := write(db.Session(&gorm.Session{DryRun: true}), &products)

			require.NoError(t, res.Error)
			require.Contains(t, res.Statement.SQL.String(), "version")
			require.NotEmpty(t, res.Statement.Vars)
			require.Equal(t, []int{1, 1, 1}, versions(products))
			require.Equal(t, stored, all[Product](t, db))
		}}, Behaviour{name + " of copies of one row counts it once", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			products = append(products, products[0])

			res := write(db, &products)

			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			if name != "Delete" {
				require.Equal(t, []int{2, 2, 2}, versions(products))
				require.Equal(t, []int{2, 2}, versions(all[Product](t, db)))
			}
		}}, Behaviour{name + " of copies at two versions is refused", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			old := products[0]
			require.NoError(t, db.Model(&products[0]).Update("price", 7).Error)
			products = append(products, old)

			res := write(db, &products)

			rows := staleRows(t, res.Error)
			require.Len(t, rows, 1)
			require.Equal(t, 2, rows[0].Index)
			require.Equal(t, []int{2, 1}, versions(all[Product](t, db)))
		}}, Behaviour{name + " with Expect compares every row with it", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			changePrice(t, db, products[1])

			rows := staleRows(t, write(db.Clauses(occ.Expect(2)), &products).Error)

			require.Len(t, rows, 1)
			require.Equal(t, 0, rows[0].Index)
			changePrice(t, db, products[0])
			require.NoError(t, write(db.Clauses(occ.Expect(2)), &products).Error)
			if name != "Delete" {
				require.Equal(t, []int{3, 3}, versions(products))
			}
		}}, Behaviour{name + " with Unchecked writes whatever the versions", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			changePrice(t, db, products[1])

			require.NoError(t, write(db.Clauses(occ.Unchecked()), &products).Error)

			if name != "Delete" {
				require.Equal(t, []int{2, 3}, versions(products))
				require.Equal(t, []int{2, 3}, versions(all[Product](t, db)))
			}
		}}, Behaviour{name + " of rows that were not loaded is refused", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			stored := all[Product](t, db)
			products[1].Version = 0

			err := write(db, &products).Error

			require.ErrorIs(t, err, occ.ErrVersionMissing)
			require.Equal(t, occ.ReasonMissing, Stale(t, err).Reason)
			require.Equal(t, []int{1, 0, 1}, versions(products))
			require.Equal(t, stored, all[Product](t, db))
		}}, Behaviour{name + " leaves a statement that can be used again", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			tx := db.Session(&gorm.Session{})
			require.NoError(t, write(tx, &products).Error)
			changePrice(t, db, products[0])
			require.NoError(t, tx.Create(&Product{Name: "new"}).Error)
		}})
	}
	Run(t, someConfigurations(), behaviours, &Product{})
}

func TestSlicesWithOtherKeys(t *testing.T) {
	t.Parallel()
	Run(t, append(testdb.All(), Only("mariadb clientFoundRows")...), []Behaviour{
		{"keys of several columns, some of them zero", func(t *testing.T, db *gorm.DB) {
			seats := []seat{{Row: 0, Number: 1}, {Row: 1, Number: 0}, {Row: 1, Number: 1}}
			require.NoError(t, db.Save(&seats).Error)
			for i := range seats {
				seats[i].Guest = fmt.Sprint("guest ", i)
			}
			require.NoError(t, db.Save(&seats).Error)
			require.NoError(t, db.Model(&seats).Update("guest", gorm.Expr("CONCAT(guest, '!')")).Error)
			var stored []seat
			require.NoError(t, db.Order("guest").Find(&stored).Error)
			for i := range stored {
				require.Equal(t, occ.Version(3), seats[i].Version)
				require.Equal(t, fmt.Sprint("guest ", i, "!"), stored[i].Guest)
			}
			old := append([]seat(nil), stored...)
			require.NoError(t, db.Model(&stored[1]).Update("guest", "x").Error)
			require.Equal(t, map[string]any{"row": 1, "number": 0}, Stale(t, db.Delete(&old).Error).PrimaryKey)
			require.NoError(t, db.Delete(&stored).Error)
		}},
		{"a text key that the database takes for another model's", func(t *testing.T, db *gorm.DB) {
			words := []word{{Text: "pen"}, {Text: "ink"}}
			require.NoError(t, db.Create(&words).Error)
			twins := []word{words[0], words[1], words[0]}
			twins[2].Text = "PEN"
			twins[0].Count = 5

			res := db.Model(&twins).Update("count", gorm.Expr("count + 1"))

			if db.Name() != "mysql" {
				require.Equal(t, 2, Stale(t, res.Error).Index)
				return
			}
			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Equal(t, occ.Version(2), twins[0].Version)
			require.Equal(t, occ.Version(2), twins[2].Version)
			twins[2].Version = 1
			require.Equal(t, 2, Stale(t, db.Save(&twins).Error).Index)
			require.Equal(t, 2, Stale(t, db.Delete(&twins).Error).Index)
		}},
		{"rows without a version count from one", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("INSERT INTO legacy_items (id, name, version) VALUES (1, 'a', NULL), (2, 'b', 0), (3, 'c', 4)").Error)
			var items []legacyItem
			require.NoError(t, db.Order("id").Find(&items).Error)
			items[0].Name, items[1].Name, items[2].Name = "A", "B", "C"
			items = append(items, legacyItem{ID: 4, Name: "D"})

			require.NoError(t, db.Save(&items).Error)

			require.Equal(t, []int32{1, 1, 5, 1}, []int32{*items[0].Version, *items[1].Version, *items[2].Version, *items[3].Version})
			var stored []legacyItem
			require.NoError(t, db.Order("id").Find(&stored).Error)
			require.Equal(t, items, stored)
			require.NoError(t, db.Exec("UPDATE legacy_items SET version = NULL WHERE id < 3").Error)
			items[0].Version, items[1].Version = nil, nil
			require.NoError(t, db.Model(&items).Update("name", "x").Error)
			require.Equal(t, int32(1), *items[0].Version)
			require.Equal(t, int32(6), *items[2].Version)
			items[0].Version = nil
			require.ErrorIs(t, db.Delete(&items).Error, occ.ErrVersionMissing)
		}},
	}, &seat{}, &word{}, &legacyItem{})
}

func TestSlicesAndHooks(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"hooks see the new versions", func(t *testing.T, db *gorm.DB) {
			items := []*hookedItem{{Name: "a"}, {Name: "b"}}
			require.NoError(t, db.Create(&items).Error)
			items = append(items, &hookedItem{Name: "c"})
			require.NoError(t, db.Save(&items).Error)
			require.Equal(t, "before 0;after 1;before 1;after 2;", items[0].Seen)
			require.Equal(t, "before 0;after 1;", items[2].Seen)
			require.NoError(t, db.Model(&items).Update("name", "d").Error)
			require.True(t, strings.HasSuffix(items[0].Seen, "before 2;after 3;"), items[0].Seen)
		}},
	}, &hookedItem{})
	Run(t, Except("SkipDefaultTransaction", Everywhere()), []Behaviour{
		{"a failing hook undoes rows and versions", func(t *testing.T, db *gorm.DB) {
			items := []*hookedItem{{Name: "a"}, {Name: "b"}}
			require.NoError(t, db.Create(&items).Error)
			items[1].Failing = true
			items = append(items, &hookedItem{Name: "new"})
			for _, write := range []func() *gorm.DB{
				func() *gorm.DB { return db.Save(&items) },
				func() *gorm.DB { loaded := items[:2]; return db.Model(&loaded).Update("name", "c") },
				func() *gorm.DB { loaded := items[:2]; return db.Delete(&loaded) },
			} {
				require.ErrorIs(t, write().Error, errItemHook)
				require.Equal(t, occ.Version(1), items[0].Version)
				require.Equal(t, occ.Version(0), items[2].Version)
				stored := all[hookedItem](t, db)
				require.Len(t, stored, 2)
				require.Equal(t, occ.Version(1), stored[0].Version)
			}
		}},
	}, &hookedItem{})
}

func TestOddSlices(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"an empty one has GORM's meaning", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			require.ErrorIs(t, db.Save(&[]Product{}).Error, gorm.ErrEmptySlice)
			require.ErrorIs(t, db.Delete(&[]Product{}).Error, gorm.ErrMissingWhereClause)
			require.ErrorIs(t, db.Model(&[]Product{}).Update("price", 1).Error, gorm.ErrMissingWhereClause)
			require.NoError(t, db.Model(&[]Product{}).Where("id = ?", products[0].ID).Update("price", 1).Error)
			require.Equal(t, []int{2, 1}, versions(all[Product](t, db)))
			require.NoError(t, db.Where("id = ?", products[0].ID).Delete(&[]Product{}).Error)
			require.Len(t, all[Product](t, db), 1)
			var none *[]Product
			require.Error(t, db.Save(none).Error)
			require.Error(t, db.Model(none).Update("price", 1).Error)
			require.Error(t, db.Delete(none).Error)
		}},
		{"a nil pointer in it is an error", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			products := []*Product{&p, nil}
			require.ErrorIs(t, db.Save(&products).Error, gorm.ErrInvalidValue)
			require.ErrorIs(t, db.Create(&products).Error, gorm.ErrInvalidData)
			require.ErrorIs(t, db.Model(&products).Update("price", 1).Error, gorm.ErrInvalidValue)
			require.ErrorIs(t, db.Delete(&products).Error, gorm.ErrInvalidValue)
			require.Equal(t, p, Reload[Product](t, db, p.ID))
		}},
		{"arrays, pointers, and the same pointer twice", func(t *testing.T, db *gorm.DB) {
			array := [2]Product{{Name: "a"}, {Name: "b"}}
			require.NoError(t, db.Save(&array).Error)
			require.NoError(t, db.Save(&array).Error)
			require.Equal(t, occ.Version(2), array[1].Version)
			require.NoError(t, db.Save(array).Error)
			require.Equal(t, []int{3, 3}, versions(all[Product](t, db)))
			require.Equal(t, occ.Version(2), array[1].Version)
			require.ErrorIs(t, db.Save(&array).Error, occ.ErrStaleData)
			p := &Product{Name: "c"}
			pointers := []*Product{p, p}
			require.NoError(t, db.Save(&pointers).Error)
			require.NoError(t, db.Save(&pointers).Error)
			require.Equal(t, occ.Version(2), p.Version)
			require.Len(t, all[Product](t, db), 3)
			require.NoError(t, db.Model(&pointers).Update("name", "d").Error)
			require.Equal(t, *p, Reload[Product](t, db, p.ID))
			twice := []**Product{&p}
			_ = twice
		}},
		{"copies of a row at two versions are refused, and a new model beside them is not called stale", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			products := []Product{stored, {ID: stored.ID}, {ID: stored.ID + 1, Name: "new"}}

			require.Equal(t, occ.StaleRow{
				Index: 1, PrimaryKey: map[string]any{"id": stored.ID},
				Expected: occ.Version(0), Actual: occ.Version(1), Reason: occ.ReasonMissing,
			}, Stale(t, db.Save(&products).Error))

			RequireProducts(t, db, stored)
			require.Equal(t, []int{1, 0, 0}, versions(products))
		}},
		{"elements without key and version are ignored, those with a version alone are an error", func(t *testing.T, db *gorm.DB) {
			products := append(createSeveral(t, db, 2), Product{})
			res := db.Model(&products).Update("price", 5)
			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Zero(t, products[2].Version)
			products[2].Version = 3
			require.ErrorIs(t, db.Model(&products).Update("price", 5).Error, gorm.ErrPrimaryKeyRequired)
			require.ErrorIs(t, db.Delete(&products).Error, gorm.ErrPrimaryKeyRequired)
			require.NoError(t, db.Save(&products).Error)
			require.Equal(t, occ.Version(3), Reload[Product](t, db, products[2].ID).Version)
			versions := []Product{{Version: 1}, {Version: 2}}
			require.ErrorIs(t, db.Model(&versions).Update("price", 6).Error, gorm.ErrMissingWhereClause)
			require.ErrorIs(t, db.Delete(&versions).Error, gorm.ErrMissingWhereClause)
			keyless := []Product{{}, {}}
			require.NoError(t, db.Model(&keyless).Where("price = 5").Clauses(occ.Expect(3)).Update("name", "x").Error)
			require.ErrorIs(t, db.Model(&keyless).Where("price = 5").Clauses(occ.Expect(30)).Update("name", "x").Error, occ.ErrStaleData)
		}},
		{"rows that the caller's conditions leave out stay as they are", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3) // prices 10, 11, 12
			res := db.Model(&products).Where("price = ?", 10).Or("price = ?", 12).Update("name", "x")
			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Equal(t, []int{2, 1, 2}, versions(products))
			require.Equal(t, []int{2, 1, 2}, versions(all[Product](t, db)))
			res = db.Model(&products).Where("price > ?", 100).Update("name", "x")
			require.NoError(t, res.Error)
			require.EqualValues(t, 0, res.RowsAffected)
			res = db.Where("price > ?", 11).Delete(&products)
			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Len(t, all[Product](t, db), 2)
			products = all[Product](t, db)
			changePrice(t, db, products[1])
			require.Equal(t, 1, Stale(t, db.Model(&products).Where("price = ?", 10).Update("name", "y").Error).Index)
			products = all[Product](t, db)
			res = db.Where("price = ?", 10).Save(&products)
			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Equal(t, versions(all[Product](t, db)), versions(products))
		}},
		{"automatic timestamps, Select and Omit", func(t *testing.T, db *gorm.DB) {
			notes := []Note{{Text: "a"}, {Text: "b"}}
			require.NoError(t, db.Create(&notes).Error)
			before := append([]Note(nil), notes...)
			for i := range notes {
				notes[i].Text, notes[i].CreatedAt = "c", notes[i].CreatedAt.AddDate(1, 0, 0)
			}
			require.NoError(t, db.Save(&notes).Error)
			stored := all[Note](t, db)
			require.True(t, stored[0].CreatedAt.Sub(before[0].CreatedAt).Abs() < 1e7)
			require.True(t, notes[0].UpdatedAt.After(before[0].UpdatedAt))
			require.Equal(t, notes[0].UpdatedAt, notes[1].UpdatedAt)
			require.True(t, stored[0].UpdatedAt.Sub(notes[0].UpdatedAt).Abs() < 1e7)
			notes[0].Text = "d"
			require.NoError(t, db.Omit("text").Save(&notes).Error)
			require.Equal(t, "c", all[Note](t, db)[0].Text)
			require.NoError(t, db.Select("text").Save(&notes).Error)
			require.Equal(t, "d", all[Note](t, db)[0].Text)
			require.Equal(t, occ.Version(4), all[Note](t, db)[0].Version)
			require.Equal(t, occ.Version(4), notes[0].Version)
			require.NoError(t, db.Select("text").Omit("version").Save(&notes).Error)
			require.Equal(t, occ.Version(5), notes[0].Version)
			require.Equal(t, occ.Version(5), all[Note](t, db)[1].Version)
		}},
		{"the payload's version is what all rows are expected at", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 2)
			require.NoError(t, db.Model(&products).Updates(Product{Price: 3, Version: 1}).Error)
			require.Equal(t, []int{2, 2}, versions(products))
			require.Len(t, staleRows(t, db.Model(&products).Updates(map[string]any{"price": 4, "version": 1}).Error), 2)
			require.Equal(t, []int{2, 2}, versions(products))
		}},
		{"a unique key of another column is its own error", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("CREATE UNIQUE INDEX price_once ON products (price)").Error)
			products := createSeveral(t, db, 2)
			products = append(products, Product{ID: 100, Price: 10}, Product{Price: 50})
			err := db.Save(&products).Error
			require.Error(t, err)
			require.NotErrorIs(t, err, occ.ErrStaleData)
			require.Len(t, all[Product](t, db), 2)
			require.Equal(t, []int{1, 1, 0, 0}, versions(products))
		}},
	}, &Product{}, &Note{})
}

func TestReturningOfSlices(t *testing.T) {
	t.Parallel()
	// MariaDB's UPDATE has no RETURNING.
	Run(t, Except("mariadb", testdb.All()), []Behaviour{
		{"columns that RETURNING gives back land on their elements", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			products[0], products[2] = products[2], products[0]
			res := db.Model(&products).Clauses(clause.Returning{}).Update("price", gorm.Expr("price + 1"))
			require.NoError(t, res.Error)
			require.EqualValues(t, 3, res.RowsAffected)
			require.Equal(t, []int{13, 12, 11}, []int{products[0].Price, products[1].Price, products[2].Price})
			require.Equal(t, []int{2, 2, 2}, versions(products))
			require.NoError(t, db.Exec("UPDATE products SET name = 'secret'").Error)
			require.NoError(t, db.Model(&products).Clauses(clause.Returning{Columns: []clause.Column{{Name: "price"}}}).Update("price", gorm.Expr("price + 1")).Error)
			require.Equal(t, []string{"14 pen", "13 pen"}, []string{fmt.Sprint(products[0].Price, " ", products[0].Name), fmt.Sprint(products[1].Price, " ", products[1].Name)})
			require.NoError(t, db.Clauses(clause.Returning{}).Save(&products).Error)
			require.NoError(t, db.Exec("UPDATE products SET name = 'gone'").Error)
			require.NoError(t, db.Clauses(clause.Returning{}).Delete(&products).Error)
			require.Equal(t, "gone", products[1].Name)
			notes := []Note{{Text: "a"}, {Text: "b"}}
			require.NoError(t, db.Create(&notes).Error)
			require.NoError(t, db.Exec("UPDATE notes SET text = 'gone'").Error)
			res = db.Clauses(clause.Returning{}).Delete(&notes)
			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Equal(t, "gone", notes[1].Text)
			require.True(t, notes[1].DeletedAt.Valid)
		}},
	}, &Product{}, &Note{})
}

func TestBlindWritesOfASlice(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&Product{}}, occ.WithBlindWrites())
			products := createSeveral(t, db, 3)
			products[0].Version, products[0].Name = 0, "blind"
			stored := append([]Product(nil), products...)

			require.NoError(t, db.Save(&products).Error)
			require.Equal(t, []int{2, 2, 2}, versions(products))
			require.Equal(t, products, all[Product](t, db))
			products[0].Version = 0
			require.NoError(t, db.Model(&products).Update("price", 3).Error)
			require.Equal(t, []int{3, 3, 3}, versions(products))
			require.Equal(t, products, all[Product](t, db))
			stored[0].Version = 0
			require.Equal(t, 1, staleRows(t, db.Save(&stored).Error)[0].Index)
			require.Equal(t, products, all[Product](t, db))
			products[1].Version, products[2].Version = 0, 0
			gone := append(products, Product{ID: 90, Name: "new"})
			require.NoError(t, db.Save(&gone).Error)
			require.Equal(t, []int{4, 4, 4, 1}, versions(gone))
			gone[0].Version = 0
			require.NoError(t, db.Delete(&gone).Error)
			require.Empty(t, all[Product](t, db))
		})
	}
}

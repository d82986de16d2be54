package behaviour_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// hookingItem calls a function in the hook of a name.
type hookingItem struct {
	ID   uint
	Name string
	In   string                  `gorm:"-"`
	Call func(tx *gorm.DB) error `gorm:"-"`
	occ.Version
}

func (i *hookingItem) hook(name string, tx *gorm.DB) error {
	if i.In != name {
		return nil
	}
	return i.Call(tx)
}

func (i *hookingItem) BeforeCreate(tx *gorm.DB) error { return i.hook("BeforeCreate", tx) }
func (i *hookingItem) AfterCreate(tx *gorm.DB) error  { return i.hook("AfterCreate", tx) }
func (i *hookingItem) BeforeUpdate(tx *gorm.DB) error { return i.hook("BeforeUpdate", tx) }
func (i *hookingItem) AfterUpdate(tx *gorm.DB) error  { return i.hook("AfterUpdate", tx) }
func (i *hookingItem) BeforeDelete(tx *gorm.DB) error { return i.hook("BeforeDelete", tx) }
func (i *hookingItem) AfterDelete(tx *gorm.DB) error  { return i.hook("AfterDelete", tx) }
func (i *hookingItem) AfterFind(tx *gorm.DB) error    { return i.hook("AfterFind", tx) }

// inHooks are the functions of the package, on a product of another table than the hook's. Each leaves the product at the price.
func inHooks() map[string]func(tx *gorm.DB, p *Product, price int) error {
	update := func(tx *gorm.DB, p *Product, price int) error { return tx.Model(p).Update("price", price).Error }
	return map[string]func(tx *gorm.DB, p *Product, price int) error{
		"Transaction": func(tx *gorm.DB, p *Product, price int) error {
			return occ.Transaction(tx, func(tx *gorm.DB) error { return update(tx, p, price) })
		},
		"Transaction that reads, creates and deletes": func(tx *gorm.DB, p *Product, price int) error {
			return occ.Transaction(tx, func(tx *gorm.DB) error {
				var read Product
				other := Product{ID: 700, Name: "other"}
				for _, err := range []error{tx.First(&read, p.ID).Error, tx.Create(&other).Error, tx.Delete(&other).Error} {
					if err != nil {
						return err
					}
				}
				return update(tx, p, price)
			})
		},
		"Touch": func(tx *gorm.DB, p *Product, price int) error {
			if err := occ.Touch(tx, p); err != nil {
				return err
			}
			return update(tx, p, price)
		},
		"Verify": func(tx *gorm.DB, p *Product, price int) error {
			if err := occ.Verify(tx, p); err != nil {
				return err
			}
			return update(tx, p, price)
		},
		"Current": func(tx *gorm.DB, p *Product, price int) error {
			current, err := occ.Current(tx, p)
			if err == nil && *current != *p {
				err = fmt.Errorf("current is %v, not %v", *current, *p)
			}
			if err != nil {
				return err
			}
			return update(tx, p, price)
		},
		"Rebase": func(tx *gorm.DB, p *Product, price int) error {
			base := *p
			p.Price = price
			return occ.Rebase(tx, &base, p)
		},
	}
}

// TestFunctionsInHooks calls each function of the package with the tx of a hook. A hook's tx begins with nothing of the statement
// that the hook belongs to.
func TestFunctionsInHooks(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, call := range inHooks() {
		for hook, write := range map[string]func(db *gorm.DB, item *hookingItem) error{
			"BeforeCreate": func(db *gorm.DB, item *hookingItem) error { item.ID = 0; return db.Create(item).Error },
			"AfterCreate":  func(db *gorm.DB, item *hookingItem) error { item.ID = 0; return db.Create(item).Error },
			"BeforeUpdate": func(db *gorm.DB, item *hookingItem) error { return db.Model(item).Update("name", "changed").Error },
			"AfterUpdate":  func(db *gorm.DB, item *hookingItem) error { return db.Where("1 = 1").Save(item).Error },
			"BeforeDelete": func(db *gorm.DB, item *hookingItem) error { return db.Delete(item).Error },
			"AfterDelete":  func(db *gorm.DB, item *hookingItem) error { return db.Delete(item).Error },
			"AfterFind":    func(db *gorm.DB, item *hookingItem) error { return db.Where("name <> ''").First(item).Error },
		} {
			behaviours = append(behaviours, Behaviour{name + " in " + hook, func(t *testing.T, db *gorm.DB) {
				_, other := Create(t, db), Create(t, db)
				items := []hookingItem{{Name: "one"}, {Name: "two"}, {Name: "three"}}
				require.NoError(t, db.Create(&items).Error)
				item, ran := items[0], false
				if hook == "BeforeCreate" || hook == "AfterCreate" {
					item.Version = 0
				}
				item.In, item.Call = hook, func(tx *gorm.DB) error { ran = true; return call(tx, &other, 70) }

				require.NoError(t, write(db, &item))

				require.True(t, ran)
				require.Equal(t, 70, other.Price)
				require.Equal(t, other, Reload[Product](t, db, other.ID))
				require.Len(t, all[Product](t, db), 2)
				rest := slices.DeleteFunc(all[hookingItem](t, db), func(i hookingItem) bool { return i.ID == item.ID || i.ID == items[0].ID })
				require.Equal(t, items[1:], rest)
			}})
		}
	}
	Run(t, append(testdb.All(), Only("postgres SkipDefaultTransaction", "mariadb PrepareStmt", "sqlite WithLeanTransactions")...), behaviours,
		&Product{}, &hookingItem{})
}

func TestFunctionsInCallbacksOfFindInBatches(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, call := range inHooks() {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, occ.Transaction(db, func(tx *gorm.DB) error {
				var found []Product
				return tx.Where("price >= 0").FindInBatches(&found, 2, func(tx *gorm.DB, _ int) error {
					for i := range found {
						if err := call(tx, &found[i], 70+i); err != nil {
							return err
						}
						products[found[i].ID-products[0].ID] = found[i]
					}
					return nil
				}).Error
			}))
			require.Equal(t, products, all[Product](t, db))
			for _, p := range products {
				require.GreaterOrEqual(t, p.Price, 70)
			}
		}})
	}
	Run(t, testdb.All(), behaviours, &Product{})
	Run(t, Only("sqlite SkipDefaultTransaction"), []Behaviour{
		{"Retry, in a hook of a call that has no transaction", func(t *testing.T, db *gorm.DB) {
			p, item := Create(t, db), hookingItem{Name: "one", In: "AfterUpdate"}
			require.NoError(t, db.Create(&item).Error)
			item.Call = func(tx *gorm.DB) error {
				return occ.Retry(context.Background(), tx, func(tx *gorm.DB) error {
					if err := tx.First(&p, p.ID).Error; err != nil {
						return err
					}
					return tx.Model(&p).Update("price", 70).Error
				}, AtOnce())
			}
			require.NoError(t, db.Model(&item).Update("name", "changed").Error)
			require.Equal(t, 70, Reload[Product](t, db, p.ID).Price)
		}},
	}, &Product{}, &hookingItem{})
}

package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// pen and ink are products as they are created, pen1 and ink1 as they are stored then.
var (
	pen, ink   = Product{Name: "pen", Price: 10}, Product{Name: "ink", Price: 20}
	pen1, ink1 = Product{Name: "pen", Price: 10, Version: 1}, Product{Name: "ink", Price: 20, Version: 1}
)

func TestCreate(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a struct starts at the first version", func(t *testing.T, db *gorm.DB) {
			p := pen

			require.NoError(t, db.Create(&p).Error)

			require.Equal(t, occ.Version(1), p.Version)
			RequireProducts(t, db, p)
		}},
		{"a struct by value starts at the first version", func(t *testing.T, db *gorm.DB) {
			_ = db.Create(pen).Error // GORM's error: it cannot return the key

			var stored []Product
			require.NoError(t, db.Find(&stored).Error)
			for _, p := range stored {
				require.Equal(t, occ.Version(1), p.Version)
			}
		}},
		{"a pointer to a pointer starts at the first version", func(t *testing.T, db *gorm.DB) {
			p := &Product{Name: "pen"}

			require.NoError(t, db.Create(&p).Error)

			require.Equal(t, occ.Version(1), p.Version)
			RequireProducts(t, db, *p)
		}},
		{"a preset version is kept", func(t *testing.T, db *gorm.DB) {
			p := Product{Name: "pen", Version: 7}

			require.NoError(t, db.Create(&p).Error)

			require.Equal(t, occ.Version(7), p.Version)
			RequireProducts(t, db, p)
		}},
		{"slices of structs and of pointers start at the first version", func(t *testing.T, db *gorm.DB) {
			structs, pointers := []Product{pen, {Name: "ink", Version: 5}}, []*Product{{Name: "cap"}, {Name: "nib"}}

			require.NoError(t, db.Create(&structs).Error)
			require.NoError(t, db.Create(&pointers).Error)
			require.NoError(t, db.Create([]*Product{{Name: "box"}}).Error)

			require.Equal(t, []occ.Version{1, 5}, []occ.Version{structs[0].Version, structs[1].Version})
			RequireProducts(t, db, structs[0], structs[1], *pointers[0], *pointers[1], Product{ID: structs[0].ID + 4, Name: "box", Price: 0, Version: 1})
		}},
		{"arrays start at the first version", func(t *testing.T, db *gorm.DB) {
			products := [2]Product{pen, ink}

			require.NoError(t, db.Create(&products).Error)

			require.Equal(t, occ.Version(1), products[1].Version)
			RequireProducts(t, db, products[:]...)
		}},
		{"batches start at the first version", func(t *testing.T, db *gorm.DB) {
			products := []Product{pen, ink, {Name: "cap"}}

			require.NoError(t, db.CreateInBatches(&products, 2).Error)
			require.NoError(t, db.Session(&gorm.Session{CreateBatchSize: 1}).Create([]*Product{{Name: "nib"}, {Name: "box"}}).Error)

			last := products[2].ID
			RequireProducts(t, db, append(products, Product{ID: last + 1, Name: "nib", Price: 0, Version: 1}, Product{ID: last + 2, Name: "box", Price: 0, Version: 1})...)
		}},
		{"maps start at the first version", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Model(&Product{}).Create(map[string]any{"name": "pen", "price": 10}).Error)
			require.NoError(t, db.Model(&Product{}).Create(&map[string]any{"Name": "ink", "Price": 20, "Version": 0}).Error)

			RequireProducts(t, db, pen1, ink1)
		}},
		{"slices of maps start at the first version", func(t *testing.T, db *gorm.DB) {
			maps := []map[string]any{{"name": "pen", "price": 10}, {"name": "ink", "price": 20, "version": 5}}

			require.NoError(t, db.Model(&Product{}).Create(&maps).Error)

			RequireProducts(t, db, pen1, Product{ID: 0, Name: "ink", Price: 20, Version: 5})
		}},
		{"a map with a version of a wrong type is an error that names model and field", func(t *testing.T, db *gorm.DB) {
			err := db.Model(&Product{}).Create(map[string]any{"name": "pen", "version": "one"}).Error

			require.ErrorContains(t, err, "model Product, field Version")
			RequireProducts(t, db)
		}},
		{"Select and Omit do not leave the version out", func(t *testing.T, db *gorm.DB) {
			selected, omitted, renamed := pen, ink, pen

			require.NoError(t, db.Select("name", "price").Create(&selected).Error)
			require.NoError(t, db.Omit("version").Create(&omitted).Error)
			require.NoError(t, db.Omit("products.version", "Version").Create(&renamed).Error)

			require.Equal(t, []occ.Version{1, 1, 1}, []occ.Version{selected.Version, omitted.Version, renamed.Version})
			RequireProducts(t, db, selected, omitted, renamed)
		}},
	}, &Product{})
}

func TestCreateThatInsertsNothing(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a failed insert leaves the models as they were", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			one, slice := Product{ID: stored.ID, Name: "ink"}, []Product{{Name: "ink"}, {ID: stored.ID}}
			values := map[string]any{"id": stored.ID, "name": "ink"}

			require.Error(t, db.Create(&one).Error)
			require.Error(t, db.Create(&slice).Error)
			require.Error(t, db.Model(&Product{}).Create(values).Error)

			require.Equal(t, []occ.Version{0, 0, 0}, []occ.Version{one.Version, slice[0].Version, slice[1].Version})
			require.Equal(t, map[string]any{"id": stored.ID, "name": "ink"}, values)
			RequireProducts(t, db, stored)
		}},
		{"DO NOTHING that left the row alone leaves the model as it was", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			mine, preset := Product{ID: stored.ID, Name: "ink"}, Product{ID: stored.ID, Version: 9}
			nothing := clause.OnConflict{DoNothing: true}

			require.NoError(t, db.Clauses(nothing).Create(&mine).Error)
			require.NoError(t, db.Clauses(nothing).Create(&preset).Error)

			require.Equal(t, Product{ID: stored.ID, Name: "ink"}, mine)
			require.Equal(t, occ.Version(9), preset.Version)
			RequireProducts(t, db, stored)
		}},
		{"DO NOTHING that inserted holds the first version", func(t *testing.T, db *gorm.DB) {
			mine := pen

			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&mine).Error)

			require.Equal(t, occ.Version(1), mine.Version)
			RequireProducts(t, db, mine)
		}},
		{"clause.Returning brings the row as inserted", func(t *testing.T, db *gorm.DB) {
			mine := pen

			require.NoError(t, db.Clauses(clause.Returning{}).Create(&mine).Error)

			require.Equal(t, occ.Version(1), mine.Version)
			RequireProducts(t, db, mine)
		}},
		{"DryRun shows the statement and changes nothing", func(t *testing.T, db *gorm.DB) {
			mine, values := pen, map[string]any{"name": "ink"}
			dry := db.Session(&gorm.Session{DryRun: true})

			require.Contains(t, dry.Create(&mine).Statement.SQL.String(), "version")
			require.NoError(t, dry.Model(&Product{}).Create(values).Error)

			require.Equal(t, pen, mine)
			require.Equal(t, map[string]any{"name": "ink"}, values)
			RequireProducts(t, db)
		}},
		{"inside a transaction that is rolled back nothing is inserted", func(t *testing.T, db *gorm.DB) {
			mine := pen

			require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Create(&mine).Error)
				return ErrHook
			}), ErrHook)

			RequireProducts(t, db)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Model(&mine).Update("price", 1).Error).Reason)
		}},
	}, &Product{})
}

func TestCreateOfABatchThatFails(t *testing.T) {
	t.Parallel()
	Run(t, Except("SkipDefaultTransaction", Everywhere()), []Behaviour{
		{"a batch that fails rolls all of them back, in memory too", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			products := []Product{{Name: "ink"}, {ID: stored.ID}}

			require.Error(t, db.CreateInBatches(&products, 1).Error)

			RequireProducts(t, db, stored)
		}},
	}, &Product{})
}

func TestFirstOrCreate(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"what is not found is created at the first version", func(t *testing.T, db *gorm.DB) {
			var mine Product

			found := db.Where(Product{Name: "pen"}).Attrs(Product{Price: 10}).Assign(map[string]any{"price": 20})
			require.NoError(t, found.FirstOrCreate(&mine).Error)

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 20, Version: 1}, mine)
			RequireProducts(t, db, mine)
		}},
		{"what is found is loaded, and Attrs leaves it alone", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			var mine Product

			require.NoError(t, db.Where(Product{Name: "pen"}).Attrs(Product{Price: 99}).FirstOrCreate(&mine).Error)

			require.Equal(t, stored, mine)
			RequireProducts(t, db, stored)
		}},
		{"what is found is updated by Assign, and compared", func(t *testing.T, db *gorm.DB) {
			Create(t, db)
			var mine Product

			require.NoError(t, db.Where(Product{Name: "pen"}).Assign(Product{Price: 20}).FirstOrCreate(&mine).Error)

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 20, Version: 2}, mine)
			RequireProducts(t, db, mine)
		}},
		{"what another session writes after the reading is not overwritten by Assign", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			between := Reopen(t, db, gorm.Config{SkipDefaultTransaction: true}, occ.New())
			require.NoError(t, between.Callback().Query().After("*").Register("theirs", func(*gorm.DB) {
				require.NoError(t, db.Model(&stored).Update("price", 30).Error)
			}))
			var mine Product

			err := between.Where(Product{Name: "pen"}).Assign(Product{Price: 20}).FirstOrCreate(&mine).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			RequireProducts(t, db, Product{ID: stored.ID, Name: "pen", Price: 30, Version: stored.Version})
		}},
	}, &Product{})
}

func TestGenericsCreate(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"gorm.G creates at the first version", func(t *testing.T, db *gorm.DB) {
			one, many := Product{Name: "pen"}, []Product{{Name: "ink"}, {Name: "cap"}}

			require.NoError(t, gorm.G[Product](db).Create(t.Context(), &one))
			require.NoError(t, gorm.G[Product](db).CreateInBatches(t.Context(), &many, 2))
			name := clause.Assignment{Column: clause.Column{Name: "name"}, Value: "nib"}
			require.NoError(t, gorm.G[Product](db).Set(name).Create(t.Context()))

			RequireProducts(t, db, one, many[0], many[1], Product{ID: many[1].ID + 1, Name: "nib", Price: 0, Version: 1})
			require.Equal(t, []occ.Version{1, 1, 1}, []occ.Version{one.Version, many[0].Version, many[1].Version})
		}},
	}, &Product{})
}

package behaviour_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

type unregisteredXmin struct {
	ID   uint
	Name string
	occ.Xmin
}

type unregisteredSnapshot struct {
	ID   uint
	Name string
	occ.Snapshot
}

// unregisteredOwner has versioned rows as its association.
type unregisteredOwner struct {
	ID    uint
	Name  string
	Parts []unregisteredPart
}

type unregisteredPart struct {
	ID                  uint
	UnregisteredOwnerID uint
	Named               occ.Version
}

func TestWithoutThePlugin(t *testing.T) {
	t.Parallel()
	const advice = "db.Use(occ.New())"
	Run(t, testdb.All(), []Behaviour{
		{"writes of a model with a version are an error that says what to call, and write nothing", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			bare := Reopen(t, db, gorm.Config{})
			for name, write := range map[string]func() error{
				"Create":       func() error { return bare.Create(&Product{Name: "ink"}).Error },
				"CreateMany":   func() error { return bare.Create(&[]Product{{Name: "ink"}, {Name: "cap"}}).Error },
				"Upsert":       func() error { return bare.Clauses(clause.OnConflict{UpdateAll: true}).Create(&mine).Error },
				"Save":         func() error { return bare.Save(&mine).Error },
				"Save slice":   func() error { return bare.Save(&[]Product{mine}).Error },
				"Update":       func() error { return bare.Model(&mine).Update("price", 70).Error },
				"UpdateColumn": func() error { return bare.Model(&mine).UpdateColumn("price", 70).Error },
				"by condition": func() error { return bare.Model(&Product{}).Where("id = ?", mine.ID).Update("price", 70).Error },
				"Unscoped":     func() error { return bare.Unscoped().Model(&mine).Update("price", 70).Error },
				"Delete":       func() error { return bare.Delete(&mine).Error },
				"Unscoped one": func() error { return bare.Unscoped().Delete(&mine).Error },
				"gorm.G": func() error {
					_, err := gorm.G[Product](bare).Where("id = ?", mine.ID).Update(context.Background(), "price", 70)
					return err
				},
				"an association": func() error {
					return bare.Create(&unregisteredOwner{Parts: []unregisteredPart{{}}}).Error
				},
			} {
				require.ErrorContains(t, write(), advice, name)
			}
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1})
			require.NoError(t, bare.First(&Product{}, mine.ID).Error)
			require.NoError(t, bare.AutoMigrate(&Product{}, &unregisteredPart{}))
			require.NoError(t, bare.Create(&Plain{Name: "pen"}).Error)
		}},
		{"the clauses are an error on any statement", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Create(&Plain{Name: "pen"}).Error)
			bare := Reopen(t, db, gorm.Config{})
			for _, c := range []clause.Expression{occ.Expect(1), occ.ExpectText("1"), occ.Unchecked()} {
				for _, err := range []error{
					bare.Clauses(c).Model(&Plain{ID: 1}).Update("price", 70).Error,
					bare.Table("plains").Where("id = ?", 1).Clauses(c).Update("price", 70).Error,
					bare.Clauses(c).Delete(&Plain{ID: 1}).Error,
					bare.Clauses(c).First(&Plain{}, 1).Error,
				} {
					require.ErrorContains(t, err, advice)
				}
				_, err := gorm.G[Plain](bare, c).Where("id = ?", 1).Update(context.Background(), "price", 70)
				require.ErrorContains(t, err, advice)
			}
			require.Equal(t, 0, Reload[Plain](t, db, 1).Price)
		}},
		{"so are writes of a model with a Snapshot", func(t *testing.T, db *gorm.DB) {
			row := unregisteredSnapshot{Name: "pen"}
			require.NoError(t, db.Create(&row).Error)
			bare := Reopen(t, db, gorm.Config{})

			for _, err := range []error{
				bare.Create(&unregisteredSnapshot{}).Error, bare.Save(&row).Error,
				bare.Model(&row).Update("name", "ink").Error, bare.Delete(&row).Error,
			} {
				require.ErrorContains(t, err, advice)
				require.ErrorContains(t, err, "Snapshot")
			}
			require.NoError(t, bare.AutoMigrate(&unregisteredSnapshot{}))
			require.Equal(t, "pen", Reload[unregisteredSnapshot](t, bare, row.ID).Name)
		}},
	}, &Product{}, &Plain{}, &unregisteredOwner{}, &unregisteredPart{}, &unregisteredSnapshot{})
	Run(t, testdb.Of("postgres"), []Behaviour{
		{"and of a model with an Xmin", func(t *testing.T, db *gorm.DB) {
			row := unregisteredXmin{Name: "pen"}
			require.NoError(t, db.Create(&row).Error)
			bare := Reopen(t, db, gorm.Config{})

			for _, err := range []error{bare.Save(&row).Error, bare.Model(&row).Update("name", "ink").Error, bare.Delete(&row).Error} {
				require.ErrorContains(t, err, advice)
			}
			require.Equal(t, "pen", Reload[unregisteredXmin](t, db, row.ID).Name)
		}},
	}, &unregisteredXmin{})
}

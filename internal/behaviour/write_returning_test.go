package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// Ledge has keys of the application's own: generated ones GORM could not learn without RETURNING.
type Ledge struct {
	ID       uint   `gorm:"primaryKey;autoIncrement:false"`
	SKU      string `gorm:"size:40;uniqueIndex"`
	Quantity int
	occ.Version
}

// TestWithoutReturning runs on dialects that are told to do without RETURNING, as MySQL has to.
func TestWithoutReturning(t *testing.T) {
	t.Parallel()
	for _, database := range Only("postgres", "mariadb") {
		t.Run(database.Name+"/versions are read where they cannot be returned", func(t *testing.T) {
			t.Parallel()
			db := withoutReturning(t, database.Open(t))
			require.NoError(t, db.Use(occ.New()))
			require.NoError(t, db.AutoMigrate(&Ledge{}))
			first := Ledge{ID: 3, SKU: "a", Quantity: 1}
			require.NoError(t, db.Create(&first).Error)

			again := Ledge{ID: first.ID, SKU: "a", Quantity: 5}
			require.NoError(t, db.Clauses(bySKU).Create(&again).Error)
			require.EqualValues(t, 2, again.Version)
			all := []Ledge{{ID: 7, SKU: "b", Quantity: 1}, {ID: first.ID, SKU: "a", Quantity: 6}}
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&all).Error)
			require.Equal(t, []occ.Version{1, 3}, []occ.Version{all[0].Version, all[1].Version})
			require.ErrorIs(t, db.Clauses(bySKU).Create(&again).Error, occ.ErrStaleData)
			skipped := Ledge{ID: 7, SKU: "z"}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&skipped).Error)
			require.EqualValues(t, 0, skipped.Version)
			all[1].Quantity = 8
			require.NoError(t, db.Save(&all).Error)
			require.NoError(t, db.Clauses(occ.Unchecked()).Model(&again).Update("quantity", 9).Error)
			require.EqualValues(t, 5, again.Version)
			require.Equal(t, again, Reload[Ledge](t, db, first.ID))
		})
	}
}

func withoutReturning(t *testing.T, db *gorm.DB) *gorm.DB {
	var dialector gorm.Dialector = postgres.New(postgres.Config{Conn: db.ConnPool, WithoutReturning: true})
	if db.Name() == "mysql" {
		dialector = mysql.New(mysql.Config{Conn: db.ConnPool, DisableWithReturning: true})
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	return db
}

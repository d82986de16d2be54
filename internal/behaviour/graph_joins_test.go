package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Optional may refer to nothing.
type Optional struct {
	ID        uint
	ProductID *uint
	Product   *Product `gorm:"constraint:false"`
	StampedID *uint
	Stamped   *Stamped16 `gorm:"constraint:false"`
}

// Stamped16 has a version that GORM cannot scan by itself.
type Stamped16 struct {
	ID    uint
	Stamp [16]byte `gorm:"version"`
}

func TestJoins(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"a join that finds no row leaves the association nil", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Create(&Optional{}).Error)
		var found Optional

		require.NoError(t, db.Joins("Product").Joins("Stamped").First(&found).Error)

		require.Nil(t, found.Product)
		require.Nil(t, found.Stamped)
	}}}, &Product{}, &Stamped16{}, &Optional{})
}

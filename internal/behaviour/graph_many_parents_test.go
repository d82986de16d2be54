package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestStatementsOfManyTouchedParents counts what is sent, which the rows of SQLite that are run one by one are not part of.
func TestStatementsOfManyTouchedParents(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, lines *[]Line) error{
		"Save":   func(db *gorm.DB, lines *[]Line) error { return db.Omit(clause.Associations).Save(lines).Error },
		"Update": func(db *gorm.DB, lines *[]Line) error { return db.Model(lines).Update("pieces", 7).Error },
		"Delete": func(db *gorm.DB, lines *[]Line) error { return db.Delete(lines).Error },
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours, Behaviour{name + " sends as many for 360 children of as many parents as for 120", func(t *testing.T, db *gorm.DB) {
			counted, trips := CountRoundTrips(t, db)
			sentFor := func(n int) int {
				carts, lines := make([]Cart, n), make([]Line, n)
				require.NoError(t, db.Omit(clause.Associations).Create(&carts).Error)
				for i := range lines {
					lines[i].CartID = &carts[i].ID
				}
				require.NoError(t, db.Omit(clause.Associations).CreateInBatches(&lines, 100).Error)
				before := CartVersion(t, db, carts[n-1].ID)
				trips.Take()

				require.NoError(t, write(counted, &lines))

				sent := len(trips.Take())
				require.Equal(t, before+1, CartVersion(t, db, carts[n-1].ID))
				return sent
			}
			sentFor(3) // asks for the types of the columns

			require.Equal(t, sentFor(120), sentFor(360)) // up to 100 PostgreSQL needs no savepoint
		}})
	}
	Run(t, testdb.All(), behaviours, &Cart{}, &Line{})
}

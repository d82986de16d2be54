package behaviour_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestSliceDeletesInOneStatement has the caller's own transaction lock, count and delete the rows of a slice in one statement.
func TestSliceDeletesInOneStatement(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("postgres"), []Behaviour{
		{"are one round trip", func(t *testing.T, db *gorm.DB) {
			counted, trips := CountRoundTrips(t, db)
			products := createSeveral(t, counted, 5)
			require.NoError(t, counted.Delete(slices.Clone(products[:2])).Error) // asks for the types of the columns
			tx := Begin(t, counted)
			trips.Take()

			require.NoError(t, tx.Delete(slices.Clone(products[2:])).Error)

			require.Len(t, trips.Take(), 1)
			require.NoError(t, tx.Commit().Error)
			RequireProducts(t, db)
		}},
		{"delete none where one is stale, and the transaction goes on", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			theirs := Reload[Product](t, db, products[1].ID)
			require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
			tx := Begin(t, db)

			row := Stale(t, tx.Delete(slices.Clone(products)).Error)

			require.Equal(t, occ.StaleRow{
				Index: 1, PrimaryKey: map[string]any{"id": theirs.ID}, Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}, row)
			require.NoError(t, tx.Delete(&products[0]).Error)
			require.NoError(t, tx.Commit().Error)
			RequireProducts(t, db, theirs, products[2])
		}},
		{"of which the database passes over a row delete none, and their transaction cannot be committed", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Exec("CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = "+
				fmt.Sprint(products[1].ID)+" THEN RETURN NULL; END IF; RETURN OLD; END'").Error)
			require.NoError(t, db.Exec("CREATE TRIGGER keep_row BEFORE DELETE ON products FOR EACH ROW EXECUTE FUNCTION keep_row()").Error)
			tx := Begin(t, db)

			require.Error(t, tx.Delete(slices.Clone(products)).Error)

			require.Error(t, tx.Commit().Error)
			require.Error(t, db.Delete(slices.Clone(products)).Error)
			RequireProducts(t, db, products...)
		}},
		{"delete rows that refer to each other, which the database would delete along", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("CREATE TABLE leafs (id bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 1,"+
				" parent_id bigint REFERENCES leafs (id) ON DELETE CASCADE)").Error)
			root := uint(1)
			leafs := []Leaf{{ID: 1}, {ID: 2, ParentID: &root}, {ID: 3, ParentID: &root}}
			require.NoError(t, db.Create(&leafs).Error)

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error { return tx.Delete(&leafs).Error }))

			require.Empty(t, all[Leaf](t, db))
		}},
		{"delete all or none, whoever else writes", func(t *testing.T, db *gorm.DB) {
			const rounds, size = 40, 5
			for round := range rounds {
				products := createSeveral(t, db, size)
				errs := make([]error, 3)
				var running sync.WaitGroup
				for n := range 2 {
					mine := slices.Clone(products)
					if n == 1 {
						slices.Reverse(mine)
					}
					running.Go(func() {
						errs[n] = db.Transaction(func(tx *gorm.DB) error { return tx.Delete(&mine).Error })
					})
				}
				running.Go(func() {
					one := products[round%size]
					errs[2] = db.Model(&one).Update("price", 70).Error
				})
				running.Wait()

				require.True(t, errs[0] != nil || errs[1] != nil, "both have deleted the same rows")
				if isDeleted := errs[0] == nil || errs[1] == nil; isDeleted {
					RequireProducts(t, db)
					continue
				}
				require.NoError(t, errs[2])
				require.Len(t, all[Product](t, db), size)
				require.NoError(t, db.Where("1 = 1").Delete(&Product{}).Error)
			}
		}},
	}, &Product{})
}

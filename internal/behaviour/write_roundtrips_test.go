package behaviour_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	all := clause.OnConflict{UpdateAll: true}
	writes := map[string]func(db *gorm.DB, p *Product) error{
		"Update":            func(db *gorm.DB, p *Product) error { return db.Model(p).Update("price", 70).Error },
		"Save":              func(db *gorm.DB, p *Product) error { return db.Save(p).Error },
		"Save of a slice":   func(db *gorm.DB, p *Product) error { return db.Save([]*Product{p}).Error },
		"Update of a slice": func(db *gorm.DB, p *Product) error { return db.Model([]*Product{p}).Update("price", 70).Error },
		"upsert":            func(db *gorm.DB, p *Product) error { return db.Clauses(all).Create(p).Error },
		"upsert of a slice": func(db *gorm.DB, p *Product) error { return db.Clauses(all).Create([]*Product{p}).Error },
		"Touch":             func(db *gorm.DB, p *Product) error { return occ.Touch(db, p) },
		"Delete":            func(db *gorm.DB, p *Product) error { return db.Delete(p).Error },
		"Delete of a slice": func(db *gorm.DB, p *Product) error { return db.Delete([]*Product{p}).Error },
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours,
			Behaviour{name + ": one row is one round trip, without a savepoint", func(t *testing.T, db *gorm.DB) {
				counted, trips := CountRoundTrips(t, db)
				first, second := Create(t, counted), Create(t, counted)
				tx := Begin(t, counted)
				trips.Take()

				require.NoError(t, write(tx, &first))
				require.Len(t, trips.Take(), 1)
				require.NoError(t, tx.Commit().Error)
				trips.Take()

				require.NoError(t, write(counted, &second))
				require.Len(t, trips.Take(), 1)
			}},
			Behaviour{name + ": a refusal of one row takes one more, to say why", func(t *testing.T, db *gorm.DB) {
				mine, theirs := Pair(t, db)
				counted, trips := CountRoundTrips(t, db)

				row := Stale(t, write(counted, &mine))

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": mine.ID},
					Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
				}, row)
				require.Len(t, trips.Take(), 2)
				require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
			}},
		)
	}
	Run(t, testdb.All(), behaviours, &Product{})
}

func TestRoundTripsOfSlices(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, ps []Product) error{
		"Save":   func(db *gorm.DB, ps []Product) error { return db.Save(&ps).Error },
		"Update": func(db *gorm.DB, ps []Product) error { return db.Model(&ps).Update("price", 70).Error },
		"Update with RETURNING": func(db *gorm.DB, ps []Product) error {
			return db.Clauses(clause.Returning{}).Model(&ps).Update("price", 70).Error
		},
		"Touch": func(db *gorm.DB, ps []Product) error { return occ.Touch(db, &ps) },
	}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours,
			Behaviour{name + ": several rows are one round trip in the caller's transaction", func(t *testing.T, db *gorm.DB) {
				counted, trips := CountRoundTrips(t, db)
				products := createSeveral(t, counted, 3)
				require.NoError(t, counted.Model(&products[1]).Update("price", 1).Error)
				require.NoError(t, write(counted, slices.Clone(products[:2]))) // asks for the types of the columns
				require.NoError(t, counted.Find(&products).Error)
				tx := Begin(t, counted)
				trips.Take()

				require.NoError(t, write(tx, products))

				require.Len(t, trips.Take(), 1)
				require.NoError(t, tx.Commit().Error)
				for _, p := range products {
					require.Equal(t, p, Reload[Product](t, db, p.ID))
				}
			}},
			Behaviour{name + ": none is written where one is stale, and the transaction goes on", func(t *testing.T, db *gorm.DB) {
				products := createSeveral(t, db, 3)
				theirs := Reload[Product](t, db, products[1].ID)
				require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
				mine := slices.Clone(products)
				tx := Begin(t, db)

				row := Stale(t, write(tx, mine))

				require.Equal(t, map[string]any{"id": products[1].ID}, row.PrimaryKey)
				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.NoError(t, tx.Create(&Product{Name: "further"}).Error)
				require.NoError(t, tx.Commit().Error)
				require.Equal(t, products[0], Reload[Product](t, db, products[0].ID))
				require.Equal(t, theirs, Reload[Product](t, db, theirs.ID))
				require.Equal(t, occ.Version(1), mine[2].Version)
			}},
		)
	}
	Run(t, testdb.Of("postgres"), behaviours, &Product{})
}

// TestBatchesInOneStatement has writers race for the same rows inside transactions of their own: a batch is written as a whole or not at all.
func TestBatchesInOneStatement(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("postgres"), []Behaviour{
		{"are written as a whole or not at all, whoever else writes", func(t *testing.T, db *gorm.DB) {
			raceForRows(t, db, 60, func(mine *[]Product) error {
				return db.Transaction(func(tx *gorm.DB) error { return tx.Save(mine).Error })
			})
		}},
		{"of which the database passes over a row are not written, and their transaction cannot be committed", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Exec("CREATE FUNCTION pass_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = "+
				fmt.Sprint(products[1].ID)+" THEN RETURN NULL; END IF; RETURN NEW; END'").Error)
			require.NoError(t, db.Exec("CREATE TRIGGER pass_over BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION pass_over()").Error)
			mine := slices.Clone(products)
			tx := Begin(t, db)

			require.Error(t, tx.Save(&mine).Error)

			require.Error(t, tx.Commit().Error)
			require.Error(t, db.Save(&mine).Error)
			for i, p := range products {
				require.Equal(t, p, Reload[Product](t, db, p.ID))
				require.Equal(t, p.Version, mine[i].Version)
			}
		}},
		{"under REPEATABLE READ leave the transaction usable where one is stale", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			tx := db.Begin(&sql.TxOptions{Isolation: sql.LevelRepeatableRead})
			require.NoError(t, tx.Find(&[]Product{}).Error)
			theirs := Reload[Product](t, db, products[1].ID)
			require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
			mine := slices.Clone(products)

			require.ErrorIs(t, tx.Save(&mine).Error, occ.ErrStaleData)

			require.NoError(t, tx.Create(&Product{Name: "further"}).Error)
			require.NoError(t, tx.Commit().Error)
			require.Equal(t, products[0], Reload[Product](t, db, products[0].ID))
		}},
		{"do not write rows that a soft delete hides", func(t *testing.T, db *gorm.DB) {
			notes := make([]Note, 3)
			require.NoError(t, db.Create(&notes).Error)
			gone := notes[1]
			require.NoError(t, db.Exec("UPDATE notes SET deleted_at = now() WHERE id = ?", gone.ID).Error) // and keeps its version
			tx := Begin(t, db)

			err := tx.Model(&notes).UpdateColumn("text", "x").Error

			require.Equal(t, occ.ReasonDeleted, Stale(t, err).Reason)
			require.NoError(t, tx.Commit().Error)
			require.Empty(t, Reload[Note](t, db, notes[0].ID).Text)
			require.Empty(t, Reload[Note](t, db, gone.ID).Text)
		}},
	}, &Product{}, &Note{})
}

func TestASaveThatReachesNoVersionIsGORMsAlone(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"without a default transaction it has none, and no savepoint in the caller's", func(t *testing.T, db *gorm.DB) {
			counted, trips := CountRoundTrips(t, db)
			require.NoError(t, counted.Create(&Shelf{ID: 1, Books: []Book{{ID: 1, Title: "x"}}}).Error)
			require.NoError(t, counted.Unscoped().Select("Books").Delete(&Shelf{ID: 1}).Error)
			require.NotContains(t, trips.Take(), "BEGIN")

			tx := Begin(t, counted)
			trips.Take()
			require.NoError(t, tx.Create(&Shelf{ID: 2, Books: []Book{{ID: 2, Title: "y"}}}).Error)

			require.Len(t, trips.Take(), 2) // an INSERT for each of them
		}},
	}, &Shelf{}, &Book{})
}

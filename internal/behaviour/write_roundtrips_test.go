package behaviour_test

import (
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

package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Crate has a column that an upsert leaves as it is, and one that is written and never read.
type Crate struct {
	ID      uint
	Code    string `gorm:"size:20;uniqueIndex"`
	Weight  int
	Shelf   string `gorm:"size:20"`
	Secret  string `gorm:"->:false;<-;size:20;default:(lower('NONE'))"`
	Version uint   `gorm:"version"`
}

// crateUpserts are upserts of a crate's weight, by what the models are to the plugin.
var crateUpserts = map[string]func(loaded Crate) Crate{
	"loaded":               func(loaded Crate) Crate { return loaded },
	"never loaded, by key": func(loaded Crate) Crate { return Crate{ID: loaded.ID, Code: loaded.Code} },
	"by another key":       func(loaded Crate) Crate { return Crate{Code: loaded.Code} },
}

// TestReturningOfUpserts: RETURNING brings the columns that the upsert did not write, too. Those that others have written since the
// model was loaded are not among them: it would have been refused.
func TestReturningOfUpserts(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, of := range crateUpserts {
		for _, several := range []bool{false, true} {
			title := map[bool]string{false: name, true: name + ", in a slice"}[several]
			behaviours = append(behaviours, Behaviour{title, func(t *testing.T, db *gorm.DB) {
				stored := []Crate{{Code: "a", Shelf: "left", Secret: "s1"}, {Code: "b", Shelf: "right", Secret: "s2"}}
				require.NoError(t, db.Create(&stored).Error)
				mine := []Crate{of(stored[0]), of(stored[1])}
				for i := range mine {
					mine[i].Weight, mine[i].Shelf, mine[i].Secret = 7, "?", "mine"
				}
				columns := []clause.Column{{Name: "id"}}
				if name == "by another key" {
					columns = []clause.Column{{Name: "code"}}
				}
				upsert := db.Clauses(clause.Returning{}, clause.OnConflict{Columns: columns, DoUpdates: clause.AssignmentColumns([]string{"weight"})})

				if several {
					require.NoError(t, upsert.Create(&mine).Error)
				} else {
					require.NoError(t, upsert.Create(&mine[0]).Error)
					mine = mine[:1]
				}

				for i, crate := range mine {
					want := Crate{ID: stored[i].ID, Code: stored[i].Code, Weight: 7, Shelf: stored[i].Shelf, Version: 2}
					require.Equal(t, want, Reload[Crate](t, db, crate.ID), "the row")
					want.Secret = "mine"
					require.Equal(t, want, crate, "memory")
					var secret string
					require.NoError(t, db.Model(&Crate{}).Select("secret").Where("id = ?", crate.ID).Row().Scan(&secret))
					require.Equal(t, stored[i].Secret, secret)
				}
			}})
		}
	}
	Run(t, Products(testdb.All(), "sqlite", "postgres", "mariadb"), behaviours, &Crate{})
}

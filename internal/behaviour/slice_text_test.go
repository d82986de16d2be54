package behaviour_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Inscription has only columns of the sorts that a batch can carry in one parameter.
type Inscription struct {
	ID      uint
	Text    string
	Loose   *string `gorm:"type:varchar(200)"`
	Count   int64
	Counted *uint64
	Flag    bool
	occ.Version
}

// awkwardTexts are hard on whatever quotes, escapes or converts text.
var awkwardTexts = []string{
	"", "plain", `"quoted" 'twice' \back\slash`, "tab\tnewline\r\n\b\f\x01\x7f", "<script>&amp;", "\u2028\u2029\ufeff", "ü € 🎉 e\u0301",
	"0123", "1e5", "-1.50", "null", "true", `{"a":[1]}`, "[1,2]", "?", "$1", "%s", ":name", "\\u0041", " padded ",
}

func inscriptionsFor(texts []string) (inscriptions []Inscription) {
	counts := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 1<<53 + 1}
	for i, text := range texts {
		inscription := Inscription{Text: text, Count: counts[i%len(counts)], Flag: i%2 == 0}
		if i%3 > 0 {
			counted := uint64(counts[(i+1)%len(counts)]) >> 1
			inscription.Loose, inscription.Counted = &texts[(i+1)%len(texts)], &counted
		}
		inscriptions = append(inscriptions, inscription)
	}
	return inscriptions
}

func TestTextsInSlices(t *testing.T) {
	t.Parallel()
	same := func(texts []string) func(t *testing.T, db *gorm.DB) {
		return func(t *testing.T, db *gorm.DB) {
			inscriptions := make([]Inscription, len(texts))
			require.NoError(t, db.Create(&inscriptions).Error)
			for i, inscription := range inscriptionsFor(texts) {
				inscription.ID, inscription.Version = inscriptions[i].ID, inscriptions[i].Version
				inscriptions[i] = inscription
			}

			require.NoError(t, db.Save(&inscriptions).Error)

			for _, inscription := range inscriptions {
				require.Equal(t, occ.Version(2), inscription.Version)
				require.Equal(t, inscription, Reload[Inscription](t, db, inscription.ID))
			}
		}
	}
	Run(t, testdb.All(), []Behaviour{
		{"a saved slice stores awkward text and extreme numbers as they are", same(awkwardTexts)},
		{"a saved slice of two rows stores NULL and text side by side", same(awkwardTexts[2:4])},
	}, &Inscription{})
	Run(t, Except("postgres", Except("mariadb", testdb.All())), []Behaviour{
		{"a saved slice stores text with a NUL and text that is no UTF-8 as it is", same([]string{"a\x00b", "c\xff\xfed", "e", "f"})},
	}, &Inscription{})
}

func TestTypesInSlices(t *testing.T) {
	t.Parallel()
	Run(t, Except("postgres", Except("mariadb", testdb.All())), []Behaviour{
		{"a value in a saved slice has the type that it has when saved alone", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("CREATE TABLE inscriptions (id integer PRIMARY KEY, text, loose, count, counted, flag, version)").Error)
			types := func(id uint) (found map[string]any) {
				require.NoError(t, db.Raw("SELECT typeof(text) a, typeof(loose) b, typeof(count) c, typeof(counted) d, typeof(flag) e,"+
					" typeof(version) f FROM inscriptions WHERE id = ?", id).Scan(&found).Error)
				return found
			}
			for _, inscription := range inscriptionsFor(awkwardTexts) {
				inscriptions := []Inscription{{}, {}, {}}
				require.NoError(t, db.Create(&inscriptions).Error)
				for i := range inscriptions {
					inscription.ID, inscription.Version = inscriptions[i].ID, inscriptions[i].Version
					inscriptions[i] = inscription
				}
				inscriptions[1].Text, inscriptions[1].Count = "other", 7

				require.NoError(t, db.Save(inscriptions[:2]).Error)
				require.NoError(t, db.Save(&inscriptions[2]).Error)

				require.Equal(t, types(inscriptions[2].ID), types(inscriptions[0].ID))
				require.Equal(t, inscriptions[0], Reload[Inscription](t, db, inscriptions[0].ID))
			}
		}},
	})
}

func TestPlansOfSlices(t *testing.T) {
	t.Parallel()
	Run(t, Except("postgres", Except("mariadb", testdb.All())), []Behaviour{
		{"a saved slice finds each row by its key", func(t *testing.T, db *gorm.DB) {
			inscriptions := make([]Inscription, 3)
			require.NoError(t, db.Create(&inscriptions).Error)
			inscriptions[1].Text = "other"

			save := db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Save(&inscriptions) })

			require.Contains(t, planOf(t, db, save), "SEARCH inscriptions USING INTEGER PRIMARY KEY (rowid=?)")
		}},
		{"a slice that is soft-deleted with RETURNING is read from its JSON once, also where the table has grown since it was analyzed", func(t *testing.T, db *gorm.DB) {
			notes := make([]Note, 3)
			require.NoError(t, db.Create(&notes).Error)
			require.NoError(t, db.Exec("ANALYZE").Error)

			remove := db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Clauses(clause.Returning{}).Delete(&notes) })

			require.Contains(t, remove, "json_each")
			require.Contains(t, planOf(t, db, remove), "MATERIALIZE excluded")
		}},
	}, &Inscription{}, &Note{})
}

// planOf is what SQLite is going to do for a statement.
func planOf(t *testing.T, db *gorm.DB, sql string) (steps []string) {
	var plan []struct{ Detail string }
	require.NoError(t, db.Raw("EXPLAIN QUERY PLAN "+sql).Scan(&plan).Error)
	for _, step := range plan {
		steps = append(steps, step.Detail)
	}
	return steps
}

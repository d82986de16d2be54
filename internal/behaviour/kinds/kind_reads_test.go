package kinds_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// staleRead is the row that a read refused.
func staleRead(t testing.TB, err error) occ.StaleRow {
	t.Helper()
	row := Stale(t, err)
	var refused *occ.StaleDataError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, occ.OpRead, refused.Op)
	return row
}

func TestExpectOnReads(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"of the row's version read it", func(t *testing.T, db *gorm.DB) {
			_, theirs := Pair(t, db)
			for name, read := range map[string]func(tx *gorm.DB, p *Product) error{
				"First":       func(tx *gorm.DB, p *Product) error { return tx.First(p, theirs.ID).Error },
				"Take":        func(tx *gorm.DB, p *Product) error { return tx.Take(p, theirs.ID).Error },
				"Last":        func(tx *gorm.DB, p *Product) error { return tx.Last(p, theirs.ID).Error },
				"Find":        func(tx *gorm.DB, p *Product) error { return tx.Find(p, theirs.ID).Error },
				"all columns": func(tx *gorm.DB, p *Product) error { return tx.Select("*").Take(p, theirs.ID).Error },
			} {
				for _, current := range []*gorm.DB{
					db.Clauses(occ.Expect(2)), db.Clauses(occ.ExpectText("2")), db.Clauses(occ.ExpectText("1", "2")), db.Clauses(occ.ExpectText("*")),
				} {
					var read1 Product
					require.NoError(t, read(current, &read1), name)
					require.Equal(t, theirs, read1, name)
				}
				for _, old := range []*gorm.DB{
					db.Clauses(occ.Expect(1)), db.Clauses(occ.ExpectText("1")), db.Clauses(occ.ExpectText("1", "02")), db.Clauses(occ.ExpectText("+2")),
				} {
					var read1 Product
					row := staleRead(t, read(old, &read1))
					require.Equal(t, occ.ReasonChanged, row.Reason, name)
					require.Equal(t, occ.Version(2), row.Actual, name)
					require.Equal(t, map[string]any{"id": theirs.ID}, row.PrimaryKey, name)
					require.Equal(t, theirs, read1, "%s: the destination holds the row", name)
				}
			}
		}},
		{"go through gorm.G", func(t *testing.T, db *gorm.DB) {
			_, theirs := Pair(t, db)

			read, err := gorm.G[Product](db, occ.ExpectText("2")).Where("id = ?", theirs.ID).First(context.Background())
			require.NoError(t, err)
			require.Equal(t, theirs, read)
			_, err = gorm.G[Product](db, occ.Expect(1)).Where("id = ?", theirs.ID).Take(context.Background())
			require.Equal(t, occ.Version(1), staleRead(t, err).Expected)
		}},
		{"of no row are GORM's own", func(t *testing.T, db *gorm.DB) {
			require.ErrorIs(t, db.Clauses(occ.Expect(1)).First(&Product{}, 99).Error, gorm.ErrRecordNotFound)
			require.ErrorIs(t, db.Clauses(occ.ExpectText("*")).Take(&Product{}, 99).Error, gorm.ErrRecordNotFound)
			found := db.Clauses(occ.Expect(1)).Find(&Product{}, 99)
			require.NoError(t, found.Error)
			require.Zero(t, found.RowsAffected)
		}},
		{"of no version are one that was never loaded", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			for _, tx := range []*gorm.DB{db.Clauses(occ.ExpectText()), db.Clauses(occ.ExpectText("")), db.Clauses(occ.Expect(0))} {
				err := tx.First(&Product{}, mine.ID).Error
				require.ErrorIs(t, err, occ.ErrVersionMissing)
				require.Equal(t, occ.ReasonMissing, staleRead(t, err).Reason)
			}
		}},
		{"that cannot be told are an error", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			for name, read := range map[string]func(tx *gorm.DB) error{
				"several rows": func(tx *gorm.DB) error { return tx.Find(&[]Product{}).Error },
				"batches": func(tx *gorm.DB) error {
					return tx.FindInBatches(&[]Product{}, 10, func(*gorm.DB, int) error { return nil }).Error
				},
				"another type":  func(tx *gorm.DB) error { return tx.Model(&Product{}).First(&struct{ Name string }{}).Error },
				"a map":         func(tx *gorm.DB) error { return tx.Model(&Product{}).Take(&map[string]any{}).Error },
				"Scan":          func(tx *gorm.DB) error { return tx.Model(&Product{}).Scan(&struct{ Name string }{}).Error },
				"Scan of model": func(tx *gorm.DB) error { return tx.Model(&Product{}).Scan(&Product{}).Error },
				"Count":         func(tx *gorm.DB) error { var n int64; return tx.Model(&Product{}).Count(&n).Error },
				"Pluck":         func(tx *gorm.DB) error { var s []string; return tx.Model(&Product{}).Pluck("name", &s).Error },
				"Rows":          func(tx *gorm.DB) error { _, err := tx.Model(&Product{}).Rows(); return err },
				"Row":           func(tx *gorm.DB) error { var s string; return tx.Model(&Product{}).Select("name").Row().Scan(&s) },
				"without it":    func(tx *gorm.DB) error { return tx.Select("name").First(&Product{}).Error },
				"omitted":       func(tx *gorm.DB) error { return tx.Omit("version").First(&Product{}).Error },
				"raw SQL":       func(tx *gorm.DB) error { return tx.Raw("SELECT * FROM products").First(&Product{}).Error },
				"no version":    func(tx *gorm.DB) error { return tx.First(&Plain{}).Error },
				"nil pointer":   func(tx *gorm.DB) error { return tx.Clauses(occ.Expect((*int)(nil))).First(&Product{}).Error },
				"both":          func(tx *gorm.DB) error { return tx.Clauses(occ.Unchecked()).First(&Product{}).Error },
				"gorm.G": func(tx *gorm.DB) error {
					_, err := gorm.G[Product](db, occ.Expect(1)).Find(context.Background())
					return err
				},
			} {
				err := read(db.Clauses(occ.Expect(1)))
				require.ErrorContains(t, err, "Expect", name)
				require.NotErrorIs(t, err, occ.ErrStaleData, name)
			}
			RequireProducts(t, db, mine)
		}},
		{"do not reach the preloads, and a later query is free of them", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			require.Error(t, db.Clauses(occ.Expect(1)).First(&Product{}, mine.ID).Error)
			require.NoError(t, db.First(&mine, mine.ID).Error)
			require.Equal(t, theirs, mine)
		}},
	}, &Product{}, &Plain{})
}

func TestExpectOnReadsOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range kindsAndSnapshots() {
		kind.runOn(t, testdb.All(), readBehaviours)
	}
}

func readBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"a text finds the row at its version, and no other", func(t *testing.T, db *gorm.DB) {
			m := k.new()
			m.part().Name = "pen"
			require.NoError(t, db.Create(m).Error)
			first := textOf(t, db, m)
			read := func(text string) (partOfKind, error) {
				row := k.new()
				return row, db.Clauses(occ.ExpectText(text)).First(row, m.part().ID).Error
			}

			row, err := read(first)
			require.NoError(t, err)
			require.Equal(t, first, textOf(t, db, row))
			require.NoError(t, db.Model(m).Update("price", 30).Error)
			row, err = read(first)
			require.Contains(t, []occ.Reason{occ.ReasonChanged, occ.ReasonAhead}, staleRead(t, err).Reason)
			require.Equal(t, textOf(t, db, m), textOf(t, db, row), "the destination holds the row")
			_, err = read("x" + first)
			require.Equal(t, occ.ReasonChanged, staleRead(t, err).Reason)
			_, err = read(occ.AnyVersion)
			require.NoError(t, err)
		}},
	}
}

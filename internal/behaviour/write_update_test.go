package behaviour_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"every call writes the next version if the row is at the model's", func(t *testing.T, db *gorm.DB) {
			for _, update := range PriceUpdates() {
				t.Run(update.Name, func(t *testing.T) {
					mine := Create(t, db)

					res := update.Do(db, &mine)

					require.NoError(t, res.Error)
					require.EqualValues(t, 1, res.RowsAffected)
					require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
				})
			}
		}},
		{"every call is refused if the row is at another version", func(t *testing.T, db *gorm.DB) {
			for _, update := range PriceUpdates() {
				t.Run(update.Name, func(t *testing.T) {
					mine, theirs := Pair(t, db)

					for range 2 { // a second try is as stale as the first
						res := update.Do(db, &mine)

						require.Equal(t, occ.StaleRow{
							PrimaryKey: map[string]any{"id": mine.ID},
							Expected:   occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
						}, Stale(t, res.Error))
						require.Zero(t, res.RowsAffected)
						require.Equal(t, occ.Version(1), mine.Version)
						require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
					}
				})
			}
		}},
		{"a refused call neither inserts nor resurrects a deleted row", func(t *testing.T, db *gorm.DB) {
			for _, update := range PriceUpdates() {
				if update.Name == "FirstOrCreate with Assign" {
					continue // creates what it does not find: that is its job
				}
				t.Run(update.Name, func(t *testing.T) {
					mine := Create(t, db)
					require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

					res := update.Do(db, &mine)

					require.Equal(t, occ.StaleRow{
						PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Reason: occ.ReasonDeleted,
					}, Stale(t, res.Error))
					require.Equal(t, occ.Version(1), mine.Version)
					RequireNoRow[Product](t, db, mine.ID)
				})
			}
		}},
		{"DryRun shows the statement and changes nothing", func(t *testing.T, db *gorm.DB) {
			for _, update := range PriceUpdates() {
				if update.Name == "FirstOrCreate with Assign" {
					continue // reads nothing in a dry run, and so has nothing to update
				}
				t.Run(update.Name, func(t *testing.T) {
					mine := Create(t, db)

					res := update.Do(db.Session(&gorm.Session{DryRun: true}), &mine)

					require.NoError(t, res.Error)
					require.Contains(t, res.Statement.SQL.String(), "version")
					require.Equal(t, occ.Version(1), mine.Version)
					require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, Reload[Product](t, db, mine.ID))
				})
			}
		}},
		{"a successful write is one statement", func(t *testing.T, db *gorm.DB) {
			for _, update := range PriceUpdates() {
				if update.Name == "FirstOrCreate with Assign" {
					continue // reads by its nature
				}
				t.Run(update.Name, func(t *testing.T) {
					mine := Create(t, db)
					recorded, log := Record(db)

					require.NoError(t, update.Do(recorded, &mine).Error)

					require.Len(t, log.Sent(""), 1)
				})
			}
		}},
	}, &Product{})
}

func TestVersionInMemory(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"one model is written again and again", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Model(&mine).Update("price", 11).Error)
			mine.Price = 12
			require.NoError(t, db.Save(&mine).Error)
			require.NoError(t, db.Model(&mine).UpdateColumn("price", 13).Error)

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 13, Version: 4}, mine)
			require.Equal(t, mine, Reload[Product](t, db, mine.ID))
		}},
		{"a statement is used again", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			tx := db.Model(&mine)

			for price := 11; price < 14; price++ {
				require.NoError(t, tx.Update("price", price).Error)
			}

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 13, Version: 4}, Reload[Product](t, db, mine.ID))
			require.Equal(t, occ.Version(4), mine.Version)
		}},
		{"a statement with conditions is used again", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			tx := db.Model(&mine).Where("price > ?", 0).Session(&gorm.Session{})

			for price := 11; price < 14; price++ {
				require.NoError(t, tx.Update("price", price).Error)
			}

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 13, Version: 4}, Reload[Product](t, db, mine.ID))
		}},
		{"a refused statement is used again", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			tx := db.Model(&mine).Session(&gorm.Session{})

			require.ErrorIs(t, tx.Update("price", 70).Error, occ.ErrStaleData)
			require.ErrorIs(t, tx.Update("price", 70).Error, occ.ErrStaleData)
			mine = Reload[Product](t, db, mine.ID)
			require.NoError(t, tx.Update("price", 70).Error)

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: theirs.Version + 1}, Reload[Product](t, db, mine.ID))
		}},
		{"a model by value is compared, and cannot be advanced", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Model(mine).Update("price", 70).Error)
			err := db.Model(mine).Update("price", 71).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
		{"a column expression is written, and the version with it", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Model(&mine).Update("price", gorm.Expr("price * ?", 2)).Error)
			require.NoError(t, db.Model(&mine).UpdateColumn("price", gorm.Expr("price + 1")).Error)

			require.Equal(t, occ.Version(3), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 21, Version: 3}, Reload[Product](t, db, mine.ID))
		}},
		{"inside the caller's transaction the model follows the row", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&mine).Update("price", 11).Error)
				return tx.Model(&mine).Update("price", 12).Error
			}))

			require.Equal(t, mine, Reload[Product](t, db, mine.ID))
			require.Equal(t, occ.Version(3), mine.Version)
		}},
		{"a refusal leaves the caller's transaction usable", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			other := Create(t, db)

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				for range 2 {
					require.Equal(t, occ.ReasonChanged, Stale(t, tx.Model(&mine).Update("price", 70).Error).Reason)
					require.Equal(t, occ.Version(1), mine.Version)
				}
				return tx.Model(&other).Update("price", 11).Error
			}))

			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
			require.Equal(t, Product{ID: other.ID, Name: "pen", Price: 11, Version: 2}, Reload[Product](t, db, other.ID))
		}},
		{"a version that the payload sets is compared, never stored", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Model(&mine).Updates(Product{Price: 70, Version: 1}).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, mine)
			err := db.Model(&mine).Updates(Product{Price: 71, Version: 9}).Error

			require.Equal(t, occ.Version(9), Stale(t, err).Expected)
			require.Equal(t, occ.Version(2), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
		{"a zero version in the payload says nothing", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Model(&mine).Updates(map[string]any{"price": 70, "version": 0}).Error)
			require.NoError(t, db.Model(&mine).Updates(map[string]any{"price": 71, "Version": nil}).Error)

			require.Equal(t, occ.Version(3), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 71, Version: 3}, Reload[Product](t, db, mine.ID))
		}},
		{"an expression for the version is not stored", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Model(&mine).Updates(map[string]any{"price": 70, "version": gorm.Expr("version + 10")}).Error)

			require.Equal(t, occ.Version(2), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
		{"a payload of the version alone is compared and sets nothing", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			writes := func(version int) []*gorm.DB {
				return []*gorm.DB{
					db.Model(&mine).Update("version", version),
					db.Model(&mine).UpdateColumn("Version", version),
					db.Model(&mine).Updates(Product{Version: occ.Version(version)}),
					db.Model(&mine).Clauses(clause.Set{{Column: clause.Column{Name: "version"}, Value: version}}).Updates(map[string]any{}),
					db.Model(&Product{}).Where("id = ?", mine.ID).Update("version", version),
				}
			}

			for _, update := range writes(9) {
				require.ErrorIs(t, update.Error, occ.ErrStaleData)
				require.Zero(t, update.RowsAffected)
			}
			for _, update := range writes(1) {
				require.NoError(t, update.Error)
			}
			err := db.Model(&mine).Updates(map[string]any{"version": gorm.Expr("version + 1")}).Error

			require.ErrorContains(t, err, "Touch")
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, mine)
			require.Equal(t, mine, Reload[Product](t, db, mine.ID))
		}},
	}, &Product{})
}

func TestReturning(t *testing.T) {
	t.Parallel()
	returning := []testdb.Database{}
	for _, database := range Everywhere() {
		if database.Like != "mariadb" { // it has no UPDATE ... RETURNING
			returning = append(returning, database)
		}
	}
	Run(t, returning, []Behaviour{
		{"clause.Returning of all columns brings the row as written", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			res := db.Model(&mine).Clauses(clause.Returning{}).Update("price", gorm.Expr("price + 60"))

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, mine)
			require.Equal(t, mine, Reload[Product](t, db, mine.ID))
		}},
		{"clause.Returning of another column does not hide the version", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			price := clause.Returning{Columns: []clause.Column{{Name: "price"}}}

			require.NoError(t, db.Model(&mine).Clauses(price).Update("price", gorm.Expr("price + 60")).Error)

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, mine)
			require.Equal(t, mine, Reload[Product](t, db, mine.ID))
		}},
		{"clause.Returning of a refused write leaves the model alone", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)

			err := db.Model(&mine).Clauses(clause.Returning{}).Update("price", gorm.Expr("price + 60")).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, Product{ID: mine.ID, Name: mine.Name, Price: 10, Version: mine.Version})
			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
		}},
		{"clause.Returning of a criteria write brings the rows as written", func(t *testing.T, db *gorm.DB) {
			Create(t, db)
			Create(t, db)
			var written []Product

			res := db.Model(&written).Clauses(clause.Returning{}).Where("price = ?", 10).Update("price", 70)

			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			require.Equal(t, []Product{{ID: written[0].ID, Name: "pen", Price: 70, Version: 2}, {ID: written[1].ID, Name: "pen", Price: 70, Version: 2}}, written)
		}},
		{"clause.Returning of a soft delete brings the row as written", func(t *testing.T, db *gorm.DB) {
			mine := Note{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			deleted := Note{ID: mine.ID, Version: mine.Version}

			require.NoError(t, db.Clauses(clause.Returning{}).Delete(&deleted).Error)

			require.Equal(t, occ.Version(2), deleted.Version)
			require.Equal(t, "a", deleted.Text)
			require.Equal(t, occ.Version(2), Reload[Note](t, db, mine.ID).Version)
		}},
		{"clause.Returning of a delete brings the row that was deleted", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			deleted := Product{ID: mine.ID, Version: mine.Version}

			require.NoError(t, db.Clauses(clause.Returning{}).Delete(&deleted).Error)

			require.Equal(t, mine, deleted)
			RequireNoRow[Product](t, db, mine.ID)
		}},
	}, &Product{}, &Note{})
}

func TestPayloadVersion(t *testing.T) {
	t.Parallel()
	two, negative := 2, -1
	Run(t, testdb.All(), []Behaviour{
		{"says what the payload was based on, in any form an integer comes in", func(t *testing.T, db *gorm.DB) {
			for _, version := range []any{
				2, int8(2), uint64(2), 2.0, json.Number("2"), "2", []byte("2"), &two, occ.Version(2),
				sql.NullInt64{Int64: 2, Valid: true}, sql.Null[int]{V: 2, Valid: true},
			} {
				t.Run(fmt.Sprintf("%T", version), func(t *testing.T) {
					mine, theirs := Pair(t, db)

					err := db.Model(&mine).Updates(map[string]any{"price": 70, "version": version}).Error
					require.NoError(t, err)
					require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3}, mine)

					err = db.Model(&theirs).Updates(map[string]any{"price": 71, "version": version}).Error
					require.Equal(t, occ.StaleRow{
						PrimaryKey: map[string]any{"id": mine.ID},
						Expected:   occ.Version(2), Actual: occ.Version(3), Reason: occ.ReasonChanged,
					}, Stale(t, err))
					require.Equal(t, occ.Version(2), theirs.Version)
					require.Equal(t, mine, Reload[Product](t, db, mine.ID))
				})
			}
		}},
		{"comes out of a JSON body", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			var body map[string]any
			require.NoError(t, json.Unmarshal([]byte(`{"price": 70, "version": 1}`), &body))

			require.NoError(t, db.Model(&Product{ID: mine.ID}).Updates(body).Error)
			err := db.Model(&Product{ID: mine.ID}).Updates(body).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
		{"names the row together with conditions of the caller's", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			byName := func(version int) *gorm.DB {
				return db.Model(&Product{}).Where("id = ?", mine.ID).Updates(map[string]any{"price": 70, "version": version})
			}

			err := byName(1).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID}, Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}, Stale(t, err))
			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
			require.NoError(t, byName(2).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3}, Reload[Product](t, db, mine.ID))
		}},
		{"of a wrong type is an error that names model and field", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			for _, version := range []any{"two", 2.5, true, struct{}{}, []int{2}, time.Now(), json.Number("x"), 1e300, uint64(1 << 63)} {
				t.Run(fmt.Sprintf("%T %v", version, version), func(t *testing.T) {
					err := db.Model(&mine).Updates(map[string]any{"price": 70, "version": version}).Error

					require.ErrorContains(t, err, "model Product, field Version")
					require.NotErrorIs(t, err, occ.ErrStaleData)
					require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, mine)
					require.Equal(t, mine, Reload[Product](t, db, mine.ID))
				})
			}
		}},
		{"below zero matches no row", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			err := db.Model(&mine).Updates(map[string]any{"price": 70, "version": &negative}).Error

			require.Equal(t, occ.Version(-1), Stale(t, err).Expected)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, Reload[Product](t, db, mine.ID))
		}},
	}, &Product{})
}

func TestTimestampsOnly(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a write of nothing but automatic timestamps neither compares nor bumps", func(t *testing.T, db *gorm.DB) {
			mine := Note{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			require.NoError(t, db.Model(&Note{}).Where("id = ?", mine.ID).Update("text", "b").Error)
			stored := Reload[Note](t, db, mine.ID)

			res := db.Model(&mine).Updates(map[string]any{}) // sets updated_at, as Association().Append does

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			after := Reload[Note](t, db, mine.ID)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, occ.Version(2), after.Version)
			require.False(t, after.UpdatedAt.Before(stored.UpdatedAt))
		}},
		{"a timestamp that the caller names is compared", func(t *testing.T, db *gorm.DB) {
			mine := Note{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)
			require.NoError(t, db.Model(&Note{}).Where("id = ?", mine.ID).Update("text", "b").Error)

			for _, update := range []func() error{
				func() error { return db.Model(&mine).Update("updated_at", time.Now()).Error },
				func() error { return db.Model(&mine).UpdateColumn("updated_at", time.Now()).Error },
				func() error { return db.Model(&mine).Updates(map[string]any{"UpdatedAt": time.Now()}).Error },
			} {
				require.Equal(t, occ.ReasonChanged, Stale(t, update()).Reason)
				require.Equal(t, occ.Version(1), mine.Version)
			}
		}},
	}, &Note{})
}

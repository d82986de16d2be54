package occ_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestExpect(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"is compared instead of the model's version", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)

			require.NoError(t, db.Model(&mine).Clauses(occ.Expect(2)).Update("price", 70).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3}, mine)
			err := db.Model(&mine).Clauses(occ.Expect(2)).Update("price", 71).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{"id": mine.ID},
				Expected:   occ.Version(2), Actual: occ.Version(3), Reason: occ.ReasonChanged,
			}, Stale(t, err))
			require.Equal(t, occ.Version(3), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3}, Reload[Product](t, db, mine.ID))
		}},
		{"comes before a version in the payload", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			err := db.Model(&mine).Clauses(occ.Expect(5)).Updates(map[string]any{"price": 70, "version": 1}).Error

			require.Equal(t, occ.Version(5), Stale(t, err).Expected)
		}},
		{"applies to Save, which then never inserts", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			fresh := Product{ID: 99, Name: "ink"}

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Clauses(occ.Expect(1)).Save(&mine).Error).Reason)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Clauses(occ.Expect(1)).Save(&fresh).Error).Reason)

			RequireProducts(t, db, theirs)
			require.NoError(t, db.Clauses(occ.Expect(2)).Save(&mine).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 3}, mine)
			RequireProducts(t, db, mine)
		}},
		{"applies to one write, not to the next one with the model", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)

			require.NoError(t, db.Model(&mine).Clauses(occ.Expect(2)).Update("price", 70).Error)
			require.NoError(t, db.Model(&mine).Update("price", 71).Error)

			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 71, Version: 4}, Reload[Product](t, db, mine.ID))
		}},
		{"needs no key in the model, and a row that is not matched is a refusal", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			byName := func(version any) *gorm.DB {
				return db.Model(&Product{}).Where("name = ?", "pen").Clauses(occ.Expect(version)).Update("price", 70)
			}

			err := byName(1).Error

			require.Equal(t, occ.StaleRow{
				PrimaryKey: map[string]any{}, Expected: occ.Version(1), Reason: occ.ReasonUnknown,
			}, Stale(t, err))
			RequireProducts(t, db, theirs)
			require.NoError(t, byName(2).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3}, Reload[Product](t, db, mine.ID))
		}},
		{"without a key leaves rows at another version out", func(t *testing.T, db *gorm.DB) {
			_, theirs := Pair(t, db)
			other := Create(t, db)

			res := db.Model(&Product{}).Where("name = ?", "pen").Clauses(occ.Expect(1)).Update("price", 70)

			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
			RequireProducts(t, db, theirs, Product{ID: other.ID, Name: "pen", Price: 70, Version: 2})
		}},
		{"is no condition by itself", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			err := db.Model(&Product{}).Clauses(occ.Expect(1)).Update("price", 70).Error

			require.ErrorIs(t, err, gorm.ErrMissingWhereClause)
			RequireProducts(t, db, stored)
		}},
		{"of zero matches a row without a version", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			err := db.Model(&mine).Clauses(occ.Expect(0)).Update("price", 70).Error

			require.ErrorIs(t, err, occ.ErrVersionMissing)
			require.Equal(t, occ.Version(0), Stale(t, err).Expected)
		}},
	}, &Product{}, &Plain{})
}

func TestExpectThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"of nil or of a wrong type is an error that names model and field", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			for _, version := range []any{nil, "one", 1.5, struct{}{}, true, []int{1}, occ.Unchecked()} {
				t.Run(fmt.Sprintf("%T %v", version, version), func(t *testing.T) {
					for _, err := range []error{
						db.Model(&mine).Clauses(occ.Expect(version)).Update("price", 70).Error,
						db.Clauses(occ.Expect(version)).Save(&mine).Error,
						db.Clauses(occ.Expect(version)).Delete(&mine).Error,
						db.Model(&Product{}).Where("id = ?", mine.ID).Clauses(occ.Expect(version)).Update("price", 70).Error,
					} {
						require.ErrorContains(t, err, "model Product, field Version")
						require.ErrorContains(t, err, "Expect")
						require.NotErrorIs(t, err, occ.ErrStaleData)
					}
					require.Equal(t, occ.Version(1), mine.Version)
					RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1})
				})
			}
		}},
		{"together with Unchecked is an error", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			for _, err := range []error{
				db.Model(&mine).Clauses(occ.Expect(1), occ.Unchecked()).Update("price", 70).Error,
				db.Clauses(occ.Unchecked()).Clauses(occ.Expect(1)).Save(&mine).Error,
				db.Clauses(occ.Expect(1), occ.Unchecked()).Delete(&mine).Error,
				db.Clauses(occ.Expect(1), occ.Unchecked()).Create(&Product{}).Error,
			} {
				require.ErrorContains(t, err, "Expect and Unchecked")
			}
			RequireProducts(t, db, mine)
		}},
		{"on a model without a version is an error", func(t *testing.T, db *gorm.DB) {
			plain := Plain{Name: "pen"}
			require.NoError(t, db.Create(&plain).Error)

			for _, err := range []error{
				db.Model(&plain).Clauses(occ.Expect(1)).Update("price", 70).Error,
				db.Clauses(occ.Expect(1)).Save(&plain).Error,
				db.Clauses(occ.Expect(1)).Delete(&plain).Error,
			} {
				require.ErrorContains(t, err, "model Plain has no version")
			}
			require.Equal(t, plain.ID, Reload[Plain](t, db, plain.ID).ID)
			require.Zero(t, Reload[Plain](t, db, plain.ID).Price)
		}},
		{"where the plugin compares what the model holds, or nothing, is an error", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			base := mine
			for _, expect := range []clause.Expression{occ.Expect(1), occ.Expect(99), occ.ExpectText("99")} {
				expecting := db.Clauses(expect)
				_, currentErr := occ.Current(expecting, &mine)
				for _, err := range []error{
					occ.Touch(expecting, &mine), occ.Verify(expecting, &mine), currentErr, occ.Rebase(expecting, &base, &mine),
					expecting.Exec("UPDATE products SET price = 70").Error,
					gorm.G[Product](db, expect).Exec(t.Context(), "UPDATE products SET price = 70"),
				} {
					require.ErrorContains(t, err, "occ: Expect with ")
					require.ErrorIs(t, err, gorm.ErrInvalidData)
				}
			}
			RequireProducts(t, db, base)
			require.Equal(t, base, mine)
		}},
		{"is an option of gorm.G", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			price := clause.Assignment{Column: clause.Column{Name: "price"}, Value: 70}
			writes := []func(version int) (int, error){
				func(v int) (int, error) {
					return gorm.G[Product](db, occ.Expect(v)).Where("id = ?", mine.ID).Update(t.Context(), "price", 70)
				},
				func(v int) (int, error) {
					return gorm.G[Product](db, occ.Expect(v)).Where("id = ?", mine.ID).Updates(t.Context(), Product{Price: 70})
				},
				func(v int) (int, error) {
					return gorm.G[Product](db, occ.Expect(v)).Where("id = ?", mine.ID).Set(price).Update(t.Context())
				},
			}

			for i, write := range writes {
				rows, err := write(1)
				require.Equal(t, occ.Version(1), Stale(t, err).Expected)
				require.Zero(t, rows)
				require.Equal(t, theirs, Reload[Product](t, db, mine.ID))

				rows, err = write(2 + i)
				require.NoError(t, err)
				require.Equal(t, 1, rows)
				theirs = Product{ID: mine.ID, Name: "pen", Price: 70, Version: occ.Version(3 + i)}
				require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
			}
			_, err := gorm.G[Product](db, occ.Expect(1)).Where("id = ?", mine.ID).Delete(t.Context())
			require.ErrorIs(t, err, occ.ErrStaleData)
			rows, err := gorm.G[Product](db, occ.Expect(5)).Where("id = ?", mine.ID).Delete(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, rows)
			RequireProducts(t, db)
		}},
	}, &Product{}, &Plain{})
}

func TestUnchecked(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"writes whatever version the row is at, and the model learns the next one", func(t *testing.T, db *gorm.DB) {
			for _, update := range PriceUpdates() {
				if update.Name == "Expect" || update.Name == "FirstOrCreate with Assign" {
					continue // they are given an Expect
				}
				t.Run(update.Name, func(t *testing.T) {
					mine, _ := Pair(t, db)

					res := update.Do(db.Clauses(occ.Unchecked()), &mine)

					require.NoError(t, res.Error)
					require.EqualValues(t, 1, res.RowsAffected)
					require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3}, Reload[Product](t, db, mine.ID))
					if update.Name != "a version in the payload" { // it writes another model
						require.Equal(t, occ.Version(3), mine.Version)
					}
				})
			}
		}},
		{"writes a model that was never loaded", func(t *testing.T, db *gorm.DB) {
			_, theirs := Pair(t, db)
			mine := Product{ID: theirs.ID}

			require.NoError(t, db.Model(&mine).Clauses(occ.Unchecked()).Update("price", 70).Error)

			require.Equal(t, Product{ID: mine.ID, Price: 70, Version: 3}, mine)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3})
		}},
		{"inserts what Save does not find", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

			require.NoError(t, db.Clauses(occ.Unchecked()).Save(&mine).Error)

			require.Equal(t, mine, Reload[Product](t, db, mine.ID))
		}},
		{"updates nothing, without error, where the row is gone", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			require.NoError(t, db.Delete(&Product{}, mine.ID).Error)

			res := db.Model(&mine).Clauses(occ.Unchecked()).Update("price", 70)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			require.Equal(t, occ.Version(1), mine.Version)
			RequireProducts(t, db)
		}},
		{"deletes whatever version the row is at", func(t *testing.T, db *gorm.DB) {
			mine, _ := Pair(t, db)
			note := Note{Text: "a"}
			require.NoError(t, db.Create(&note).Error)
			old := note
			require.NoError(t, db.Model(&note).Update("text", "b").Error)

			require.NoError(t, db.Clauses(occ.Unchecked()).Delete(&mine).Error)
			require.NoError(t, db.Clauses(occ.Unchecked()).Delete(&old).Error)

			RequireProducts(t, db)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, occ.Version(3), old.Version)
			require.Equal(t, occ.Version(3), Reload[Note](t, db, note.ID).Version)
		}},
		{"in a DryRun changes nothing", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)

			require.NoError(t, db.Session(&gorm.Session{DryRun: true}).Model(&mine).Clauses(occ.Unchecked()).Update("price", 70).Error)

			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, Reload[Product](t, db, mine.ID))
		}},
	}, &Product{}, &Note{}, &Draft{})
	Run(t, Except("SkipDefaultTransaction", Everywhere()), []Behaviour{
		{"in a transaction that is rolled back, the model is as it was after a failing hook", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)
			d.Fail = "AfterUpdate"

			require.ErrorIs(t, db.Model(&d).Clauses(occ.Unchecked()).Update("text", "b").Error, ErrHook)

			require.Equal(t, occ.Version(1), d.Version)
			RequireDraft(t, db, d, "a", 1)
		}},
	}, &Draft{})
}

func TestBlindWrites(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a model that was never loaded is written, deleted and saved", func(t *testing.T, db *gorm.DB) {
			blind, plugin := WithPlugin(t, db, occ.WithBlindWrites())
			_, theirs := Pair(t, db)
			mine := Product{ID: theirs.ID, Name: "ink"}

			require.NoError(t, blind.Model(&mine).Update("price", 70).Error)
			require.Equal(t, occ.Version(3), mine.Version)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 3})
			mine = Product{ID: theirs.ID, Name: "ink"}
			require.NoError(t, blind.Save(&mine).Error)
			require.Equal(t, Product{ID: theirs.ID, Name: "ink", Version: 4}, mine)
			RequireProducts(t, db, mine)
			require.NoError(t, blind.Delete(&Product{ID: mine.ID}).Error)
			RequireProducts(t, db)
			require.Equal(t, occ.TableStats{Blind: 3}, plugin.Stats()["products"])
		}},
		{"a loaded model is compared as ever", func(t *testing.T, db *gorm.DB) {
			blind, _ := WithPlugin(t, db, occ.WithBlindWrites())
			mine, theirs := Pair(t, db)

			require.Equal(t, occ.ReasonChanged, Stale(t, blind.Model(&mine).Update("price", 70).Error).Reason)
			require.Equal(t, occ.ReasonChanged, Stale(t, blind.Save(&mine).Error).Reason)
			require.Equal(t, occ.ReasonChanged, Stale(t, blind.Delete(&mine).Error).Reason)

			RequireProducts(t, db, theirs)
		}},
		{"an expected version is compared as ever", func(t *testing.T, db *gorm.DB) {
			blind, _ := WithPlugin(t, db, occ.WithBlindWrites())
			mine, theirs := Pair(t, db)
			unloaded := &Product{ID: mine.ID}

			require.ErrorIs(t, blind.Model(unloaded).Clauses(occ.Expect(1)).Update("price", 70).Error, occ.ErrStaleData)
			require.ErrorIs(t, blind.Model(unloaded).Clauses(occ.Expect(0)).Update("price", 70).Error, occ.ErrStaleData)
			require.ErrorIs(t, blind.Model(unloaded).Updates(Product{Price: 70, Version: 1}).Error, occ.ErrStaleData)

			RequireProducts(t, db, theirs)
		}},
		{"Save of a new key inserts it", func(t *testing.T, db *gorm.DB) {
			blind, _ := WithPlugin(t, db, occ.WithBlindWrites())
			mine := Product{ID: 7, Name: "ink"}

			require.NoError(t, blind.Save(&mine).Error)

			require.Equal(t, Product{ID: 7, Name: "ink", Price: 0, Version: 1}, mine)
			RequireProducts(t, db, mine)
		}},
	}, &Product{})
}

// Ledger counts in the application's own column, which may be NULL or start at 0.
type Ledger struct {
	ID      uint
	Total   int
	Counter *int64 `gorm:"version"`
}

// Journal is a Ledger with a counter that cannot be NULL in memory.
type Journal struct {
	ID      uint
	Total   int
	Counter int64 `gorm:"version"`
}

func (Journal) TableName() string { return "ledgers" }

func TestLegacyRows(t *testing.T) {
	t.Parallel()
	insert := func(t *testing.T, db *gorm.DB, counter any) {
		require.NoError(t, db.Exec("INSERT INTO ledgers (id, total, counter) VALUES (1, 5, ?)", counter).Error)
	}
	counterOf := func(t *testing.T, db *gorm.DB) (counter sql.NullInt64) {
		require.NoError(t, db.Table("ledgers").Select("counter").Row().Scan(&counter))
		return counter
	}
	var behaviours []Behaviour
	for name, stored := range map[string]any{"NULL": nil, "0": 0} {
		behaviours = append(behaviours,
			Behaviour{"a row at " + name + " is written and then counts from 1", func(t *testing.T, db *gorm.DB) {
				for _, write := range []func(l *Ledger) error{
					func(l *Ledger) error { return db.Model(l).Update("total", 6).Error },
					func(l *Ledger) error { return db.Save(l).Error },
					func(l *Ledger) error { return db.Select("*").Updates(l).Error },
				} {
					require.NoError(t, db.Exec("DELETE FROM ledgers").Error)
					insert(t, db, stored)
					mine := Reload[Ledger](t, db, 1)
					theirs := mine

					require.NoError(t, write(&mine))
					err := write(&theirs)

					require.ErrorIs(t, err, occ.ErrVersionMissing)
					require.EqualValues(t, 1, *mine.Counter)
					require.Equal(t, sql.NullInt64{Int64: 1, Valid: true}, counterOf(t, db))
				}
			}},
			Behaviour{"a row at " + name + " is deleted by its holder", func(t *testing.T, db *gorm.DB) {
				insert(t, db, stored)
				mine := Reload[Journal](t, db, 1)

				require.NoError(t, db.Delete(&mine).Error)

				RequireNoRow[Ledger](t, db, 1)
			}},
			Behaviour{"a row at " + name + " is told from a changed one", func(t *testing.T, db *gorm.DB) {
				insert(t, db, stored)
				mine := Reload[Journal](t, db, 1)
				require.NoError(t, db.Exec("UPDATE ledgers SET counter = 5").Error)

				err := db.Model(&mine).Update("total", 6).Error

				require.Equal(t, occ.StaleRow{
					PrimaryKey: map[string]any{"id": uint(1)},
					Expected:   int64(0), Actual: int64(5), Reason: occ.ReasonMissing,
				}, Stale(t, err))
				require.EqualValues(t, 5, counterOf(t, db).Int64)
			}},
			Behaviour{"a row at " + name + " counts from 1 after a write by condition", func(t *testing.T, db *gorm.DB) {
				insert(t, db, stored)

				require.NoError(t, db.Model(&Ledger{}).Where("id = ?", 1).Update("total", 6).Error)

				require.Equal(t, sql.NullInt64{Int64: 1, Valid: true}, counterOf(t, db))
			}},
			Behaviour{"a row at " + name + " counts from 1 after an Unchecked write", func(t *testing.T, db *gorm.DB) {
				insert(t, db, stored)
				mine := Reload[Journal](t, db, 1)

				require.NoError(t, db.Model(&mine).Clauses(occ.Unchecked()).Update("total", 6).Error)

				require.EqualValues(t, 1, mine.Counter)
				require.Equal(t, sql.NullInt64{Int64: 1, Valid: true}, counterOf(t, db))
			}},
		)
	}
	Run(t, testdb.All(), behaviours, &Ledger{})
}

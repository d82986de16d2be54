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

func TestOwnConditions(t *testing.T) {
	t.Parallel()
	ways := map[string]func(db *gorm.DB, holds bool) *gorm.DB{
		"Where": func(db *gorm.DB, holds bool) *gorm.DB { return db.Where("1 = ?", bit(holds)) },
		"Or": func(db *gorm.DB, holds bool) *gorm.DB {
			return db.Where("2 = ?", bit(holds)).Or("1 = ?", bit(holds))
		},
		"Not": func(db *gorm.DB, holds bool) *gorm.DB { return db.Not("1 = ?", bit(!holds)) },
		"a struct": func(db *gorm.DB, holds bool) *gorm.DB {
			return db.Where(&Product{Name: map[bool]string{true: "pen", false: "ink"}[holds]})
		},
		"a map": func(db *gorm.DB, holds bool) *gorm.DB {
			return db.Where(map[string]any{"name": map[bool]string{true: "pen", false: "ink"}[holds]})
		},
		"a sub-query": func(db *gorm.DB, holds bool) *gorm.DB {
			seats := db.Session(&gorm.Session{NewDB: true}).Model(&Seat{}).Select("count(*)").Where("1 = ?", bit(holds))
			return db.Where("(?) > 0", seats)
		},
		"a group": func(db *gorm.DB, holds bool) *gorm.DB {
			plain := db.Session(&gorm.Session{NewDB: true})
			return db.Where(plain.Where("name = ?", "ink").Or("1 = ?", bit(holds))).Where("id > 0")
		},
		"a scope": func(db *gorm.DB, holds bool) *gorm.DB {
			return db.Scopes(func(tx *gorm.DB) *gorm.DB { return tx.Where("1 = ?", bit(holds)) })
		},
		"a clause": func(db *gorm.DB, holds bool) *gorm.DB {
			return db.Clauses(clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = ?", Vars: []any{bit(holds)}}}})
		},
	}
	var behaviours []Behaviour
	for name, where := range ways {
		behaviours = append(behaviours,
			Behaviour{name + ": a condition that holds is written through, to the one row", func(t *testing.T, db *gorm.DB) {
				require.NoError(t, db.Create(&Seat{Number: 1}).Error)
				mine, other := Create(t, db), Create(t, db)

				res := where(db, true).Model(&mine).Update("price", 70)

				require.NoError(t, res.Error)
				require.EqualValues(t, 1, res.RowsAffected)
				require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, mine)
				RequireProducts(t, db, mine, other)
			}},
			Behaviour{name + ": a condition that does not hold for a current row is no error", func(t *testing.T, db *gorm.DB) {
				require.NoError(t, db.Create(&Seat{Number: 1}).Error)
				mine, other := Create(t, db), Create(t, db)

				for _, write := range []func() *gorm.DB{
					func() *gorm.DB { return where(db, false).Model(&mine).Update("price", 70) },
					func() *gorm.DB { return where(db, false).Model(&mine).UpdateColumn("price", 70) },
					func() *gorm.DB { return where(db, false).Save(&mine) },
					func() *gorm.DB { return where(db, false).Delete(&mine) },
				} {
					res := write()

					require.NoError(t, res.Error)
					require.Zero(t, res.RowsAffected)
					require.Equal(t, occ.Version(1), mine.Version)
					RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 10, Version: 1}, other)
				}
			}},
			Behaviour{name + ": a stale model is refused whether the condition holds or not", func(t *testing.T, db *gorm.DB) {
				require.NoError(t, db.Create(&Seat{Number: 1}).Error)
				mine, theirs := Pair(t, db)

				for _, holds := range []bool{true, false} {
					for _, write := range []func() *gorm.DB{
						func() *gorm.DB { return where(db, holds).Model(&mine).Update("price", 70) },
						func() *gorm.DB { return where(db, holds).Save(&mine) },
						func() *gorm.DB { return where(db, holds).Delete(&mine) },
					} {
						require.Equal(t, occ.ReasonChanged, Stale(t, write().Error).Reason)
						require.Equal(t, occ.Version(1), mine.Version)
						RequireProducts(t, db, theirs)
					}
				}
			}},
		)
	}
	Run(t, testdb.All(), behaviours, &Product{}, &Seat{})
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestCriteriaWrites(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"every matched row takes its next version", func(t *testing.T, db *gorm.DB) {
			writes := map[string]func(tx *gorm.DB) *gorm.DB{
				"Update":       func(tx *gorm.DB) *gorm.DB { return tx.Model(&Product{}).Update("price", 70) },
				"Updates":      func(tx *gorm.DB) *gorm.DB { return tx.Model(&Product{}).Updates(Product{Price: 70}) },
				"map":          func(tx *gorm.DB) *gorm.DB { return tx.Model(Product{}).Updates(map[string]any{"price": 70}) },
				"UpdateColumn": func(tx *gorm.DB) *gorm.DB { return tx.Model(&Product{}).UpdateColumn("price", 70) },
				"Table":        func(tx *gorm.DB) *gorm.DB { return tx.Table("products").Updates(map[string]any{"price": 70}) },
				"expression": func(tx *gorm.DB) *gorm.DB {
					return tx.Model(&Product{}).Update("price", gorm.Expr("70 + price * 0"))
				},
				"Set": func(tx *gorm.DB) *gorm.DB {
					set := clause.Set{{Column: clause.Column{Name: "price"}, Value: 70}}
					return tx.Model(&Product{}).Clauses(set).Updates(map[string]any{})
				},
				"Unchecked": func(tx *gorm.DB) *gorm.DB {
					return tx.Clauses(occ.Unchecked()).Model(&Product{}).Update("price", 70)
				},
				"Table and Update": func(tx *gorm.DB) *gorm.DB { return tx.Table("products").Update("price", 70) },
			}
			for name, write := range writes {
				t.Run(name, func(t *testing.T) {
					require.NoError(t, db.Where("1 = 1").Delete(&Product{}).Error)
					first, second := Pair(t, db)
					third, kept := Create(t, db), Create(t, db)

					res := write(db.Where("id IN ?", []uint{first.ID, third.ID}))

					require.NoError(t, res.Error)
					require.EqualValues(t, 2, res.RowsAffected)
					RequireProducts(t, db, Product{ID: second.ID, Name: "pen", Price: 70, Version: 3}, Product{ID: third.ID, Name: "pen", Price: 70, Version: 2}, kept)
					require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&second).Update("price", 1).Error).Reason)
				})
			}
		}},
		{"no matched row is no error", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			res := db.Model(&Product{}).Where("price > 1000").Update("price", 70)

			require.NoError(t, res.Error)
			require.Zero(t, res.RowsAffected)
			RequireProducts(t, db, stored)
		}},
		{"no condition at all is an error", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)

			for _, err := range []error{
				db.Model(&Product{}).Update("price", 70).Error,
				db.Model(&Product{Version: 1}).Update("price", 70).Error,
				db.Model(&Product{}).Updates(map[string]any{"price": 70, "version": 1}).Error,
				db.Model(&Product{}).Clauses(occ.Unchecked()).Update("price", 70).Error,
				db.Table("products").Updates(map[string]any{"price": 70}).Error,
			} {
				require.ErrorIs(t, err, gorm.ErrMissingWhereClause)
			}
			RequireProducts(t, db, stored)
		}},
		{"AllowGlobalUpdate writes every row, and each takes its next version", func(t *testing.T, db *gorm.DB) {
			_, first := Pair(t, db)
			second := Create(t, db)

			require.NoError(t, db.Session(&gorm.Session{AllowGlobalUpdate: true}).Model(&Product{}).Update("price", 70).Error)

			RequireProducts(t, db, Product{ID: first.ID, Name: "pen", Price: 70, Version: 3}, Product{ID: second.ID, Name: "pen", Price: 70, Version: 2})
		}},
		{"gorm.G writes by condition", func(t *testing.T, db *gorm.DB) {
			_, first := Pair(t, db)
			ctx, price := t.Context(), clause.Assignment{Column: clause.Column{Name: "price"}, Value: 72}

			rows, err := gorm.G[Product](db).Where("id = ?", first.ID).Update(ctx, "price", 70)
			require.NoError(t, err)
			require.Equal(t, 1, rows)
			_, err = gorm.G[Product](db).Where("id = ?", first.ID).Updates(ctx, Product{Price: 71})
			require.NoError(t, err)
			_, err = gorm.G[Product](db).Where("id = ?", first.ID).Set(price).Update(ctx)
			require.NoError(t, err)

			RequireProducts(t, db, Product{ID: first.ID, Name: "pen", Price: 72, Version: 5})
			rows, err = gorm.G[Product](db).Where("id = ?", first.ID).Delete(ctx)
			require.NoError(t, err)
			require.Equal(t, 1, rows)
		}},
		{"conditions with Or apply as written", func(t *testing.T, db *gorm.DB) {
			first, second, kept := Create(t, db), Create(t, db), Create(t, db)

			require.NoError(t, db.Model(&Product{}).Where("id = ?", first.ID).Or("id = ?", second.ID).Update("price", 70).Error)

			RequireProducts(t, db, Product{ID: first.ID, Name: "pen", Price: 70, Version: 2}, Product{ID: second.ID, Name: "pen", Price: 70, Version: 2}, kept)
		}},
		{"a table that no model was seen for is left to GORM", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			unaware, _ := WithPlugin(t, db)

			require.NoError(t, unaware.Table("products").Where("id = ?", stored.ID).Updates(map[string]any{"price": 70}).Error)

			RequireProducts(t, db, Product{ID: stored.ID, Name: "pen", Price: 70, Version: 1})
		}},
		{"a table that a model was only read from is known", func(t *testing.T, db *gorm.DB) {
			stored := Create(t, db)
			reader, _ := WithPlugin(t, db)
			require.NoError(t, reader.First(&Product{}).Error)

			require.NoError(t, reader.Table("products").Where("id = ?", stored.ID).Updates(map[string]any{"price": 70}).Error)

			RequireProducts(t, db, Product{ID: stored.ID, Name: "pen", Price: 70, Version: 2})
		}},
	}, &Product{})
}

func TestUpdateFrom(t *testing.T) {
	t.Parallel()
	joining := testdb.Of("sqlite", "postgres") // GORM builds no FROM for MariaDB
	from := clause.From{Tables: []clause.Table{{Name: "seats"}}}
	Run(t, joining, []Behaviour{
		{"an update with another versioned table is compared on its own", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Create(&Seat{Number: 7, Version: 5}).Error)
			mine, theirs := Pair(t, db)
			joined := func() *gorm.DB { return db.Clauses(from).Where("seats.number = ?", 7) }

			err := joined().Model(&mine).Update("price", gorm.Expr("seats.number")).Error
			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			RequireProducts(t, db, theirs)

			require.NoError(t, joined().Model(&theirs).Update("price", gorm.Expr("seats.number")).Error)
			require.Equal(t, occ.Version(3), theirs.Version)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 7, Version: 3})

			require.NoError(t, joined().Model(&Product{}).Update("price", gorm.Expr("seats.number + 1")).Error)
			RequireProducts(t, db, Product{ID: mine.ID, Name: "pen", Price: 8, Version: 4})
		}},
	}, &Product{}, &Seat{})
}

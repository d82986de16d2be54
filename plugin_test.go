package occ_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestRegistration(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("sqlite"), []Behaviour{
		{"the plugin is called occ", func(t *testing.T, db *gorm.DB) {
			require.Equal(t, "occ", occ.New().Name())
			require.Contains(t, db.Plugins, "occ")
		}},
		{"a second plugin for one gorm.DB is an error and changes nothing", func(t *testing.T, db *gorm.DB) {
			require.ErrorIs(t, db.Use(occ.New()), gorm.ErrRegistered)

			mine := Create(t, db)
			require.NoError(t, db.Model(&mine).Update("price", 70).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 70, Version: 2}, Reload[Product](t, db, mine.ID))
		}},
		{"one plugin for two gorm.DBs is an error", func(t *testing.T, db *gorm.DB) {
			_, plugin := WithPlugin(t, db)
			other := Reopen(t, db, gorm.Config{})

			require.ErrorContains(t, other.Use(plugin), "occ.New for each gorm.DB")
		}},
		{"two gorm.DBs have a plugin each", func(t *testing.T, db *gorm.DB) {
			other, _ := WithPlugin(t, db)
			mine := Create(t, db)
			theirs := Reload[Product](t, other, mine.ID)

			require.NoError(t, other.Model(&theirs).Update("price", 30).Error)

			require.Equal(t, occ.ReasonChanged, Stale(t, db.Model(&mine).Update("price", 70).Error).Reason)
		}},
		{"a session that was made before the plugin is compared too", func(t *testing.T, db *gorm.DB) {
			plain := Reopen(t, db, gorm.Config{})
			session := plain.Session(&gorm.Session{})
			require.NoError(t, plain.Use(occ.New()))
			mine, theirs := Pair(t, plain)

			require.ErrorIs(t, session.Model(&mine).Update("price", 70).Error, occ.ErrStaleData)
			require.Equal(t, theirs, Reload[Product](t, db, mine.ID))
		}},
	}, &Product{})
}

// TestSQL is the one place that minds the text of statements.
func TestSQL(t *testing.T) {
	t.Parallel()
	statements := []struct {
		name string
		do   func(tx *gorm.DB) *gorm.DB
		want string // as PostgreSQL quotes it
	}{
		{"create", func(tx *gorm.DB) *gorm.DB { return tx.Create(&Product{Name: "pen", Price: 10}) },
			`INSERT INTO "products" ("name","price","version") VALUES ('pen',10,1) RETURNING "id"`},
		{"update", func(tx *gorm.DB) *gorm.DB { return tx.Model(&Product{ID: 7, Version: 3}).Update("price", 70) },
			`UPDATE "products" SET "price"=70,"version"=4 WHERE "products"."id" = 7 AND "products"."version" = 3`},
		{"update with conditions", func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&Product{ID: 7, Version: 3}).Where("price > 1").Or("name = ?", "pen").Update("price", 70)
		}, `UPDATE "products" SET "price"=70,"version"=4 WHERE (price > 1 OR name = 'pen') AND "products"."id" = 7 AND "products"."version" = 3`},
		{"update of a row without a version", func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&Product{ID: 7}).Update("price", 70)
		}, `UPDATE "products" SET "price"=70,"version"=1 WHERE "products"."id" = 7 AND ("products"."version" = 0 OR "products"."version" IS NULL)`},
		{"update by condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&Product{}).Where("price > 1").Update("price", 70)
		}, `UPDATE "products" SET "price"=70,"version"=CASE WHEN "products"."version" IS NULL OR "products"."version" IN (-1,9223372036854775807) THEN 1 ELSE "products"."version" + 1 END WHERE price > 1`},
		{"unchecked update", func(tx *gorm.DB) *gorm.DB {
			return tx.Clauses(occ.Unchecked()).Model(&Product{ID: 7, Version: 3}).Update("price", 70)
		}, `UPDATE "products" SET "price"=70,"version"=CASE WHEN "products"."version" IS NULL OR "products"."version" IN (-1,9223372036854775807) THEN 1 ELSE "products"."version" + 1 END WHERE "products"."id" = 7`},
		{"save", func(tx *gorm.DB) *gorm.DB { return tx.Save(&Product{ID: 7, Name: "pen", Price: 70, Version: 3}) },
			`UPDATE "products" SET "name"='pen',"price"=70,"version"=4 WHERE "products"."id" = 7 AND "products"."version" = 3`},
		{"delete", func(tx *gorm.DB) *gorm.DB { return tx.Delete(&Product{ID: 7, Version: 3}) },
			`DELETE FROM "products" WHERE "products"."version" = 3 AND "products"."id" = 7`},
		{"soft delete", func(tx *gorm.DB) *gorm.DB { return tx.Delete(&Note{ID: 7, Version: 3}) },
			`UPDATE "notes" SET "deleted_at"='2030-01-02 12:00:00' ,"version"=4 WHERE "notes"."version" = 3 AND "notes"."id" = 7 AND "notes"."deleted_at" IS NULL`},
		{"soft delete by condition", func(tx *gorm.DB) *gorm.DB { return tx.Where("text = ?", "a").Delete(&Note{}) },
			`UPDATE "notes" SET "deleted_at"='2030-01-02 12:00:00' ,"version"=CASE WHEN "notes"."version" IS NULL OR "notes"."version" IN (-1,9223372036854775807) THEN 1 ELSE "notes"."version" + 1 END WHERE text = 'a' AND "notes"."deleted_at" IS NULL`},
	}
	quotes := map[string]*strings.Replacer{
		"sqlite":   strings.NewReplacer(`"`, "`", "'", `"`),
		"postgres": strings.NewReplacer(),
		"mariadb":  strings.NewReplacer(`"`, "`"),
	}
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := database.Open(t, &gorm.Config{NowFunc: func() time.Time { return Noon }})
			require.NoError(t, db.Use(occ.New()))
			for _, statement := range statements {
				want := quotes[database.Like].Replace(statement.want)
				if database.Product == "mysql" {
					want = strings.Replace(want, " RETURNING `id`", "", 1)
				}
				require.Equal(t, want, WithoutSettings(db.ToSQL(statement.do)), statement.name)
			}
		})
	}
}

func TestModelsWithoutAVersion(t *testing.T) {
	t.Parallel()
	calls := func(db *gorm.DB) (errs []string) {
		said := func(tx *gorm.DB) {
			text := "none"
			if tx.Error != nil {
				text = tx.Error.Error()
			}
			errs = append(errs, text)
		}
		shelf := Shelf{ID: 1, Name: "a", Books: []Book{{ID: 1, Title: " x "}, {ID: 2, Title: "y"}}}
		set := clause.Set{{Column: clause.Column{Name: "name"}, Value: "s"}}
		said(db.Create(&shelf))
		said(db.Create(&Shelf{ID: 1}))
		said(db.Create(&[]Shelf{{ID: 2, Name: "b"}, {ID: 3, Name: "c"}}))
		said(db.Model(&Shelf{}).Create(map[string]any{"id": 4, "name": "d"}))
		said(db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Shelf{ID: 4, Name: "e"}))
		said(db.Clauses(clause.OnConflict{DoNothing: true}).Create(&Shelf{ID: 4, Name: "f"}))
		said(db.Model(&shelf).Update("name", "g"))
		said(db.Model(&shelf).Where("id = 1").Or("id = 2").Updates(map[string]any{"name": "h"}))
		said(db.Model(&shelf).Clauses(set).Updates(map[string]any{}))
		said(db.Model(&Shelf{}).Where("id > ?", 1).Update("name", gorm.Expr("name")))
		said(db.Table("shelves").Where("id > ?", 1).Updates(map[string]any{"name": "i"}))
		said(db.Model(&Shelf{}).Update("name", "j"))
		said(db.Save(&shelf))
		said(db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&shelf))
		said(db.Save(&Shelf{ID: 9, Name: "k"}))
		said(db.Save(&[]Shelf{{ID: 9, Name: "l"}, {ID: 10, Name: "m"}}))
		said(db.Where("1 = 0").Save(&Shelf{ID: 9, Name: "n"}))
		said(db.Model(&shelf.Books[0]).UpdateColumn("title", "z"))
		said(db.Delete(&shelf.Books[0]))
		said(db.Unscoped().Delete(&shelf.Books[0]))
		said(db.Delete(&Shelf{}, []int{9, 10}))
		said(db.Select("Books").Delete(&shelf))
		said(db.Where("id = 1").Delete(&[]Shelf{}))
		var none *Shelf
		said(db.Model(none).Where("id = 1").Update("name", "o"))
		return errs
	}
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			var sent, said [2][]string
			for i, plugins := range [][]gorm.Plugin{nil, {occ.New()}} {
				db := Reopen(t, database.Open(t), gorm.Config{
					NowFunc:                                  func() time.Time { return Noon },
					DisableForeignKeyConstraintWhenMigrating: true, // an error of theirs names the database
				}, plugins...)
				require.NoError(t, db.AutoMigrate(&Shelf{}, &Book{}))
				recorded, log := Record(db)
				said[i] = calls(recorded)
				sent[i] = log.Sent("")
			}

			require.Equal(t, sent[0], sent[1])
			require.Equal(t, said[0], said[1])
		})
	}
}

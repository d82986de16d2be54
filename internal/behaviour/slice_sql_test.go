package behaviour_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestSQLOfSlices(t *testing.T) {
	t.Parallel()
	products := []Product{{ID: 1, Name: "a", Price: 5, Version: 1}, {ID: 2, Name: "b", Price: 5, Version: 3}}
	notes := []Note{{ID: 1, Version: 1}, {ID: 2, Version: 1}}
	for database, want := range map[string][]string{
		"sqlite": {
			"UPDATE `products` SET `version`=?,`name`=?,`price`=? WHERE `products`.`id` = ? AND `products`.`version` = ?",
			"UPDATE `products` SET `price`=?,`version`=? WHERE (price > ? OR price < ?) AND `products`.`id` = ? AND `products`.`version` = ?",
			"UPDATE `notes` SET `text`=?,`version`=? WHERE `notes`.`id` = ? AND `notes`.`version` = ? AND `notes`.`deleted_at` IS NULL",
			"DELETE FROM `products` WHERE `products`.`id` = ? AND `products`.`version` = ?",
			"UPDATE `notes` SET `deleted_at`=? ,`version`=? WHERE `notes`.`id` = ? AND `notes`.`version` = ? AND `notes`.`deleted_at` IS NULL",
		},
		"postgres": {
			`UPDATE "products" SET "version"="excluded"."occ_next","name"="excluded"."name","price"="excluded"."price" FROM unnest(COALESCE((SELECT array_agg("id") FROM "products" WHERE 1 = 0), $1),COALESCE((SELECT array_agg("version") FROM "products" WHERE 1 = 0), $2),COALESCE((SELECT array_agg("version") FROM "products" WHERE 1 = 0), $3),COALESCE((SELECT array_agg("name") FROM "products" WHERE 1 = 0), $4),COALESCE((SELECT array_agg("price") FROM "products" WHERE 1 = 0), $5)) AS "excluded"("occ_key_1","occ_expected","occ_next","name","price") WHERE "products"."id" = "excluded"."occ_key_1" AND "products"."version" = "excluded"."occ_expected"`,
			`UPDATE "products" SET "price"=$1,"version"="excluded"."occ_next" FROM unnest(COALESCE((SELECT array_agg("id") FROM "products" WHERE 1 = 0), $2),COALESCE((SELECT array_agg("version") FROM "products" WHERE 1 = 0), $3),COALESCE((SELECT array_agg("version") FROM "products" WHERE 1 = 0), $4)) AS "excluded"("occ_key_1","occ_expected","occ_next") WHERE (price > $5 OR price < $6) AND "products"."id" = "excluded"."occ_key_1" AND "products"."version" = "excluded"."occ_expected"`,
			`UPDATE "notes" SET "text"=$1,"version"=$2 FROM unnest(COALESCE((SELECT array_agg("id") FROM "notes" WHERE 1 = 0), $3)) AS "excluded"("occ_key_1") WHERE "notes"."id" = "excluded"."occ_key_1" AND "notes"."version" = $4 AND "notes"."deleted_at" IS NULL`,
			`DELETE FROM "products" USING unnest(COALESCE((SELECT array_agg("id") FROM "products" WHERE 1 = 0), $1),COALESCE((SELECT array_agg("version") FROM "products" WHERE 1 = 0), $2)) AS "excluded"("occ_key_1","occ_expected") WHERE "products"."id" = "excluded"."occ_key_1" AND "products"."version" = "excluded"."occ_expected"`,
			`UPDATE "notes" SET "deleted_at"=$1 ,"version"=$2 FROM unnest(COALESCE((SELECT array_agg("id") FROM "notes" WHERE 1 = 0), $3)) AS "excluded"("occ_key_1") WHERE "notes"."id" = "excluded"."occ_key_1" AND "notes"."version" = $4 AND "notes"."deleted_at" IS NULL`,
		},
		"mariadb": {
			"UPDATE (SELECT `id` AS `occ_key_1`,`version` AS `occ_expected`,`version` AS `occ_next`,`name` AS `name` FROM `products` WHERE 1 = 0 UNION ALL VALUES (?,?,?,?),(?,?,?,?)) AS `excluded` STRAIGHT_JOIN `products` FORCE INDEX (`PRIMARY`) SET `products`.`version`=`excluded`.`occ_next`,`products`.`name`=`excluded`.`name`,`products`.`price`=? WHERE `products`.`id` = `excluded`.`occ_key_1` AND `products`.`version` = `excluded`.`occ_expected`",
			"UPDATE (SELECT `id` AS `occ_key_1`,`version` AS `occ_expected`,`version` AS `occ_next` FROM `products` WHERE 1 = 0 UNION ALL VALUES (?,?,?),(?,?,?)) AS `excluded` STRAIGHT_JOIN `products` FORCE INDEX (`PRIMARY`) SET `products`.`price`=?,`products`.`version`=`excluded`.`occ_next` WHERE (price > ? OR price < ?) AND `products`.`id` = `excluded`.`occ_key_1` AND `products`.`version` = `excluded`.`occ_expected`",
			"UPDATE (SELECT `id` AS `occ_key_1` FROM `notes` WHERE 1 = 0 UNION ALL VALUES (?),(?)) AS `excluded` STRAIGHT_JOIN `notes` FORCE INDEX (`PRIMARY`) SET `notes`.`text`=?,`notes`.`version`=? WHERE `notes`.`id` = `excluded`.`occ_key_1` AND `notes`.`version` = ? AND `notes`.`deleted_at` IS NULL",
			"DELETE `products` FROM (SELECT `id` AS `occ_key_1`,`version` AS `occ_expected` FROM `products` WHERE 1 = 0 UNION ALL VALUES (?,?),(?,?)) AS `excluded` STRAIGHT_JOIN `products` FORCE INDEX (`PRIMARY`) WHERE `products`.`id` = `excluded`.`occ_key_1` AND `products`.`version` = `excluded`.`occ_expected`",
			"UPDATE (SELECT `id` AS `occ_key_1` FROM `notes` WHERE 1 = 0 UNION ALL VALUES (?),(?)) AS `excluded` STRAIGHT_JOIN `notes` FORCE INDEX (`PRIMARY`) SET `deleted_at`=? ,`notes`.`version`=? WHERE `notes`.`id` = `excluded`.`occ_key_1` AND `notes`.`version` = ? AND `notes`.`deleted_at` IS NULL",
		},
	} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			products, notes := slices.Clone(products), slices.Clone(notes)
			for _, d := range testdb.All() {
				if d.Name != database { // other servers of a kind write other texts
					continue
				}
				db := d.Open(t, &gorm.Config{DryRun: true})
				require.NoError(t, db.Use(occ.New()))
				for i, res := range []*gorm.DB{
					db.Save(&products),
					db.Model(&products).Where("price > ?", 1).Or("price < ?", 0).Update("price", 7),
					db.Model(&notes).UpdateColumn("text", "x"),
					db.Delete(&products),
					db.Delete(&notes),
				} {
					require.NoError(t, res.Error)
					require.Equal(t, want[i], res.Statement.SQL.String())
				}
			}
		})
	}
}

package occ_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestSmoke(t *testing.T) {
	run(t, append(testdb.All(), testdb.Configurations()...), []behaviour{
		{"all", func(t *testing.T, db *gorm.DB) {
			mine, theirs := pair(t, db)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Equal(t, occ.Version(2), theirs.Version)
			for _, write := range []func(p *Product) *gorm.DB{
				func(p *Product) *gorm.DB { return db.Model(p).Update("price", 70) },
				func(p *Product) *gorm.DB { return db.Save(p) },
				func(p *Product) *gorm.DB { return db.Delete(p) },
				func(p *Product) *gorm.DB { return db.Model(p).Updates(map[string]any{"price": 70}) },
				func(p *Product) *gorm.DB { return db.Model(p).Updates(Product{Price: 70}) },
				func(p *Product) *gorm.DB { return db.Select("*").Updates(p) },
				func(p *Product) *gorm.DB { return db.Model(p).UpdateColumn("price", 70) },
				func(p *Product) *gorm.DB { return db.Model(*p).UpdateColumn("price", 70) },
			} {
				m := mine
				res := write(&m)
				row := stale(t, res.Error)
				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.EqualValues(t, 2, row.Actual)
				require.EqualValues(t, 1, row.Expected)
				require.EqualValues(t, 0, res.RowsAffected)
				require.Equal(t, occ.Version(1), m.Version)
				require.Equal(t, theirs, reload[Product](t, db, mine.ID))
			}
			for i, write := range []func(p *Product) *gorm.DB{
				func(p *Product) *gorm.DB { return db.Model(p).Update("price", 71) },
				func(p *Product) *gorm.DB { p.Price = 72; return db.Save(p) },
				func(p *Product) *gorm.DB { return db.Model(p).Updates(map[string]any{"price": 73}) },
				func(p *Product) *gorm.DB { return db.Model(p).Updates(Product{Price: 74}) },
				func(p *Product) *gorm.DB { p.Price = 75; return db.Select("*").Updates(p) },
				func(p *Product) *gorm.DB { return db.Model(p).UpdateColumn("price", gorm.Expr("price + 1")) },
				func(p *Product) *gorm.DB { return db.Model(p).Clauses(occ.Unchecked()).Update("price", 77) },
			} {
				require.NoError(t, write(&theirs).Error)
				require.EqualValues(t, 3+i, theirs.Version)
				require.Equal(t, 71+i, reload[Product](t, db, mine.ID).Price)
				require.EqualValues(t, 3+i, reload[Product](t, db, mine.ID).Version)
			}
			require.NoError(t, db.Delete(&theirs).Error)
			require.ErrorIs(t, db.Save(&theirs).Error, occ.ErrStaleData)

			fresh := Product{ID: 77, Name: "new"}
			require.NoError(t, db.Save(&fresh).Error)
			require.Equal(t, occ.Version(1), fresh.Version)
			require.Equal(t, fresh, reload[Product](t, db, 77))
			again := Product{ID: 77, Name: "other"}
			err := db.Save(&again).Error
			require.ErrorIs(t, err, occ.ErrVersionMissing)
			require.Equal(t, fresh, reload[Product](t, db, 77))
			t.Log(err)

			note := Note{Text: "a"}
			require.NoError(t, db.Create(&note).Error)
			old := note
			require.NoError(t, db.Delete(&note).Error)
			require.Equal(t, occ.Version(2), note.Version)
			require.Equal(t, occ.Version(2), reload[Note](t, db, note.ID).Version)
			require.Equal(t, occ.ReasonDeleted, stale(t, db.Save(&old).Error).Reason)
			require.Equal(t, occ.ReasonDeleted, stale(t, db.Delete(&old).Error).Reason)
			require.NoError(t, db.Model(&Product{}).Where("id = ?", 77).Update("price", 5).Error)
			require.Equal(t, occ.Version(2), reload[Product](t, db, 77).Version)
			res := db.Where("price = 6").Save(&Product{ID: 77, Version: 2})
			require.NoError(t, res.Error)
			require.EqualValues(t, 0, res.RowsAffected)
			require.Equal(t, clause.Clause{}, res.Statement.Clauses["WHERE2"])
		}},
	}, &Product{}, &Note{})
}

package occ_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Crate has no version column.
type Crate struct {
	ID     uint
	Label  string
	Weight int
	Note   *string
	occ.Snapshot
}

func createCrate(t *testing.T, db *gorm.DB) Crate {
	p := Crate{Label: "a", Weight: 1}
	require.NoError(t, db.Create(&p).Error)
	return p
}

func TestSnapshot(t *testing.T) {
	run(t, append(testdb.All(), testdb.Configurations()...), []behaviour{
		{"what a create leaves is what a load gives", func(t *testing.T, db *gorm.DB) {
			p := createCrate(t, db)

			require.NotZero(t, p.Snapshot)
			require.Equal(t, reload[Crate](t, db, p.ID), p)
		}},
		{"a stale write is refused and changes nothing", func(t *testing.T, db *gorm.DB) {
			mine := createCrate(t, db)
			theirs := reload[Crate](t, db, mine.ID)
			require.NoError(t, db.Model(&theirs).Update("weight", 2).Error)
			for i, write := range crateWrites(db) {
				m := mine
				res := write(&m)

				row := stale(t, res.Error)
				require.Equal(t, occ.ReasonChanged, row.Reason, i)
				require.Equal(t, mine.Snapshot, row.Expected)
				require.Equal(t, theirs.Snapshot, row.Actual)
				require.Equal(t, map[string]any{"id": mine.ID}, row.PrimaryKey)
				require.Zero(t, res.RowsAffected)
				require.Equal(t, mine.Snapshot, m.Snapshot)
				require.Equal(t, theirs, reload[Crate](t, db, mine.ID))
				require.ErrorContains(t, res.Error, "changed since it was loaded: weight")
			}
		}},
		{"a current write succeeds, and so does the next one with the same model", func(t *testing.T, db *gorm.DB) {
			for i, write := range crateWrites(db) {
				p := createCrate(t, db)
				res := write(&p)
				require.NoError(t, res.Error, i)
				require.EqualValues(t, 1, res.RowsAffected, i)
				if res.Statement.Dest == any(&p) && db.First(&Crate{}, p.ID).Error != nil {
					continue // deleted
				}
				require.Equal(t, reload[Crate](t, db, p.ID).Snapshot, p.Snapshot, i)
				require.NoError(t, db.Model(&p).Update("label", "last").Error, i)
				require.Equal(t, "last", reload[Crate](t, db, p.ID).Label)
			}
		}},
	}, &Crate{})
}

func crateWrites(db *gorm.DB) []func(p *Crate) *gorm.DB {
	return []func(p *Crate) *gorm.DB{
		func(p *Crate) *gorm.DB { return db.Model(p).Update("label", "x") },
		func(p *Crate) *gorm.DB { p.Label = "y"; return db.Save(p) },
		func(p *Crate) *gorm.DB { return db.Delete(p) },
		func(p *Crate) *gorm.DB { return db.Model(p).Updates(map[string]any{"Label": "z"}) },
		func(p *Crate) *gorm.DB { return db.Model(p).Updates(Crate{Label: "u"}) },
		func(p *Crate) *gorm.DB { p.Label = "v"; return db.Select("*").Updates(p) },
		func(p *Crate) *gorm.DB { return db.Model(p).UpdateColumn("weight", gorm.Expr("weight + 5")) },
	}
}

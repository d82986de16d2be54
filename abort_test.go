package occ_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/testdb"
)

// Crate panics where a test wants it to.
type Crate struct {
	ID       uint
	Weight   int
	Labels   []CrateLabel
	Version  int64  `gorm:"version"`
	panicsIn string `gorm:"-"`
}

// CrateLabel panics along with its crate.
type CrateLabel struct {
	ID       uint
	CrateID  uint
	Version  int64  `gorm:"version"`
	panicsIn string `gorm:"-"`
}

func panicIf(wanted bool) error {
	if wanted {
		panic("dropped")
	}
	return nil
}

func (p *Crate) BeforeSave(*gorm.DB) error     { return panicIf(p.panicsIn == "BeforeSave") }
func (p *Crate) AfterSave(*gorm.DB) error      { return panicIf(p.panicsIn == "AfterSave") }
func (p *Crate) AfterDelete(*gorm.DB) error    { return panicIf(p.panicsIn == "AfterDelete") }
func (l *CrateLabel) AfterSave(*gorm.DB) error { return panicIf(l.panicsIn == "AfterSave") }

func TestPanics(t *testing.T) {
	t.Parallel()
	run(t, append(testdb.All(), testdb.Configurations()...), []behaviour{
		{"a panic in a hook leaves no transaction open, and rolls back what it can", func(t *testing.T, db *gorm.DB) {
			crate := Crate{Weight: 1, Labels: []CrateLabel{{}}}
			require.NoError(t, db.Create(&crate).Error)
			pool, err := db.DB()
			require.NoError(t, err)
			for _, hook := range []string{"BeforeSave", "AfterSave", "AfterDelete"} {
				for _, write := range []func(p *Crate){
					func(p *Crate) { db.Save(p) },
					func(p *Crate) { db.Session(&gorm.Session{FullSaveAssociations: true}).Updates(p) },
					func(p *Crate) { db.Select("Labels").Delete(p) },
					func(p *Crate) { db.Save([]*Crate{p}) },
				} {
					p := crate
					p.Labels = append([]CrateLabel(nil), crate.Labels...)
					p.Weight, p.panicsIn, p.Labels[0].panicsIn = 2, hook, hook
					func() {
						defer func() { _ = recover() }()
						write(&p)
					}()
					require.Zero(t, pool.Stats().InUse, hook)
				}
			}
		}},
		{"what was begun for a save with its associations is undone, in memory too", func(t *testing.T, db *gorm.DB) {
			crate := Crate{Weight: 1, Labels: []CrateLabel{{}}}
			require.NoError(t, db.Create(&crate).Error)
			before := reload[Crate](t, db, crate.ID)
			crate.Weight, crate.Labels[0].panicsIn = 2, "AfterSave"

			require.PanicsWithValue(t, "dropped", func() {
				db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&crate)
			})

			require.EqualValues(t, 1, crate.Version)
			require.EqualValues(t, 1, crate.Labels[0].Version)
			require.Equal(t, before, reload[Crate](t, db, crate.ID))
			crate.Labels[0].panicsIn = ""
			require.NoError(t, db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&crate).Error)
			require.EqualValues(t, 2, crate.Version)
		}},
	}, &Crate{}, &CrateLabel{})
}

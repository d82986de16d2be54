package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	. "github.com/gorm-occ/occ/internal/behaviour"
)

// Trunk panics where a test wants it to.
type Trunk struct {
	ID       uint
	Weight   int
	Labels   []TrunkLabel
	Version  int64  `gorm:"version"`
	panicsIn string `gorm:"-"`
}

// TrunkLabel panics along with its trunk.
type TrunkLabel struct {
	ID       uint
	TrunkID  uint
	Version  int64  `gorm:"version"`
	panicsIn string `gorm:"-"`
}

func panicIf(wanted bool) error {
	if wanted {
		panic("dropped")
	}
	return nil
}

func (p *Trunk) BeforeSave(*gorm.DB) error     { return panicIf(p.panicsIn == "BeforeSave") }
func (p *Trunk) AfterSave(*gorm.DB) error      { return panicIf(p.panicsIn == "AfterSave") }
func (p *Trunk) AfterDelete(*gorm.DB) error    { return panicIf(p.panicsIn == "AfterDelete") }
func (l *TrunkLabel) AfterSave(*gorm.DB) error { return panicIf(l.panicsIn == "AfterSave") }

func TestPanics(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a panic in a hook leaves no transaction open, and rolls back what it can", func(t *testing.T, db *gorm.DB) {
			trunk := Trunk{Weight: 1, Labels: []TrunkLabel{{}}}
			require.NoError(t, db.Create(&trunk).Error)
			pool, err := db.DB()
			require.NoError(t, err)
			for _, hook := range []string{"BeforeSave", "AfterSave", "AfterDelete"} {
				for _, write := range []func(p *Trunk){
					func(p *Trunk) { db.Save(p) },
					func(p *Trunk) { db.Session(&gorm.Session{FullSaveAssociations: true}).Updates(p) },
					func(p *Trunk) { db.Select("Labels").Delete(p) },
					func(p *Trunk) { db.Save([]*Trunk{p}) },
				} {
					p := trunk
					p.Labels = append([]TrunkLabel(nil), trunk.Labels...)
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
			trunk := Trunk{Weight: 1, Labels: []TrunkLabel{{}}}
			require.NoError(t, db.Create(&trunk).Error)
			before := Reload[Trunk](t, db, trunk.ID)
			trunk.Weight, trunk.Labels[0].panicsIn = 2, "AfterSave"

			require.PanicsWithValue(t, "dropped", func() {
				db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&trunk)
			})

			require.EqualValues(t, 1, trunk.Version)
			require.EqualValues(t, 1, trunk.Labels[0].Version)
			require.Equal(t, before, Reload[Trunk](t, db, trunk.ID))
			trunk.Labels[0].panicsIn = ""
			require.NoError(t, db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&trunk).Error)
			require.EqualValues(t, 2, trunk.Version)
		}},
	}, &Trunk{}, &TrunkLabel{})
}

package behaviour_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// Play has actors through a join table that has a version of its own.
type Play struct {
	ID        uint
	Name      string
	UpdatedAt time.Time
	Actors    []Actor `gorm:"many2many:roles"`
	occ.Version
}

type Actor struct {
	ID   uint
	Name string
	occ.Version
}

type Role struct {
	PlayID    uint `gorm:"primaryKey"`
	ActorID   uint `gorm:"primaryKey"`
	Lines     int
	DeletedAt gorm.DeletedAt
	occ.Version
}

// Yard has a natural key that parts refer to, and a composite one.
type Yard struct {
	Region  string    `gorm:"primaryKey;size:20"`
	Number  int       `gorm:"primaryKey;autoIncrement:false"`
	Code    string    `gorm:"size:20;uniqueIndex"`
	Barrels []Barrel  `gorm:"foreignKey:YardRegion,YardNumber;references:Region,Number"`
	Carts   []Trolley `gorm:"foreignKey:YardCode;references:Code"`
	Boss    *Boss     `gorm:"foreignKey:YardCode;references:Code"`
	occ.Version
}

type Barrel struct {
	Shelf      int     `gorm:"primaryKey;autoIncrement:false"`
	Place      int     `gorm:"primaryKey;autoIncrement:false"`
	YardRegion *string `gorm:"size:20"`
	YardNumber *int
	Name       string
	occ.Version
}

type Trolley struct {
	ID        uint
	YardCode  *string `gorm:"size:20"`
	Name      string
	DeletedAt gorm.DeletedAt
	occ.Version
}

type Boss struct {
	ID       uint
	YardCode *string `gorm:"size:20"`
	Name     string
	occ.Version
}

// Bag has no version, its things do.
type Bag struct {
	ID     uint
	Name   string
	Things []Thing
	Inner
}

type Inner struct {
	MakerID *uint
	Maker   Maker
}

type Maker struct {
	ID   uint
	Name string
	occ.Version
}

type Thing struct {
	ID    uint
	BagID *uint
	Name  string
	Fail  bool `gorm:"-"`
	Pins  []Pin
	occ.Version
}

var errThing = errors.New("thing")

func (th *Thing) AfterSave(*gorm.DB) error {
	if th.Fail {
		return errThing
	}
	return nil
}

// Pin has no version.
type Pin struct {
	ID      uint
	ThingID *uint
	Name    string
}

func newYard() Yard {
	return Yard{Region: "north", Number: 0, Code: "n0", Barrels: []Barrel{{Shelf: 0, Place: 1, Name: "a"}, {Shelf: 1, Place: 0, Name: "b"}},
		Carts: []Trolley{{Name: "one"}, {Name: "two"}}, Boss: &Boss{Name: "b"}}
}

func (d *Yard) parts() []any {
	parts := []any{d, d.Boss}
	for i := range d.Barrels {
		parts = append(parts, &d.Barrels[i])
	}
	for i := range d.Carts {
		parts = append(parts, &d.Carts[i])
	}
	return parts
}

func TestAssociationMode(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"adding to a collection writes the new parts alone", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			stored := loadChoir(t, db, c.ID)
			s := Singer{Name: "n"}
			require.NoError(t, db.Model(&c).Association("Singers").Append(&s))
			require.EqualValues(t, 1, s.Version)
			require.NoError(t, db.Model(&c).Association("Singers").Append([]Singer{{Name: "o"}, {Name: "p"}}))
			require.NoError(t, db.Model(&c).Association("Songs").Append(&Song{Name: "n"}, []*Song{{Name: "m"}}))
			require.NoError(t, db.Model(&c).Association("Photos").Append(&Photo{Name: "n"}))
			require.NoError(t, db.Model(&c).Association("Singers").Append(map[string]any{"name": "m"}))
			require.NoError(t, db.Model(&c).Association("Songs").Append(map[string]any{"name": "m"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, db.Save(&c).Error)
			require.NoError(t, full(db).Save(&c).Error)
			require.EqualValues(t, 3, c.Version)
			require.EqualValues(t, 1, stored.Version)
			for _, s := range all[Singer](t, db) {
				require.GreaterOrEqual(t, int(s.Version), 1)
			}
		}},
		{"a part of another owner is taken over if it is current, never by key alone", func(t *testing.T, db *gorm.DB) {
			c, other := createChoir(t, db), createChoir(t, db)
			current, outdated := other.Singers[0], other.Singers[1]
			somebodyWrites(t, db, &outdated)
			add := func(singers ...any) error {
				mine := loadChoir(t, db, c.ID)
				return db.Model(&mine).Association("Singers").Append(singers...)
			}

			require.Equal(t, occ.ReasonMissing, Stale(t, add(&Singer{ID: current.ID})).Reason)
			require.Equal(t, occ.ReasonChanged, Stale(t, add(&Singer{Name: "new"}, &outdated)).Reason)
			require.NoError(t, add(&current))

			require.Equal(t, []occ.Version{2, 1}, []occ.Version{current.Version, outdated.Version})
			require.NoError(t, occ.Verify(db, &current, &c))
			require.Len(t, all[Singer](t, db), 4)
			require.EqualValues(t, c.ID, *Reload[Singer](t, db, current.ID).ChoirID)
			require.EqualValues(t, other.ID, *Reload[Singer](t, db, outdated.ID).ChoirID)
			require.NoError(t, db.Model(&Choir{ID: c.ID}).Association("Singers").Append(&Singer{Name: "new"}))
			require.ErrorIs(t, db.Model(&Choir{ID: c.ID}).Association("Patron").Append(&Patron{Name: "new"}), occ.ErrVersionMissing)
		}},
		{"a has-one is replaced: the old one takes its next version, a stale new one is refused", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			old := *c.Hall
			next := Hall{Name: "next"}
			require.NoError(t, db.Model(&c).Association("Hall").Append(&next))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 2, Reload[Hall](t, db, old.ID).Version)
			require.Nil(t, Reload[Hall](t, db, old.ID).ChoirID)
			require.ErrorIs(t, db.Model(&old).Update("name", "x").Error, occ.ErrStaleData)
			// replace with one loaded
			old = Reload[Hall](t, db, old.ID)
			require.NoError(t, db.Model(&c).Association("Hall").Replace(&old))
			require.EqualValues(t, 3, old.Version)
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, occ.Verify(db, &old))
			// replace with a stale one
			next = Reload[Hall](t, db, next.ID)
			somebodyWrites(t, db, &next)
			require.ErrorIs(t, db.Model(&c).Association("Hall").Replace(&next), occ.ErrStaleData)
			require.EqualValues(t, 2, next.Version)
			c = loadChoir(t, db, c.ID)
			require.Equal(t, old.ID, c.Hall.ID)
			require.NoError(t, db.Model(&c).Association("Poster").Replace(&Poster{Name: "new"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, db.Model(&c).Association("Hall").Clear())
			require.EqualValues(t, 4, Reload[Hall](t, db, old.ID).Version)
			require.NoError(t, occ.Verify(db, &c))
			require.EqualValues(t, 1, c.Version)
		}},
		{"a belongs-to is a column of the owner, which is compared and bumped", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			old := *c.Patron
			next := Patron{Name: "next"}
			mine := loadChoir(t, db, c.ID)
			require.NoError(t, db.Model(&c).Association("Patron").Append(&next))
			require.EqualValues(t, 2, c.Version)
			require.EqualValues(t, 1, next.Version)
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 1, Reload[Patron](t, db, old.ID).Version)
			// stale owner
			n := len(all[Patron](t, db))
			err := db.Model(&mine).Association("Patron").Replace(&Patron{Name: "lost"})
			require.ErrorIs(t, err, occ.ErrStaleData)
			require.Len(t, all[Patron](t, db), n)
			require.EqualValues(t, 1, mine.Version)
			require.EqualValues(t, 0, mine.Patron.Version)
			require.NoError(t, db.Model(&c).Association("Patron").Delete(&next))
			require.EqualValues(t, 3, Reload[Choir](t, db, c.ID).Version)
			c = loadChoir(t, db, c.ID)
			require.Nil(t, c.Patron)
			require.NoError(t, db.Model(&c).Association("Patron").Append(&next))
			require.NoError(t, db.Model(&c).Association("Patron").Clear())
			require.EqualValues(t, 5, c.Version)
			require.NoError(t, occ.Verify(db, &c))
			require.NoError(t, db.Model(&c).Association("Patron").Append(&next))
			require.NoError(t, db.Model(&c).Association("Patron").Replace(&old))
			require.NoError(t, occ.Verify(db, &c, c.Patron))
		}},
	}, append(choirModels, &Yard{}, &Barrel{}, &Trolley{}, &Boss{}, &Maker{}, &Bag{}, &Thing{}, &Pin{})...)
}

func TestAssociationModeTakesOut(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"parts that are taken out take their next version, and their owner stays as it was", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			mine := loadChoir(t, db, c.ID)
			require.NoError(t, db.Model(&c).Association("Singers").Delete(&c.Singers[0]))
			require.Len(t, c.Singers, 1)
			require.EqualValues(t, 2, Reload[Singer](t, db, mine.Singers[0].ID).Version)
			require.NoError(t, occ.Verify(db, c.parts()...))
			// mine still holds it: not pulled back
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Save(&mine).Error).Reason)
			require.NoError(t, db.Model(&c).Association("Singers").Replace(&Singer{Name: "only"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 2, Reload[Singer](t, db, mine.Singers[1].ID).Version)
			require.NoError(t, db.Model(&c).Association("Singers").Clear())
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 1, c.Version)
			for _, s := range all[Singer](t, db) {
				require.Nil(t, s.ChoirID)
				require.EqualValues(t, 2, s.Version)
			}
			require.NoError(t, db.Model(&c).Association("Photos").Unscoped().Clear())
			require.Empty(t, all[Photo](t, db))
			require.NoError(t, db.Model(&c).Association("Songs").Replace(&Song{Name: "n"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, db.Model(&c).Association("Songs").Clear())
			require.NoError(t, occ.Verify(db, &c))
			require.EqualValues(t, 1, c.Version)
			require.Len(t, all[Song](t, db), 3)
		}},
		{"several owners are given something each", func(t *testing.T, db *gorm.DB) {
			cs := []Choir{createChoir(t, db), createChoir(t, db)}
			a, b := Singer{Name: "a"}, Singer{Name: "b"}
			require.NoError(t, db.Model(&cs).Association("Singers").Append(&a, &b))
			require.NoError(t, db.Model(&cs).Association("Songs").Append(&Song{Name: "x"}, &[]Song{{Name: "y"}, {Name: "z"}}))
			for i := range cs {
				require.NoError(t, occ.Verify(db, cs[i].parts()...))
			}
			require.NoError(t, occ.Verify(db, &a, &b))
			require.NoError(t, db.Model(&cs).Association("Patron").Append(&Patron{Name: "x"}, &Patron{Name: "y"}))
			for i := range cs {
				require.NoError(t, occ.Verify(db, cs[i].parts()...))
				require.EqualValues(t, 2, cs[i].Version)
			}
			require.NoError(t, db.Model(&cs).Association("Singers").Clear())
			require.NoError(t, db.Model(&cs).Association("Patron").Clear())
			for i := range cs {
				require.EqualValues(t, 3, cs[i].Version)
				require.NoError(t, occ.Verify(db, &cs[i]))
			}
		}},
		{"a join table with versions is written like any other", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.SetupJoinTable(&Play{}, "Actors", &Role{}))
			require.NoError(t, db.AutoMigrate(&Play{}, &Actor{}, &Role{}))
			p := Play{Name: "p", Actors: []Actor{{Name: "a"}, {Name: "b"}}}
			require.NoError(t, db.Create(&p).Error)
			var roles []Role
			get := func() []Role {
				roles = nil
				require.NoError(t, db.Unscoped().Order("actor_id").Find(&roles).Error)
				return roles
			}
			require.EqualValues(t, []occ.Version{1, 1}, []occ.Version{get()[0].Version, get()[1].Version})
			require.NoError(t, db.Model(&roles[0]).Update("lines", 3).Error)
			p.Actors = append(p.Actors, Actor{Name: "c"})
			require.NoError(t, db.Save(&p).Error)
			require.EqualValues(t, 2, p.Version)
			require.EqualValues(t, []int{2, 1, 1}, []int{int(get()[0].Version), int(get()[1].Version), int(get()[2].Version)})
			require.NoError(t, full(db).Save(&p).Error)
			require.EqualValues(t, []int{2, 1, 1}, []int{int(get()[0].Version), int(get()[1].Version), int(get()[2].Version)})
			require.NoError(t, db.Model(&p).Association("Actors").Append(&Actor{Name: "d"}))
			require.EqualValues(t, 3, p.Version)
			require.NoError(t, occ.Verify(db, &p, &p.Actors[3]))
			require.NoError(t, db.Model(&p).Association("Actors").Delete(&p.Actors[0]))
			require.EqualValues(t, []int{3, 1, 1, 1}, []int{int(get()[0].Version), int(get()[1].Version), int(get()[2].Version), int(get()[3].Version)})
			require.True(t, get()[0].DeletedAt.Valid)
			require.NoError(t, db.Model(&p).Association("Actors").Unscoped().Clear())
			require.NoError(t, occ.Verify(db, &p))
		}},
		{"composite keys with zero parts and references to other columns are compared part by part", func(t *testing.T, db *gorm.DB) {
			d := newYard()
			require.NoError(t, db.Create(&d).Error)
			e := newYard()
			e.Number, e.Code = 1, "n1"
			e.Barrels = []Barrel{{Shelf: 5, Place: 1}, {Shelf: 0, Place: 3}}
			require.NoError(t, db.Create(&e).Error)
			for range 2 {
				require.NoError(t, occ.Verify(db, d.parts()...))
				require.NoError(t, db.Save(&d).Error)
				require.NoError(t, occ.Verify(db, d.parts()...))
				require.NoError(t, full(db).Save(&d).Error)
			}
			require.NoError(t, full(db).Save([]*Yard{&d, &e}).Error)
			require.NoError(t, occ.Verify(db, d.parts()...))
			require.NoError(t, occ.Verify(db, e.parts()...))
			// move
			moved := d.Barrels[0]
			e.Barrels = append(e.Barrels, moved)
			require.NoError(t, db.Save(&e).Error)
			require.NoError(t, occ.Verify(db, e.parts()...))
			before := versionsIn(d.parts())
			require.Equal(t, occ.ReasonChanged, Stale(t, db.Save(&d).Error).Reason)
			require.Equal(t, before, versionsIn(d.parts()))
			require.NoError(t, db.Model(&d).Association("Barrels").Clear())
			require.NoError(t, db.Model(&d).Association("Carts").Clear())
			require.NoError(t, db.Model(&d).Association("Boss").Clear())
			require.NoError(t, occ.Verify(db, &d))
			require.NoError(t, occ.Verify(db, e.parts()...))
			require.NoError(t, db.Unscoped().Select("Barrels", "Carts", "Boss").Delete(&e).Error)
			var left []Barrel
			require.NoError(t, db.Find(&left).Error)
			require.Len(t, left, 1)
		}},
	}, append(choirModels, &Yard{}, &Barrel{}, &Trolley{}, &Boss{}, &Maker{}, &Bag{}, &Thing{}, &Pin{})...)
}

func TestAssociationModeWritesAllOrNone(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a soft-deleted part is left alone, and refused where it would be written", func(t *testing.T, db *gorm.DB) {
			d := newYard()
			require.NoError(t, db.Create(&d).Error)
			gone := d.Carts[0]
			mine := d
			mine.Carts = append([]Trolley(nil), d.Carts...)
			require.NoError(t, db.Delete(&gone).Error)
			require.NoError(t, db.Save(&d).Error)
			row := Reload[Trolley](t, db, gone.ID)
			require.True(t, row.DeletedAt.Valid)
			require.EqualValues(t, 2, row.Version)
			require.Equal(t, occ.ReasonDeleted, Stale(t, full(db).Save(&d).Error).Reason)
			row = Reload[Trolley](t, db, gone.ID)
			require.True(t, row.DeletedAt.Valid)
			e := Yard{Region: "south", Number: 1, Code: "s", Carts: []Trolley{d.Carts[0]}}
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Create(&e).Error).Reason)
			require.True(t, Reload[Trolley](t, db, gone.ID).DeletedAt.Valid)
			require.EqualValues(t, 2, Reload[Trolley](t, db, gone.ID).Version)
		}},
		{"an owner without a version is rolled back with its stale parts, and versions with a failed hook", func(t *testing.T, db *gorm.DB) {
			b := Bag{Name: "b", Things: []Thing{{Name: "t", Pins: []Pin{{Name: "p"}}}, {Name: "u"}}, Inner: Inner{Maker: Maker{Name: "m"}}}
			require.NoError(t, db.Create(&b).Error)
			parts := []any{&b.Things[0], &b.Things[1], &b.Maker}
			require.NoError(t, occ.Verify(db, parts...))
			require.NoError(t, db.Save(&b).Error)
			require.NoError(t, full(db).Save(&b).Error)
			require.NoError(t, occ.Verify(db, parts...))
			somebodyWrites(t, db, &b.Things[1])
			before := versionsIn(parts)
			for _, d := range []*gorm.DB{db, db.Session(&gorm.Session{SkipDefaultTransaction: true})} {
				b.Name, b.Things[0].Name, b.Things[0].Pins[0].Name, b.Maker.Name = "z", "z", "z", "z"
				require.ErrorIs(t, full(d).Save(&b).Error, occ.ErrStaleData)
				require.Equal(t, before, versionsIn(parts))
				require.NoError(t, d.Transaction(func(tx *gorm.DB) error { require.Error(t, full(tx).Save(&b).Error); return nil }))
				require.Equal(t, before, versionsIn(parts))
				require.Equal(t, "b", Reload[Bag](t, db, b.ID).Name)
				require.Equal(t, "t", Reload[Thing](t, db, b.Things[0].ID).Name)
				require.Equal(t, "m", Reload[Maker](t, db, b.Maker.ID).Name)
				require.Equal(t, "p", Reload[Pin](t, db, b.Things[0].Pins[0].ID).Name)
			}
			b.Things[1] = Reload[Thing](t, db, b.Things[1].ID)
			require.NoError(t, full(db).Save(&b).Error)
			// hook fails
			before = versionsIn(parts)
			b.Things[0].Fail = true
			for _, d := range []*gorm.DB{db, db.Session(&gorm.Session{SkipDefaultTransaction: true})} {
				require.ErrorIs(t, full(d).Save(&b).Error, errThing)
				require.Equal(t, before, versionsIn(parts))
				require.NoError(t, d.Transaction(func(tx *gorm.DB) error { require.Error(t, full(tx).Save(&b).Error); return nil }))
				require.Equal(t, before, versionsIn(parts))
			}
			require.NoError(t, occ.Verify(db, parts...))
			require.NoError(t, full(db).Session(&gorm.Session{SkipHooks: true}).Save(&b).Error)
			require.NoError(t, occ.Verify(db, parts...))
			// fresh ones failing
			c := Bag{Name: "c", Things: []Thing{{Name: "x"}, {Name: "y", Fail: true}}}
			require.ErrorIs(t, db.Create(&c).Error, errThing)
			require.Zero(t, c.Things[0].Version)
			require.Zero(t, c.Things[1].Version)
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error { require.Error(t, full(tx).Create(&c).Error); return nil }))
			require.Zero(t, c.Things[0].Version)
			require.ErrorIs(t, db.Model(&b).Association("Things").Append(&Thing{Name: "y", Fail: true}), errThing)
			require.NoError(t, occ.Verify(db, parts...))
		}},
		{"a stale owner is not deleted, and neither are its parts", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			require.NoError(t, db.Exec("DELETE FROM medals").Error)
			mine := loadChoir(t, db, c.ID)
			somebodyWrites(t, db, &c)
			for _, way := range []func() error{
				func() error { return db.Select("Singers", "Songs", "Photos", "Hall", "Poster").Delete(&mine).Error },
				func() error { return db.Select(clause.Associations).Delete(&mine).Error },
				func() error {
					var err error
					require.NoError(t, db.Transaction(func(tx *gorm.DB) error { err = tx.Select(clause.Associations).Delete(&mine).Error; return nil }))
					return err
				},
				func() error {
					return db.Session(&gorm.Session{SkipDefaultTransaction: true}).Select(clause.Associations).Delete(&mine).Error
				},
			} {
				require.ErrorIs(t, way(), occ.ErrStaleData)
				require.Len(t, all[Singer](t, db), 2)
				require.Len(t, all[Photo](t, db), 2)
				require.NoError(t, occ.Verify(db, mine.Hall))
			}
			mine = loadChoir(t, db, c.ID)
			require.NoError(t, db.Select(clause.Associations).Delete(&mine).Error)
			require.Empty(t, all[Singer](t, db))
			require.Empty(t, all[Choir](t, db))
			require.Len(t, all[Song](t, db), 2)
		}},
		{"the operations of gorm.G bump what they reach", func(t *testing.T, db *gorm.DB) {
			ctx := context.Background()
			c := createChoir(t, db)
			set := func(a clause.Association) error {
				_, err := gorm.G[Choir](db).Where("id = ?", c.ID).Set(a).Update(ctx)
				return err
			}
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpUpdate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "z"}}}))
			require.EqualValues(t, 2, Reload[Singer](t, db, c.Singers[0].ID).Version)
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpCreate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "q"}}}))
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpCreate, Values: []any{&Singer{Name: "w"}}}))
			require.NoError(t, set(clause.Association{Association: "Songs", Type: clause.OpCreate, Values: []any{&Song{Name: "w"}}}))
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpUnlink}))
			require.EqualValues(t, 3, Reload[Singer](t, db, c.Singers[0].ID).Version)
			require.NoError(t, set(clause.Association{Association: "Photos", Type: clause.OpDelete}))
			require.EqualValues(t, 1, Reload[Choir](t, db, c.ID).Version)
			require.NoError(t, set(clause.Association{Association: "Patron", Type: clause.OpUpdate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "z"}}}))
			require.EqualValues(t, 2, Reload[Patron](t, db, c.Patron.ID).Version)
			require.EqualValues(t, 1, Reload[Choir](t, db, c.ID).Version)
			require.NoError(t, set(clause.Association{Association: "Patron", Type: clause.OpUnlink}))
			require.EqualValues(t, 2, Reload[Choir](t, db, c.ID).Version)
			require.NoError(t, set(clause.Association{Association: "Songs", Type: clause.OpUpdate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "z"}}}))
			require.EqualValues(t, 2, Reload[Song](t, db, c.Songs[0].ID).Version)
			require.NoError(t, set(clause.Association{Association: "Songs", Type: clause.OpUnlink}))
		}},
	}, append(choirModels, &Yard{}, &Barrel{}, &Trolley{}, &Boss{}, &Maker{}, &Bag{}, &Thing{}, &Pin{})...)
}

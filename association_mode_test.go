package occ_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
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

func TestAssociationAppend(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"appended models are created at the first version, and owner and parts stay at their rows' versions", func(t *testing.T, db *gorm.DB) {
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
	}, choirModels...)
}

func TestAssociationOfOne(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"has one: the former one is unlinked and bumped, a loaded one is linked, a stale one is refused", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			old := *c.Hall
			next := Hall{Name: "next"}
			require.NoError(t, db.Model(&c).Association("Hall").Append(&next))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 2, reload[Hall](t, db, old.ID).Version)
			require.Nil(t, reload[Hall](t, db, old.ID).ChoirID)
			require.ErrorIs(t, db.Model(&old).Update("name", "x").Error, occ.ErrStaleData)
			old = reload[Hall](t, db, old.ID)
			require.NoError(t, db.Model(&c).Association("Hall").Replace(&old))
			require.EqualValues(t, 3, old.Version)
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, occ.Verify(db, &old))
			next = reload[Hall](t, db, next.ID)
			somebodyWrites(t, db, &next)
			require.ErrorIs(t, db.Model(&c).Association("Hall").Replace(&next), occ.ErrStaleData)
			require.EqualValues(t, 2, next.Version)
			c = loadChoir(t, db, c.ID)
			require.Equal(t, old.ID, c.Hall.ID)
			require.NoError(t, db.Model(&c).Association("Poster").Replace(&Poster{Name: "new"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, db.Model(&c).Association("Hall").Clear())
			require.EqualValues(t, 4, reload[Hall](t, db, old.ID).Version)
			require.NoError(t, occ.Verify(db, &c))
			require.EqualValues(t, 1, c.Version)
		}},
		{"belongs to: another one is linked by a write of the owner", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			old := *c.Patron
			next := Patron{Name: "next"}
			require.NoError(t, db.Model(&c).Association("Patron").Append(&next))
			require.EqualValues(t, 2, c.Version)
			require.EqualValues(t, 1, next.Version)
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 1, reload[Patron](t, db, old.ID).Version)
		}},
		{"belongs to: a stale owner links nothing and creates nothing", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			mine := loadChoir(t, db, c.ID)
			somebodyWrites(t, db, &c)
			n := len(all[Patron](t, db))
			err := db.Model(&mine).Association("Patron").Replace(&Patron{Name: "lost"})
			require.ErrorIs(t, err, occ.ErrStaleData)
			require.Len(t, all[Patron](t, db), n)
			require.EqualValues(t, 1, mine.Version)
			require.EqualValues(t, 0, mine.Patron.Version)
		}},
		{"belongs to: each unlinking and linking is a write of the owner", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			old, next := *c.Patron, Patron{Name: "next"}
			require.NoError(t, db.Model(&c).Association("Patron").Append(&next))
			require.NoError(t, db.Model(&c).Association("Patron").Delete(&next))
			require.EqualValues(t, 3, reload[Choir](t, db, c.ID).Version)
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
	}, choirModels...)
}

func TestAssociationReplaceDeleteClear(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"has many: what is unlinked is bumped, the owner is not", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			mine := loadChoir(t, db, c.ID)
			require.NoError(t, db.Model(&c).Association("Singers").Delete(&c.Singers[0]))
			require.Len(t, c.Singers, 1)
			require.EqualValues(t, 2, reload[Singer](t, db, mine.Singers[0].ID).Version)
			require.NoError(t, occ.Verify(db, c.parts()...))
			// mine still holds it: not pulled back
			require.Equal(t, occ.ReasonChanged, stale(t, db.Save(&mine).Error).Reason)
			require.NoError(t, db.Model(&c).Association("Singers").Replace(&Singer{Name: "only"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 2, reload[Singer](t, db, mine.Singers[1].ID).Version)
			require.NoError(t, db.Model(&c).Association("Singers").Clear())
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 1, c.Version)
			for _, s := range all[Singer](t, db) {
				require.Nil(t, s.ChoirID)
				require.EqualValues(t, 2, s.Version)
			}
		}},
		{"polymorphic: Unscoped().Clear() deletes the rows", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			require.NoError(t, db.Model(&c).Association("Photos").Unscoped().Clear())
			require.Empty(t, all[Photo](t, db))
		}},
		{"many2many: the songs and their versions stay", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			require.NoError(t, db.Model(&c).Association("Songs").Replace(&Song{Name: "n"}))
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.NoError(t, db.Model(&c).Association("Songs").Clear())
			require.NoError(t, occ.Verify(db, &c))
			require.EqualValues(t, 1, c.Version)
			require.Len(t, all[Song](t, db), 3)
		}},
	}, choirModels...)
}

func TestAssociationOfSeveralOwners(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"each owner and part ends at its row's version", func(t *testing.T, db *gorm.DB) {
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
	}, choirModels...)
}

func TestAssociationInGenerics(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"an association that a gorm.G update sets bumps what it writes", func(t *testing.T, db *gorm.DB) {
			ctx := context.Background()
			c := createChoir(t, db)
			set := func(a clause.Association) error {
				_, err := gorm.G[Choir](db).Where("id = ?", c.ID).Set(a).Update(ctx)
				return err
			}
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpUpdate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "z"}}}))
			require.EqualValues(t, 2, reload[Singer](t, db, c.Singers[0].ID).Version)
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpCreate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "q"}}}))
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpCreate, Values: []any{&Singer{Name: "w"}}}))
			require.NoError(t, set(clause.Association{Association: "Songs", Type: clause.OpCreate, Values: []any{&Song{Name: "w"}}}))
			require.NoError(t, set(clause.Association{Association: "Singers", Type: clause.OpUnlink}))
			require.EqualValues(t, 3, reload[Singer](t, db, c.Singers[0].ID).Version)
			require.NoError(t, set(clause.Association{Association: "Photos", Type: clause.OpDelete}))
			require.EqualValues(t, 1, reload[Choir](t, db, c.ID).Version)
			require.NoError(t, set(clause.Association{Association: "Patron", Type: clause.OpUpdate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "z"}}}))
			require.EqualValues(t, 2, reload[Patron](t, db, c.Patron.ID).Version)
			require.EqualValues(t, 1, reload[Choir](t, db, c.ID).Version)
			require.NoError(t, set(clause.Association{Association: "Patron", Type: clause.OpUnlink}))
			require.EqualValues(t, 2, reload[Choir](t, db, c.ID).Version)
			require.NoError(t, set(clause.Association{Association: "Songs", Type: clause.OpUpdate, Set: []clause.Assignment{{Column: clause.Column{Name: "name"}, Value: "z"}}}))
			require.NoError(t, set(clause.Association{Association: "Songs", Type: clause.OpUnlink}))
		}},
	}, choirModels...)
}

func TestDeleteOfAnOwnerWithItsParts(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"a stale owner takes none of its parts along, a current one takes all", func(t *testing.T, db *gorm.DB) {
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
	}, choirModels...)
}

func TestPartsByCompositeAndNaturalKeys(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"are saved, moved, unlinked and deleted with their owners", func(t *testing.T, db *gorm.DB) {
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
			moved := d.Barrels[0]
			e.Barrels = append(e.Barrels, moved)
			require.NoError(t, db.Save(&e).Error)
			require.NoError(t, occ.Verify(db, e.parts()...))
			before := versionsIn(d.parts())
			require.Equal(t, occ.ReasonChanged, stale(t, db.Save(&d).Error).Reason)
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
		{"a soft-deleted part is not revived", func(t *testing.T, db *gorm.DB) {
			d := newYard()
			require.NoError(t, db.Create(&d).Error)
			gone := d.Carts[0]
			mine := d
			mine.Carts = append([]Trolley(nil), d.Carts...)
			require.NoError(t, db.Delete(&gone).Error)
			require.NoError(t, db.Save(&d).Error)
			row := reload[Trolley](t, db, gone.ID)
			require.True(t, row.DeletedAt.Valid)
			require.EqualValues(t, 2, row.Version)
			require.Equal(t, occ.ReasonDeleted, stale(t, full(db).Save(&d).Error).Reason)
			row = reload[Trolley](t, db, gone.ID)
			require.True(t, row.DeletedAt.Valid)
			e := Yard{Region: "south", Number: 1, Code: "s", Carts: []Trolley{d.Carts[0]}}
			require.Equal(t, occ.ReasonDeleted, stale(t, db.Create(&e).Error).Reason)
			require.True(t, reload[Trolley](t, db, gone.ID).DeletedAt.Valid)
			require.EqualValues(t, 2, reload[Trolley](t, db, gone.ID).Version)
		}},
	}, &Yard{}, &Barrel{}, &Trolley{}, &Boss{})
}

func TestPartsOfAnUnversionedOwner(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"a stale part refuses the whole graph", func(t *testing.T, db *gorm.DB) {
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
				require.Equal(t, "b", reload[Bag](t, db, b.ID).Name)
				require.Equal(t, "t", reload[Thing](t, db, b.Things[0].ID).Name)
				require.Equal(t, "m", reload[Maker](t, db, b.Maker.ID).Name)
				require.Equal(t, "p", reload[Pin](t, db, b.Things[0].Pins[0].ID).Name)
			}
			b.Things[1] = reload[Thing](t, db, b.Things[1].ID)
			require.NoError(t, full(db).Save(&b).Error)
		}},
		{"a part whose hook fails leaves all versions as they were", func(t *testing.T, db *gorm.DB) {
			b := Bag{Name: "b", Things: []Thing{{Name: "t", Pins: []Pin{{Name: "p"}}}, {Name: "u"}}, Inner: Inner{Maker: Maker{Name: "m"}}}
			require.NoError(t, db.Create(&b).Error)
			parts := []any{&b.Things[0], &b.Things[1], &b.Maker}
			require.NoError(t, occ.Verify(db, parts...))
			before := versionsIn(parts)
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
		}},
		{"a new part whose hook fails is not versioned", func(t *testing.T, db *gorm.DB) {
			b := Bag{Name: "b", Things: []Thing{{Name: "t", Pins: []Pin{{Name: "p"}}}, {Name: "u"}}, Inner: Inner{Maker: Maker{Name: "m"}}}
			require.NoError(t, db.Create(&b).Error)
			parts := []any{&b.Things[0], &b.Things[1], &b.Maker}
			require.NoError(t, occ.Verify(db, parts...))
			c := Bag{Name: "c", Things: []Thing{{Name: "x"}, {Name: "y", Fail: true}}}
			require.ErrorIs(t, db.Create(&c).Error, errThing)
			require.Zero(t, c.Things[0].Version)
			require.Zero(t, c.Things[1].Version)
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error { require.Error(t, full(tx).Create(&c).Error); return nil }))
			require.Zero(t, c.Things[0].Version)
			require.ErrorIs(t, db.Model(&b).Association("Things").Append(&Thing{Name: "y", Fail: true}), errThing)
			require.NoError(t, occ.Verify(db, parts...))
		}},
	}, &Maker{}, &Bag{}, &Thing{}, &Pin{})
}

func TestAVersionedJoinTable(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"links keep their versions while owner and parts are saved, and get the next one when unlinked", func(t *testing.T, db *gorm.DB) {
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
	})
}

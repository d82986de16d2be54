package behaviour_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Choir has associations of every kind.
type Choir struct {
	ID       uint
	Name     string
	PatronID *uint
	Patron   *Patron
	Singers  []Singer
	Hall     *Hall
	Songs    []*Song  `gorm:"many2many:choir_songs"`
	Photos   []*Photo `gorm:"polymorphic:Owner"`
	Poster   Poster   `gorm:"polymorphic:Owner"`
	occ.Version
}

type Patron struct {
	ID   uint
	Name string
	occ.Version
}

type Singer struct {
	ID      uint
	ChoirID *uint
	Name    string
	Medals  []Medal
	occ.Version
}

type Medal struct {
	ID       uint
	SingerID *uint
	Name     string
	occ.Version
}

type Hall struct {
	ID      uint
	ChoirID *uint
	Name    string
	occ.Version
}

type Song struct {
	ID   uint
	Name string
	occ.Version
}

type Photo struct {
	ID        uint
	OwnerID   uint
	OwnerType string `gorm:"size:40"`
	Name      string
	occ.Version
}

type Poster struct {
	ID        uint
	OwnerID   uint
	OwnerType string `gorm:"size:40"`
	Name      string
	occ.Version
}

func newChoir() Choir {
	return Choir{
		Name: "choir", Patron: &Patron{Name: "patron"}, Hall: &Hall{Name: "hall"}, Poster: Poster{Name: "poster"},
		Singers: []Singer{{Name: "first", Medals: []Medal{{Name: "gold"}, {Name: "silver"}}}, {Name: "second", Medals: []Medal{{Name: "bronze"}}}},
		Songs:   []*Song{{Name: "song"}, {Name: "hymn"}}, Photos: []*Photo{{Name: "photo"}, {Name: "portrait"}},
	}
}

func createChoir(t *testing.T, db *gorm.DB) Choir {
	t.Helper()
	c := newChoir()
	require.NoError(t, db.Create(&c).Error)
	return c
}

func loadChoir(t *testing.T, db *gorm.DB, id uint) (c Choir) {
	t.Helper()
	byID := func(tx *gorm.DB) *gorm.DB { return tx.Order("id") }
	require.NoError(t, db.Preload("Patron").Preload("Hall").Preload("Poster").Preload("Singers", byID).
		Preload("Singers.Medals", byID).Preload("Songs", byID).Preload("Photos", byID).First(&c, id).Error)
	return c
}

// parts are the models of a choir's graph, the choir first.
func (c *Choir) parts() []any {
	parts := []any{c, c.Patron, c.Hall, &c.Poster}
	for i := range c.Singers {
		parts = append(parts, &c.Singers[i])
		for j := range c.Singers[i].Medals {
			parts = append(parts, &c.Singers[i].Medals[j])
		}
	}
	for _, song := range c.Songs {
		parts = append(parts, song)
	}
	for _, photo := range c.Photos {
		parts = append(parts, photo)
	}
	return parts
}

func full(db *gorm.DB) *gorm.DB { return db.Session(&gorm.Session{FullSaveAssociations: true}) }

// somebodyWrites has another session write the row of a model.
func somebodyWrites(t *testing.T, db *gorm.DB, model any) {
	t.Helper()
	res := db.Table(tableOf(t, db, model)).Where("id = ?", idOf(t, db, model)).
		Updates(map[string]any{"name": "somebody's", "version": gorm.Expr("version + 1")})
	require.NoError(t, res.Error)
	require.EqualValues(t, 1, res.RowsAffected)
}

func somebodyDeletes(t *testing.T, db *gorm.DB, model any) {
	t.Helper()
	table, id := tableOf(t, db, model), idOf(t, db, model)
	for _, sql := range map[string][]string{
		"songs":   {"DELETE FROM choir_songs WHERE song_id = ?"},
		"singers": {"DELETE FROM medals WHERE singer_id = ?"},
		"patrons": {"UPDATE choirs SET patron_id = NULL WHERE patron_id = ?"},
	}[table] {
		require.NoError(t, db.Exec(sql, id).Error)
	}
	require.NoError(t, db.Exec("DELETE FROM "+table+" WHERE id = ?", id).Error)
}

func tableOf(t *testing.T, db *gorm.DB, model any) string {
	t.Helper()
	stmt := &gorm.Statement{DB: db}
	require.NoError(t, stmt.Parse(model))
	return stmt.Schema.Table
}

func idOf(t *testing.T, db *gorm.DB, model any) any {
	t.Helper()
	stmt := &gorm.Statement{DB: db}
	require.NoError(t, stmt.Parse(model))
	id, _ := stmt.Schema.PrioritizedPrimaryField.ValueOf(t.Context(), reflectOf(model))
	return id
}

var choirModels = []any{&Patron{}, &Choir{}, &Singer{}, &Medal{}, &Hall{}, &Song{}, &Photo{}, &Poster{}}

func TestSaveWithAssociations(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a new graph starts at the first version, and is saved again at once", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			for _, v := range versionsIn(c.parts()) {
				require.EqualValues(t, 1, v)
			}
			require.NoError(t, occ.Verify(db, c.parts()...))

			require.NoError(t, db.Save(&c).Error)
			require.NoError(t, full(db).Save(&c).Error)
			require.NoError(t, db.Model(&c).Update("name", "new").Error)
			require.NoError(t, db.Model(&c).Updates(map[string]any{"name": "newer"}).Error)
			require.NoError(t, full(db).Updates(&c).Error)
			require.NoError(t, full(db).Save(&c).Error)

			require.NoError(t, occ.Verify(db, c.parts()...))
			require.EqualValues(t, 7, c.Version)
			require.Equal(t, c, loadChoir(t, db, c.ID))
		}},
		{"saving an owner neither writes nor bumps what is linked to it", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			before := versionsIn(c.parts())
			c.Singers[0].Name, c.Patron.Name, c.Songs[0].Name = "x", "x", "x"

			for _, save := range []func() error{
				func() error { return db.Save(&c).Error },
				func() error { return db.Updates(&c).Error },
				func() error { return db.Model(&c).Update("name", "y").Error },
				func() error { return db.Model(&c).Updates(map[string]any{"name": "z"}).Error },
				func() error { return db.Model(&c).Select("name", "Singers", "Patron", "Songs").Updates(&c).Error },
			} {
				require.NoError(t, save())
			}

			require.EqualValues(t, 6, c.Version)
			require.Equal(t, before[1:], versionsIn(c.parts())[1:])
			require.NoError(t, occ.Verify(db, c.parts()...))
			stored := loadChoir(t, db, c.ID)
			require.Equal(t, "first", stored.Singers[0].Name)
			require.Equal(t, "patron", stored.Patron.Name)
		}},
		{"saving an owner does not conflict on what somebody else has written", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			for _, part := range c.parts()[1:] {
				somebodyWrites(t, db, part)
			}

			require.NoError(t, db.Save(&c).Error)

			require.EqualValues(t, 2, c.Version)
			require.NoError(t, occ.Verify(db, &c))
			for _, v := range versionsIn(c.parts())[1:] {
				require.EqualValues(t, 1, v)
			}
			stored := loadChoir(t, db, c.ID)
			for _, v := range versionsIn(stored.parts()) {
				require.EqualValues(t, 2, v)
			}
		}},
		{"a child that somebody has moved away is not pulled back, one that nobody has moved is", func(t *testing.T, db *gorm.DB) {
			c, other := createChoir(t, db), createChoir(t, db)
			first, second := c.Singers[0], c.Singers[1]
			require.NoError(t, db.Model(&Singer{}).Where("id = ?", first.ID).Update("choir_id", other.ID).Error)
			before := versionsIn(c.parts())

			for _, refused := range []error{
				db.Save(&c).Error, full(db).Save(&c).Error, db.Model(&c).Updates(map[string]any{"name": "x"}).Error,
			} {
				require.Equal(t, occ.ReasonChanged, Stale(t, refused).Reason)
				require.Equal(t, before, versionsIn(c.parts()))
			}
			mine := Choir{ID: c.ID, Version: 1, Singers: []Singer{{ID: first.ID}}}
			require.Equal(t, occ.ReasonMissing, Stale(t, db.Save(&mine).Error).Reason)
			require.EqualValues(t, other.ID, *Reload[Singer](t, db, first.ID).ChoirID)
			require.NoError(t, occ.Verify(db, &c))

			mine.Singers = []Singer{Reload[Singer](t, db, first.ID), {ID: second.ID}}
			require.NoError(t, db.Save(&mine).Error)
			require.Equal(t, []occ.Version{2, 3, 0}, []occ.Version{mine.Version, mine.Singers[0].Version, mine.Singers[1].Version})
			require.NoError(t, occ.Verify(db, &mine, &mine.Singers[0], &second))
			require.EqualValues(t, c.ID, *Reload[Singer](t, db, first.ID).ChoirID)
		}},
		{"nothing that was deleted is resurrected", func(t *testing.T, db *gorm.DB) {
			stored := createChoir(t, db)
			for i := range stored.parts()[1:] {
				c := createChoir(t, db)
				part := c.parts()[i+1]
				before := versionsIn(c.parts())
				somebodyDeletes(t, db, part)
				left := loadChoir(t, db, c.ID)

				err := db.Save(&c).Error

				switch part.(type) {
				case *Patron, *Song:
					require.Error(t, err) // the database's, of the foreign key
				default:
					require.Equal(t, occ.ReasonDeleted, Stale(t, err).Reason)
				}
				require.Equal(t, before, versionsIn(c.parts()))
				require.Equal(t, left, loadChoir(t, db, c.ID))
			}
		}},
	}, choirModels...)
}

func TestSaveOfSomeAssociations(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"slices of owners are saved with their associations, all or none", func(t *testing.T, db *gorm.DB) {
			for _, db := range []*gorm.DB{db, db.Session(&gorm.Session{CreateBatchSize: 2})} {
				choirs, parts := []Choir{newChoir(), newChoir(), newChoir()}, []any{}
				require.NoError(t, db.Create(&choirs).Error)
				for i := range choirs {
					parts = append(parts, choirs[i].parts()...)
				}
				for _, db := range []*gorm.DB{db, full(db), db, full(db)} {
					require.NoError(t, db.Save(&choirs).Error)
					require.NoError(t, occ.Verify(db, parts...))
				}
				somebodyWrites(t, db, choirs[2].Songs[1])
				before := versionsIn(parts)
				choirs[0].Name, choirs[1].Singers[1].Name = "mine", "mine"

				for _, db := range []*gorm.DB{db, db.Session(&gorm.Session{SkipDefaultTransaction: true})} {
					require.ErrorIs(t, full(db).Save(&choirs).Error, occ.ErrStaleData)
					require.Equal(t, before, versionsIn(parts))
					require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
						require.ErrorIs(t, full(tx).Save(&choirs).Error, occ.ErrStaleData)
						return nil
					}))
					require.Equal(t, before, versionsIn(parts))
					require.Equal(t, "choir", Reload[Choir](t, db, choirs[0].ID).Name)
					require.Equal(t, "second", Reload[Singer](t, db, choirs[1].Singers[1].ID).Name)
				}
			}
		}},
		{"Select and Omit say what is written, and nothing else is bumped", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			want := []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
			const choir, patron, singer, song, photo = 0, 1, 4, 9, 11 // and those behind them
			for i, step := range []struct {
				save    func(db *gorm.DB) error
				written []int
			}{
				{func(db *gorm.DB) error { return db.Select("Singers").Save(&c).Error }, []int{singer, 7}},
				{func(db *gorm.DB) error { return db.Omit("Singers.Medals", "Songs.*").Save(&c).Error }, []int{choir, patron, 2, 3, singer, 7, photo, 12}},
				{func(db *gorm.DB) error { return db.Omit(clause.Associations).Save(&c).Error }, []int{choir}},
				{func(db *gorm.DB) error { return db.Select("Name", "Singers", "Singers.Name").Updates(&c).Error }, []int{choir, singer, 7}},
				{func(db *gorm.DB) error { return db.Select(clause.Associations).Updates(&c).Error }, []int{patron, 2, 3, singer, 7, song, 10, photo, 12}},
			} {
				rename(&c)
				require.NoError(t, step.save(full(db)), i)
				for _, part := range step.written {
					want[part]++
				}
				now := []int{}
				for _, version := range versionsIn(c.parts()) {
					now = append(now, int(version))
				}
				require.Equal(t, want, now, i)
				require.NoError(t, occ.Verify(db, c.parts()...), i)
			}
		}},
		{"Expect and Unchecked are for the owner alone", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			require.NoError(t, full(db).Save(&c).Error)
			require.ErrorIs(t, full(db).Clauses(occ.Expect(1)).Save(&c).Error, occ.ErrStaleData)
			require.NoError(t, occ.Verify(db, c.parts()...))
			for _, how := range []clause.Expression{occ.Expect(2), occ.Unchecked()} {
				c.Version = 1
				require.NoError(t, full(db).Clauses(how).Save(&c).Error)
				require.NoError(t, occ.Verify(db, c.parts()...))
			}
			somebodyWrites(t, db, c.Hall)

			err := full(db).Clauses(occ.Unchecked()).Save(&c).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, `occ: stale data: update of "halls" refused: row id=1 changed: expected version 4, found 5`, err.Error())
		}},
		{"new parts in a refused graph stay new", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			somebodyWrites(t, db, &c.Singers[1])
			c.Singers, c.Songs = append(c.Singers, Singer{Name: "new"}), append(c.Songs, &Song{Name: "new"})
			before := versionsIn(c.parts())

			for range 2 {
				require.ErrorIs(t, full(db).Save(&c).Error, occ.ErrStaleData)
				require.Equal(t, before, versionsIn(c.parts()))
			}
			require.NoError(t, db.Where("name = ?", "somebody's").First(&c.Singers[1]).Error)
			require.NoError(t, full(db).Save(&c).Error)
			require.NoError(t, occ.Verify(db, c.parts()...))
			require.Len(t, all[Singer](t, db), 3)
		}},
	}, choirModels...)
}

// TestRefusedGraph has every part of a graph be stale in turn.
func TestRefusedGraph(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*gorm.DB, func(*gorm.DB) error) error{
		"": func(db *gorm.DB, save func(*gorm.DB) error) error { return save(db) },
		", in a transaction that swallows the error": func(db *gorm.DB, save func(*gorm.DB) error) (err error) {
			if txErr := db.Transaction(func(tx *gorm.DB) error { err = save(tx); return nil }); txErr != nil {
				return txErr
			}
			return err
		},
		", without default transaction": func(db *gorm.DB, save func(*gorm.DB) error) error {
			return save(db.Session(&gorm.Session{SkipDefaultTransaction: true}))
		},
	}
	spoils := map[string]func(*testing.T, *gorm.DB, any){"stale": somebodyWrites, "deleted": somebodyDeletes}
	var behaviours []Behaviour
	for way, in := range ways {
		for spoiled, spoil := range spoils {
			behaviours = append(behaviours, Behaviour{"a " + spoiled + " part refuses the whole graph" + way, func(t *testing.T, db *gorm.DB) {
				first := createChoir(t, db)
				for i := range first.parts() {
					if i == 0 && spoiled == "deleted" {
						continue
					}
					c := createChoir(t, db)
					require.NoError(t, full(db).Save(&c).Error)
					before := versionsIn(c.parts())
					spoil(t, db, c.parts()[i])
					stored := loadChoir(t, db, c.ID)
					rename(&c)

					for range 2 {
						err := in(db, func(db *gorm.DB) error { return full(db).Save(&c).Error })

						require.ErrorIs(t, err, occ.ErrStaleData, "%T %d", c.parts()[i], i)
						row := Stale(t, err)
						require.Equal(t, before[i], row.Expected)
						require.Equal(t, map[string]occ.Reason{"stale": occ.ReasonChanged, "deleted": occ.ReasonDeleted}[spoiled], row.Reason)
						require.Equal(t, before, versionsIn(c.parts()))
						require.Equal(t, stored, loadChoir(t, db, c.ID))
					}
				}
			}})
		}
	}
	Run(t, testdb.All(), behaviours, choirModels...)
}

func rename(c *Choir) {
	c.Name, c.Patron.Name, c.Hall.Name, c.Poster.Name = "mine", "mine", "mine", "mine"
	for i := range c.Singers {
		c.Singers[i].Name = "mine"
		for j := range c.Singers[i].Medals {
			c.Singers[i].Medals[j].Name = "mine"
		}
	}
	for i := range c.Songs {
		c.Songs[i].Name = "mine"
	}
	for i := range c.Photos {
		c.Photos[i].Name = "mine"
	}
}

func reflectOf(model any) reflect.Value { return reflect.Indirect(reflect.ValueOf(model)) }

func TestBlindAssociations(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name+"/a child given by key alone is moved and overwritten", func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, choirModels, occ.WithBlindWrites())
			c, other := createChoir(t, db), createChoir(t, db)
			mine := Choir{ID: c.ID, Name: "x", Singers: []Singer{{ID: other.Singers[0].ID}}}

			require.NoError(t, db.Updates(&mine).Error)

			require.Equal(t, []occ.Version{2, 2}, []occ.Version{mine.Version, mine.Singers[0].Version})
			require.EqualValues(t, c.ID, *Reload[Singer](t, db, mine.Singers[0].ID).ChoirID)

			mine = Choir{ID: c.ID, Name: "y", Singers: []Singer{{ID: other.Singers[0].ID, Name: "blind"}}}
			require.NoError(t, full(db).Save(&mine).Error)

			require.Equal(t, []occ.Version{3, 3}, []occ.Version{mine.Version, mine.Singers[0].Version})
			require.NoError(t, occ.Verify(db, &mine, &mine.Singers[0]))
			require.Equal(t, "blind", Reload[Singer](t, db, mine.Singers[0].ID).Name)
		})
	}
}

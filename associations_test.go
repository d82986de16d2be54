package occ_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
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

func partVersions(models []any) (versions []occ.Version) {
	for _, model := range models {
		versions = append(versions, *versionOf(model))
	}
	return versions
}

func versionOf(model any) *occ.Version {
	switch m := model.(type) {
	case *Choir:
		return &m.Version
	case *Patron:
		return &m.Version
	case *Singer:
		return &m.Version
	case *Medal:
		return &m.Version
	case *Hall:
		return &m.Version
	case *Song:
		return &m.Version
	case *Photo:
		return &m.Version
	case *Poster:
		return &m.Version
	}
	panic("no version")
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
	run(t, append(testdb.All(), testdb.Configurations()...), []behaviour{
		{"a new graph starts at the first version, and is saved again at once", func(t *testing.T, db *gorm.DB) {
			c := createChoir(t, db)
			for _, v := range partVersions(c.parts()) {
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
			before := partVersions(c.parts())
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
			require.Equal(t, before[1:], partVersions(c.parts())[1:])
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
			for _, v := range partVersions(c.parts())[1:] {
				require.EqualValues(t, 1, v)
			}
			stored := loadChoir(t, db, c.ID)
			for _, v := range partVersions(stored.parts()) {
				require.EqualValues(t, 2, v)
			}
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
	var behaviours []behaviour
	for way, in := range ways {
		for spoiled, spoil := range spoils {
			behaviours = append(behaviours, behaviour{"a " + spoiled + " part refuses the whole graph" + way, func(t *testing.T, db *gorm.DB) {
				first := createChoir(t, db)
				for i := range first.parts() {
					if i == 0 && spoiled == "deleted" {
						continue
					}
					c := createChoir(t, db)
					require.NoError(t, full(db).Save(&c).Error)
					before := partVersions(c.parts())
					spoil(t, db, c.parts()[i])
					stored := loadChoir(t, db, c.ID)
					rename(&c)

					for range 2 {
						err := in(db, func(db *gorm.DB) error { return full(db).Save(&c).Error })

						require.ErrorIs(t, err, occ.ErrStaleData, "%T %d", c.parts()[i], i)
						row := stale(t, err)
						require.Equal(t, before[i], row.Expected)
						require.Equal(t, map[string]occ.Reason{"stale": occ.ReasonChanged, "deleted": occ.ReasonDeleted}[spoiled], row.Reason)
						require.Equal(t, before, partVersions(c.parts()))
						require.Equal(t, stored, loadChoir(t, db, c.ID))
					}
				}
			}})
		}
	}
	run(t, testdb.All(), behaviours, choirModels...)
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

package behaviour_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// Album's graph has keys of the application's own.
type Album struct {
	ID         string `gorm:"size:36"`
	Name       string
	ComposerID *string `gorm:"size:36"`
	Composer   *Composer
	Tracks     []*Track
	Genres     []*Genre `gorm:"many2many:album_genres"`
	occ.Version
}

type Composer struct {
	ID   string `gorm:"size:36"`
	Name string
	occ.Version
}

type Track struct {
	ID      string  `gorm:"size:36"`
	AlbumID *string `gorm:"size:36"`
	Name    string
	occ.Version
}

type Genre struct {
	ID   string `gorm:"size:36"`
	Name string
	occ.Version
}

func newAlbum(n string) *Album {
	return &Album{
		ID: "a" + n, Name: "album", Composer: &Composer{ID: "c" + n, Name: "composer"},
		Tracks: []*Track{{ID: "t1" + n, Name: "one"}, {ID: "t2" + n, Name: "two"}},
		Genres: []*Genre{{ID: "g1" + n, Name: "rock"}, {ID: "g2" + n, Name: "folk"}},
	}
}

func (a *Album) parts() []any {
	parts := []any{a, a.Composer}
	for _, track := range a.Tracks {
		parts = append(parts, track)
	}
	for _, genre := range a.Genres {
		parts = append(parts, genre)
	}
	return parts
}

func versionsIn(models []any) (versions []occ.Version) {
	for _, m := range models {
		versions = append(versions, reflectOf(m).FieldByName("Version").Interface().(occ.Version))
	}
	return versions
}

func TestGraphWithKeysOfItsOwn(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"is saved twice, whatever rows were there before", func(t *testing.T, db *gorm.DB) {
			a, b := newAlbum("x"), newAlbum("y")
			require.NoError(t, db.Create(a.Composer).Error)
			require.NoError(t, db.Create(a.Genres[0]).Error)

			for _, save := range []func() error{
				func() error { return db.Save(a).Error },
				func() error { return db.Save(a).Error },
				func() error { return full(db).Save(a).Error },
				func() error { return full(db).Create(b).Error },
				func() error { return full(db).Save([]*Album{a, b, newAlbum("z")}).Error },
				func() error { return db.Save([]*Album{a, b, newAlbum("0")}).Error },
			} {
				require.NoError(t, save())
				require.NoError(t, occ.Verify(db, a.parts()...))
			}

			require.NoError(t, occ.Verify(db, b.parts()...))
			require.Equal(t, []occ.Version{5, 3, 3, 3, 3, 3}, versionsIn(a.parts()))
		}},
		{"links what is there by key alone, but does not overwrite it", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Create(&Composer{ID: "c", Name: "theirs"}).Error)
			require.NoError(t, db.Create(&Genre{ID: "g1", Name: "theirs"}).Error)
			a := newAlbum("")

			for range 2 {
				require.NoError(t, db.Save(a).Error)
			}
			require.ErrorIs(t, full(db).Save(a).Error, occ.ErrVersionMissing)

			require.Equal(t, []occ.Version{2, 0, 1, 1, 0, 1}, versionsIn(a.parts()))
			require.Equal(t, []Genre{{"g1", "theirs", 1}, {"g2", "folk", 1}}, all[Genre](t, db))
			require.Equal(t, []Composer{{"c", "theirs", 1}}, all[Composer](t, db))
		}},
		{"is refused where a child is there by key alone and belongs to nobody", func(t *testing.T, db *gorm.DB) {
			theirs := Track{ID: "t2", Name: "theirs"}
			require.NoError(t, db.Create(&theirs).Error)
			a := newAlbum("")

			for _, save := range []error{full(db).Create(a).Error, db.Create(a).Error, db.Save(a).Error, full(db).Save(a).Error} {
				require.Equal(t, occ.ReasonMissing, Stale(t, save).Reason)
				require.Equal(t, make([]occ.Version, 6), versionsIn(a.parts()))
			}

			require.Empty(t, all[Album](t, db))
			require.Equal(t, []Track{theirs}, all[Track](t, db))
		}},
		{"a Save of a row that is there leaves no children behind", func(t *testing.T, db *gorm.DB) {
			stored := newAlbum("x")
			require.NoError(t, db.Create(stored).Error)
			mine := newAlbum("y")
			mine.ID = stored.ID
			save := func(db *gorm.DB) {
				require.Equal(t, occ.ReasonMissing, Stale(t, db.Save(mine).Error).Reason)
			}

			save(db)
			save(db.Session(&gorm.Session{SkipDefaultTransaction: true}))
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error { save(tx); return nil }))

			require.Equal(t, make([]occ.Version, 6), versionsIn(mine.parts()))
			require.NoError(t, occ.Verify(db, stored.parts()...))
			require.Len(t, all[Track](t, db), 2)
			require.Len(t, all[Genre](t, db), 2)
			require.Len(t, all[Composer](t, db), 1)
		}},
	}, &Composer{}, &Album{}, &Track{}, &Genre{})
}

const sessions = 4

// inSessions does something in several sessions at the same time.
func inSessions(t *testing.T, sessions int, do func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	errs := make([]error, sessions)
	for i := range errs {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// TestAppendAtOnce has sessions that hold the same collections add to them at the same time.
func TestAppendAtOnce(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"all succeed, and the owner stays as it was", func(t *testing.T, db *gorm.DB) {
			stored := createChoir(t, db)

			inSessions(t, sessions, func(int) error {
				mine := loadChoir(t, db, stored.ID)
				return db.Transaction(func(tx *gorm.DB) error {
					for _, err := range []error{
						tx.Model(&mine).Association("Singers").Append(&Singer{Name: "new"}),
						tx.Model(&mine).Association("Songs").Append(&Song{Name: "new"}),
						tx.Model(&mine).Association("Photos").Append(&Photo{Name: "new"}),
					} {
						if err != nil {
							return err
						}
					}
					return nil
				})
			})

			now := loadChoir(t, db, stored.ID)
			require.Equal(t, []int{2 + sessions, 2 + sessions, 2 + sessions}, []int{len(now.Singers), len(now.Songs), len(now.Photos)})
			for _, version := range versionsIn(now.parts()) {
				require.EqualValues(t, 1, version)
			}
		}},
		{"all succeed with keys of the application's own", func(t *testing.T, db *gorm.DB) {
			stored := newAlbum("m")
			require.NoError(t, db.Create(stored).Error)

			inSessions(t, sessions, func(i int) error {
				var mine Album
				if err := db.Preload("Tracks").Preload("Genres").First(&mine, "id = ?", stored.ID).Error; err != nil {
					return err
				}
				low, high := fmt.Sprintf("%c%d", 'a'+4*i, i), fmt.Sprintf("z%d", i)
				return db.Transaction(func(tx *gorm.DB) error {
					if err := tx.Model(&mine).Association("Tracks").Append([]*Track{{ID: low}, {ID: high}}); err != nil {
						return err
					}
					return tx.Model(&mine).Association("Genres").Append([]*Genre{{ID: low}, {ID: high}})
				})
			})

			require.NoError(t, occ.Verify(db, stored.parts()...))
			require.Len(t, all[Track](t, db), 2+2*sessions)
			require.Len(t, all[Genre](t, db), 2+2*sessions)
		}},
		{"all succeed where the rows of the join table have versions", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.SetupJoinTable(&Play{}, "Actors", &Role{}))
			require.NoError(t, db.AutoMigrate(&Play{}, &Actor{}, &Role{}))
			actors := make([]Actor, 2+sessions)
			for i := range actors {
				actors[i].Name = fmt.Sprint(i)
			}
			require.NoError(t, db.Create(&actors).Error)
			stored := Play{Name: "play", Actors: []Actor{actors[2], actors[4]}}
			require.NoError(t, db.Create(&stored).Error)

			inSessions(t, sessions, func(i int) error {
				cast := slices.Clone(actors)
				mine := Play{ID: stored.ID, Name: "play", Version: 1, Actors: []Actor{cast[2], cast[4]}}
				return db.Transaction(func(tx *gorm.DB) error {
					return tx.Model(&mine).Association("Actors").Append(&cast[i], &cast[5-i])
				})
			})

			var roles []Role
			require.NoError(t, db.Find(&roles).Error)
			require.Len(t, roles, 6)
			for _, role := range roles {
				require.EqualValues(t, 1, role.Version)
			}
			require.EqualValues(t, 1, Reload[Play](t, db, stored.ID).Version)
		}},
	}, append(choirModels, &Composer{}, &Album{}, &Track{}, &Genre{})...)
}

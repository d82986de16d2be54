package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// Branch is a tree.
type Branch struct {
	ID       uint
	Name     string
	ParentID *uint
	Parent   *Branch
	Children []*Branch `gorm:"foreignKey:ParentID"`
	occ.Version
}

// Member has friends.
type Member struct {
	ID      uint
	Name    string
	Friends []*Member `gorm:"many2many:member_friends"`
	occ.Version
}

func createTree(t *testing.T, db *gorm.DB) (root *Branch, all []*Branch) {
	root = &Branch{Name: "root", Children: []*Branch{{Name: "a", Children: []*Branch{{Name: "aa"}}}, {Name: "b"}}}
	require.NoError(t, db.Create(root).Error)
	return root, []*Branch{root, root.Children[0], root.Children[1], root.Children[0].Children[0]}
}

// TestRowHeldSeveralTimes has graphs hold one row as several models, or one model in several places.
func TestRowHeldSeveralTimes(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a tree whose children point back is saved from every side, its root once a call", func(t *testing.T, db *gorm.DB) {
			root, tree := createTree(t, db)
			for _, child := range root.Children {
				child.Parent = root
			}
			tree[3].Parent = tree[1]

			for i, save := range []func() error{
				func() error { return db.Save(root).Error },
				func() error { return full(db).Save(root).Error },
				func() error { return full(db).Save(tree[1]).Error },
				func() error { return full(db).Save(tree[3]).Error },
				func() error { return db.Save(tree[1:]).Error },
			} {
				require.NoError(t, save(), i)
				require.NoError(t, occ.Verify(db, tree), i)
			}
			require.EqualValues(t, 5, root.Version)
			require.NoError(t, full(db).Updates(root).Error)
			require.NoError(t, full(db).Save(tree).Error)
			require.NoError(t, full(db).Save(root.Children).Error)
			require.NoError(t, occ.Verify(db, tree))
		}},
		{"a new tree whose children point back is created and saved again", func(t *testing.T, db *gorm.DB) {
			root := &Branch{Name: "root", Children: []*Branch{{Name: "a"}, {Name: "b"}}}
			for _, child := range root.Children {
				child.Parent = root
			}

			require.NoError(t, db.Create(root).Error)
			require.NoError(t, db.Save(root).Error)
			require.NoError(t, full(db).Save(root).Error)

			require.NoError(t, occ.Verify(db, root, root.Children))
			require.EqualValues(t, 3, root.Version)
		}},
		{"a root that was loaded again with its parts does not conflict with itself", func(t *testing.T, db *gorm.DB) {
			root, _ := createTree(t, db)
			var mine Branch
			require.NoError(t, db.Preload("Children.Parent.Children").Preload("Children.Children").First(&mine, root.ID).Error)
			var child Branch
			require.NoError(t, db.Preload("Parent.Children.Children").First(&child, root.Children[0].ID).Error)

			for i := range 3 {
				mine.Name = "mine"
				require.NoError(t, full(db).Save(&mine).Error)
				require.EqualValues(t, 2+i, mine.Version)
				require.NoError(t, occ.Verify(db, &mine, mine.Children))
				for _, c := range mine.Children {
					require.NoError(t, occ.Verify(db, c.Parent, c.Parent.Children))
				}
				require.Equal(t, "mine", Reload[Branch](t, db, mine.ID).Name)
			}
			require.ErrorIs(t, full(db).Save(&child).Error, occ.ErrStaleData)

			require.NoError(t, db.Preload("Parent.Children.Children").First(&child).Error)
			for range 2 {
				child.Name = "child"
				require.NoError(t, full(db).Save(&child).Error)
				require.Equal(t, "child", Reload[Branch](t, db, child.ID).Name)
				require.NoError(t, occ.Verify(db, &child, child.Parent, child.Parent.Children))
			}
		}},
		{"friends of each other are saved together", func(t *testing.T, db *gorm.DB) {
			a, b, c := &Member{Name: "a"}, &Member{Name: "b"}, &Member{Name: "c"}
			a.Friends, b.Friends, c.Friends = []*Member{b, c}, []*Member{a}, []*Member{a, b, c}

			for _, save := range []func() error{
				func() error { return db.Create(a).Error },
				func() error { return db.Save(a).Error },
				func() error { return full(db).Save(a).Error },
				func() error { return full(db).Save([]*Member{a, b, c}).Error },
				func() error { return db.Model(a).Association("Friends").Delete(b) },
				func() error { return db.Model(a).Association("Friends").Clear() },
			} {
				require.NoError(t, save())
				require.NoError(t, occ.Verify(db, a, b, c))
			}
		}},
	}, append(choirModels, &Branch{}, &Member{})...)
}

func TestModelsOfOneRow(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"several models of one parent or part have its row's version afterwards", func(t *testing.T, db *gorm.DB) {
			patron, song := Patron{Name: "p"}, Song{Name: "s"}
			require.NoError(t, db.Create(&patron).Error)
			require.NoError(t, db.Create(&song).Error)
			patrons, songs := []Patron{patron, patron, patron}, []Song{song, song, song}
			choirs := make([]Choir, 3)
			for i := range choirs {
				choirs[i] = Choir{Name: "c", Patron: &patrons[i], Songs: []*Song{&songs[i]}}
			}

			for i, save := range []func() error{
				func() error { return full(db).Create(&choirs).Error },
				func() error { return full(db).Save(&choirs).Error },
				func() error { return full(db.Session(&gorm.Session{SkipDefaultTransaction: true})).Save(&choirs).Error },
				func() error { return db.Transaction(func(tx *gorm.DB) error { return full(tx).Save(&choirs).Error }) },
			} {
				require.NoError(t, save())
				for j := range choirs {
					require.EqualValues(t, 2+i, patrons[j].Version)
					require.EqualValues(t, 2+i, songs[j].Version)
				}
				require.NoError(t, occ.Verify(db, patrons, songs, choirs))
			}
			require.NoError(t, db.Save(&patrons[2]).Error)
			require.Equal(t, occ.ReasonChanged, Stale(t, full(db).Save(&choirs).Error).Reason)
			require.EqualValues(t, 5, patrons[0].Version)
			require.EqualValues(t, 5, choirs[0].Patron.Version)
		}},
		{"a rollback takes every model of a row back", func(t *testing.T, db *gorm.DB) {
			patron := Patron{Name: "p"}
			require.NoError(t, db.Create(&patron).Error)
			a, b := patron, patron
			choirs := []Choir{{Name: "a", Patron: &a}, {Name: "b", Patron: &b}}
			require.NoError(t, full(db).Create(&choirs).Error)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, full(tx).Save(&choirs).Error)
				require.EqualValues(t, 3, b.Version)
				return gorm.ErrInvalidData
			})

			require.ErrorIs(t, err, gorm.ErrInvalidData)
			require.Equal(t, []occ.Version{2, 2, 1}, []occ.Version{a.Version, b.Version, choirs[1].Version})
			require.NoError(t, occ.Verify(db, &a, &b, choirs))
		}},
		{"one model under two owners ends with the last, and is written once", func(t *testing.T, db *gorm.DB) {
			photo, song := &Photo{Name: "p"}, &Song{Name: "s"}
			patron := &Patron{Name: "p"}
			choirs := []*Choir{
				{Name: "a", Patron: patron, Songs: []*Song{song}, Photos: []*Photo{photo}},
				{Name: "b", Patron: patron, Songs: []*Song{song}, Photos: []*Photo{photo}},
			}

			for _, save := range []func() error{
				func() error { return db.Create(choirs).Error },
				func() error { return db.Save(choirs).Error },
				func() error { return full(db).Save(choirs).Error },
			} {
				require.NoError(t, save())
				require.NoError(t, occ.Verify(db, photo, song, patron, choirs))
			}
			require.EqualValues(t, choirs[1].ID, Reload[Photo](t, db, photo.ID).OwnerID)
			choirs[0], choirs[1] = choirs[1], choirs[0]
			before := photo.Version
			require.NoError(t, db.Save(choirs).Error)
			require.NoError(t, occ.Verify(db, photo))
			require.Equal(t, before+1, photo.Version)
			require.EqualValues(t, choirs[1].ID, Reload[Photo](t, db, photo.ID).OwnerID)
		}},
	}, append(choirModels, &Branch{}, &Member{})...)
}

func TestTouchedGraph(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"roots and parts saved together bump each root once, however they point at each other", func(t *testing.T, db *gorm.DB) {
			carts := []Cart{{Owner: "a", Lines: []Line{{Pieces: 1}, {Pieces: 2}}}, {Owner: "b", Lines: []Line{{Pieces: 1}}}}
			require.NoError(t, db.Create(&carts).Error)
			save := func(what any, version int, dbs ...*gorm.DB) {
				t.Helper()
				for _, db := range dbs {
					require.NoError(t, db.Save(what).Error)
					require.NoError(t, occ.Verify(db, carts, carts[0].Lines, carts[1].Lines))
					require.EqualValues(t, version, carts[0].Version)
					version++
				}
			}

			save(&carts, 2, full(db), db)
			carts[0].Lines[0].Cart, carts[0].Lines[1].Cart, carts[1].Lines[0].Cart = &carts[0], &carts[0], &carts[1]
			save(&carts, 4, full(db), db)
			save(carts[0].Lines, 6, full(db), db)
			save(&carts[0].Lines[0], 8, full(db), db)
			first, second := carts[0], carts[0]
			carts[0].Lines[0].Cart, carts[0].Lines[1].Cart = &first, &second
			save(&carts[0], 10, full(db))
			require.Equal(t, []occ.Version{10, 10}, []occ.Version{first.Version, second.Version})
		}},
		{"a new root that comes along with its first part starts at the first version", func(t *testing.T, db *gorm.DB) {
			line, remark := Line{Cart: &Cart{Owner: "x"}}, Remark{Cart: Cart{Owner: "y"}}
			require.NoError(t, db.Create(&line).Error)
			require.NoError(t, db.Create(&remark).Error)
			require.NoError(t, occ.Verify(db, &line, line.Cart, &remark.Cart))
			require.Equal(t, []occ.Version{1, 1}, []occ.Version{line.Cart.Version, remark.Cart.Version})

			lines := []Line{{Cart: &Cart{Owner: "z"}}, {Cart: line.Cart}, {Cart: line.Cart}}
			require.NoError(t, db.Create(&lines).Error)
			require.Equal(t, []occ.Version{1, 2}, []occ.Version{lines[0].Cart.Version, line.Cart.Version})
			require.NoError(t, occ.Verify(db, lines, lines[0].Cart, line.Cart))
		}},
		{"association mode bumps the root once a statement", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1})

			require.NoError(t, db.Model(&cart).Association("Lines").Append(&Line{Pieces: 2}, &Line{Pieces: 3}))
			require.Equal(t, 2, CartVersion(t, db, cart.ID))
			require.ErrorIs(t, db.Save(&cart).Error, occ.ErrStaleData)
			require.NoError(t, db.Preload("Lines").First(&cart).Error)
			require.NoError(t, db.Model(&cart).Association("Lines").Delete(&cart.Lines[0]))
			require.Equal(t, 3, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Model(&cart).Association("Lines").Clear())
			require.Equal(t, 4, CartVersion(t, db, cart.ID))
		}},
		{"sessions that append parts at once all succeed", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1})

			inSessions(t, 4, func(int) error {
				return db.Model(&Cart{ID: cart.ID}).Association("Lines").Append(&Line{Pieces: 2})
			})

			require.Equal(t, 5, CartVersion(t, db, cart.ID))
		}},
		{"a stale root refuses its parts, alone and together", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1})
			require.NoError(t, db.Model(&Cart{}).Where("id = ?", cart.ID).Update("owner", "eve").Error)
			cart.Lines[0].Cart, cart.Lines[0].Pieces = &cart, 9

			for _, refused := range []error{
				db.Save(&cart.Lines[0]).Error, full(db).Save(&cart.Lines[0]).Error, full(db).Save(&cart).Error,
				full(db.Session(&gorm.Session{SkipDefaultTransaction: true})).Save(&cart.Lines[0]).Error,
			} {
				require.Equal(t, occ.ReasonChanged, Stale(t, refused).Reason)
				require.EqualValues(t, 1, cart.Version)
				require.NoError(t, occ.Verify(db, cart.Lines))
			}
			require.Equal(t, 2, CartVersion(t, db, cart.ID))
			require.Equal(t, 1, Reload[Line](t, db, cart.Lines[0].ID).Pieces)
		}},
	}, &Cart{}, &Line{}, &Remark{})
}

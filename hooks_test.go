package occ_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Draft's hooks are told to fail, and keep the versions that they see.
type Draft struct {
	ID      uint
	Text    string
	Version occ.Version
	Before  occ.Version `gorm:"-"`
	After   occ.Version `gorm:"-"`
	fail    string
	early   func(tx *gorm.DB) error
	nested  func(tx *gorm.DB) error
}

var errHook = errors.New("the hook failed")

func (d *Draft) hook(name string, tx *gorm.DB) error {
	if d.fail == name {
		return errHook
	}
	if d.fail == "panic in "+name {
		panic(errHook)
	}
	if d.early != nil && name == "BeforeUpdate" {
		return d.early(tx)
	}
	if d.nested != nil && name == "AfterUpdate" {
		return d.nested(tx)
	}
	return nil
}

func (d *Draft) BeforeSave(tx *gorm.DB) error   { d.Before = d.Version; return d.hook("BeforeSave", tx) }
func (d *Draft) BeforeUpdate(tx *gorm.DB) error { return d.hook("BeforeUpdate", tx) }
func (d *Draft) AfterUpdate(tx *gorm.DB) error  { return d.hook("AfterUpdate", tx) }
func (d *Draft) AfterCreate(tx *gorm.DB) error  { return d.hook("AfterCreate", tx) }
func (d *Draft) AfterSave(tx *gorm.DB) error    { d.After = d.Version; return d.hook("AfterSave", tx) }
func (d *Draft) BeforeDelete(tx *gorm.DB) error {
	d.Before = d.Version
	return d.hook("BeforeDelete", tx)
}
func (d *Draft) AfterDelete(tx *gorm.DB) error { d.After = d.Version; return d.hook("AfterDelete", tx) }

func newDraft(t testing.TB, db *gorm.DB) Draft {
	t.Helper()
	d := Draft{Text: "a"}
	require.NoError(t, db.Create(&d).Error)
	require.Equal(t, occ.Version(1), d.After)
	return d
}

// requireStored checks the columns of a draft's row.
func requireStored(t testing.TB, db *gorm.DB, d Draft, text string, version occ.Version) {
	t.Helper()
	require.Equal(t, Draft{ID: d.ID, Text: text, Version: version}, reload[Draft](t, db, d.ID))
}

func TestHooks(t *testing.T) {
	t.Parallel()
	run(t, testdb.All(), []behaviour{
		{"hooks before see the old version, hooks after the new one", func(t *testing.T, db *gorm.DB) {
			d := newDraft(t, db)

			require.NoError(t, db.Model(&d).Update("text", "b").Error)
			require.Equal(t, []occ.Version{1, 2, 2}, []occ.Version{d.Before, d.After, d.Version})
			require.NoError(t, db.Save(&d).Error)
			require.Equal(t, []occ.Version{2, 3, 3}, []occ.Version{d.Before, d.After, d.Version})
			require.NoError(t, db.Delete(&d).Error)
			require.Equal(t, []occ.Version{3, 3, 3}, []occ.Version{d.Before, d.After, d.Version})
		}},
		{"a hook after that fails rolls row and model back", func(t *testing.T, db *gorm.DB) {
			for _, hook := range []string{"AfterUpdate", "AfterSave"} {
				d := newDraft(t, db)
				d.fail = hook

				require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, errHook)

				require.Equal(t, occ.Version(1), d.Version)
				requireStored(t, db, d, "a", 1)
				d.fail = ""
				require.NoError(t, db.Model(&d).Update("text", "c").Error)
				requireStored(t, db, d, "c", 2)
			}
		}},
		{"a hook before that fails writes nothing", func(t *testing.T, db *gorm.DB) {
			for _, hook := range []string{"BeforeSave", "BeforeUpdate"} {
				d := newDraft(t, db)
				d.fail = hook

				require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, errHook)

				require.Equal(t, occ.Version(1), d.Version)
				requireStored(t, db, d, "a", 1)
			}
		}},
		{"a hook after a create that fails leaves a model without a version", func(t *testing.T, db *gorm.DB) {
			d := Draft{Text: "a", fail: "AfterCreate"}

			require.ErrorIs(t, db.Create(&d).Error, errHook)

			require.Zero(t, d.Version)
			requireNoRow[Draft](t, db, d.ID)
		}},
		{"a hook after a delete that fails keeps the row", func(t *testing.T, db *gorm.DB) {
			d := newDraft(t, db)
			d.fail = "AfterDelete"

			require.ErrorIs(t, db.Delete(&d).Error, errHook)

			require.Equal(t, occ.Version(1), d.Version)
			requireStored(t, db, d, "a", 1)
		}},
		{"a refused write runs no hook after", func(t *testing.T, db *gorm.DB) {
			d := newDraft(t, db)
			theirs := d
			require.NoError(t, db.Model(&theirs).Update("text", "b").Error)
			d.After = 0

			require.ErrorIs(t, db.Model(&d).Update("text", "c").Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Delete(&d).Error, occ.ErrStaleData)

			require.Zero(t, d.After)
			requireStored(t, db, d, "b", 2)
		}},
		{"a hook writes the same model once more", func(t *testing.T, db *gorm.DB) {
			d := newDraft(t, db)
			d.nested = func(tx *gorm.DB) error {
				d.nested = nil
				return tx.Model(&d).UpdateColumn("text", "c").Error
			}

			require.NoError(t, db.Model(&d).Update("text", "b").Error)

			require.Equal(t, occ.Version(3), d.Version)
			requireStored(t, db, d, "c", 3)
		}},
		{"a hook before writes the same model, and both are undone together", func(t *testing.T, db *gorm.DB) {
			d := newDraft(t, db)
			d.early = func(tx *gorm.DB) error {
				d.early = nil
				return tx.Model(&d).UpdateColumn("text", "b").Error
			}

			require.NoError(t, db.Model(&d).Update("text", "c").Error)
			require.Equal(t, occ.Version(3), d.Version)
			requireStored(t, db, d, "c", 3)

			d.early, d.fail = func(tx *gorm.DB) error {
				d.early = nil
				return tx.Model(&d).UpdateColumn("text", "d").Error
			}, "AfterUpdate"
			require.ErrorIs(t, db.Model(&d).Update("text", "e").Error, errHook)
			require.Equal(t, occ.Version(3), d.Version)
			requireStored(t, db, d, "c", 3)
		}},
		{"a write in a hook is undone with the outer one", func(t *testing.T, db *gorm.DB) {
			d, other := newDraft(t, db), newDraft(t, db)
			d.nested = func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&other).Update("text", "b").Error)
				return errHook
			}

			require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, errHook)

			require.Equal(t, occ.Version(1), d.Version)
			require.Equal(t, occ.Version(1), other.Version)
			requireStored(t, db, d, "a", 1)
			requireStored(t, db, other, "a", 1)
		}},
		{"a refused write in a hook undoes the outer one", func(t *testing.T, db *gorm.DB) {
			d, other := newDraft(t, db), newDraft(t, db)
			require.NoError(t, db.Model(&Draft{}).Where("id = ?", other.ID).UpdateColumn("text", "b").Error)
			d.nested = func(tx *gorm.DB) error { return tx.Model(&other).Update("text", "c").Error }

			require.Equal(t, map[string]any{"id": other.ID}, stale(t, db.Model(&d).Update("text", "c").Error).PrimaryKey)

			require.Equal(t, occ.Version(1), d.Version)
			require.Equal(t, occ.Version(1), other.Version)
			requireStored(t, db, d, "a", 1)
			requireStored(t, db, other, "b", 2)
		}},
		{"a hook that fails inside the caller's transaction leaves row and model at one version", func(t *testing.T, db *gorm.DB) {
			d, other := newDraft(t, db), newDraft(t, db)
			d.fail = "AfterUpdate"

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&other).Update("text", "b").Error)
				require.ErrorIs(t, tx.Model(&d).Update("text", "b").Error, errHook)
				return nil
			}))

			require.Equal(t, occ.Version(2), d.Version) // GORM undoes nothing in a transaction of the caller's
			require.Equal(t, occ.Version(2), other.Version)
			requireStored(t, db, d, "b", 2)
			requireStored(t, db, other, "b", 2)
		}},
		{"a panic in a hook passes through and leaves no transaction of the caller's open", func(t *testing.T, db *gorm.DB) {
			for _, hook := range []string{"BeforeSave", "AfterUpdate", "AfterSave", "BeforeDelete", "AfterDelete"} {
				d := newDraft(t, db)
				d.fail = "panic in " + hook

				require.PanicsWithValue(t, errHook, func() {
					_ = db.Transaction(func(tx *gorm.DB) error {
						if hook == "BeforeDelete" || hook == "AfterDelete" {
							return tx.Delete(&d).Error
						}
						return tx.Model(&d).Update("text", "b").Error
					})
				})

				requireStored(t, db, d, "a", 1)
				require.NoError(t, db.Model(&Draft{}).Where("id = ?", d.ID).UpdateColumn("text", "c").Error)
			}
		}},
	}, &Draft{})
}

// Folder owns a note through which saving it can fail.
type Folder struct {
	ID      uint
	Name    string
	Version occ.Version
	Papers  []Paper
}

// Paper cannot be saved without a title.
type Paper struct {
	ID       uint
	FolderID uint
	Title    *string `gorm:"not null"`
}

func TestFailingHookWithoutATransaction(t *testing.T) {
	t.Parallel()
	run(t, only("sqlite SkipDefaultTransaction", "postgres SkipDefaultTransaction", "mariadb SkipDefaultTransaction"), []behaviour{
		{"what was written stays, and the model is at the row's version", func(t *testing.T, db *gorm.DB) {
			d := newDraft(t, db)
			d.fail = "AfterUpdate"

			require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, errHook)
			require.Equal(t, occ.Version(2), d.Version)
			requireStored(t, db, d, "b", 2)

			d.fail = ""
			require.NoError(t, db.Model(&d).Update("text", "c").Error)
			requireStored(t, db, d, "c", 3)
		}},
	}, &Draft{})
}

// Leaf has a foreign key that its database looks at in COMMIT.
type Leaf struct {
	ID       uint
	ParentID *uint
	Version  occ.Version
}

func TestFailingCommit(t *testing.T) {
	t.Parallel()
	const table = `CREATE TABLE leafs (id integer PRIMARY KEY, version bigint NOT NULL DEFAULT 1,
		parent_id integer REFERENCES leafs (id) DEFERRABLE INITIALLY DEFERRED)`
	run(t, only("sqlite", "postgres", "postgres PrepareStmt"), []behaviour{
		{"a commit that fails leaves row and model as they were", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec(table).Error)
			mine, nowhere := Leaf{ID: 1}, uint(99)
			require.NoError(t, db.Create(&mine).Error)
			orphan := Leaf{ID: 2, ParentID: &nowhere}

			require.Error(t, db.Model(&mine).Update("parent_id", 99).Error)
			require.Equal(t, occ.Version(1), mine.Version)
			mine.ParentID = &nowhere
			require.Error(t, db.Save(&mine).Error)
			require.Equal(t, occ.Version(1), mine.Version)
			require.Error(t, db.Create(&orphan).Error)
			require.Zero(t, orphan.Version)

			requireNoRow[Leaf](t, db, 2)
			require.Equal(t, Leaf{ID: 1, Version: 1}, reload[Leaf](t, db, 1))
			mine.ParentID = nil
			require.NoError(t, db.Save(&mine).Error)
		}},
	})
}

func TestFailingAssociation(t *testing.T) {
	t.Parallel()
	run(t, everywhere(), []behaviour{
		{"an update whose association cannot be saved rolls row and model back", func(t *testing.T, db *gorm.DB) {
			folder := Folder{Name: "a"}
			require.NoError(t, db.Create(&folder).Error)
			folder.Name, folder.Papers = "b", []Paper{{}}

			require.Error(t, db.Save(&folder).Error)

			require.Equal(t, occ.Version(1), folder.Version)
			require.Equal(t, Folder{ID: folder.ID, Name: "a", Version: 1}, reload[Folder](t, db, folder.ID))
		}},
		{"a create whose association cannot be saved leaves a model without a version", func(t *testing.T, db *gorm.DB) {
			folder := Folder{Name: "a", Papers: []Paper{{}}}

			require.Error(t, db.Create(&folder).Error)

			require.Zero(t, folder.Version)
			var count int64
			require.NoError(t, db.Model(&Folder{}).Count(&count).Error)
			require.Zero(t, count)
		}},
		{"a stale owner does not save its associations", func(t *testing.T, db *gorm.DB) {
			folder := Folder{Name: "a"}
			require.NoError(t, db.Create(&folder).Error)
			require.NoError(t, db.Model(&Folder{}).Where("id = ?", folder.ID).Update("name", "b").Error)
			title := "t"
			folder.Papers = []Paper{{Title: &title}}

			require.ErrorIs(t, db.Save(&folder).Error, occ.ErrStaleData)

			var count int64
			require.NoError(t, db.Model(&Paper{}).Count(&count).Error)
			require.Zero(t, count)
			require.Equal(t, occ.Version(1), folder.Version)
		}},
	}, &Folder{}, &Paper{})
}

package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestHooks(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"hooks before see the old version, hooks after the new one", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)

			require.NoError(t, db.Model(&d).Update("text", "b").Error)
			require.Equal(t, []occ.Version{1, 2, 2}, []occ.Version{d.Before, d.After, d.Version})
			require.NoError(t, db.Save(&d).Error)
			require.Equal(t, []occ.Version{2, 3, 3}, []occ.Version{d.Before, d.After, d.Version})
			require.NoError(t, db.Delete(&d).Error)
			require.Equal(t, []occ.Version{3, 3, 3}, []occ.Version{d.Before, d.After, d.Version})
		}},
		{"a hook after that fails rolls row and model back", func(t *testing.T, db *gorm.DB) {
			for _, hook := range []string{"AfterUpdate", "AfterSave"} {
				d := NewDraft(t, db)
				d.Fail = hook

				require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, ErrHook)

				require.Equal(t, occ.Version(1), d.Version)
				RequireDraft(t, db, d, "a", 1)
				d.Fail = ""
				require.NoError(t, db.Model(&d).Update("text", "c").Error)
				RequireDraft(t, db, d, "c", 2)
			}
		}},
		{"a hook before that fails writes nothing", func(t *testing.T, db *gorm.DB) {
			for _, hook := range []string{"BeforeSave", "BeforeUpdate"} {
				d := NewDraft(t, db)
				d.Fail = hook

				require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, ErrHook)

				require.Equal(t, occ.Version(1), d.Version)
				RequireDraft(t, db, d, "a", 1)
			}
		}},
		{"a hook after a create that fails leaves a model without a version", func(t *testing.T, db *gorm.DB) {
			d := Draft{Text: "a", Fail: "AfterCreate"}

			require.ErrorIs(t, db.Create(&d).Error, ErrHook)

			require.Zero(t, d.Version)
			RequireNoRow[Draft](t, db, d.ID)
		}},
		{"a hook after a delete that fails keeps the row", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)
			d.Fail = "AfterDelete"

			require.ErrorIs(t, db.Delete(&d).Error, ErrHook)

			require.Equal(t, occ.Version(1), d.Version)
			RequireDraft(t, db, d, "a", 1)
		}},
		{"a refused write runs no hook after", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)
			theirs := d
			require.NoError(t, db.Model(&theirs).Update("text", "b").Error)
			d.After = 0

			require.ErrorIs(t, db.Model(&d).Update("text", "c").Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Delete(&d).Error, occ.ErrStaleData)

			require.Zero(t, d.After)
			RequireDraft(t, db, d, "b", 2)
		}},
	}, &Draft{})
}

func TestWritesInHooks(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a hook writes the same model once more", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)
			d.Nested = func(tx *gorm.DB) error {
				d.Nested = nil
				return tx.Model(&d).UpdateColumn("text", "c").Error
			}

			require.NoError(t, db.Model(&d).Update("text", "b").Error)

			require.Equal(t, occ.Version(3), d.Version)
			RequireDraft(t, db, d, "c", 3)
		}},
		{"a hook before writes the same model, and both are undone together", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)
			d.Early = func(tx *gorm.DB) error {
				d.Early = nil
				return tx.Model(&d).UpdateColumn("text", "b").Error
			}

			require.NoError(t, db.Model(&d).Update("text", "c").Error)
			require.Equal(t, occ.Version(3), d.Version)
			RequireDraft(t, db, d, "c", 3)

			d.Early, d.Fail = func(tx *gorm.DB) error {
				d.Early = nil
				return tx.Model(&d).UpdateColumn("text", "d").Error
			}, "AfterUpdate"
			require.ErrorIs(t, db.Model(&d).Update("text", "e").Error, ErrHook)
			require.Equal(t, occ.Version(3), d.Version)
			RequireDraft(t, db, d, "c", 3)
		}},
		{"a write in a hook is undone with the outer one", func(t *testing.T, db *gorm.DB) {
			d, other := NewDraft(t, db), NewDraft(t, db)
			d.Nested = func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&other).Update("text", "b").Error)
				return ErrHook
			}

			require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, ErrHook)

			require.Equal(t, occ.Version(1), d.Version)
			require.Equal(t, occ.Version(1), other.Version)
			RequireDraft(t, db, d, "a", 1)
			RequireDraft(t, db, other, "a", 1)
		}},
		{"a refused write in a hook undoes the outer one", func(t *testing.T, db *gorm.DB) {
			d, other := NewDraft(t, db), NewDraft(t, db)
			require.NoError(t, db.Model(&Draft{}).Where("id = ?", other.ID).UpdateColumn("text", "b").Error)
			d.Nested = func(tx *gorm.DB) error { return tx.Model(&other).Update("text", "c").Error }

			require.Equal(t, map[string]any{"id": other.ID}, Stale(t, db.Model(&d).Update("text", "c").Error).PrimaryKey)

			require.Equal(t, occ.Version(1), d.Version)
			require.Equal(t, occ.Version(1), other.Version)
			RequireDraft(t, db, d, "a", 1)
			RequireDraft(t, db, other, "b", 2)
		}},
		{"a hook that fails inside the caller's transaction leaves row and model at one version", func(t *testing.T, db *gorm.DB) {
			d, other := NewDraft(t, db), NewDraft(t, db)
			d.Fail = "AfterUpdate"

			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&other).Update("text", "b").Error)
				require.ErrorIs(t, tx.Model(&d).Update("text", "b").Error, ErrHook)
				return nil
			}))

			require.Equal(t, occ.Version(2), d.Version) // GORM undoes nothing in a transaction of the caller's
			require.Equal(t, occ.Version(2), other.Version)
			RequireDraft(t, db, d, "b", 2)
			RequireDraft(t, db, other, "b", 2)
		}},
		{"a panic in a hook passes through and leaves no transaction of the caller's open", func(t *testing.T, db *gorm.DB) {
			for _, hook := range []string{"BeforeSave", "AfterUpdate", "AfterSave", "BeforeDelete", "AfterDelete"} {
				d := NewDraft(t, db)
				d.Fail = "panic in " + hook

				require.PanicsWithValue(t, ErrHook, func() {
					_ = db.Transaction(func(tx *gorm.DB) error {
						if hook == "BeforeDelete" || hook == "AfterDelete" {
							return tx.Delete(&d).Error
						}
						return tx.Model(&d).Update("text", "b").Error
					})
				})

				RequireDraft(t, db, d, "a", 1)
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
	Run(t, Only("sqlite SkipDefaultTransaction", "postgres SkipDefaultTransaction", "mariadb SkipDefaultTransaction"), []Behaviour{
		{"what was written stays, and the model is at the row's version", func(t *testing.T, db *gorm.DB) {
			d := NewDraft(t, db)
			d.Fail = "AfterUpdate"

			require.ErrorIs(t, db.Model(&d).Update("text", "b").Error, ErrHook)
			require.Equal(t, occ.Version(2), d.Version)
			RequireDraft(t, db, d, "b", 2)

			d.Fail = ""
			require.NoError(t, db.Model(&d).Update("text", "c").Error)
			RequireDraft(t, db, d, "c", 3)
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
	Run(t, Only("sqlite", "postgres", "postgres PrepareStmt"), []Behaviour{
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

			RequireNoRow[Leaf](t, db, 2)
			require.Equal(t, Leaf{ID: 1, Version: 1}, Reload[Leaf](t, db, 1))
			mine.ParentID = nil
			require.NoError(t, db.Save(&mine).Error)
		}},
	})
}

func TestFailingAssociation(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"an update whose association cannot be saved rolls row and model back", func(t *testing.T, db *gorm.DB) {
			folder := Folder{Name: "a"}
			require.NoError(t, db.Create(&folder).Error)
			folder.Name, folder.Papers = "b", []Paper{{}}

			require.Error(t, db.Save(&folder).Error)

			require.Equal(t, occ.Version(1), folder.Version)
			require.Equal(t, Folder{ID: folder.ID, Name: "a", Version: 1}, Reload[Folder](t, db, folder.ID))
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

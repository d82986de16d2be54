package behaviour_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Page counts its views without conflicts.
type Page struct {
	ID        uint
	Title     string
	Views     int       `gorm:"unversioned"`
	LastSeen  time.Time `gorm:"unversioned"`
	UpdatedAt time.Time
	occ.Version
}

func createPage(t *testing.T, db *gorm.DB) Page {
	page := Page{Title: "home", Views: 1, LastSeen: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	require.NoError(t, db.Create(&page).Error)
	require.Equal(t, 1, Reload[Page](t, db, page.ID).Views)
	return page
}

func TestUnversioned(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"a copy of a loaded model leaves it alone, a map writes it", func(t *testing.T, db *gorm.DB) {
			page := createPage(t, db)
			require.NoError(t, db.Model(&Page{}).Where("id = ?", page.ID).UpdateColumn("views", 50).Error)
			for title, update := range map[string]func() error{
				"by value":   func() error { return db.Model(&page).Updates(page).Error },
				"by pointer": func() error { copied := page; return db.Model(&page).Updates(&copied).Error },
				"by key":     func() error { copied := page; return db.Model(&Page{ID: page.ID}).Updates(&copied).Error },
			} {
				page = Reload[Page](t, db, page.ID)
				page.Title, page.Views = title, 1
				require.NoError(t, update(), title)
				stored := Reload[Page](t, db, page.ID)
				require.Equal(t, 50, stored.Views, title)
				require.Equal(t, title, stored.Title)
			}
			page = Reload[Page](t, db, page.ID)
			require.NoError(t, db.Model(&page).Select("*").Updates(map[string]any{"title": "x", "views": 60}).Error)
			require.Equal(t, 60, Reload[Page](t, db, page.ID).Views)
			require.NoError(t, db.Model(&page).Select("*").Updates(map[string]any{"views": 61}).Error)
			stored := Reload[Page](t, db, page.ID)
			require.Equal(t, 61, stored.Views)
			require.Equal(t, page.Version, stored.Version)
		}},
		{"a write of unversioned columns alone neither compares nor bumps", func(t *testing.T, db *gorm.DB) {
			mine := createPage(t, db)
			theirs := mine
			require.NoError(t, db.Model(&theirs).Update("title", "start").Error)

			require.NoError(t, db.Model(&mine).Update("views", gorm.Expr("views + 1")).Error)
			require.NoError(t, db.Model(&mine).Updates(map[string]any{"Views": 3, "last_seen": time.Now()}).Error)
			require.NoError(t, db.Model(&mine).Updates(Page{Views: 4}).Error)
			require.NoError(t, db.Model(&mine).Select("Views").Updates(&mine).Error)
			require.NoError(t, db.Model(&Page{}).Where("id = ?", mine.ID).UpdateColumn("views", 5).Error)
			require.NoError(t, db.Model(&Page{ID: mine.ID}).UpdateColumn("views", 6).Error)

			require.Equal(t, occ.Version(1), mine.Version)
			row := Reload[Page](t, db, mine.ID)
			require.Equal(t, 6, row.Views)
			require.Equal(t, "start", row.Title)
			require.Equal(t, occ.Version(2), row.Version)
		}},
		{"a write of other columns too is compared and bumps", func(t *testing.T, db *gorm.DB) {
			mine := createPage(t, db)
			theirs := mine
			require.NoError(t, db.Model(&theirs).Updates(map[string]any{"views": 7, "title": "start"}).Error)
			require.Equal(t, occ.Version(2), theirs.Version)

			err := db.Model(&mine).Updates(map[string]any{"views": 9, "title": "index"}).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.Equal(t, 7, Reload[Page](t, db, mine.ID).Views)
		}},
		{"a whole row leaves unversioned columns out", func(t *testing.T, db *gorm.DB) {
			page := createPage(t, db)
			require.NoError(t, db.Model(&Page{}).Where("id = ?", page.ID).UpdateColumn("views", 50).Error)
			for i, write := range []func() error{
				func() error { return db.Save(&page).Error },
				func() error { return db.Updates(&page).Error },
				func() error { return db.Updates(page).Error },
				func() error { page.Version++; return db.Select("*").Updates(&page).Error },
				func() error { return db.Select("*").Omit("id").Updates(page).Error },
			} {
				page.Title += "!"
				require.NoError(t, write(), i)
			}

			row := Reload[Page](t, db, page.ID)
			require.Equal(t, 50, row.Views)
			require.Equal(t, "home!!!!!", row.Title)
			require.Equal(t, occ.Version(6), row.Version)
		}},
	}, &Page{})
}

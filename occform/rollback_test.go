package occform_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occform"
)

// Leaflet is compared with the values that it was loaded with.
type Leaflet struct {
	ID    uint
	Title string `gorm:"size:200"`
	occ.Snapshot
}

var errLater = errors.New("a later step failed")

func TestARollbackPutsTheVersionOfTheSavedModelBack(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		for name, model := range map[string]func(shown Article) Article{
			"loaded":     func(shown Article) Article { return shown },
			"never read": func(shown Article) Article { return Article{ID: shown.ID} },
		} {
			shown := create(t, db)
			saved := model(shown)

			err := occ.Transaction(db, func(tx *gorm.DB) error {
				_, err := edit(t, tx, shown, url.Values{"Title": {"Mine"}}, "Title").Save(tx, &saved)
				require.NoError(t, err, name)
				require.Equal(t, shown.Version+1, saved.Version, name)
				return errLater
			})

			require.ErrorIs(t, err, errLater, name)
			require.Equal(t, model(shown).Version, saved.Version, name)
			theirs := reload(t, db, shown.ID)
			require.NoError(t, db.Model(&theirs).Update("title", "Hers").Error)
			require.ErrorIs(t, db.Save(&saved).Error, occ.ErrStaleData, name)
			require.Equal(t, theirs, reload(t, db, shown.ID), name)
		}
	})
}

func TestARollbackPutsTheSnapshotOfTheSavedModelBack(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&Leaflet{}))
		shown := Leaflet{Title: "Old"}
		require.NoError(t, db.Create(&shown).Error)
		hidden, err := occform.Hidden(db, &shown, "Title")
		require.NoError(t, err)
		e, err := occform.Parse[Leaflet](db, post(hidden, url.Values{"Title": {"Mine"}}), "Title")
		require.NoError(t, err)
		saved := shown

		err = occ.Transaction(db, func(tx *gorm.DB) error {
			_, err := e.Save(tx, &saved)
			require.NoError(t, err)
			require.NotEqual(t, shown.Snapshot, saved.Snapshot)
			return errLater
		})

		require.ErrorIs(t, err, errLater)
		require.Equal(t, shown.Snapshot, saved.Snapshot)
		require.NoError(t, db.Model(&saved).Update("title", "Again").Error)
	})
}

package occform_test

import (
	"database/sql"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occform"
)

var texts = []string{"Title", "Body", "Note", "Shelf"}

// storedTexts returns an article with the same text in all kinds of columns.
func storedTexts(t *testing.T, db *gorm.DB, text string) Article {
	t.Helper()
	a := create(t, db)
	a.Body, a.Note, a.Shelf = text, &text, sql.NullString{String: text, Valid: true}
	require.NoError(t, db.Save(&a).Error)
	return reload(t, db, a.ID)
}

func textsOf(a Article) []string { return []string{a.Body, *a.Note, a.Shelf.String} }

func inAll(text string) url.Values {
	return url.Values{"Title": {"Old"}, "Body": {text}, "Note": {text}, "Shelf": {text}}
}

func TestLineEndsOfTheRowAreNoConflict(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		for _, text := range []string{"a\r\nb", "a\rb", "a\nb", "a\r\nb\nc\rd\r\n"} {
			shown := storedTexts(t, db, text)
			shows := "a\r\nb"
			if len(text) > 4 {
				shows = "a\r\nb\r\nc\r\nd\r\n"
			}

			sent := inAll(shows)
			sent.Set("Title", "Mine")
			untouched := Article{ID: shown.ID}
			_, err := edit(t, db, shown, sent, texts...).Save(db, &untouched)

			require.NoError(t, err)
			require.Equal(t, []string{text, text, text}, textsOf(reload(t, db, shown.ID)), "byte for byte")
			require.Equal(t, shown.Version+1, untouched.Version)

			_, err = edit(t, db, untouched, inAll(shows+"new\r\n"), texts...).Save(db, &Article{ID: shown.ID})

			require.NoError(t, err, "%q", text)
			for _, stored := range textsOf(reload(t, db, shown.ID)) {
				require.Regexp(t, `^a\nb(\nc\nd\n)?new\n$`, stored)
			}
		}
	})
}

func TestLineEndsThatOthersChangeAreNoConflict(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		write := func(shown Article, text string) {
			theirs := shown
			require.NoError(t, db.Model(&theirs).Updates(map[string]any{"body": text, "note": text, "shelf": text}).Error)
		}

		shown := storedTexts(t, db, "a\nb")
		write(shown, "a\r\nb")
		_, err := edit(t, db, shown, inAll("a\r\nb\r\nmine"), texts...).Save(db, &Article{ID: shown.ID})

		require.NoError(t, err)
		require.Equal(t, []string{"a\nb\nmine", "a\nb\nmine", "a\nb\nmine"}, textsOf(reload(t, db, shown.ID)))

		shown = storedTexts(t, db, "a\nb")
		write(shown, "a\r\nboth")
		_, err = edit(t, db, shown, inAll("a\r\nboth"), texts...).Save(db, &Article{ID: shown.ID})

		require.NoError(t, err)
		require.Equal(t, []string{"a\r\nboth", "a\r\nboth", "a\r\nboth"}, textsOf(reload(t, db, shown.ID)))
	})
}

func TestLineEndsBesideAConflict(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := storedTexts(t, db, "a\nb")
		theirs := shown
		require.NoError(t, db.Model(&theirs).Updates(map[string]any{"title": "Hers", "body": "a\r\nb", "note": "a\r\nb", "shelf": "a\r\nboth"}).Error)
		sent := url.Values{"Title": {"Mine"}, "Body": {"a\r\nb\r\nmine"}, "Note": {"a\r\nb"}, "Shelf": {"a\r\nboth"}}

		conflict, err := edit(t, db, shown, sent, texts...).Save(db, &Article{ID: shown.ID})

		unresolved := (*occ.MergeConflictError)(nil)
		require.ErrorAs(t, err, &unresolved)
		require.Len(t, unresolved.Fields, 1)
		require.Equal(t, map[string]occform.State{"Title": occform.StateBoth, "Body": occform.StateMine, "Note": occform.StateUnchanged, "Shelf": occform.StateSame}, states(conflict))
		require.Equal(t, theirs.Body, reload(t, db, shown.ID).Body)
	})
}

func TestALineEndThatTheProgramChangesIsSaved(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		base := storedTexts(t, db, "a\r\nb")
		mine := base
		mine.Body = "a\nb"

		_, err := (&occform.Edit[Article]{Base: &base, Mine: &mine}).Save(db, &Article{ID: base.ID})

		require.NoError(t, err)
		require.Equal(t, "a\nb", reload(t, db, base.ID).Body)
	})
}

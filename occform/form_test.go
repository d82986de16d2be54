package occform_test

import (
	"database/sql"
	"html"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occform"
)

type Status string

// Article has a field of each kind that a form can edit.
type Article struct {
	ID        uint
	Title     string `gorm:"size:200"`
	Body      string `gorm:"size:200"`
	Pieces    int8
	Price     float64
	Sold      bool
	Published time.Time `gorm:"precision:6"`
	Until     *time.Time
	Note      *string        `gorm:"size:200"`
	Shelf     sql.NullString `gorm:"size:200"`
	Rank      sql.Null[int64]
	Checked   *bool
	Status    Status    `gorm:"size:20;comment:State of sale"`
	Code      uuid.UUID `gorm:"size:36"`
	Editor    string    `gorm:"column:updated_by;blame;size:40"`
	Deleted   gorm.DeletedAt
	Secret    string `gorm:"size:40"`
	Version   occ.Version
}

var named = []string{"Title", "Body", "Pieces", "Price", "Sold", "Published", "Until", "Note", "Shelf", "Rank", "Checked", "Status", "Code"}

var published = time.Date(2026, 3, 1, 12, 30, 45, 123456000, time.UTC)

func create(t *testing.T, db *gorm.DB) Article {
	t.Helper()
	note := ""
	a := Article{Title: "Old", Body: "one\ntwo", Pieces: 3, Price: 1.1, Sold: true, Published: published, Note: &note, Status: "new", Code: uuid.New(), Secret: "kept"}
	require.NoError(t, db.AutoMigrate(&Article{}))
	require.NoError(t, db.Create(&a).Error)
	return reload(t, db, a.ID)
}

func reload(t *testing.T, db *gorm.DB, id uint) (a Article) {
	t.Helper()
	require.NoError(t, db.Unscoped().First(&a, id).Error)
	return a
}

var inputs = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// post is the request of a browser that shows a hidden input and sends these inputs.
func post(hidden template.HTML, sent url.Values) *http.Request {
	body := url.Values{}
	for name, values := range sent {
		body[name] = values
	}
	for _, found := range inputs.FindAllStringSubmatch(string(hidden), -1) {
		body.Set(html.UnescapeString(found[1]), html.UnescapeString(found[2]))
	}
	r := httptest.NewRequest(http.MethodPost, "/?Secret=query&Title=query", strings.NewReader(body.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// edit is what comes of a form that showed a model, with these inputs.
func edit(t *testing.T, db *gorm.DB, shown Article, sent url.Values, fields ...string) *occform.Edit[Article] {
	t.Helper()
	hidden, err := occform.Hidden(db, &shown, fields...)
	require.NoError(t, err)
	e, err := occform.Parse[Article](db, post(hidden, sent), fields...)
	require.NoError(t, err)
	return e
}

func rendered(t *testing.T, c *occform.Conflict) string {
	t.Helper()
	var page strings.Builder
	require.NoError(t, c.Render(&page, occform.Page{Title: "Article", Action: "/articles/1"}))
	return page.String()
}

func states(c *occform.Conflict) map[string]occform.State {
	all := map[string]occform.State{}
	for _, field := range c.Fields {
		all[field.Name] = field.State
	}
	return all
}

func each(t *testing.T, f func(t *testing.T, db *gorm.DB)) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		f(t, db)
	})
}

func TestWhatAnUntouchedFormShowsIsNoChange(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		sent := url.Values{"Title": {"Old"}, "Body": {"one\r\ntwo"}, "Pieces": {"3"}, "Price": {"1.10"}, "Sold": {"false", "on"},
			"Published": {shown.Published.Format("2006-01-02T15:04")}, "Until": {""}, "Note": {""}, "Shelf": {""}, "Rank": {""},
			"Checked": {""}, "Status": {"new"}, "Code": {shown.Code.String()}}

		e := edit(t, db, shown, sent, named...)
		conflict, err := e.Save(db, &Article{ID: shown.ID})

		require.NoError(t, err)
		require.Nil(t, conflict)
		require.Equal(t, shown, reload(t, db, shown.ID))
		require.Equal(t, shown.Version, e.Base.Version)
	})
}

func TestEveryKindOfInputIsSaved(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		code := uuid.New()
		sent := url.Values{"Title": {"New"}, "Body": {"a\r\nb"}, "Pieces": {" -4 "}, "Price": {"2.5"}, "Published": {"2026-04-01"},
			"Until": {"2026-05-01T10:30"}, "Note": {"n"}, "Shelf": {"s"}, "Rank": {"7"}, "Checked": {"on"}, "status": {"sold"}, "Code": {code.String()}}

		stored := Article{ID: shown.ID}
		conflict, err := edit(t, db, shown, sent, named...).Save(db, &stored)

		require.NoError(t, err)
		require.Nil(t, conflict)
		row := reload(t, db, shown.ID)
		require.Equal(t, row, stored)
		require.Equal(t, "New", row.Title)
		require.Equal(t, "a\nb", row.Body)
		require.Equal(t, int8(-4), row.Pieces)
		require.Equal(t, 2.5, row.Price)
		require.False(t, row.Sold, "a box that is not ticked is not sent")
		require.Equal(t, "2026-04-01", row.Published.In(shown.Published.Location()).Format(time.DateOnly))
		require.WithinDuration(t, time.Date(2026, 5, 1, 10, 30, 0, 0, time.Local), *row.Until, 0)
		require.Equal(t, "n", *row.Note)
		require.Equal(t, sql.NullString{String: "s", Valid: true}, row.Shelf)
		require.Equal(t, sql.Null[int64]{V: 7, Valid: true}, row.Rank)
		require.True(t, *row.Checked)
		require.Equal(t, Status("sold"), row.Status)
		require.Equal(t, code, row.Code)
		require.Equal(t, "kept", row.Secret)
		require.Equal(t, shown.Version+1, row.Version)

		emptied := url.Values{"Note": {""}, "Shelf": {""}, "Rank": {""}, "Until": {""}, "Checked": {""}}
		_, err = edit(t, db, row, emptied, named...).Save(db, &stored)

		require.NoError(t, err)
		require.Nil(t, stored.Note)
		require.False(t, stored.Shelf.Valid)
		require.False(t, stored.Rank.Valid)
		require.Nil(t, stored.Until)
		require.Nil(t, stored.Checked)
	})
}

func TestDifferentFieldsAreMerged(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		theirs := shown
		require.NoError(t, db.Model(&theirs).Updates(map[string]any{"price": 9.5, "updated_by": "her"}).Error)

		stored := Article{ID: shown.ID}
		conflict, err := edit(t, db, shown, url.Values{"Title": {"Mine"}, "Price": {"1.1"}}, "Title", "Price").Save(db, &stored)

		require.NoError(t, err)
		require.Nil(t, conflict)
		row := reload(t, db, shown.ID)
		require.Equal(t, row, stored)
		require.Equal(t, "Mine", row.Title)
		require.Equal(t, 9.5, row.Price)
		require.Equal(t, theirs.Version+1, row.Version)
	})
}

func TestTheSameFieldIsAConflictUntilItIsDecided(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		fields := []string{"Title", "Price", "Sold", "Pieces", "Body"}
		theirs := shown
		require.NoError(t, db.Model(&theirs).Updates(map[string]any{"title": "Hers", "price": 9.5, "body": "both", "updated_by": "her"}).Error)
		sent := url.Values{"Title": {"Mine"}, "Price": {"1.1"}, "Sold": {}, "Pieces": {"3"}, "Body": {"both"}}

		model := Article{ID: shown.ID}
		conflict, err := edit(t, db, shown, sent, fields...).Save(db, &model)

		require.ErrorIs(t, err, occ.ErrStaleData)
		require.Equal(t, Article{ID: shown.ID}, model)
		require.Equal(t, theirs.Title, reload(t, db, shown.ID).Title)
		require.Equal(t, occ.ReasonChanged, conflict.Reason)
		require.Equal(t, map[string]any{"updated_by": "her"}, conflict.Blame)
		require.Equal(t, map[string]occform.State{"Title": occform.StateBoth, "Price": occform.StateTheirs, "Sold": occform.StateMine,
			"Pieces": occform.StateUnchanged, "Body": occform.StateSame}, states(conflict))
		require.Equal(t, occform.Field{Name: "Title", Column: "title", Label: "Title", Base: "Old", Mine: "Mine", Theirs: "Hers", State: occform.StateBoth}, conflict.Fields[0])

		third := reload(t, db, shown.ID)
		require.NoError(t, db.Model(&third).Update("title", "Third").Error)
		decided := url.Values{"Title": {"Mine"}, "Price": {"9.5"}, "Sold": {"false"}, "Pieces": {"3"}, "Body": {"both"}}
		e, err := occform.Parse[Article](db, post(conflict.Hidden, decided), fields...)
		require.NoError(t, err)
		conflict, err = e.Save(db, &model)

		require.ErrorIs(t, err, occ.ErrStaleData)
		require.Equal(t, "Third", conflict.Fields[0].Theirs)

		e, err = occform.Parse[Article](db, post(conflict.Hidden, decided), fields...)
		require.NoError(t, err)
		conflict, err = e.Save(db, &model)

		require.NoError(t, err)
		require.Nil(t, conflict)
		require.Equal(t, "Mine", reload(t, db, shown.ID).Title)
		require.False(t, model.Sold)
		require.Equal(t, 9.5, model.Price)
	})
}

func TestADeletedRowStaysDeleted(t *testing.T) {
	for name, hard := range map[string]bool{"softly": false, "for good": true} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *gorm.DB) {
				shown := create(t, db)
				remover := db
				if hard {
					remover = db.Unscoped()
				}
				theirs := shown
				require.NoError(t, remover.Delete(&theirs).Error)

				conflict, err := edit(t, db, shown, url.Values{"Title": {"Mine"}}, "Title", "Price").Save(db, &Article{ID: shown.ID})

				require.ErrorIs(t, err, occ.ErrStaleData)
				require.Equal(t, occ.ReasonDeleted, conflict.Reason)
				require.Equal(t, occform.Field{Name: "Title", Column: "title", Label: "Title", Base: "Old", Mine: "Mine", State: occform.StateBoth}, conflict.Fields[0])
				require.Equal(t, occform.StateUnchanged, conflict.Fields[1].State)
				require.Empty(t, conflict.Hidden)
				require.NotContains(t, rendered(t, conflict), "<button")
				var count int64
				require.NoError(t, db.Model(&Article{}).Count(&count).Error)
				require.Zero(t, count)
			})
		})
	}
}

func TestWhatDoesNotParseIsShownBesideItsInput(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		hidden, err := occform.Hidden(db, shown, named...)
		require.NoError(t, err)
		for name, typed := range map[string]string{"Pieces": "300", "Price": "1,5", "Published": "soon", "Rank": "x", "Until": "2026-02-30", "Sold": "maybe", "Code": "z"} {
			e, err := occform.Parse[Article](db, post(hidden, url.Values{"Title": {"Typed"}, name: {typed}}), named...)

			input := (*occform.InputError)(nil)
			require.ErrorAs(t, err, &input, name)
			require.Len(t, input.Fields, 1)
			require.Equal(t, name, input.Fields[0].Name)
			require.Equal(t, typed, input.Fields[0].Text)
			require.Contains(t, err.Error(), "model Article: field "+name)
			_, err = e.Save(db, &Article{ID: shown.ID})
			require.ErrorIs(t, err, input)
			page := rendered(t, input.Conflict)
			require.Contains(t, page, `value="`+typed+`" aria-invalid="true" aria-describedby="occ-`)
			require.Contains(t, page, `value="Typed"`)
			require.Equal(t, 1, strings.Count(page, "autofocus"))
		}
		require.Equal(t, shown, reload(t, db, shown.ID))
	})
}

func TestTheTextOfAnErrorHasNothingOfWhatWasTyped(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		hidden, err := occform.Hidden(db, shown, named...)
		require.NoError(t, err)
		typed := strings.Repeat("x", 9) + shown.Code.String() // uuid's own error repeats it

		_, err = occform.Parse[Article](db, post(hidden, url.Values{"Code": {typed}}), named...)

		input := (*occform.InputError)(nil)
		require.ErrorAs(t, err, &input)
		require.EqualError(t, err, "occform: model Article: field Code cannot be read")
		require.ErrorContains(t, input.Fields[0].Err, "cannot be read: invalid urn prefix")
	})
}

func TestOnlyNamedFieldsAreReadAndWritten(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		hidden, err := occform.Hidden(db, shown, "Title", "Secret")
		require.NoError(t, err)
		sent := url.Values{"Title": {"Mine"}, "Secret": {"stolen"}, "ID": {"77"}, "Version": {"99"}, "updated_by": {"me"}}

		e, err := occform.Parse[Article](db, post(hidden, sent), "Title")
		require.NoError(t, err)
		_, err = e.Save(db, &Article{ID: shown.ID, Secret: "ignored"})

		require.NoError(t, err)
		want := shown
		want.Title, want.Version = "Mine", shown.Version+1
		require.Equal(t, want, reload(t, db, shown.ID))
	})
}

func TestAMadeUpBaseOverwritesNothingElse(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		lie := shown
		lie.Title, lie.Price, lie.Version = "never", 77, 99

		conflict, err := edit(t, db, lie, url.Values{"Title": {"Mine"}, "Price": {"77"}}, "Title", "Price").Save(db, &Article{ID: shown.ID})

		require.ErrorIs(t, err, occ.ErrStaleData)
		require.Equal(t, "Old", conflict.Fields[0].Theirs)
		require.Equal(t, shown, reload(t, db, shown.ID))
	})
}

func TestWithoutADatabaseOrARequest(t *testing.T) {
	var none *gorm.DB
	_, err := occform.Hidden(none, &Article{}, "Title")
	require.ErrorIs(t, err, gorm.ErrInvalidDB)
	_, err = occform.Parse[Article](none, post("", nil), "Title")
	require.ErrorIs(t, err, gorm.ErrInvalidDB)
	_, err = (&occform.Edit[Article]{Base: &Article{}, Mine: &Article{}}).Save(none, &Article{})
	require.ErrorIs(t, err, gorm.ErrInvalidDB)
	each(t, func(t *testing.T, db *gorm.DB) {
		_, err := occform.Parse[Article](db, nil, "Title")
		require.ErrorContains(t, err, "occform: the form of model Article: the request is nil")
	})
}

func TestMistakesAreClearErrors(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		shown := create(t, db)
		for name, text := range map[string]string{"Titel": `model Article has no field "Titel"`, "ID": "field ID: a primary key", "version": "field Version: the version"} {
			_, err := occform.Hidden(db, shown, name)
			require.ErrorContains(t, err, text)
			_, err = occform.Parse[Article](db, post("", nil), name)
			require.ErrorContains(t, err, text)
			require.ErrorIs(t, err, gorm.ErrInvalidField)
		}
		_, err := occform.Hidden(db, nil, "Title")
		require.ErrorIs(t, err, gorm.ErrInvalidValue)

		_, err = occform.Parse[Article](db, post("", url.Values{"Title": {"x"}}), "Title")
		require.ErrorIs(t, err, occform.ErrMalformed)
		require.ErrorIs(t, err, occ.ErrVersionMissing)
		for _, damaged := range []string{"{", "null", "[]", `{"values":{"title":7}}`, `{"version":"1","values":{}}`, `{"version":"1","values":{"title":"Old"}}}`, `{"version":"1","values":{"title":"Old"}}{}`} {
			_, err = occform.Parse[Article](db, post(template.HTML(`<input type="hidden" name="occ-shown" value="`+html.EscapeString(damaged)+`">`), nil), "Title")
			require.ErrorIs(t, err, occform.ErrMalformed, damaged)
		}
		e := edit(t, db, shown, url.Values{"Title": {"x"}}, "Title")
		_, err = e.Save(db, nil)
		require.ErrorIs(t, err, gorm.ErrInvalidValue)
		_, err = e.Save(db, &Article{})
		require.ErrorIs(t, err, gorm.ErrPrimaryKeyRequired)
	})
}

func TestAnEditOfTheProgramsOwn(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		base := create(t, db)
		mine := base
		mine.Title, mine.Secret = "Mine", "new"

		_, err := (&occform.Edit[Article]{Base: &base, Mine: &mine}).Save(db, &Article{ID: base.ID})

		require.NoError(t, err)
		mine.Version++
		require.Equal(t, mine, reload(t, db, base.ID))
	})
}

func TestRender(t *testing.T) {
	t.Parallel()
	evil := `"><script>alert(1)</script>`
	conflict := &occform.Conflict{Reason: occ.ReasonChanged, Hidden: `<input type="hidden" name="occ-shown" value="{}">`, Blame: map[string]any{"updated_by": evil},
		Fields: []occform.Field{
			{Name: "Mine", Label: "Mine", Base: 1, Mine: 2, Theirs: 1, State: occform.StateMine},
			{Name: "Title", Label: evil, Base: evil, Mine: evil + "m", Theirs: evil + "t", State: occform.StateBoth},
			{Name: "Price", Label: "Price", Base: 1, Mine: 2, Theirs: 3, State: occform.StateBoth},
			{Name: "Odd", Label: "Odd", Base: []int{1}, Mine: nil, Theirs: struct{ A int }{1}, State: occform.StateTheirs},
		}}

	page := rendered(t, conflict)

	require.NotContains(t, page, "<script")
	require.Contains(t, page, `<form method="post" action="/articles/1"`)
	require.Contains(t, page, string(conflict.Hidden))
	require.Equal(t, 1, strings.Count(page, "autofocus"))
	require.Regexp(t, `id="occ-1-mine"[^>]* autofocus>`, page)
	require.Equal(t, 2, strings.Count(page, " checked"), "what only one side has changed")
	require.Regexp(t, `id="occ-0-mine"[^>]* checked`, page)
	require.Equal(t, strings.Count(page, `type="radio"`), strings.Count(page, "<label for="))
	require.Contains(t, page, "changed by both, please choose")

	var wrapped, failed strings.Builder
	layout := template.Must(template.New("layout").Parse(`<body class="shop"><h1>{{.Title}}</h1>{{.Content}}</body>`))
	require.NoError(t, conflict.Render(&wrapped, occform.Page{Title: evil, Wrap: layout}))
	require.True(t, strings.HasPrefix(wrapped.String(), `<body class="shop"><h1>&#34;&gt;&lt;script`))
	require.Contains(t, wrapped.String(), `<form method="post" class`)
	broken := template.Must(template.New("layout").Parse(`begun{{.Title.Missing}}`))
	require.Error(t, conflict.Render(&failed, occform.Page{Wrap: broken}))
	require.Empty(t, failed.String())
}

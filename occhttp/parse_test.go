package occhttp_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
)

// The grammar of RFC 9110, sections 5.6.1.2, 5.6.3, 8.8.3 and 13.1.1, as regular expressions over bytes.
var (
	entityTag = `(?:W/)?"[\x21\x23-\x7E\x80-\x{FF}]*"`
	element   = `[ \t]*(?:` + entityTag + `)?[ \t]*`
	tagsOf    = regexp.MustCompile(entityTag)
	listOf    = regexp.MustCompile(`^` + element + `(?:,` + element + `)*$`)
	anyTag    = regexp.MustCompile(`^[ \t]*\*[ \t]*$`)
)

// bytewise has a rune for each byte, so that an expression sees bytes.
func bytewise(text string) string {
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = rune(text[i])
	}
	return string(runes)
}

// byTheGrammar is what a field of two lines says of a resource at the version "7": the error of a strong comparison.
func byTheGrammar(first, second string) error {
	field := bytewise(first + ", " + second)
	if second == "" {
		field = bytewise(first)
	}
	if anyTag.MatchString(field) {
		return nil
	}
	if !listOf.MatchString(field) {
		return occhttp.ErrMalformedTag
	}
	tags := tagsOf.FindAllString(field, -1)
	if len(tags) == 0 {
		return occhttp.ErrPreconditionRequired
	}
	if slices.ContainsFunc(tags, func(tag string) bool { return tag == `"7"` || strings.HasPrefix(tag, `"7;`) }) {
		return nil
	}
	if slices.ContainsFunc(tags, func(tag string) bool { return tag[0] != 'W' }) {
		return occ.ErrStaleData
	}
	return occhttp.ErrWeakTag
}

func FuzzCheckFollowsTheGrammar(f *testing.F) {
	for _, line := range []string{
		`"7"`, `W/"7"`, `w/"7"`, `"7", "8"`, `"7","8"`, `,,"7" ,`, "\t\"7\"\t", `"a,b"`, `"a, b"`, `"7`, `7`, `"7""8"`, `"7" "8"`, `*`, ` * `, `*, "7"`, `"*"`,
		`W/`, `W/ "7"`, `W/7`, "\"\x80\xff\"", "\"\x7f\"", "\"\x00\"", `"é"`, `""`, ``, `,`, `"7;html"`, `";7"`, `"7"x`, "\"7\"\r\n", "\u00a0\"7\"", `"\""`, `"7\"`, `**`,
	} {
		f.Add(line, "")
		f.Add(line, `"7"`)
		f.Add(`"x"`, line)
		f.Add(`"x`, line)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		r := httptest.NewRequest("PUT", "/", nil)
		r.Header["If-Match"] = []string{first}
		if second != "" {
			r.Header["If-Match"] = []string{first, second}
		}

		err := occhttp.Check(r, "7")

		require.ErrorIs(t, err, byTheGrammar(first, second), "%q %q", first, second)
	})
}

func FuzzTagsSurviveAHeader(f *testing.F) {
	for _, text := range []string{"7", "a,b", `a"b`, "a b", "*", "", "é", "\x00\x7f\r\n", "7;html", "%", "W/7", "7-gzip"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		header := occhttp.Tag(text).String()
		var tag, inJSON occhttp.Tag

		require.NoError(t, tag.UnmarshalText([]byte(header)))

		require.Equal(t, header, tag.String())
		require.Equal(t, text == "", tag == "")
		body, err := json.Marshal(tag)
		require.NoError(t, err)
		if strings.ToValidUTF8(header, "") == header {
			require.NoError(t, json.Unmarshal(body, &inJSON))
			require.Equal(t, tag, inJSON)
		}
	})
}

func TestTextThatIsNoTag(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`7`: occhttp.ErrMalformedTag, `"7", "8"`: occhttp.ErrMalformedTag, `*`: occhttp.ErrMalformedTag, `,`: occhttp.ErrMalformedTag, `W/"7"`: occhttp.ErrWeakTag,
	} {
		tag := occhttp.Tag("8")
		require.ErrorIs(t, tag.UnmarshalText([]byte(text)), want, text)
		require.Equal(t, occhttp.Tag("8"), tag)
	}
}

// textNote has versions that the application makes up.
type textNote = typedNote[string]

func FuzzAVersionSurvivesTheWayThroughAClient(f *testing.F) {
	d := testdb.One(f, "sqlite")
	db := d.Open(f)
	require.NoError(f, db.Use(occ.New()))
	require.NoError(f, db.AutoMigrate(&textNote{}))
	for _, version := range []string{"7", "a,b", `a"b`, "a b", "*", "%", "%2A", "é", "7;html", "7-gzip", `W/"7"`, "\t", "a\nb"} {
		f.Add(version)
	}
	f.Fuzz(func(t *testing.T, version string) {
		if version == "" || strings.ToValidUTF8(version, "") != version || strings.Contains(version, "\x00") {
			t.Skip("no version of a row")
		}
		note := textNote{Note: Note{Text: "as created"}, Rev: version}
		other := textNote{Note: Note{Text: "as created"}, Rev: version + "x"}
		require.NoError(t, db.Create(&note).Error)
		require.NoError(t, db.Create(&other).Error)
		tag, err := occhttp.TagOf(db, note)
		require.NoError(t, err)
		r := httptest.NewRequest("PUT", "/", nil)
		r.Header.Set("If-Match", tag.Variant("html").String())

		require.NoError(t, occhttp.Check(r, tag))
		require.NoError(t, db.Model(&textNote{Note: Note{ID: note.ID}}).Clauses(occhttp.IfMatch(r)).Update("text", "mine").Error)
		err = db.Model(&textNote{Note: Note{ID: other.ID}}).Clauses(occhttp.IfMatch(r)).Update("text", "mine").Error

		require.ErrorIs(t, err, occ.ErrStaleData)
	})
}

func TestTheTagOfSeveralModels(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		one, two := typedNote[int64]{Note: Note{ID: 1}, Rev: 1}, typedNote[int64]{Note: Note{ID: 2}, Rev: 1}
		tagOf := func(models ...any) occhttp.Tag {
			tag, err := occhttp.TagOf(db, models...)
			require.NoError(t, err)
			return tag
		}
		moved := two
		moved.Rev = 2
		notes := []typedNote[int64]{one, two}

		require.Equal(t, occhttp.Tag("1"), tagOf(&one))
		require.Equal(t, tagOf(one, two), tagOf(&one, &two))
		require.Equal(t, tagOf(notes), tagOf(&notes))
		require.Equal(t, tagOf(notes), tagOf([]*typedNote[int64]{&one, &two}))
		all := []occhttp.Tag{
			tagOf(one), tagOf(one, two), tagOf(two, one), tagOf(one, moved), tagOf(notes), tagOf(notes[:1]), tagOf(notes[1:]), tagOf(notes[:0]),
			tagOf(one, notes), tagOf([]typedNote[int64]{one, moved}),
		}
		for i, tag := range all {
			require.Equal(t, i, slices.Index(all, tag), "%v", all)
		}
		require.Empty(t, tagOf(typedNote[int64]{}))
		require.Empty(t, tagOf(one, typedNote[int64]{}))
		for _, wrong := range [][]any{nil, {nil}, {one, nil}, {(*typedNote[int64])(nil)}, {Note{ID: 1}}, {7}, {one, Note{ID: 1}}} {
			_, err := occhttp.TagOf(db, wrong...)
			require.Error(t, err, fmt.Sprint(wrong...))
		}
	})
}

func TestCheckTakesADigest(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("PUT", "/", nil)
	r.Header.Set("If-Match", occhttp.Tag("0815").Variant("json").String())

	require.NoError(t, occhttp.Check(r, "0815"))
	require.NoError(t, occhttp.Check(r, occhttp.Tag("0815").Variant("html")))
	require.ErrorIs(t, occhttp.Check(r, "0816"), occ.ErrStaleData)
	require.ErrorIs(t, occhttp.Check(r, ""), occ.ErrStaleData)
	require.Equal(t, occhttp.Tag("7"), occhttp.Tag("7").Variant(""))
	require.Empty(t, occhttp.Tag("").Variant("html"))
}

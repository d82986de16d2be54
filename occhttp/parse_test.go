package occhttp_test

import (
	"bufio"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
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

// noteAt makes notes of a kind at the versions that a fuzzer makes up.
type noteAt struct {
	name string
	note func() any
}

func notesAt(bits uint64, text string) []noteAt {
	signed, instant := int64(bits), time.Unix(int64(bits%253402300799), int64(bits%1e9)).UTC()
	id, name := uuid.UUID{}, revision(text)
	binary.BigEndian.PutUint64(id[:8], bits)
	copy(id[8:], text)
	return []noteAt{
		{"int8", func() any { return &typedNote[int8]{Rev: int8(signed)} }},
		{"int64", func() any { return &typedNote[int64]{Rev: signed} }},
		{"occ.Version", func() any { return &typedNote[occ.Version]{Rev: occ.Version(signed)} }},
		{"uint64", func() any { return &typedNote[uint64]{Rev: bits >> 1} }},
		{"*int64", func() any { return &typedNote[*int64]{Rev: &signed} }},
		{"sql.NullInt32", func() any { return &typedNote[sql.NullInt32]{Rev: sql.NullInt32{Int32: int32(signed), Valid: true}} }},
		{"time.Time", func() any { return &typedNote[time.Time]{Rev: instant} }},
		{"sql.NullTime", func() any { return &typedNote[sql.NullTime]{Rev: sql.NullTime{Time: instant, Valid: true}} }},
		{"string", func() any { return &typedNote[string]{Rev: text} }},
		{"pointer to a named string", func() any { return &typedNote[*revision]{Rev: &name} }},
		{"generated", func() any { return &generatedNote[revision]{Rev: name} }},
		{"uuid.UUID", func() any { return &typedNote[uuid.UUID]{Rev: id} }},
		{"16 bytes", func() any { return &typedNote[bareID]{Rev: bareID(id)} }},
		{"snapshot", func() any { return &snapshotNote{Note: Note{Text: text}} }},
		{"token", func() any { return &tokenNote{Text: text, Likes: int(bits % 100)} }},
		{"composite key", func() any { return &pageNote[string]{ID: uint(bits >> 2), Page: len(text), Rev: text} }},
	}
}

// sentBack is the request of a client that sends a tag back, as a server reads it from the wire.
func sentBack(t *testing.T, header string) *http.Request {
	t.Helper()
	wire := "PUT / HTTP/1.1\r\nHost: example.org\r\nIf-Match: " + header + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	require.NoError(t, err, "%q", header)
	return r
}

// check requires that the tag of whatever version a row has finds the row, once, and no row at another version.
func (k noteAt) check(t *testing.T, db *gorm.DB, other noteAt, variant string) {
	mine, theirs := k.note(), other.note()
	if db.Create(mine).Error != nil || db.Create(theirs).Error != nil {
		return // the column cannot hold it, or the key is there already
	}
	tag, errMine := occhttp.TagOf(db, mine)
	otherTag, errTheirs := occhttp.TagOf(db, theirs)
	require.NoError(t, errors.Join(errMine, errTheirs))
	if tag == "" {
		return // the zero value
	}
	header := tag.Variant(variant).String()
	r := sentBack(t, `"%no", W/"y",`+header)
	text := time.Now().String() // other than any text that the fuzzer makes up
	write := func(row any) error {
		return db.Model(byKey(row)).Clauses(occhttp.IfMatch(r)).Update("text", text).Error
	}

	require.NoError(t, occhttp.Check(r, tag), "%s %q", k.name, header)
	if tag != otherTag {
		require.ErrorIs(t, write(theirs), occ.ErrStaleData, "%s: %q is not at %q", k.name, otherTag, header)
		require.ErrorIs(t, occhttp.Check(r, otherTag), occ.ErrStaleData, "%s: %q is not at %q", k.name, otherTag, header)
	}
	require.NoError(t, write(mine), "%s %q", k.name, header)
	require.ErrorIs(t, write(mine), occ.ErrStaleData, "%s: %q is used", k.name, header)
}

// byKey is what a request makes of a row: its key alone.
func byKey(row any) any {
	bare, stored := reflect.New(reflect.TypeOf(row).Elem()), reflect.ValueOf(row).Elem()
	for _, part := range []string{"ID", "Page"} {
		if field := bare.Elem().FieldByName(part); field.IsValid() {
			field.Set(stored.FieldByName(part))
		}
	}
	return bare.Interface()
}

func FuzzAVersionSurvivesTheWayThroughAClient(f *testing.F) {
	var dbs []*gorm.DB
	for _, kind := range notesAt(1, "") {
		db := testdb.One(f, "sqlite").Open(f)
		require.NoError(f, db.Use(occ.New(occ.WithGenerator("mine", &numbers{}))))
		require.NoError(f, db.AutoMigrate(kind.note()))
		dbs = append(dbs, db)
	}
	for i, version := range []string{"7", "a,b", `a"b`, "a b", "*", "%", "%2A", "é", "7;html", "7-gzip", `W/"7"`, "\t", "a\nb", "", "\xff", "a\x00b"} {
		f.Add(uint64(1)<<(4*i)-1, version, "html")
		f.Add(uint64(i+1), "rev-1", version)
	}
	f.Fuzz(func(t *testing.T, bits uint64, text, variant string) {
		others := notesAt(bits+1, text+"x")
		for i, kind := range notesAt(bits, text) {
			kind.check(t, dbs[i], others[i], variant)
		}
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

package occhttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occhttp"
)

// problemIn reads the problem in an answer, and checks what holds for every one.
func problemIn(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Empty(t, w.Header().Values("ETag"))
	var p map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), w.Body.String())
	require.EqualValues(t, w.Code, p["status"])
	require.NotEmpty(t, p["title"])
	for _, secret := range []string{"notes", "UPDATE", "SELECT", `"id"`} {
		require.NotContains(t, w.Body.String(), secret)
	}
	return p
}

// problemOf is the answer to an error, for a request with headers.
func problemOf(t *testing.T, err error, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return request(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := occhttp.ProblemOf(r, err)
		require.NotNil(t, p, "%v", err)
		p.ServeHTTP(w, r)
	}), http.MethodPut, "/", "", headers...)
}

func TestEveryRefusalHasItsStatus(t *testing.T) {
	t.Parallel()
	const path = "/notes/1"
	type outcome = *httptest.ResponseRecorder
	cases := []struct {
		name   string
		do     func(t *testing.T, x fixture, tag string) outcome
		status int
		kind   string
		detail string
	}{
		{"a PUT without If-Match", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`)
		}, 428, "precondition-required", "If-Match header with the value of the ETag"},
		{"a DELETE without If-Match", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.h, "DELETE", path, "")
		}, 428, "precondition-required", "If-Match"},
		{"a PATCH without If-Match", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.h, "PATCH", path, `{"Text":"mine"}`)
		}, 428, "precondition-required", "If-Match"},
		{"an If-Match without a tag", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, "If-Match:  , ")
		}, 428, "precondition-required", "If-Match"},
		{"a model that was never loaded, without a header", func(t *testing.T, x fixture, _ string) outcome {
			return problemOf(t, x.bare())
		}, 428, "precondition-required", "If-Match"},
		{"If-Match: * where that is refused", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.strict, "PUT", path, `{"Text":"mine"}`, "If-Match: *")
		}, 428, "precondition-required", "If-Match"},
		{"a tag without quotes", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, "If-Match: "+strings.Trim(tag, `"`))
		}, 400, "malformed-precondition", "double quotes"},
		{"a malformed tag after the right one", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "DELETE", path, "", "If-Match: "+tag+" x")
		}, 400, "malformed-precondition", "double quotes"},
		{"a malformed tag of a PATCH", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PATCH", path, `{"Text":"mine"}`, "If-Match: "+tag, "If-Match: *")
		}, 400, "malformed-precondition", "double quotes"},
		{"a weak tag", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, "If-Match: W/"+tag)
		}, 412, "weak-tag", "compressing proxy"},
		{"a weak tag of a PATCH", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PATCH", path, `{"Text":"mine"}`, "If-Match: W/"+tag)
		}, 412, "weak-tag", "compressing proxy"},
		{"an older tag", func(t *testing.T, x fixture, tag string) outcome {
			x.change(t, "theirs")
			defer x.change(t, "as created")
			return request(x.h, "PUT", path, `{"Text":"mine"}`, "If-Match: "+tag)
		}, 412, "stale", "GET it again"},
		{"a tag that is no version", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, `If-Match: "x", "é,", "%zz", ""`)
		}, 412, "stale", "GET it again"},
		{"an asterisk in quotes, which is no wildcard", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, `If-Match: "*"`)
		}, 412, "stale", "GET it again"},
		{"an asterisk with a variant, and one by way of a proxy", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.lenient, "DELETE", path, "", `If-Match: "*;html", W/"*", "*-gzip", "*--gzip"`)
		}, 412, "stale", "GET it again"},
		{"an empty tag", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, `If-Match: ""`)
		}, 412, "stale", "GET it again"},
		{"another tag of a PATCH", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PATCH", path, `{"Text":"mine"}`, `If-Match: "x", "*"`)
		}, 412, "stale", "GET it again"},
		{"a GET with another tag", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "GET", path, "", `If-Match: "x"`)
		}, 412, "stale", "GET it again"},
		{"If-None-Match: * and the row is there", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.h, "PUT", path, `{"Text":"mine"}`, "If-None-Match: *")
		}, 412, "exists", "there is one"},
		{"If-None-Match: * and a model that was never loaded", func(t *testing.T, x fixture, _ string) outcome {
			return problemOf(t, x.bare(), "If-None-Match: *")
		}, 412, "exists", "there is one"},
		{"a row that is not there", func(_ *testing.T, x fixture, tag string) outcome {
			return request(x.h, "PUT", "/notes/2", `{"Text":"mine"}`, "If-Match: "+tag)
		}, 404, "deleted", "not any more"},
		{"any version of a row that is not there", func(_ *testing.T, x fixture, _ string) outcome {
			return request(x.h, "DELETE", "/notes/2", "", "If-Match: *")
		}, 404, "deleted", "not any more"},
	}
	eachKind(t, func(t *testing.T, x fixture) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				tag := request(x.h, "GET", path, "").Header().Get("ETag")
				require.NotEmpty(t, tag)

				w := c.do(t, x, tag)

				require.Equal(t, c.status, w.Code, w.Body)
				p := problemIn(t, w)
				require.Equal(t, "urn:occ:"+c.kind, p["type"])
				require.Contains(t, p["detail"], c.detail)
				require.Equal(t, "as created", x.text(t))
				var count int64
				require.NoError(t, x.db.Table("notes").Count(&count).Error)
				require.EqualValues(t, 1, count)
			})
		}
	})
}

func TestAStaleWriteIs412OrConflict(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, x fixture) {
		err := x.stale(t)
		require.ErrorIs(t, err, occ.ErrStaleData)

		require.Equal(t, 409, problemOf(t, err).Code)
		require.Equal(t, "urn:occ:stale", problemIn(t, problemOf(t, err))["type"])
		require.Equal(t, "changed", problemIn(t, problemOf(t, err))["reason"])
		require.Equal(t, 412, problemOf(t, fmt.Errorf("saving: %w", err), `If-Match: "1"`).Code)
		require.Equal(t, 412, problemOf(t, &occ.RetryError{Attempts: 3, Err: err}, `If-Match: "1"`).Code)
		busy := problemOf(t, &occ.RetryError{Attempts: 3, Err: err})
		require.Equal(t, 503, busy.Code)
		require.Equal(t, "1", busy.Header().Get("Retry-After"))
		require.Equal(t, "urn:occ:busy", problemIn(t, busy)["type"])
		require.Equal(t, "theirs", x.text(t))
	})
}

func TestMergeConflictsNameTheFields(t *testing.T) {
	t.Parallel()
	err := &occ.MergeConflictError{Table: "notes", PrimaryKey: map[string]any{"id": 1}, Fields: []occ.FieldConflict{{Field: "Text", Column: "text", Mine: "secret"}}}

	for _, wrapped := range []error{err, &occ.RetryError{Attempts: 1, Err: err}} {
		w := problemOf(t, wrapped, `If-Match: "1"`)

		require.Equal(t, 409, w.Code)
		p := problemIn(t, w)
		require.Equal(t, "urn:occ:merge-conflict", p["type"])
		require.Equal(t, []any{"Text"}, p["fields"])
		require.NotContains(t, w.Body.String(), "secret")
	}
}

// serializationFailure is an error as PostgreSQL's drivers have them.
type serializationFailure struct{ error }

func (serializationFailure) SQLState() string { return "40001" }

func TestRetryThatGaveUpOnATransientErrorIsBusy(t *testing.T) {
	t.Parallel()
	w := problemOf(t, fmt.Errorf("moving: %w", &occ.RetryError{Attempts: 10, Err: serializationFailure{errors.New("x")}}))

	require.Equal(t, 503, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, "urn:occ:busy", problemIn(t, w)["type"])
}

func TestADuplicateThatGORMHasTranslatedExists(t *testing.T) {
	t.Parallel()
	w := problemOf(t, fmt.Errorf("creating: %w", gorm.ErrDuplicatedKey), "If-None-Match: *")

	require.Equal(t, 412, w.Code)
	require.Equal(t, "urn:occ:exists", problemIn(t, w)["type"])
}

func TestErrorsThatAreNotAboutVersionsAreNoProblem(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("PUT", "/", nil)
	r.Header.Set("If-Match", `"1"`)
	for _, err := range []error{
		nil, errors.New("disk full"), gorm.ErrRecordNotFound, gorm.ErrDuplicatedKey, serializationFailure{errors.New("x")},
		&occ.RetryError{Attempts: 1, Err: errors.New("disk full")}, gorm.ErrInvalidTransaction,
	} {
		require.Nil(t, occhttp.ProblemOf(r, err), "%v", err)
	}
}

func TestAProblemShowsTheCurrentRepresentation(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("PUT", "/", nil)
	p := occhttp.ProblemOf(r, occ.ErrStaleData)

	shown := p.With("8", map[string]string{"text": "theirs"})

	require.Nil(t, p.Current)
	w := httptest.NewRecorder()
	w.Header().Set("ETag", `"8"`)
	shown.ServeHTTP(w, r)
	require.Equal(t, map[string]any{"etag": `"8"`, "value": map[string]any{"text": "theirs"}}, problemIn(t, w)["current"])

	w = httptest.NewRecorder()
	p.With("8", func() {}).ServeHTTP(w, r)
	require.Equal(t, map[string]any{"etag": `"8"`}, problemIn(t, w)["current"])
}

func TestNoProblemIsAPlain500(t *testing.T) {
	t.Parallel()
	for _, p := range []*occhttp.Problem{nil, (*occhttp.Problem)(nil).With("7", nil), {}} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, 500, w.Code)
		require.Equal(t, "Internal Server Error", problemIn(t, w)["title"])
	}
}

package frameworks

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(testdb.Main(m), // but for what fasthttp has sleep for seconds
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// frameworks serve the notes, each at an address of its own.
var frameworks = map[string]func(t *testing.T, n Notes) (url string){
	"chi":   func(t *testing.T, n Notes) string { return serve(t, Chi(n)) },
	"gin":   func(t *testing.T, n Notes) string { return serve(t, Gin(n)) },
	"echo":  func(t *testing.T, n Notes) string { return serve(t, Echo(n)) },
	"huma":  func(t *testing.T, n Notes) string { return serve(t, Huma(n)) },
	"fiber": func(t *testing.T, n Notes) string { return serveFiber(t, Fiber(n)) },
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func serveFiber(t *testing.T, app *fiber.App) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		require.NoError(t, app.Shutdown())
		require.NoError(t, <-ended)
	})
	return "http://" + listener.Addr().String()
}

// open opens a database with the plugin and the table of the notes.
func open(t *testing.T) *gorm.DB {
	t.Helper()
	db := testdb.One(t, "sqlite").Open(t)
	require.NoError(t, db.Use(occ.New()))
	require.NoError(t, db.AutoMigrate(&Note{}))
	return db
}

// answer is what came back, with its body read.
type answer struct {
	*http.Response
	body string
}

// call sends a request with headers as lines of "Name: value".
func call(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	response, err := client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response, string(text)}
}

// problemIn reads the problem in an answer.
func problemIn(t *testing.T, a answer) occhttp.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Empty(t, a.Header.Get("ETag"))
	var p occhttp.Problem
	require.NoError(t, json.Unmarshal([]byte(a.body), &p), a.body)
	require.Equal(t, a.StatusCode, p.Status)
	return p
}

const mine = `{"text":"mine"}`

// Each request is about a note that was written twice, and is at "2".
var requests = []struct {
	name    string
	method  string
	body    string
	headers []string
	status  int
	problem string // its type
	etag    string // in the header, or in the body of a problem
	text    string // what the note is afterwards; "" where it is gone
}{
	{"a GET has the tag", "GET", "", nil, 200, "", `"2"`, "theirs"},
	{"a GET of what the client has", "GET", "", []string{`If-None-Match: W/"2"`}, 304, "", `"2"`, "theirs"},
	{"a GET of what the client has, named in the second line", "GET", "", []string{`If-None-Match: "1"`, `If-None-Match: "2"`}, 304, "", `"2"`, "theirs"},
	{"a GET of something newer", "GET", "", []string{`If-None-Match: "1"`}, 200, "", `"2"`, "theirs"},
	{"a GET of another version", "GET", "", []string{`If-Match: "1"`}, 412, "urn:occ:stale", `"2"`, "theirs"},
	{"a PUT with the current tag", "PUT", mine, []string{`If-Match: "2"`}, 204, "", `"3"`, "mine"},
	{"a PUT with the current tag in a list", "PUT", mine, []string{`If-Match: "x,y",, W/"2" ,"2"`}, 204, "", `"3"`, "mine"},
	{"a PUT with the current tag in the first line", "PUT", mine, []string{`If-Match: "2"`, `If-Match: "x"`}, 204, "", `"3"`, "mine"},
	{"a PUT with the current tag in the second line", "PUT", mine, []string{`If-Match: "x"`, `If-Match: "2"`}, 204, "", `"3"`, "mine"},
	{"a PUT of a variant", "PUT", mine, []string{`If-Match: "2;html"`}, 204, "", `"3"`, "mine"},
	{"a PUT with any tag", "PUT", mine, []string{`If-Match: *`}, 204, "", `"3"`, "mine"},
	{"a PUT with an older tag", "PUT", mine, []string{`If-Match: "1"`}, 412, "urn:occ:stale", `"2"`, "theirs"},
	{"a PUT with a comma in its tag", "PUT", mine, []string{`If-Match: "1,"`}, 412, "urn:occ:stale", `"2"`, "theirs"},
	{"a PUT with a weak tag", "PUT", mine, []string{`If-Match: W/"2"`}, 412, "urn:occ:weak-tag", "", "theirs"},
	{"a PUT with no tag", "PUT", mine, nil, 428, "urn:occ:precondition-required", "", "theirs"},
	{"a PUT with a tag without quotes", "PUT", mine, []string{`If-Match: 2`}, 400, "urn:occ:malformed-precondition", "", "theirs"},
	{"a PUT whose second line is malformed", "PUT", mine, []string{`If-Match: "2"`, `If-Match: 2`}, 400, "urn:occ:malformed-precondition", "", "theirs"},
	{"a PUT with a version in its body", "PUT", `{"text":"mine","version":2}`, []string{`If-Match: "1"`}, 412, "urn:occ:stale", `"2"`, "theirs"},
	{"a DELETE with an older tag", "DELETE", "", []string{`If-Match: "1"`}, 412, "urn:occ:stale", `"2"`, "theirs"},
	{"a DELETE with no tag", "DELETE", "", nil, 428, "urn:occ:precondition-required", "", "theirs"},
	{"a DELETE with the current tag", "DELETE", "", []string{`If-Match: "2"`}, 204, "", "", ""},
}

func TestEveryFrameworkAnswersTheSame(t *testing.T) {
	t.Parallel()
	for name, serve := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			url := serve(t, NewNotes(db))
			for _, c := range requests {
				if name == "huma" && strings.Contains(c.body, "version") {
					continue // its schema refuses the body
				}
				t.Run(c.name, func(t *testing.T) {
					note := Note{Text: "as created"}
					require.NoError(t, db.Create(&note).Error)
					require.NoError(t, db.Model(&note).Update("text", "theirs").Error)

					a := call(t, c.method, fmt.Sprintf("%s/notes/%d", url, note.ID), c.body, c.headers...)

					require.Equal(t, c.status, a.StatusCode, a.body)
					if c.problem == "" {
						require.Equal(t, c.etag, a.Header.Get("ETag"))
					} else {
						requireProblem(t, c.problem, c.etag, problemIn(t, a))
					}
					if c.status == 200 {
						require.JSONEq(t, fmt.Sprintf(`{"id":%d,"text":"theirs"}`, note.ID), a.body)
					}
					requireText(t, db, note.ID, c.text)
				})
			}
		})
	}
}

func requireProblem(t *testing.T, kind, etag string, p occhttp.Problem) {
	t.Helper()
	require.Equal(t, kind, p.Type)
	require.NotEmpty(t, p.Detail)
	if etag == "" {
		require.Nil(t, p.Current)
		return
	}
	require.NotNil(t, p.Current)
	require.Equal(t, etag, p.Current.ETag.String())
}

func requireText(t *testing.T, db *gorm.DB, id uint, text string) {
	t.Helper()
	var stored Note
	err := db.First(&stored, id).Error
	if text == "" {
		require.ErrorIs(t, err, gorm.ErrRecordNotFound)
		return
	}
	require.NoError(t, err)
	require.Equal(t, text, stored.Text)
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, serve := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			url := serve(t, NewNotes(db)) + "/notes/7"

			require.Equal(t, 404, call(t, "GET", url, "").StatusCode)
			require.Equal(t, "urn:occ:deleted", problemIn(t, call(t, "PUT", url, mine, `If-Match: "1"`)).Type)
			require.Equal(t, "urn:occ:deleted", problemIn(t, call(t, "PUT", url, mine, `If-Match: *`)).Type)
			require.Equal(t, "urn:occ:deleted", problemIn(t, call(t, "DELETE", url, "", `If-Match: "1"`)).Type)
			requireText(t, db, 7, "")
			malformed := call(t, "PUT", url, "{", `If-Match: "1"`).StatusCode
			require.Contains(t, []int{400, 422}, malformed)
		})
	}
}

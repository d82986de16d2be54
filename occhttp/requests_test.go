package occhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
)

func TestACurrentTagWrites(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string]func(tag string) []string{
		"the tag":                 func(tag string) []string { return []string{"If-Match: " + tag} },
		"white space":             func(tag string) []string { return []string{"If-Match: \t " + tag + " \t"} },
		"a list":                  func(tag string) []string { return []string{`If-Match: "x,y",, W/"z" ,` + tag + ","} },
		"several lines":           func(tag string) []string { return []string{`If-Match: "x"`, "If-Match: " + tag} },
		"a variant":               func(tag string) []string { return []string{"If-Match: " + strings.TrimSuffix(tag, `"`) + `;html"`} },
		"any":                     func(string) []string { return []string{"If-Match: *"} },
		"weak beside strong tags": func(tag string) []string { return []string{`If-Match: W/"x", ` + tag} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachKind(t, func(t *testing.T, x fixture) {
				for _, method := range []string{"PUT", "PATCH"} {
					tag := request(x.h, "GET", "/notes/1", "").Header().Get("ETag")

					w := request(x.h, method, "/notes/1", fmt.Sprintf(`{"Text":"mine by %s"}`, method), headers(tag)...)

					require.Equal(t, 200, w.Code, w.Body)
					require.Equal(t, "mine by "+method, x.text(t))
					require.NotEqual(t, tag, w.Header().Get("ETag"))
					require.Equal(t, request(x.h, "GET", "/notes/1", "").Header().Get("ETag"), w.Header().Get("ETag"))
				}
				tag := request(x.h, "GET", "/notes/1", "").Header().Get("ETag")
				require.Equal(t, 204, request(x.h, "DELETE", "/notes/1", "", headers(tag)...).Code)
				require.Equal(t, 404, request(x.h, "GET", "/notes/1", "").Code)
			})
		})
	}
}

func TestWhatAProxyMadeOfATagIsTakenWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, x fixture) {
		for i, made := range []string{`W/"%s"`, `"%s-gzip"`, `W/"%s--gzip"`, `"%s;html-br"`} {
			tag := request(x.h, "GET", "/notes/1", "").Header().Get("ETag")
			header := "If-Match: " + fmt.Sprintf(made, strings.Trim(tag, `"`))
			text := fmt.Sprint("mine ", i)

			require.Equal(t, 200, request(x.lenient, "PUT", "/notes/1", `{"Text":"`+text+`"}`, header).Code, header)
			require.Equal(t, text, x.text(t))
			require.Equal(t, 412, request(x.lenient, "PUT", "/notes/1", `{"Text":"again"}`, header).Code, header)
			require.Equal(t, text, x.text(t))
		}
	})
}

func TestAReadIsAnsweredWithNotModified(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, x fixture) {
		tag := request(x.h, "GET", "/notes/1", "").Header().Get("ETag")
		for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			for _, method := range []string{"GET", "HEAD"} {
				w := request(x.h, method, "/notes/1", "", "If-None-Match: "+match)
				require.Equal(t, 304, w.Code, match)
				require.Equal(t, tag, w.Header().Get("ETag"))
				require.Empty(t, w.Body.String())
			}
		}
		require.Equal(t, 304, request(x.h, "GET", "/notes/1", "", "If-Match: "+tag, "If-None-Match: "+tag).Code)
		require.Equal(t, 400, request(x.h, "GET", "/notes/1", "", "If-Match: x").Code)
		x.change(t, "theirs")
		for _, match := range []string{tag, "W/" + tag, "x", `"x`, ""} {
			w := request(x.h, "GET", "/notes/1", "", "If-None-Match: "+match)
			require.Equal(t, 200, w.Code, match)
			require.Equal(t, "theirs", w.Body.String())
		}
	})
}

func TestNotModifiedOfAWrite(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !occhttp.NotModified(w, r, "7") {
			w.WriteHeader(http.StatusOK)
		}
	})
	require.Equal(t, 412, request(h, "PUT", "/", "", `If-None-Match: W/"7"`).Code)
	require.Equal(t, "urn:occ:exists", problemIn(t, request(h, "PUT", "/", "", `If-None-Match: *`))["type"])
	require.Equal(t, map[string]any{"etag": `"7"`}, problemIn(t, request(h, "PUT", "/", "", `If-Match: W/"7"`))["current"])
	require.Equal(t, 200, request(h, "PUT", "/", "", `If-Match: "7"`, `If-None-Match: "8"`).Code)
}

func TestACreateOnlyPUT(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, x fixture) {
		w := request(x.h, "PUT", "/notes/2", `{"Text":"new"}`, "If-None-Match: *")

		require.Equal(t, 200, w.Code, w.Body)
		require.Equal(t, request(x.h, "GET", "/notes/2", "").Header().Get("ETag"), w.Header().Get("ETag"))
		require.Equal(t, 412, request(x.h, "PUT", "/notes/2", `{"Text":"newer"}`, "If-None-Match: *").Code)
		require.Equal(t, "new", request(x.h, "GET", "/notes/2", "").Body.String())
	})
}

func TestRequire(t *testing.T) {
	t.Parallel()
	h := occhttp.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, c := range []struct {
		method string
		header []string
		status int
	}{
		{"PUT", nil, 428},
		{"PATCH", nil, 428},
		{"DELETE", nil, 428},
		{"GET", nil, 204},
		{"HEAD", nil, 204},
		{"POST", nil, 204},
		{"OPTIONS", nil, 204},
		{"PUT", []string{`If-Match: "7"`}, 204},
		{"PUT", []string{`If-Match: W/"7"`}, 204},
		{"PUT", []string{`If-Match: *`}, 204},
		{"PUT", []string{`If-Match: `}, 428},
		{"PUT", []string{`If-Match: 7`}, 400},
		{"PUT", []string{`If-None-Match: *`}, 204},
		{"PUT", []string{`If-None-Match: "7"`}, 428},
		{"PATCH", []string{`If-None-Match: *`}, 428},
		{"DELETE", []string{`If-None-Match: *`}, 428},
	} {
		w := request(h, c.method, "/", "", c.header...)
		require.Equal(t, c.status, w.Code, "%s %v", c.method, c.header)
		if c.status != 204 {
			problemIn(t, w)
		}
	}
}

// sent is a logger that keeps the statements.
type sent struct {
	logger.Interface
	mu         sync.Mutex
	statements []string
}

func (s *sent) Trace(_ context.Context, _ time.Time, fc func() (string, int64), _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sql, _ := fc()
	s.statements = append(s.statements, sql)
}

func TestAPUTWithOneTagIsOneStatement(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		newFixture[typedNote[int64]](t, db)
		log := &sent{Interface: logger.Discard}
		h := resource[typedNote[int64], *typedNote[int64]]{db: db.Session(&gorm.Session{Logger: log})}

		for _, tag := range []string{`"1"`, `"2;html"`} {
			log.statements = nil
			require.Equal(t, 200, request(h.mux(), "PUT", "/notes/1", `{"Text":"mine"}`, "If-Match: "+tag).Code)
			require.Len(t, log.statements, 1)
			require.True(t, strings.HasPrefix(log.statements[0], "UPDATE"), log.statements[0])
		}
		log.statements = nil
		for _, header := range []string{`If-Match: 1`, `If-Match: W/"3"`, `If-Match: `} {
			require.GreaterOrEqual(t, request(h.mux(), "PUT", "/notes/1", `{"Text":"mine"}`, header).Code, 400)
			require.GreaterOrEqual(t, request(h.mux(), "DELETE", "/notes/1", "", header).Code, 400)
		}
		for _, statement := range log.statements {
			require.Empty(t, statement) // what GORM logs of a statement that was not built
		}
	})
}

func TestARequestWithoutAVersionIsTheStatementsError(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		x := newFixture[typedNote[int64]](t, db)
		for header, want := range map[string]error{"": occhttp.ErrPreconditionRequired, "7": occhttp.ErrMalformedTag, `W/"1"`: occhttp.ErrWeakTag} {
			r := httptest.NewRequest("PUT", "/", nil)
			r.Header.Set("If-Match", header)
			loaded := func() *typedNote[int64] { return &typedNote[int64]{Note: Note{ID: 1, Text: "mine"}, Rev: 1} }
			for name, write := range map[string]func() error{
				"Update":  func() error { return db.Model(loaded()).Clauses(occhttp.IfMatch(r)).Update("text", "mine").Error },
				"Updates": func() error { return db.Clauses(occhttp.IfMatch(r)).Updates(loaded()).Error },
				"Save":    func() error { return db.Clauses(occhttp.IfMatch(r)).Save(loaded()).Error },
				"Delete":  func() error { return db.Clauses(occhttp.IfMatch(r)).Delete(loaded()).Error },
				"First":   func() error { return db.Clauses(occhttp.IfMatch(r)).First(&typedNote[int64]{}, 1).Error },
				"gorm.G": func() error {
					_, err := gorm.G[typedNote[int64]](db, occhttp.IfMatch(r)).Where("id = ?", 1).Update(t.Context(), "text", "mine")
					return err
				},
				"in a transaction": func() error {
					return db.Transaction(func(tx *gorm.DB) error { return tx.Clauses(occhttp.IfMatch(r)).Save(loaded()).Error })
				},
			} {
				require.ErrorIs(t, write(), want, name)
				require.Equal(t, "as created", x.text(t), name)
			}
		}
	})
}

func TestAVersionInTheBodyDecidesNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		x := newFixture[typedNote[int64]](t, db)

		require.Equal(t, 200, request(x.h, "PUT", "/notes/1", `{"Text":"mine","Rev":40}`, `If-Match: "1"`).Code)
		require.Equal(t, 412, request(x.h, "PUT", "/notes/1", `{"Text":"theirs","Rev":2}`, `If-Match: "1"`).Code)
		require.Equal(t, 428, request(x.h, "PUT", "/notes/1", `{"Text":"theirs","Rev":2}`).Code)

		require.Equal(t, "mine", x.text(t))
		require.Equal(t, `"2"`, request(x.h, "GET", "/notes/1", "").Header().Get("ETag"))
	})
}

func TestARefusalSaysWhereTheRowIs(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, x fixture) {
		tag := func() string { return request(x.h, "GET", "/notes/1", "").Header().Get("ETag") }
		first := tag()
		require.Equal(t, 200, request(x.h, "PUT", "/notes/1", `{"Text":"changed"}`, "If-Match: "+first).Code)
		current := map[string]any{"etag": tag()}
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			for _, list := range []string{first, first + `, "x"`, `"x"`} {
				w := request(x.h, method, "/notes/1", `{"Text":"mine"}`, "If-Match: "+list)
				require.Equal(t, 412, w.Code)
				require.Equal(t, current, problemIn(t, w)["current"], "%s %s", method, list)
			}
		}
		require.Equal(t, current, problemIn(t, problemOf(t, x.bare(), "If-None-Match: *"))["current"])
		conflict := problemOf(t, x.stale(t))
		require.Equal(t, 409, conflict.Code)
		require.Equal(t, map[string]any{"etag": tag()}, problemIn(t, conflict)["current"])
	})
}

func TestAMergeConflictSaysWhereTheRowIs(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, x fixture) {
		w := problemOf(t, x.merge(t))

		require.Equal(t, 409, w.Code)
		require.Equal(t, "urn:occ:merge-conflict", problemIn(t, w)["type"])
		tag := request(x.h, "GET", "/notes/1", "").Header().Get("ETag")
		require.Equal(t, map[string]any{"etag": tag}, problemIn(t, w)["current"])
		require.Equal(t, "theirs", x.text(t))
	})
}

// A tag that was current when it was sent is not when the function runs again, so there is nothing to try again for.
func TestRetryEndsWithAFailedCheck(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		x := newFixture[typedNote[int64]](t, db)
		r := httptest.NewRequest("PATCH", "/notes/1", nil)
		r.Header.Set("If-Match", `"x"`)
		attempts := 0

		err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
			attempts++
			var note typedNote[int64]
			require.NoError(t, tx.First(&note, 1).Error)
			tag, err := occhttp.TagOf(tx, &note)
			require.NoError(t, err)
			if err := occhttp.Check(r, tag); err != nil {
				return fmt.Errorf("patching: %w", err)
			}
			return tx.Model(&note).Update("text", "mine").Error
		})

		require.ErrorIs(t, err, occ.ErrStaleData)
		require.Equal(t, 1, attempts)
		p := occhttp.ProblemOf(r, err)
		require.Equal(t, 412, p.Status)
		require.Equal(t, occhttp.Tag("1"), p.Current.ETag)
		require.Equal(t, "as created", x.text(t))
	})
}

// Thirty clients add one to the number in a note, twice each: GET, PUT, and anew where that was refused.
func TestClientsLoseNothing(t *testing.T) {
	t.Parallel()
	const clients, additions = 30, 2
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		x := newFixture[typedNote[occ.Version]](t, db)
		x.change(t, "0")
		server := httptest.NewServer(x.h)
		defer server.Close()
		var wait sync.WaitGroup
		failures := make(chan error, clients)
		for range clients {
			wait.Go(func() {
				for range additions {
					if err := addOne(server); err != nil {
						failures <- err
						return
					}
				}
			})
		}
		wait.Wait()
		close(failures)

		for err := range failures {
			require.NoError(t, err)
		}
		require.Equal(t, strconv.Itoa(clients*additions), x.text(t))
		require.Equal(t, fmt.Sprintf(`"%d"`, 2+clients*additions), request(x.h, "GET", "/notes/1", "").Header().Get("ETag"))
	})
}

func addOne(server *httptest.Server) error {
	for {
		status, number, tag, err := call(server, "GET", "", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("GET: %d, %w", status, err)
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		status, answer, _, err := call(server, "PUT", tag, fmt.Sprintf(`{"Text":"%d"}`, n+1))
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			return nil
		case status != http.StatusPreconditionFailed:
			return fmt.Errorf("PUT: %d, %s", status, answer)
		}
	}
}

func call(server *httptest.Server, method, match, body string) (status int, text, tag string, err error) {
	r, err := http.NewRequest(method, server.URL+"/notes/1", strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	w, err := server.Client().Do(r)
	if err != nil {
		return 0, "", "", err
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	return w.StatusCode, string(answer), w.Header.Get("ETag"), err
}

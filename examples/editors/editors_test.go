package main

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// site is a server of a test's own, and a browser without script.
type site struct {
	*httptest.Server
	t *testing.T
}

func newSite(t *testing.T) *site {
	t.Helper()
	t.Parallel()
	s, err := newServer(filepath.Join(t.TempDir(), "editors.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.close()) })
	served := httptest.NewServer(s.handler())
	t.Cleanup(served.Close)
	return &site{served, t}
}

func (s *site) get(path string) string {
	s.t.Helper()
	answer, err := s.Client().Get(s.URL + path)
	require.NoError(s.t, err)
	return s.read(answer, http.StatusOK)
}

func (s *site) post(path string, status int, values url.Values) string {
	s.t.Helper()
	answer, err := s.Client().PostForm(s.URL+path, values)
	require.NoError(s.t, err)
	return s.read(answer, status)
}

func (s *site) read(answer *http.Response, status int) string {
	s.t.Helper()
	body, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	require.Equal(s.t, status, answer.StatusCode, string(body))
	return string(body)
}

var shown = regexp.MustCompile(`name="occ-shown" value="([^"]*)"`)

// filled is the form of a page as the browser sends it, with some inputs filled in.
func filled(t *testing.T, page string, typed map[string]string) url.Values {
	t.Helper()
	hidden := shown.FindStringSubmatch(page)
	require.NotNil(t, hidden, page)
	values := url.Values{"occ-shown": {html.UnescapeString(hidden[1])}}
	for name, text := range typed {
		values.Set(name, text)
	}
	return values
}

func TestTwoEditors(t *testing.T) {
	s := newSite(t)
	ann, ben := s.get("/edit/Ann"), s.get("/edit/Ben")

	require.Contains(t, s.post("/edit/Ann", http.StatusOK, filled(t, ann, map[string]string{"Title": "Bench"})), "Saved.")
	require.Contains(t, s.post("/edit/Ben", http.StatusOK, filled(t, ben, map[string]string{"Price": "55"})), "Saved, and merged")
	page := s.post("/edit/Ben", http.StatusConflict, filled(t, ben, map[string]string{"Title": "Stool"}))
	for _, part := range []string{"It was", "Garden chair", "Yours", "Stool", "Theirs", "Bench", "updated by <strong>Ben</strong>", "updated at"} {
		require.Contains(t, page, part)
	}
	s.post("/third", http.StatusOK, nil)
	require.Contains(t, s.post("/edit/Ben", http.StatusConflict, filled(t, page, map[string]string{"Title": "Stool"})), "Carol&#39;s chair")
	require.Contains(t, s.post("/edit/Ann", http.StatusUnprocessableEntity, filled(t, ann, map[string]string{"Price": "dear"})), "Error: Price is not a whole number.")
	require.Contains(t, s.get("/sql"), "UPDATE `articles` SET")

	s.post("/delete", http.StatusOK, nil)
	require.Contains(t, s.post("/edit/Ann", http.StatusConflict, filled(t, ann, map[string]string{"Text": "x"})), "has been deleted")
	s.post("/restore", http.StatusOK, nil)
	require.Contains(t, s.get("/edit/Ann"), "Garden chair")
}

func TestTheRowAsJSON(t *testing.T) {
	s := newSite(t)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+"/article.json", nil)
	require.NoError(t, err)
	request.Header.Set("If-None-Match", `"1"`)

	answer, err := s.Client().Do(request)

	require.NoError(t, err)
	require.Empty(t, s.read(answer, http.StatusNotModified))
	s.post("/third", http.StatusOK, nil)
	answer, err = s.Client().Do(request)
	require.NoError(t, err)
	require.Equal(t, `"2"`, answer.Header.Get("ETag"))
	require.Contains(t, s.read(answer, http.StatusOK), `"updatedBy":"Carol"`)
}

func TestARowIsPutAsJSON(t *testing.T) {
	s := newSite(t)
	put := func(tag, title string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/article.json", strings.NewReader(`{"title": "`+title+`", "price": 30, "Version": 9}`))
		require.NoError(t, err)
		if tag != "" {
			request.Header.Set("If-Match", tag)
		}
		answer, err := s.Client().Do(request)
		require.NoError(t, err)
		return answer
	}

	require.Empty(t, s.read(put(`"1"`, "Stool"), http.StatusNoContent))
	require.Contains(t, s.read(put(`"1"`, "Bench"), http.StatusPreconditionFailed), "urn:occ:stale")
	s.read(put("", "Bench"), http.StatusPreconditionRequired)

	row := s.get("/article.json")
	require.Contains(t, row, `"title":"Stool","price":30,"text":"Oak, oiled.\nFolds."`)
	require.Contains(t, row, `"updatedBy":"curl"`)
	require.Contains(t, row, `"Version":2`)
}

func TestOtherSitesCannotPost(t *testing.T) {
	s := newSite(t)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL+"/delete", strings.NewReader(""))
	require.NoError(t, err)
	request.Header.Set("Sec-Fetch-Site", "cross-site")

	answer, err := s.Client().Do(request)

	require.NoError(t, err)
	s.read(answer, http.StatusForbidden)
	require.Contains(t, s.get("/edit/Ann"), "Garden chair")
}

func TestItEnds(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, run(ctx, "127.0.0.1:0", false))
}

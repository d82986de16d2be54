package occhttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
)

type Meeting struct {
	ID    uint
	Place string
	Time  string
	occ.Version
}

type API struct{ db *gorm.DB }

func (a API) get(w http.ResponseWriter, r *http.Request) {
	var meeting Meeting
	if err := a.db.First(&meeting, "id = ?", r.PathValue("id")).Error; err != nil {
		a.fail(w, r, err)
		return
	}
	tag, err := occhttp.TagOf(a.db, &meeting)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if occhttp.NotModified(w, r, tag) {
		return
	}
	_ = json.NewEncoder(w).Encode(meeting)
}

func (a API) put(w http.ResponseWriter, r *http.Request) {
	meeting, err := meetingIn(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err = a.db.Clauses(occhttp.IfMatch(r)).Select("Place", "Time").Updates(&meeting).Error
	a.answer(w, r, &meeting, err)
}

// meetingIn is what a request's body says, under the key of its path.
func meetingIn(r *http.Request) (meeting Meeting, err error) {
	id, errID := strconv.ParseUint(r.PathValue("id"), 10, 32)
	errBody := json.NewDecoder(r.Body).Decode(&meeting)
	meeting.ID = uint(id)
	return meeting, errors.Join(errID, errBody)
}

// answer sends the tag of what was written. A body could not be right: Updates has read no other columns.
func (a API) answer(w http.ResponseWriter, r *http.Request, meeting *Meeting, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if tag, err := occhttp.TagOf(a.db, meeting); err == nil {
		w.Header().Set("ETag", tag.String())
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if p := occhttp.ProblemOf(r, err); p != nil {
		p.ServeHTTP(w, r)
		return
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		http.Error(w, "no such meeting", http.StatusNotFound)
		return
	}
	http.Error(w, "try again", http.StatusInternalServerError)
}

func (a API) patch(w http.ResponseWriter, r *http.Request) {
	var meeting Meeting
	if err := a.db.First(&meeting, "id = ?", r.PathValue("id")).Error; err != nil {
		a.fail(w, r, err)
		return
	}
	tag, err := occhttp.TagOf(a.db, &meeting)
	if err == nil {
		err = occhttp.Check(r, tag)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var patch struct{ Place, Time *string }
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if patch.Place != nil {
		meeting.Place = *patch.Place
	}
	if patch.Time != nil {
		meeting.Time = *patch.Time
	}
	a.answer(w, r, &meeting, a.db.Save(&meeting).Error)
}

func (a API) delete(w http.ResponseWriter, r *http.Request) {
	err := a.db.Clauses(occhttp.IfMatch(r)).Where("id = ?", r.PathValue("id")).Delete(&Meeting{}).Error
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a API) create(w http.ResponseWriter, r *http.Request) {
	meeting, err := meetingIn(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("If-None-Match") == "*" {
		meeting.Version = 0 // a body does not say at which version a row begins
		a.answer(w, r, &meeting, a.db.Create(&meeting).Error)
		return
	}
	err = a.db.Clauses(occhttp.IfMatch(r)).Select("Place", "Time").Updates(&meeting).Error
	a.answer(w, r, &meeting, err)
}

func (a API) list(w http.ResponseWriter, r *http.Request) {
	var meetings []Meeting
	if err := a.db.Order("id").Find(&meetings).Error; err != nil {
		a.fail(w, r, err)
		return
	}
	tag, err := occhttp.TagOf(a.db, meetings) // of the whole collection
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if occhttp.NotModified(w, r, tag) {
		return
	}
	type item struct {
		ETag    occhttp.Tag `json:"etag"` // of this one, for its PUT
		Meeting Meeting     `json:"meeting"`
	}
	items := make([]item, len(meetings))
	for i := range meetings {
		items[i].Meeting = meetings[i]
		if items[i].ETag, err = occhttp.TagOf(a.db, &meetings[i]); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(items)
}

func (a API) putBody(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		ETag        occhttp.Tag `json:"etag"`
		Place, Time string
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch {
	case sent.ETag == "": // the header alone
	case r.Header.Get("If-Match") == "":
		r.Header.Set("If-Match", sent.ETag.String())
	case errors.Is(occhttp.Check(r, sent.ETag), occ.ErrStaleData):
		http.Error(w, "the body and If-Match are about different versions", http.StatusBadRequest)
		return
	}
	err := a.db.Model(&Meeting{}).Where("id = ?", r.PathValue("id")).Clauses(occhttp.IfMatch(r)).
		Updates(map[string]any{"place": sent.Place, "time": sent.Time}).Error
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a API) putAgain(w http.ResponseWriter, r *http.Request) {
	meeting, err := meetingIn(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err = a.db.Clauses(occhttp.IfMatch(r)).Select("Place", "Time").Updates(&meeting).Error
	if errors.Is(err, occ.ErrStaleData) {
		current, errRead := occ.Current(a.db, &Meeting{ID: meeting.ID})
		if errRead == nil && current.Place == meeting.Place && current.Time == meeting.Time {
			meeting, err = *current, nil // it is as the client wants it
		}
	}
	a.answer(w, r, &meeting, err)
}

func (a API) putShowing(w http.ResponseWriter, r *http.Request) {
	meeting, err := meetingIn(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err = a.db.Clauses(occhttp.IfMatch(r)).Select("Place", "Time").Updates(&meeting).Error
	if errors.Is(err, occ.ErrStaleData) {
		current, errRead := occ.Current(a.db, &Meeting{ID: meeting.ID})
		if errRead == nil {
			tag, _ := occhttp.TagOf(a.db, current)
			occhttp.ProblemOf(r, err).With(tag, current).ServeHTTP(w, r)
			return
		}
	}
	a.answer(w, r, &meeting, err)
}

func (a API) putBehindProxy(w http.ResponseWriter, r *http.Request) {
	meeting, err := meetingIn(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err = a.db.Clauses(occhttp.IfMatch(r, occhttp.AcceptWeak(), occhttp.RefuseAny())).
		Select("Place", "Time").Updates(&meeting).Error
	a.answer(w, r, &meeting, err)
}

// meetings gives an example a database with a meeting.
func meetings() (api API, end func()) {
	db, end := testdb.Example()
	err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Meeting{}), db.Create(&Meeting{Place: "room 1", Time: "10:00"}).Error)
	if err != nil {
		log.Fatal(err)
	}
	return API{db}, end
}

// show sends a request for a meeting and prints the answer: of a problem its type.
func show(h http.HandlerFunc, method, id, body string, headers ...string) {
	r := httptest.NewRequest(method, "/meetings/"+id, strings.NewReader(body))
	r.SetPathValue("id", id)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h(w, r)
	text := w.Body.String()
	var p occhttp.Problem
	if w.Header().Get("Content-Type") == "application/problem+json" && json.Unmarshal(w.Body.Bytes(), &p) == nil {
		text = p.Type
	}
	fmt.Println(strings.Join(append([]string{method, id}, headers...), " "), "->",
		strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("ETag"), " ", text)))
}

func ExampleIfMatch() {
	api, end := meetings()
	defer end()
	show(api.put, "PUT", "1", `{"Place":"garden","Time":"10:00"}`, `If-Match: "1"`)
	show(api.put, "PUT", "1", `{"Place":"attic","Time":"10:00"}`, `If-Match: "1"`)
	show(api.put, "PUT", "1", `{"Place":"attic","Time":"10:00"}`, `If-Match: 2`)
	show(api.put, "PUT", "1", `{"Place":"attic","Time":"10:00"}`, `If-Match: W/"2"`)
	show(api.put, "PUT", "1", `{"Place":"attic","Time":"10:00"}`)
	show(api.put, "PUT", "7", `{"Place":"attic","Time":"10:00"}`, `If-Match: "1"`)
	show(api.delete, "DELETE", "1", "", `If-Match: "1"`)
	show(api.delete, "DELETE", "1", "", `If-Match: "2"`)
	show(api.delete, "DELETE", "1", "", `If-Match: "2"`)
	// Output:
	// PUT 1 If-Match: "1" -> 204 "2"
	// PUT 1 If-Match: "1" -> 412  urn:occ:stale
	// PUT 1 If-Match: 2 -> 400  urn:occ:malformed-precondition
	// PUT 1 If-Match: W/"2" -> 412  urn:occ:weak-tag
	// PUT 1 -> 428  urn:occ:precondition-required
	// PUT 7 If-Match: "1" -> 404  urn:occ:deleted
	// DELETE 1 If-Match: "1" -> 412  urn:occ:stale
	// DELETE 1 If-Match: "2" -> 204
	// DELETE 1 If-Match: "2" -> 404  urn:occ:deleted
}

func ExampleNotModified() {
	api, end := meetings()
	defer end()
	show(api.get, "GET", "1", "")
	show(api.get, "GET", "1", "", `If-None-Match: W/"1"`)
	show(api.get, "GET", "7", "")
	// Output:
	// GET 1 -> 200 "1" {"ID":1,"Place":"room 1","Time":"10:00","Version":1}
	// GET 1 If-None-Match: W/"1" -> 304 "1"
	// GET 7 -> 404  no such meeting
}

func ExampleCheck() {
	api, end := meetings()
	defer end()
	show(api.patch, "PATCH", "1", `{"Place":"garden"}`, `If-Match: "1"`)
	show(api.patch, "PATCH", "1", `{"Time":"11:00"}`, `If-Match: "1"`)
	show(api.get, "GET", "1", "")
	// Output:
	// PATCH 1 If-Match: "1" -> 204 "2"
	// PATCH 1 If-Match: "1" -> 412  urn:occ:stale
	// GET 1 -> 200 "2" {"ID":1,"Place":"garden","Time":"10:00","Version":2}
}

func ExampleCheck_body() {
	api, end := meetings()
	defer end()
	show(api.putBody, "PUT", "1", `{"etag":"\"1\"","Place":"garden"}`)
	show(api.putBody, "PUT", "1", `{"etag":"\"1\"","Place":"attic"}`)
	show(api.putBody, "PUT", "1", `{"etag":"\"1\"","Place":"attic"}`, `If-Match: "2"`)
	show(api.putBody, "PUT", "1", `{"etag":"\"2\"","Place":"attic"}`, `If-Match: "2"`)
	show(api.putBody, "PUT", "1", `{"Place":"attic"}`)
	// Output:
	// PUT 1 -> 204
	// PUT 1 -> 412  urn:occ:stale
	// PUT 1 If-Match: "2" -> 400  the body and If-Match are about different versions
	// PUT 1 If-Match: "2" -> 204
	// PUT 1 -> 428  urn:occ:precondition-required
}

func ExampleProblemOf_create() {
	api, end := meetings()
	defer end()
	show(api.create, "PUT", "2", `{"Place":"garden","Version":40}`, `If-None-Match: *`)
	show(api.create, "PUT", "2", `{"Place":"attic"}`, `If-None-Match: *`)
	show(api.create, "PUT", "2", `{"Place":"attic"}`, `If-Match: "1"`)
	// Output:
	// PUT 2 If-None-Match: * -> 204 "1"
	// PUT 2 If-None-Match: * -> 412  urn:occ:exists
	// PUT 2 If-Match: "1" -> 204 "2"
}

func ExampleTagOf() {
	api, end := meetings()
	defer end()
	show(api.list, "GET", "", "")
	// Output:
	// GET  -> 200 "60a7c12d5443e8041a02dbdb8f3add8d" [{"etag":"\"1\"","meeting":{"ID":1,"Place":"room 1","Time":"10:00","Version":1}}]
}

func ExampleProblemOf_alreadyApplied() {
	api, end := meetings()
	defer end()
	show(api.putAgain, "PUT", "1", `{"Place":"garden","Time":"10:00"}`, `If-Match: "1"`)
	show(api.putAgain, "PUT", "1", `{"Place":"garden","Time":"10:00"}`, `If-Match: "1"`) // the answer was lost
	show(api.putAgain, "PUT", "1", `{"Place":"attic","Time":"10:00"}`, `If-Match: "1"`)
	// Output:
	// PUT 1 If-Match: "1" -> 204 "2"
	// PUT 1 If-Match: "1" -> 204 "2"
	// PUT 1 If-Match: "1" -> 412  urn:occ:stale
}

func ExampleProblem_With() {
	api, end := meetings()
	defer end()
	r := httptest.NewRequest("PUT", "/meetings/1", strings.NewReader(`{"Place":"attic"}`))
	r.SetPathValue("id", "1")
	r.Header.Set("If-Match", `"0"`)
	w := httptest.NewRecorder()
	api.putShowing(w, r)
	var p occhttp.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.Code, p.Detail)
	fmt.Println(p.Current.ETag, p.Current.Value)
	// Output:
	// 412 The resource has been changed since it was read. Nothing was written. GET it again, then decide anew.
	// "1" map[ID:1 Place:room 1 Time:10:00 Version:1]
}

func ExampleAcceptWeak() {
	api, end := meetings()
	defer end()
	show(api.putBehindProxy, "PUT", "1", `{"Place":"garden"}`, `If-Match: W/"1"`)
	show(api.putBehindProxy, "PUT", "1", `{"Place":"attic"}`, `If-Match: "2-gzip"`)
	show(api.putBehindProxy, "PUT", "1", `{"Place":"attic"}`, `If-Match: W/"1"`)
	show(api.putBehindProxy, "PUT", "1", `{"Place":"attic"}`, `If-Match: *`)
	// Output:
	// PUT 1 If-Match: W/"1" -> 204 "2"
	// PUT 1 If-Match: "2-gzip" -> 204 "3"
	// PUT 1 If-Match: W/"1" -> 412  urn:occ:stale
	// PUT 1 If-Match: * -> 428  urn:occ:precondition-required
}

func ExampleRequire() {
	api, end := meetings()
	defer end()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /meetings/{id}", api.get)
	mux.HandleFunc("PUT /meetings/{id}", api.put)
	guarded := occhttp.Require(mux)
	show(guarded.ServeHTTP, "PUT", "1", `{"Place":"attic"}`)
	show(guarded.ServeHTTP, "GET", "1", "")
	// Output:
	// PUT 1 -> 428  urn:occ:precondition-required
	// GET 1 -> 200 "1" {"ID":1,"Place":"room 1","Time":"10:00","Version":1}
}

// Every snippet of docs/http.md is part of an Example above, which runs.
func TestTheSnippetsAboutHTTPRun(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/http.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	flat := func(code string) string { return strings.Join(strings.Fields(code), " ") }
	snippets := strings.Split(string(page), "```go\n")[1:]
	require.NotEmpty(t, snippets)
	for _, snippet := range snippets {
		code, _, closed := strings.Cut(snippet, "```")
		require.True(t, closed)
		require.True(t, strings.Contains(flat(string(source)), flat(code)), code)
	}
}

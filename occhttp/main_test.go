package occhttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testdb.Main(m)) }

// Note is what clients edit in the tests.
type Note struct {
	ID   uint
	Text string
}

func (n *Note) note() *Note { return n }

// The notes with each kind of version.
type (
	typedNote[V any] struct {
		Note
		Rev V `gorm:"version"`
	}
	xminNote struct {
		Note
		occ.Xmin
	}
	snapshotNote struct {
		Note
		occ.Snapshot
	}
)

func (typedNote[V]) TableName() string { return "notes" }
func (xminNote) TableName() string     { return "notes" }
func (snapshotNote) TableName() string { return "notes" }

type noteOf[M any] interface {
	*M
	note() *Note
}

// resource are the handlers of notes of one kind.
type resource[M any, P noteOf[M]] struct {
	db   *gorm.DB
	opts []occhttp.Option
}

func (h resource[M, P]) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /notes/{id}", h.get)
	mux.HandleFunc("PUT /notes/{id}", h.put)
	mux.HandleFunc("PATCH /notes/{id}", h.patch)
	mux.HandleFunc("DELETE /notes/{id}", h.delete)
	return mux
}

func (h resource[M, P]) sent(r *http.Request) *M {
	m := new(M)
	_ = json.NewDecoder(r.Body).Decode(m)
	id, _ := strconv.ParseUint(r.PathValue("id"), 10, 32)
	P(m).note().ID = uint(id)
	return m
}

func (h resource[M, P]) get(w http.ResponseWriter, r *http.Request) {
	m := new(M)
	if err := h.db.First(m, "id = ?", r.PathValue("id")).Error; err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	tag, err := occhttp.TagOf(h.db, m)
	if err != nil {
		occhttp.ProblemOf(r, err).ServeHTTP(w, r)
		return
	}
	if occhttp.NotModified(w, r, tag) {
		return
	}
	_, _ = w.Write([]byte(P(m).note().Text))
}

func (h resource[M, P]) put(w http.ResponseWriter, r *http.Request) {
	m := h.sent(r)
	if r.Header.Get("If-None-Match") == "*" {
		h.answer(w, r, m, h.db.Create(m).Error)
		return
	}
	h.answer(w, r, m, h.db.Clauses(occhttp.IfMatch(r, h.opts...)).Select("Text").Updates(m).Error)
}

func (h resource[M, P]) patch(w http.ResponseWriter, r *http.Request) {
	m := new(M)
	if err := h.db.First(m, "id = ?", r.PathValue("id")).Error; err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	tag, err := occhttp.TagOf(h.db, m)
	if err == nil {
		err = occhttp.Check(r, tag, h.opts...)
	}
	if err == nil {
		P(m).note().Text = P(h.sent(r)).note().Text
		err = h.db.Save(m).Error
	}
	h.answer(w, r, m, err)
}

func (h resource[M, P]) delete(w http.ResponseWriter, r *http.Request) {
	m := h.sent(r)
	if err := h.db.Clauses(occhttp.IfMatch(r, h.opts...)).Delete(m).Error; err != nil {
		occhttp.ProblemOf(r, err).ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h resource[M, P]) answer(w http.ResponseWriter, r *http.Request, m *M, err error) {
	if err != nil {
		occhttp.ProblemOf(r, err).ServeHTTP(w, r)
		return
	}
	tag, err := occhttp.TagOf(h.db, m)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", tag.String())
	w.WriteHeader(http.StatusOK)
}

// request calls the handler with headers as lines of "Name: value".
func request(h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// fixture is a note of one kind in a database, and how it is asked for.
type fixture struct {
	db      *gorm.DB
	h       http.Handler
	lenient http.Handler // accepts weak tags
	strict  http.Handler // refuses *
	text    func(t *testing.T) string
	change  func(t *testing.T, text string) // somebody else's
	remove  func(t *testing.T)
	stale   func(t *testing.T) error // of a write with a loaded model, after somebody else's
	bare    func() error             // of a write with a model that was never loaded
}

func newFixture[M any, P noteOf[M]](t *testing.T, db *gorm.DB) fixture {
	t.Helper()
	require.NoError(t, db.Use(occ.New()))
	require.NoError(t, db.AutoMigrate(new(M)))
	m := new(M)
	P(m).note().ID, P(m).note().Text = 1, "as created"
	require.NoError(t, db.Create(m).Error)
	load := func(t *testing.T) *M {
		row := new(M)
		require.NoError(t, db.First(row, 1).Error)
		return row
	}
	f := fixture{
		db:      db,
		h:       resource[M, P]{db: db}.mux(),
		lenient: resource[M, P]{db, []occhttp.Option{occhttp.AcceptWeak()}}.mux(),
		strict:  resource[M, P]{db, []occhttp.Option{occhttp.RefuseAny(), nil}}.mux(),
		text:    func(t *testing.T) string { return P(load(t)).note().Text },
		change:  func(t *testing.T, text string) { require.NoError(t, db.Model(load(t)).Update("text", text).Error) },
		remove:  func(t *testing.T) { require.NoError(t, db.Delete(load(t)).Error) },
	}
	f.stale = func(t *testing.T) error {
		mine := load(t)
		f.change(t, "theirs")
		return db.Model(mine).Update("text", "mine").Error
	}
	f.bare = func() error {
		bare := new(M)
		P(bare).note().ID = 1
		return db.Model(bare).Update("text", "mine").Error
	}
	return f
}

// eachKind runs f on every database with every kind of version that it has.
func eachKind(t *testing.T, f func(t *testing.T, x fixture)) {
	t.Helper()
	for kind, fixtureOf := range map[string]func(*testing.T, *gorm.DB) fixture{
		"counter":  newFixture[typedNote[int64]],
		"time":     newFixture[typedNote[time.Time]],
		"uuid":     newFixture[typedNote[string]],
		"snapshot": newFixture[snapshotNote],
		"xmin":     newFixture[xminNote],
	} {
		databases := testdb.All()
		if kind == "xmin" {
			databases = testdb.Of("postgres")
		}
		for _, d := range databases {
			t.Run(kind+" "+d.Name, func(t *testing.T) {
				t.Parallel()
				f(t, fixtureOf(t, d.Open(t)))
			})
		}
	}
}

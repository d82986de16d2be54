package occhttp_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
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

func (n *Note) key() *uint       { return &n.ID }
func (n *Note) content() *string { return &n.Text }

// The notes with each kind of version.
type (
	typedNote[V any] struct {
		Note
		Rev V `gorm:"version"`
	}
	shortTimeNote struct {
		Note
		Rev time.Time `gorm:"version;precision:2"`
	}
	nativeNote[V any] struct {
		Note
		Rev V `gorm:"version:uuid;type:uuid"`
	}
	generatedNote[V any] struct {
		Note
		Rev V `gorm:"version:mine"`
	}
	databaseNote struct {
		Note
		Rev int64 `gorm:"version:database"`
	}
	xminNote struct {
		Note
		occ.Xmin
	}
	snapshotNote struct {
		Note
		occ.Snapshot
	}
	dirtyNote struct {
		Note
		occ.Snapshot `gorm:"snapshot:dirty"`
	}
	tokenNote struct {
		ID    uint
		Text  string `gorm:"token"`
		Likes int    // is not compared
		occ.Snapshot
	}
	pageNote[V any] struct { // of a key of two columns
		ID   uint `gorm:"primaryKey;autoIncrement:false"`
		Page int  `gorm:"primaryKey;autoIncrement:false"`
		Text string
		Rev  V `gorm:"version"`
	}
)

func (typedNote[V]) TableName() string     { return "notes" }
func (shortTimeNote) TableName() string    { return "notes" }
func (nativeNote[V]) TableName() string    { return "notes" }
func (generatedNote[V]) TableName() string { return "notes" }
func (databaseNote) TableName() string     { return "notes" }
func (xminNote) TableName() string         { return "notes" }
func (snapshotNote) TableName() string     { return "notes" }
func (dirtyNote) TableName() string        { return "notes" }
func (tokenNote) TableName() string        { return "notes" }
func (pageNote[V]) TableName() string      { return "notes" }

func (n *tokenNote) key() *uint         { return &n.ID }
func (n *tokenNote) content() *string   { return &n.Text }
func (n *pageNote[V]) key() *uint       { n.Page = 7; return &n.ID }
func (n *pageNote[V]) content() *string { return &n.Text }

type noteOf[M any] interface {
	*M
	key() *uint
	content() *string
}

type (
	revision string
	bareID   [16]byte
)

// numbers is a generator of texts that an entity tag cannot hold as they are.
type numbers struct{ n atomic.Int64 }

func (g *numbers) Next(context.Context, any) (any, error) {
	return fmt.Sprintf(`rev "%d", 100%%`, g.n.Add(1)), nil
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
	*P(m).key() = uint(id)
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
	_, _ = w.Write([]byte(*P(m).content()))
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
		*P(m).content() = *P(h.sent(r)).content()
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
	stale   func(t *testing.T) error        // of a write with a loaded model, after somebody else's
	bare    func() error                    // of a write with a model that was never loaded
	merge   func(t *testing.T) error        // of a merge of two texts
}

func newFixture[M any, P noteOf[M]](t *testing.T, db *gorm.DB) fixture {
	t.Helper()
	require.NoError(t, db.Use(occ.New()))
	require.NoError(t, db.AutoMigrate(new(M)))
	return fixtureOf[M, P](t, db)
}

// fixtureOf has note 1 created in a database that has its table.
func fixtureOf[M any, P noteOf[M]](t *testing.T, db *gorm.DB) fixture {
	t.Helper()
	m := new(M)
	*P(m).key(), *P(m).content() = 1, "as created"
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
		text:    func(t *testing.T) string { return *P(load(t)).content() },
		change:  func(t *testing.T, text string) { require.NoError(t, db.Model(load(t)).Update("text", text).Error) },
	}
	f.stale = func(t *testing.T) error {
		mine := load(t)
		f.change(t, "theirs")
		return db.Model(mine).Update("text", "mine").Error
	}
	f.bare = func() error {
		bare := new(M)
		*P(bare).key() = 1
		return db.Model(bare).Update("text", "mine").Error
	}
	f.merge = func(t *testing.T) error {
		base, mine := load(t), load(t)
		f.change(t, "theirs")
		*P(mine).content() = "mine"
		return occ.Rebase(db, base, mine)
	}
	return f
}

// noteKind is a kind of version, and where it is to be had.
type noteKind struct {
	name   string
	on     []string // what the database is like; all by default
	isUUID bool     // of a column type that MySQL does not have
	opts   []occ.Option
	setup  map[string]string // SQL behind the migration
	model  any
	note   func(t *testing.T, db *gorm.DB) fixture
}

func kindOf[M any, P noteOf[M]](name string, on ...string) noteKind {
	return noteKind{name: name, on: on, model: new(M), note: fixtureOf[M, P]}
}

// kinds are all kinds of versions, each of those that have a text of their own.
func kinds() []noteKind {
	native := kindOf[nativeNote[uuid.UUID]]("uuid column")
	native.isUUID = true
	generated := kindOf[generatedNote[revision]]("generated")
	generated.opts = []occ.Option{occ.WithGenerator("mine", &numbers{})}
	byDatabase := kindOf[databaseNote]("database")
	byDatabase.setup = map[string]string{
		"sqlite": `CREATE TRIGGER i AFTER INSERT ON notes WHEN NEW.rev IS NULL BEGIN UPDATE notes SET rev = 1 WHERE id = NEW.id; END;
			CREATE TRIGGER u AFTER UPDATE ON notes WHEN NEW.rev IS OLD.rev BEGIN UPDATE notes SET rev = OLD.rev + 1 WHERE id = NEW.id; END`,
		"postgres": `ALTER TABLE notes ALTER COLUMN rev SET DEFAULT 1;
			CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.rev = OLD.rev + 1; RETURN NEW; END';
			CREATE TRIGGER u BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION bump()`,
		"mariadb": `ALTER TABLE notes ALTER COLUMN rev SET DEFAULT 1;
			CREATE TRIGGER u BEFORE UPDATE ON notes FOR EACH ROW SET NEW.rev = OLD.rev + 1`,
	}
	return []noteKind{
		kindOf[typedNote[occ.Version]]("occ.Version"), kindOf[typedNote[int8]]("int8"), kindOf[typedNote[int32]]("int32"), kindOf[typedNote[int64]]("int64"),
		kindOf[typedNote[uint16]]("uint16"), kindOf[typedNote[uint64]]("uint64"), kindOf[typedNote[*int64]]("*int64"),
		kindOf[typedNote[sql.NullInt32]]("sql.NullInt32"), kindOf[typedNote[sql.Null[int64]]]("sql.Null"),
		kindOf[typedNote[time.Time]]("time.Time"), kindOf[typedNote[*time.Time]]("*time.Time"), kindOf[typedNote[sql.NullTime]]("sql.NullTime"),
		kindOf[shortTimeNote]("time with precision"),
		kindOf[typedNote[string]]("string"), kindOf[typedNote[*revision]]("pointer to a named string"), kindOf[typedNote[uuid.UUID]]("uuid.UUID"),
		kindOf[typedNote[bareID]]("16 bytes"), native, generated, byDatabase,
		kindOf[pageNote[int64]]("composite key"), kindOf[pageNote[time.Time]]("composite key and time"),
		kindOf[xminNote]("xmin", "postgres"), kindOf[snapshotNote]("snapshot"), kindOf[dirtyNote]("snapshot:dirty"), kindOf[tokenNote]("token"),
	}
}

// open makes a database one of notes of the kind.
func (k noteKind) open(t *testing.T, d testdb.Database) fixture {
	t.Helper()
	db := d.Open(t)
	require.NoError(t, db.Use(occ.New(k.opts...)))
	require.NoError(t, db.AutoMigrate(k.model))
	for statement := range strings.SplitSeq(k.setup[d.Like], ";\n") {
		if statement != "" {
			require.NoError(t, db.Exec(statement).Error)
		}
	}
	return k.note(t, db)
}

// isOn reports whether a database has the kind.
func (k noteKind) isOn(d testdb.Database) bool {
	return (len(k.on) == 0 || slices.Contains(k.on, d.Like)) && (!k.isUUID || d.Product != "mysql")
}

// eachKind runs f on every database with every kind of version that it has.
func eachKind(t *testing.T, f func(t *testing.T, x fixture)) {
	t.Helper()
	for _, kind := range kinds() {
		for _, d := range testdb.All() {
			if kind.isOn(d) {
				t.Run(kind.name+" "+d.Name, func(t *testing.T) {
					t.Parallel()
					f(t, kind.open(t, d))
				})
			}
		}
	}
}

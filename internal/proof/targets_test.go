package proof

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Place is what the models of all kinds have in common where a row has two unique keys: its primary key, and another one
// that the target says.
type Place struct {
	ID    int `gorm:"primaryKey;autoIncrement:false"`
	Code  string
	Hall  int
	Taken bool
	Guest string
}

func (p *Place) place() *Place { return p }

// The models of the kinds.
type (
	Counted struct {
		Place
		occ.Version
	}
	Named struct {
		Place
		Version uuid.UUID `gorm:"version"`
	}
	Revised struct {
		Place
		Version string `gorm:"version:mine;size:40"`
	}
	Stamped struct {
		Place
		Version int64 `gorm:"version:database;not null;default:1"`
	}
	Pictured struct {
		Place
		occ.Snapshot
	}
)

// seating is a kind of version, of models that are upserted by two unique keys.
type seating struct {
	seatings
	name      string
	counts    bool // from 1, by 1
	readFirst bool // SQL cannot make the next version: rows have to be known beforehand
	triggers  bool // the database writes the versions
	snapshot  bool // there is none
}

// GoString keeps rapid from printing more of it.
func (k seating) GoString() string { return k.name }

// placed is a model in memory.
type placed interface{ place() *Place }

// seatings is what has to know the type of the model.
type seatings interface {
	model() any
	make(id int) placed
	list(models []placed) any
	all(db *gorm.DB) ([]placed, error)
}

type placedAs[M any] interface {
	*M
	placed
}

type seatingsOf[M any, P placedAs[M]] struct{}

func (seatingsOf[M, P]) model() any { return new(M) }

func (seatingsOf[M, P]) make(id int) placed {
	m := P(new(M))
	m.place().ID = id
	return m
}

func (seatingsOf[M, P]) list(models []placed) any {
	list := make([]*M, len(models))
	for i, m := range models {
		list[i] = (*M)(m.(P))
	}
	return &list
}

func (seatingsOf[M, P]) all(db *gorm.DB) (models []placed, err error) {
	var rows []*M
	err = db.Order("id").Find(&rows).Error
	for _, row := range rows {
		models = append(models, P(row))
	}
	return models, err
}

func allSeatings() []seating {
	return []seating{
		{seatings: seatingsOf[Counted, *Counted]{}, name: "occ.Version", counts: true},
		{seatings: seatingsOf[Named, *Named]{}, name: "uuid.UUID"},
		{seatings: seatingsOf[Revised, *Revised]{}, name: "generator", readFirst: true},
		{seatings: seatingsOf[Stamped, *Stamped]{}, name: "database", counts: true, triggers: true},
		{seatings: seatingsOf[Pictured, *Pictured]{}, name: "occ.Snapshot", snapshot: true},
	}
}

// versionOf is what a model holds as its version; nil where it has none.
func (k seating) versionOf(m placed) any {
	if k.snapshot {
		return nil
	}
	return plain(reflect.ValueOf(m).Elem().FieldByName("Version").Interface())
}

// target is the other unique key of a table.
type target struct {
	name     string
	on       []string          // what the databases that have it are like
	collated map[string]string // how the code's column compares, by what the database is like
	folds    bool              // the database takes codes for the same that differ by case
	index    string            // the columns of the unique index, for SQL
	isPart   bool              // of rows that are taken alone
	columns  []clause.Column   // as the caller names it
	isNamed  bool              // the caller names the constraint
}

// GoString keeps rapid from printing more of it.
func (t target) GoString() string { return t.name }

// allTargets are the other unique keys that a database can have. Without more, MariaDB compares text without its case.
func allTargets(like string) []target {
	byCode := []clause.Column{{Name: "code"}}
	exact := map[string]string{"mariadb": "COLLATE utf8mb4_bin"}
	return slices.DeleteFunc([]target{
		{name: "code", index: "code", collated: exact, columns: byCode},
		{name: "code without its case", index: "code", folds: true, columns: byCode,
			collated: map[string]string{"sqlite": "COLLATE NOCASE", "postgres": "COLLATE without_case"}},
		{name: "hall and code", index: "hall, code", collated: exact, columns: []clause.Column{{Name: "hall"}, {Name: "code"}}},
		{name: "code of those taken", index: "code", isPart: true, columns: byCode, on: []string{"sqlite", "postgres"}},
		{name: "lower(code)", index: "lower(code)", folds: true, columns: []clause.Column{{Name: "lower(code)", Raw: true}}, on: []string{"sqlite", "postgres"}},
		{name: "a constraint", index: "code", isNamed: true, on: []string{"postgres"}},
	}, func(t target) bool { return len(t.on) > 0 && !slices.Contains(t.on, like) })
}

// isPlain tells a target of which the library can know the rows: columns, and a condition.
func (t target) isPlain() bool { return !t.isNamed && !t.columns[0].Raw }

// holds reports whether a row is in the index.
func (t target) holds(s seat) bool { return !t.isPart || s.taken }

// isEmpty reports whether a model has nothing in the columns of the key.
func (t target) isEmpty(s seat) bool { return s.code == "" && (len(t.columns) < 2 || s.hall == 0) }

// matches reports whether two rows have the same key, whether they are in the index or not.
func (t target) matches(a, b seat) bool {
	if len(t.columns) == 2 && a.hall != b.hall {
		return false
	}
	return a.code == b.code || t.folds && strings.EqualFold(a.code, b.code)
}

// firstCode is that of a model which programs begin with: the first and the third have the same other key, but for its case or
// the part of the rows that has it.
func (t target) firstCode(id int) string {
	if t.isPart {
		return string("aba"[id-1])
	}
	return string("abA"[id-1])
}

// conflict is the target as the caller gives it.
func (t target) conflict(table string) clause.OnConflict {
	c := clause.OnConflict{Columns: t.columns}
	if t.isNamed {
		c.OnConstraint = "one_" + table
	}
	if t.isPart {
		c.TargetWhere.Exprs = []clause.Expression{clause.Expr{SQL: "taken"}}
	}
	return c
}

// create makes a table with the other unique key.
func (t target) create(tb testing.TB, db *gorm.DB, model any, table string) {
	tb.Helper()
	stmt := &gorm.Statement{DB: db}
	require.NoError(tb, stmt.Parse(model))
	var columns []string
	for _, name := range stmt.Schema.DBNames {
		column := stmt.Quote(name) + " " + db.Migrator().FullDataTypeOf(stmt.Schema.FieldsByDBName[name]).SQL
		if name == "code" {
			column = "code varchar(20) " + t.collated[likeOf(db)]
		}
		columns = append(columns, column)
	}
	where := map[bool]string{true: " WHERE taken"}[t.isPart]
	require.NoError(tb, db.Exec(fmt.Sprintf("CREATE TABLE %s (%s, PRIMARY KEY (id))", table, strings.Join(columns, ", "))).Error)
	if t.isNamed {
		require.NoError(tb, db.Exec(fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT one_%s UNIQUE (%s)", table, table, t.index)).Error)
		return
	}
	require.NoError(tb, db.Exec(fmt.Sprintf("CREATE UNIQUE INDEX idx_%s ON %s (%s)%s", table, table, t.index, where)).Error)
}

// likeOf is what a database is like.
func likeOf(db *gorm.DB) string {
	if db.Name() == "mysql" {
		return "mariadb"
	}
	return db.Name()
}

// TestEveryConflictTarget runs random upserts of new, loaded and stale models, which meet rows by one or the other of two
// unique keys.
func TestEveryConflictTarget(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			h := openHouse(t, database)
			rapid.Check(t, func(t *rapid.T) {
				h.run(t, rapid.SampledFrom(allSeatings()).Draw(t, "kind"), rapid.SampledFrom(h.targets).Draw(t, "target"))
			})
			t.Logf("%d steps, %d upserts written, %d refused, %d in error", h.steps, h.ends[writes]+h.ends[undoes], h.ends[refuses], h.ends[fails])
		})
	}
}

// house is a database with a table for each kind and target that programs have asked for.
type house struct {
	*site
	database testdb.Database
	targets  []target
	tables   map[string]*gorm.DB
	sabotage func(db *gorm.DB) error
	ends     map[end]int
}

func openHouse(t testing.TB, database testdb.Database) *house {
	s := openSite(t, database)
	if s.like == "postgres" {
		require.NoError(t, s.plain.Exec("CREATE COLLATION without_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)").Error)
	}
	return &house{site: s, database: database, targets: allTargets(database.Like), tables: map[string]*gorm.DB{}, ends: map[end]int{}}
}

// table returns the table of a kind and a target, which the first program that asks for it makes.
func (h *house) table(k seating, t target, set settings) *gorm.DB {
	key := k.name + t.name + set.key()
	if db, isThere := h.tables[key]; isThere {
		return db
	}
	name := fmt.Sprint("places_", len(h.tables))
	db, err := gorm.Open(h.dialector(set), &gorm.Config{Logger: logger.Discard, NamingStrategy: tableOf{table: name}})
	require.NoError(h, err)
	opts := []occ.Option{occ.WithGenerator("mine", &numbered{})}
	if set.lean {
		opts = append(opts, occ.WithLeanTransactions())
	}
	require.NoError(h, db.Use(occ.New(opts...)))
	t.create(h, db, k.model(), name)
	if k.triggers {
		require.NoError(h, occ.CreateTriggers(db, k.model()))
	}
	if h.sabotage != nil {
		require.NoError(h, h.sabotage(db))
	}
	h.tables[key] = db
	return db
}

// run runs a program in an empty table.
func (h *house) run(t *rapid.T, k seating, by target) {
	set := anySettings(h.database.Like).Draw(t, "settings")
	db := h.table(k, by, set)
	require.NoError(h, db.Exec("DELETE FROM "+db.NamingStrategy.TableName("")+" WHERE id > 0").Error)
	db, end := set.apply(h, db)
	defer end()
	w := &seats{kind: k, by: by, like: h.database.Like, product: h.database.Product, set: set, rows: map[int]seated{}, held: map[variable]*guest{}}
	u := &usher{seats: w, db: db, models: map[variable]placed{}}
	for _, v := range variables {
		u.models[v], w.held[v] = k.make(v.id()), &guest{id: v.id()}
	}
	for _, v := range variables {
		first := sitting{call: "fresh", v: v, seat: seat{code: by.firstCode(v.id()), hall: 1, taken: v.id() != 3, guest: string(v[:1])}}
		if difference := u.do(first, h.ends); difference != "" {
			t.Fatal(difference)
		}
	}
	for _, s := range sittings().Draw(t, "program") {
		h.steps++
		if difference := u.do(s, h.ends); difference != "" {
			t.Fatalf("%s, version %s, target %s, %s: %s\n\n%s", h.database.Name, k.name, by.name, set, difference, strings.Join(u.lines, "\n"))
		}
	}
}

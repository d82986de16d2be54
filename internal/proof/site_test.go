package proof

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// site is a database in which programs of all kinds run, each in a table that the first program of its kind makes.
type site struct {
	testing.TB
	like   string
	plain  *gorm.DB
	other  string // another schema, database or file, with tables of its own
	opened map[string]*grounds
	others map[bool]gorm.Dialector
	steps  int
}

// dialector makes pools once.
func (s *site) dialector(set settings) gorm.Dialector {
	if s.others[set.cautious] == nil {
		s.others[set.cautious] = set.dialector(s, s.plain)
	}
	return s.others[set.cautious]
}

// grounds is a table, and the one that has its last name in another place.
type grounds struct {
	db        *gorm.DB
	decoy     *gorm.DB // nil: there is none
	untouched string
	aside     *Aside
}

func openSite(t testing.TB, database testdb.Database) *site {
	t.Helper()
	s := &site{TB: t, like: database.Like, plain: database.Open(t), opened: map[string]*grounds{}, others: map[bool]gorm.Dialector{}}
	s.other = "other"
	switch s.like {
	case "sqlite":
		s.plain = attached(t, s.plain, s.other)
	case "postgres":
		require.NoError(t, s.plain.Raw("SELECT current_schema() || '_other'").Scan(&s.other).Error)
		s.makeOther("CREATE SCHEMA "+s.other, "DROP SCHEMA "+s.other+" CASCADE")
	default:
		require.NoError(t, s.plain.Raw("SELECT CONCAT(DATABASE(), '_other')").Scan(&s.other).Error)
		s.makeOther("CREATE DATABASE "+s.other, "DROP DATABASE "+s.other)
	}
	return s
}

func (s *site) makeOther(create, drop string) {
	require.NoError(s, s.plain.Exec(create).Error)
	s.Cleanup(func() { require.NoError(s, s.plain.Exec(drop).Error) })
}

// attached opens a database of SQLite once more, with another one attached to each connection.
func attached(t testing.TB, db *gorm.DB, name string) *gorm.DB {
	t.Helper()
	var file string
	require.NoError(t, db.Raw("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file).Error)
	pool, err := db.DB()
	require.NoError(t, err)
	again := sql.OpenDB(attaching{pool.Driver(), file, []string{
		"PRAGMA busy_timeout = 10000", fmt.Sprintf("ATTACH DATABASE '%s' AS %s", filepath.Join(t.TempDir(), "other.db"), name),
		"PRAGMA other.journal_mode = WAL", "PRAGMA synchronous = OFF",
	}})
	t.Cleanup(func() { require.NoError(t, again.Close()) })
	opened, err := gorm.Open(sqlite.New(sqlite.Config{Conn: again}), &gorm.Config{Logger: db.Logger})
	require.NoError(t, err)
	return opened
}

// attaching opens connections and runs SQL on them.
type attaching struct {
	driver driver.Driver
	file   string
	sql    []string
}

func (a attaching) Driver() driver.Driver { return a.driver }

func (a attaching) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := a.driver.Open(a.file)
	if err != nil {
		return nil, err
	}
	for _, query := range a.sql {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, query, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// Names of tables: as GORM makes them, one that has to be quoted, and one in another place.
const (
	plainName     = "a plain name"
	quotedName    = "a name to be quoted"
	qualifiedName = "a name in another place"
)

// grounds returns the table of a kind for settings, in which no other program has left anything.
func (s *site) grounds(k kind, name string, set settings) *grounds {
	key := k.name + name + set.key()
	if g, isThere := s.opened[key]; isThere {
		return g
	}
	table := fmt.Sprint("items_", len(s.opened))
	g := &grounds{}
	switch name {
	case quotedName:
		table = "Odd " + table
	case qualifiedName:
		if s.like != "sqlite" { // GORM's driver inserts into the last name
			g.decoy = s.decoy(k, table)
		}
		table = s.other + "." + table
	}
	var opts []occ.Option
	if set.lean {
		opts = append(opts, occ.WithLeanTransactions())
	}
	g.db = k.openWith(s, s.dialector(set), table, opts...)
	if g.decoy != nil {
		g.untouched = s.decoyed(k, g)
	}
	if set.other == alongside {
		g.aside = s.newAside(g.db)
	}
	set.bring(s, g.db, g.aside)
	s.opened[key] = g
	return g
}

// decoy makes the table that has the last name of another one, and holds rows of the same keys. Its column is narrower.
func (s *site) decoy(k kind, table string) *gorm.DB {
	db := k.open(s, s.plain.Dialector, table)
	for _, id := range ids {
		m := k.make(id)
		m.columns().Name = "decoy"
		require.NoError(s, db.Create(m).Error)
	}
	if k.stored == "" && k.last > 1<<15 && !k.triggers {
		k.stored = "smallint"
		k.storeAs(s, db, table)
	}
	return db
}

// decoyed is what the decoy holds.
func (s *site) decoyed(k kind, g *grounds) string {
	rows, err := k.all(g.decoy)
	require.NoError(s, err)
	text := ""
	for _, row := range rows {
		text += fmt.Sprintf("%+v at %v; ", *row.columns(), plain(k.versionOf(row)))
	}
	return text
}

// newAside makes the row that a callback of others writes. Its table is made once.
func (s *site) newAside(db *gorm.DB) *Aside {
	aside := &Aside{Name: "a"}
	require.NoError(s, db.AutoMigrate(aside))
	require.NoError(s, db.Create(aside).Error)
	return aside
}

// run runs a program in an empty table.
func (s *site) run(t *rapid.T, k kind) {
	set := anyOthers(s.like).Draw(t, "settings")
	name := rapid.SampledFrom([]string{plainName, plainName, quotedName, qualifiedName}).Draw(t, "name")
	g := s.grounds(k, name, set)
	m := newMachine(k, g.db)
	m.world.set, m.aside = set, g.aside
	m.loadAside()
	var end func()
	m.db, end = set.apply(s, g.db)
	defer end()
	s.steps += runMachine(t, m, programs().Draw(t, "program"))
	if g.decoy != nil {
		if now := s.decoyed(k, g); now != g.untouched {
			difference := fmt.Sprintf("the table of the same name in another place is %s, and was %s", now, g.untouched)
			g.untouched = now
			t.Fatalf("%s\n\n%s", difference, m.counterexample(difference))
		}
	}
}

// loadAside has the row of the callback of others be loaded, after a rollback of which memory learns nothing.
func (m *machine) loadAside() {
	if m.aside != nil {
		*m.aside = Aside{ID: m.aside.ID}
		must(m.db.First(m.aside).Error)
	}
}

// compareAside wants the model of the callback of others to hold the version of its row.
func (m *machine) compareAside() string {
	now := Aside{ID: m.aside.ID}
	must(m.db.First(&now).Error)
	if now.Version != m.aside.Version {
		return fmt.Sprintf("the callback's own row is at version %d, its model at %d", now.Version, m.aside.Version)
	}
	return ""
}

// settleOrRefuse is for what others may keep from being written: an error that says so leaves rows and versions as they were.
func (m *machine) settleOrRefuse(s step) {
	before := m.world.copied()
	want := s.foretell(m.world)
	got := m.run(s)
	if !m.world.set.isOfOthers(got.err) {
		m.settle(want, got)
		return
	}
	m.world.goBack(before)
	for v, h := range m.world.models { // the other columns are those that were refused
		c := m.models[v].columns()
		h.name, h.price, h.seen, h.gone = c.Name, c.Price, c.Seen, 0
		if at, isCounter := plain(m.versionOf(v)).(int64); isCounter && m.world.set.other == replaced {
			h.version = version(at) // GORM's own INSERT gives models the default of the column
		}
		if c.DeletedAt.Valid {
			h.gone = m.world.number()
		}
	}
	m.settle(outcome{failure: failureOf(got.err), affected: unsaid}, only(got.err))
}

// isOfOthers reports whether an error may be that of a write that could not be made as a whole, or not be checked: GORM's own
// callbacks may have met an error of the database before.
func (s settings) isOfOthers(err error) bool {
	return errors.Is(err, gorm.ErrInvalidTransaction) || s.other == replaced && failureOf(err) == duplicate
}

// copied is a world at a moment outside of transactions.
type copied struct {
	rows   map[int]values
	models map[variable]*held
	values map[variable]held
}

func (w *world) copied() copied {
	c := copied{maps.Clone(w.rows), maps.Clone(w.models), map[variable]held{}}
	for v, h := range w.models {
		c.values[v] = *h
	}
	return c
}

func (w *world) goBack(c copied) {
	w.rows, w.models = c.rows, c.models
	for v, h := range w.models {
		*h = c.values[v]
	}
}

package faults_test

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// A call that writes passes points: GORM's callbacks, hooks and other code of the models', and the calls to the driver.
// Each test here counts the points of an undisturbed call, and then makes it once for each point, with a fault there.

// faults is a database whose calls can be struck at any of their points.
type faults struct {
	db, plain *gorm.DB        // with the plugin and points, and without points
	server    testdb.Database // the same, for connections of others
	code      faultCode
	models    *faultModels
	isDirty   bool // rows are not as they were seeded

	isCounting bool
	passed     []faultPoint
	at         int // the point that is struck, counted from 0; -1 for none
	strike     func(driver.Conn) error
	begun      driver.Conn // the connection of the last transaction
}

// faultPoint is a place where a call can be struck.
type faultPoint struct {
	name     string
	isDriver bool // a call to the driver, else code of the user's
	isGORMs  bool // before or after a callback of GORM's
	isEnd    bool // a COMMIT, or its answer
}

// isStatement tells a call that sends a statement of GORM's or of the plugin's.
func (p faultPoint) isStatement() bool {
	return p.isDriver && (strings.Contains(p.name, " exec") || strings.Contains(p.name, " query") || strings.Contains(p.name, " prepare"))
}

const faultsPlugin = "occ_test faults"

func (f *faults) Name() string { return faultsPlugin }

// Initialize goes round GORM's callbacks.
func (f *faults) Initialize(db *gorm.DB) (err error) {
	callbacks := db.Callback()
	for _, processor := range []interface {
		Get(string) func(*gorm.DB)
		Replace(string, func(*gorm.DB)) error
	}{callbacks.Create(), callbacks.Update(), callbacks.Delete(), callbacks.Query(), callbacks.Row(), callbacks.Raw()} {
		for _, name := range faultCallbacks {
			if callback := processor.Get("gorm:" + name); callback != nil {
				err = errors.Join(err, processor.Replace("gorm:"+name, func(db *gorm.DB) {
					_ = f.reach(faultPoint{name: "before " + name, isGORMs: true}, nil)
					callback(db)
					_ = f.reach(faultPoint{name: "after " + name, isGORMs: true}, nil)
				}))
			}
		}
	}
	return err
}

var faultCallbacks = []string{
	"begin_transaction", "before_create", "save_before_associations", "create", "save_after_associations", "after_create",
	"setup_reflect_value", "before_update", "update", "after_update",
	"before_delete", "delete_before_associations", "delete", "after_delete", "commit_or_rollback_transaction",
	"query", "preload", "after_query", "row", "raw",
}

func faultsOf(db *gorm.DB) *faults { f, _ := db.Plugins[faultsPlugin].(*faults); return f }

type faultsKey struct{}

func faultsIn(ctx context.Context) *faults { f, _ := ctx.Value(faultsKey{}).(*faults); return f }

// pass is a point in code of the user's.
func (f *faults) pass(name string) error { return f.reach(faultPoint{name: name}, nil) }

// reach counts a point, and strikes there if it is the one; an error is the point's own.
func (f *faults) reach(p faultPoint, conn driver.Conn) error {
	if f == nil || !f.isCounting {
		return nil
	}
	f.passed = append(f.passed, p)
	if len(f.passed)-1 != f.at {
		return nil
	}
	return f.strike(conn)
}

// around are the points at a call to the driver.
func (f *faults) around(call testdb.Call, do func() error) error {
	if call.Name == "connect" || call.Name == "rollback" || !f.isCounting {
		return do() // the first two are not in what succeeds, and database/sql may call them on goroutines of its own
	}
	name := call.Name
	if words := strings.Fields(call.Query); len(words) > 0 {
		name += " " + words[0]
	}
	point := faultPoint{name: "before " + name, isDriver: true, isEnd: call.Name == "commit"}
	if err := f.reach(point, call.Conn); err != nil {
		return err
	}
	err := do()
	if err != nil {
		return err // driver.ErrSkip among them: database/sql goes on in another way
	}
	point.name = "after " + name
	return f.reach(point, call.Conn)
}

// eachFaults runs a test on every database, with points.
func eachFaults(t *testing.T, names []string, test func(t *testing.T, f *faults), opts ...occ.Option) {
	for _, database := range testdb.Of(names...) {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			f := &faults{server: database, code: faultCode("code " + rand.Text()), at: -1}
			databases := testdb.Intercepted(f.around)
			at := slices.IndexFunc(databases, func(d testdb.Database) bool { return d.Name == database.Name })
			f.db = Open(t, databases[at], nil, append(opts, occ.WithGenerator("fault", faultGenerator{}))...)
			f.db.DisableForeignKeyConstraintWhenMigrating = true // what is deleted here is referred to
			require.NoError(t, f.db.AutoMigrate(faultTables...))
			f.plain = Reopen(t, f.db, gorm.Config{}, occ.New(occ.WithGenerator("fault", faultGenerator{})))
			f.prepare(t)
			test(t, f)
		})
	}
}

// prepare leaves one connection to the pool: whatever keeps it open keeps everybody else from going on.
func (f *faults) prepare(t *testing.T) {
	t.Helper()
	pool, err := f.db.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	require.NoError(t, f.db.Use(f))
	faultsByCode.Store(string(f.code), f)
	t.Cleanup(func() { faultsByCode.Delete(string(f.code)) })
	f.isDirty = true
}

// renew has a plugin of its own write, which knows nothing of the tables.
func (f *faults) renew(t *testing.T) {
	t.Helper()
	f.db = Reopen(t, f.db, gorm.Config{DisableForeignKeyConstraintWhenMigrating: true}, occ.New(occ.WithGenerator("fault", faultGenerator{})))
	require.NoError(t, f.db.Use(f))
}

// faultPath is a way to write.
type faultPath struct {
	name string
	do   func(db *gorm.DB, m *faultModels) error
	// isByCondition: rows are reached by conditions, so that models which hold them are not advanced
	isByCondition bool
	isDoneOnce    bool // the call has changed its models otherwise, so that it is not to be made again with them
	isSeveral     bool // to GORM it is several calls, which only a transaction of the caller's holds together
	// copied is what GORM copies into its owner, and back after the call: a rollback then does not reach it
	copied []string
}

// faultMode is what a call is made in.
type faultMode struct {
	name        string
	run         func(db *gorm.DB, do func(tx *gorm.DB) error) error
	isPiecemeal bool // no transaction is around a single statement and its hooks
}

var (
	inTransaction = faultMode{"in a Transaction", func(db *gorm.DB, do func(*gorm.DB) error) error { return occ.Transaction(db, do) }, false}
	faultModes    = []faultMode{
		{"alone", func(db *gorm.DB, do func(*gorm.DB) error) error { return do(db) }, false},
		{"without GORM's transaction", func(db *gorm.DB, do func(*gorm.DB) error) error {
			return do(db.Session(&gorm.Session{SkipDefaultTransaction: true}))
		}, true},
		inTransaction,
	}
)

// outcome is what is seen of a call after it.
type outcome struct {
	err      error
	panicked any
	stored   map[string]faultRow
	versions map[faultPlace]int64
}

// make makes the call, with a fault at one of its points.
func (f *faults) make(t *testing.T, ctx context.Context, path faultPath, mode faultMode, at int, strike func(driver.Conn) error) (o outcome) {
	t.Helper()
	f.at, f.strike, f.passed = at, strike, nil
	func() {
		defer func() { f.isCounting, o.panicked = false, recover() }()
		f.isCounting = true
		ctx := context.WithValue(ctx, faultsKey{}, f)
		o.err = mode.run(f.db.WithContext(ctx), func(tx *gorm.DB) error { return path.do(tx, f.models) })
	}()
	f.requireNothingOpen(t)
	o.stored, o.versions = f.stored(t, f.plain), f.models.versions()
	return o
}

const faultTimeout = 10 * time.Second // of what waits for ever where something is left open

// requireNothingOpen waits for the only connection, and for all transactions on the tables to end.
func (f *faults) requireNothingOpen(t *testing.T) {
	t.Helper()
	requireTablesFree(t, f.plain)
	pool, err := f.db.DB()
	require.NoError(t, err)
	require.Zero(t, pool.Stats().InUse)
}

// requireTablesFree takes locks that nobody gets while a transaction has written.
func requireTablesFree(t *testing.T, db *gorm.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	pool, err := db.DB()
	require.NoError(t, err)
	conn, err := pool.Conn(ctx)
	require.NoError(t, err, "a connection is left open")
	defer conn.Close()
	for _, query := range map[string][]string{
		"sqlite":   {"BEGIN IMMEDIATE", "ROLLBACK"},
		"postgres": {"BEGIN", "LOCK TABLE fault_shelves, fault_cards, fault_books, fault_tags, fault_leafs IN ACCESS EXCLUSIVE MODE", "ROLLBACK"},
		"mysql":    {"LOCK TABLES fault_shelves WRITE, fault_cards WRITE, fault_books WRITE, fault_tags WRITE, fault_leafs WRITE", "UNLOCK TABLES"},
	}[db.Name()] {
		_, err := conn.ExecContext(ctx, query)
		require.NoError(t, err, "a transaction is left open: %s", query)
	}
}

// start stores the rows and loads the models, as every call finds them.
func (f *faults) start(t *testing.T) (before outcome) {
	t.Helper()
	if f.isDirty {
		f.seed(t)
		f.isDirty = false
	}
	f.models = f.load(t)
	return outcome{stored: f.stored(t, f.plain), versions: f.models.versions()}
}

// sweepAll has a fault at each point of each way to write, or of those that are named.
func (f *faults) sweepAll(t *testing.T, modes []faultMode, fault fault, paths ...string) {
	t.Helper()
	n := 0
	for _, path := range faultPaths {
		for _, mode := range modes {
			isMeant := len(paths) == 0 || slices.Contains(paths, path.name)
			if !isMeant || path.isSeveral && !strings.HasPrefix(mode.name, "in ") {
				continue
			}
			t.Run(path.name+", "+mode.name, func(t *testing.T) { n += f.sweep(t, path, mode, fault) })
		}
	}
	t.Logf("%d faults", n)
}

// sweep makes the call once undisturbed, and then once for each point that is wanted, with a fault there. It returns how
// many faults there were.
func (f *faults) sweep(t *testing.T, path faultPath, mode faultMode, fault fault) (n int) {
	t.Helper()
	f.start(t)
	f.make(t, t.Context(), path, mode, -1, nil) // what is parsed or prepared once
	f.isDirty = true
	if fault.asksAnew {
		f.renew(t)
	}
	before := f.start(t)
	after := f.make(t, t.Context(), path, mode, -1, nil)
	require.NoError(t, after.err)
	requireMemory(t, before, after, true, path.name, path)
	f.isDirty = true
	points := f.passed
	for k, point := range points {
		if fault.isFor != nil && !fault.isFor(point) {
			continue
		}
		n++
		f.strikeAt(t, path, mode, fault, points, k, after.stored)
	}
	return n
}

// fault is what happens at a point, and what it may lead to.
type fault struct {
	isFor func(faultPoint) bool // nil: for all
	// strike has it happen, and returns what the point itself reports
	strike func(f *faults, conn driver.Conn, cancel context.CancelFunc) error
	check  func(t require.TestingT, o outcome) // what the caller is told
	breaks bool                                // the connection: what became of a COMMIT is not known
	// asksAnew has each call be the first of its plugin, which asks about the tables
	asksAnew bool
}

func (f *faults) strikeAt(t *testing.T, path faultPath, mode faultMode, fault fault, points []faultPoint, k int, written map[string]faultRow) {
	t.Helper()
	point, name := points[k], fmt.Sprintf("%s, %s: %d %q", path.name, mode.name, k, points[k].name)
	if fault.asksAnew {
		f.renew(t)
	}
	before := f.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	struck := false
	o := f.make(t, ctx, path, mode, k, func(conn driver.Conn) error {
		struck = true
		return fault.strike(f, conn, cancel)
	})
	require.True(t, struck, name)
	require.Equal(t, point.name, f.passed[k].name, "%s: the call took another way", name)
	failed := o.err != nil || o.panicked != nil
	if failed {
		fault.check(named{t, name}, o)
	}
	committed := slices.ContainsFunc(points[:k+1], func(p faultPoint) bool { return p.isEnd })
	isWritten := maps.Equal(o.stored, written) && !maps.Equal(o.stored, before.stored)
	switch {
	case !failed:
		require.Equal(t, written, o.stored, "%s: reported as written", name)
	case !isWritten:
		require.Equal(t, before.stored, o.stored, "%s: half-written: %v", name, o.err)
	default:
		require.True(t, committed || mode.isPiecemeal, "%s: written, and reported as an error: %v", name, o.err)
	}
	f.isDirty = isWritten
	isUnknown := failed && (fault.breaks && committed || mode.isPiecemeal && point.isDriver)
	requireMemory(t, before, o, isWritten && !isUnknown, name, path)
	if !isWritten {
		f.makeAgain(t, path, written, name)
	}
}

// requireMemory checks that models hold the versions of their rows where those were written, and what they held before
// where not, or where nobody knows.
func requireMemory(t *testing.T, before, o outcome, isWritten bool, name string, path faultPath) {
	t.Helper()
	for place, version := range o.versions {
		want, wasThere := before.versions[place]
		if !wasThere {
			want = before.stored[place.Label].Version
		}
		row, isThere := o.stored[place.Label]
		if isWritten && isThere && !(path.isByCondition && version == want) {
			want = row.Version
		}
		if slices.Contains(path.copied, place.Label) && version != want {
			continue
		}
		require.Equal(t, want, version, "%s: %s in %q: memory: %v", name, place.Label, place.Owner, o.err)
	}
}

// makeAgain makes the call with the same models, and now nothing is in its way. What it writes is not kept.
func (f *faults) makeAgain(t *testing.T, path faultPath, written map[string]faultRow, name string) {
	t.Helper()
	if path.isDoneOnce {
		f.models = f.load(t)
	}
	tx := f.db.WithContext(context.WithValue(t.Context(), faultsKey{}, f)).Begin()
	require.NoError(t, tx.Error)
	defer tx.Rollback()
	require.NoError(t, path.do(tx, f.models), "%s: again", name)
	require.Equal(t, written, f.stored(t, tx), "%s: again", name)
}

// named is a test that says where it failed.
type named struct {
	require.TestingT
	name string
}

func (n named) Errorf(format string, args ...any) {
	n.TestingT.Errorf("%s:"+format, append([]any{n.name}, args...)...)
}

package behaviour_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// trace is what an application notices of GORM: what is sent to the database, the order of callbacks and hooks, errors,
// results.
type trace struct {
	mu    sync.Mutex
	lines []string
}

func (tr *trace) add(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

// tracedConn notes all that goes to the database, with its arguments. GORM's logger does not hear of transactions.
type tracedConn struct {
	gorm.ConnPool
	trace *trace
}

func (c *tracedConn) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	c.trace.add("PREPARE %s", query)
	return c.ConnPool.PrepareContext(ctx, query)
}

func (c *tracedConn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.trace.add("EXEC %s %#v", query, args)
	return c.ConnPool.ExecContext(ctx, query, args...)
}

func (c *tracedConn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.trace.add("QUERY %s %#v", query, args)
	return c.ConnPool.QueryContext(ctx, query, args...)
}

func (c *tracedConn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.trace.add("ROW %s %#v", query, args)
	return c.ConnPool.QueryRowContext(ctx, query, args...)
}

type tracedPool struct{ tracedConn }

func (c *tracedPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	c.trace.add("BEGIN %v", opts)
	tx, err := c.ConnPool.(gorm.TxBeginner).BeginTx(ctx, opts)
	return &tracedTx{tracedConn{tx, c.trace}}, err
}

func (c *tracedPool) GetDBConn() (*sql.DB, error) { return c.ConnPool.(*sql.DB), nil }

type tracedTx struct{ tracedConn }

func (c *tracedTx) Commit() error {
	c.trace.add("COMMIT")
	return c.ConnPool.(gorm.TxCommitter).Commit()
}

func (c *tracedTx) Rollback() error {
	c.trace.add("ROLLBACK")
	return c.ConnPool.(gorm.TxCommitter).Rollback()
}

// StmtContext is what PrepareStmt asks of a transaction.
func (c *tracedTx) StmtContext(ctx context.Context, stmt *sql.Stmt) *sql.Stmt {
	return c.ConnPool.(*sql.Tx).StmtContext(ctx, stmt)
}

// tracedLogger notes what GORM logs.
type tracedLogger struct {
	logger.Interface
	trace *trace
}

func (l tracedLogger) LogMode(logger.LogLevel) logger.Interface { return l }

func (l tracedLogger) Trace(_ context.Context, _ time.Time, fc func() (string, int64), err error) {
	text, rows := fc()
	l.trace.add("LOG %s rows=%d err=%v", text, rows, err)
}

// sentinels are the errors of GORM that code asks for.
var sentinels = []error{
	gorm.ErrRecordNotFound, gorm.ErrInvalidTransaction, gorm.ErrNotImplemented, gorm.ErrMissingWhereClause, gorm.ErrUnsupportedRelation,
	gorm.ErrPrimaryKeyRequired, gorm.ErrModelValueRequired, gorm.ErrModelAccessibleFieldsRequired, gorm.ErrSubQueryRequired, gorm.ErrInvalidData,
	gorm.ErrUnsupportedDriver, gorm.ErrRegistered, gorm.ErrInvalidField, gorm.ErrEmptySlice, gorm.ErrDryRunModeUnsupported, gorm.ErrInvalidDB,
	gorm.ErrInvalidValue, gorm.ErrInvalidValueOfLength, gorm.ErrPreloadNotAllowed, gorm.ErrDuplicatedKey, gorm.ErrForeignKeyViolated,
	gorm.ErrCheckConstraintViolated, errTold, context.Canceled,
}

// said notes an error: its text, and which of GORM's it is.
func (tr *trace) said(err error) {
	var which []string
	for i, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			which = append(which, fmt.Sprint(i))
		}
	}
	tr.add("ERR %v %T is %v", err, err, which)
}

// left notes what a call left of a value.
func (tr *trace) left(values ...any) {
	for _, value := range values {
		tr.add("LEFT %s", shown(value))
	}
}

// databaseName is the name of a test's database, which errors tell; and what else is another one each time: the address of
// an argument, the name that GORM gives a savepoint.
var databaseName = regexp.MustCompile(`occ_[a-z0-9]{26}|0x[0-9a-f]{6,}|\bsp\d+`)

// callbackTrace has GORM's callbacks tell when they run, as another plugin's do that are registered around them.
func (tr *trace) register(t *testing.T, db *gorm.DB) {
	t.Helper()
	told := func(name string) func(*gorm.DB) {
		return func(db *gorm.DB) {
			if tr := traceOf(db); tr != nil {
				tr.add("CALLBACK %s %s rows=%d err=%v", name, db.Statement.Table, db.RowsAffected, db.Error)
			}
		}
	}
	callback := db.Callback()
	require.NoError(t, errors.Join(
		callback.Create().Before("gorm:create").Register("told:before_create", told("before create")),
		callback.Create().After("gorm:create").Register("told:after_create", told("after create")),
		callback.Update().Before("gorm:update").Register("told:before_update", told("before update")),
		callback.Update().After("gorm:update").Register("told:after_update", told("after update")),
		callback.Delete().Before("gorm:delete").Register("told:before_delete", told("before delete")),
		callback.Delete().After("gorm:delete").Register("told:after_delete", told("after delete")),
		callback.Query().Before("gorm:query").Register("told:before_query", told("before query")),
		callback.Query().After("gorm:query").Register("told:after_query", told("after query")),
		callback.Row().Before("gorm:row").Register("told:row", told("row")),
		callback.Raw().Before("gorm:raw").Register("told:raw", told("raw")),
	))
}

type traceKey struct{}

func traceOf(db *gorm.DB) *trace {
	tr, _ := db.Statement.Context.Value(traceKey{}).(*trace)
	return tr
}

// session is a setting that the calls run under.
type sessionSetting struct {
	name   string
	config func(*gorm.Config)
	set    gorm.Session
}

func sessionSettings() []sessionSetting {
	return []sessionSetting{
		{name: "defaults"},
		{name: "SkipHooks", set: gorm.Session{SkipHooks: true}},
		{name: "QueryFields and AllowGlobalUpdate", set: gorm.Session{QueryFields: true, AllowGlobalUpdate: true}},
		{name: "FullSaveAssociations and CreateBatchSize", set: gorm.Session{FullSaveAssociations: true, CreateBatchSize: 2}},
		{name: "DryRun", set: gorm.Session{DryRun: true}},
		{name: "PrepareStmt", config: func(c *gorm.Config) { c.PrepareStmt = true }},
		{name: "SkipDefaultTransaction and TranslateError", config: func(c *gorm.Config) {
			c.SkipDefaultTransaction, c.TranslateError = true, true
		}},
		{name: "DisableNestedTransaction", config: func(c *gorm.Config) { c.DisableNestedTransaction = true }},
	}
}

// application is one that has models without a version: with the plugin or without.
type application struct {
	db *gorm.DB
	tr *trace
}

// newApplication is one on an empty database: tables that are there already are made anew.
func newApplication(t *testing.T, empty *gorm.DB, setting sessionSetting, plugins ...gorm.Plugin) *application {
	t.Helper()
	migrating := Reopen(t, empty, gorm.Config{DisableForeignKeyConstraintWhenMigrating: true})
	require.NoError(t, migrating.Migrator().DropTable(append(plainModels(), "person_tongues", &Product{})...))
	require.NoError(t, migrating.AutoMigrate(append(plainModels(), &Product{})...))

	tr := &trace{}
	config := gorm.Config{NowFunc: func() time.Time { return Noon }, DisableForeignKeyConstraintWhenMigrating: true}
	if setting.config != nil {
		setting.config(&config)
	}
	isPrepared := config.PrepareStmt
	config.PrepareStmt = false
	db := Reopen(t, empty, config)
	db.ConnPool = &tracedPool{tracedConn{db.ConnPool, tr}}
	db.Statement.ConnPool = db.ConnPool
	tr.register(t, db)
	for _, plugin := range plugins {
		require.NoError(t, db.Use(plugin))
	}
	if _, ok := db.Plugins["occ"]; ok {
		product := Create(t, db) // a model with a version in the same application
		require.NoError(t, db.Model(&product).Update("price", 70).Error)
	}
	if isPrepared {
		db = db.Session(&gorm.Session{PrepareStmt: true})
	}
	return &application{db.WithContext(context.WithValue(t.Context(), traceKey{}, tr)), tr}
}

// run makes a call as a session of the setting, and returns all that was noticed of it.
func (a *application) run(c plainCall, setting sessionSetting) []string {
	a.tr.lines = nil
	set := setting.set
	set.Logger = tracedLogger{logger.Discard, a.tr}
	func() {
		defer func() {
			if failure := recover(); failure != nil {
				a.tr.add("PANIC %v", failure)
			}
		}()
		c.do(&teller{a.tr}, a.db.Session(&set))
	}()
	lines := make([]string, len(a.tr.lines))
	for i, line := range a.tr.lines {
		lines[i] = databaseName.ReplaceAllString(line, "…")
	}
	return lines
}

// difference is the first call that an application with one of the plugins sees differently; "" if there is none.
func difference(t *testing.T, database testdb.Database, setting sessionSetting, plugins ...gorm.Plugin) string {
	t.Helper()
	empty := database.Open(t)
	without := seenBy(t, newApplication(t, empty, setting), setting)
	for _, plugin := range plugins {
		with := seenBy(t, newApplication(t, empty, setting, plugin), setting)
		if difference := firstDifference(t, without, with); difference != "" {
			return fmt.Sprintf("under %s, with %s: %s", setting.name, plugin.Name(), difference)
		}
	}
	return ""
}

// seenBy is what an application notices of each of the calls.
func seenBy(t *testing.T, app *application, setting sessionSetting) (seen [][]string) {
	t.Helper()
	for _, c := range plainCalls() {
		seen = append(seen, app.run(c, setting))
	}
	return seen
}

func firstDifference(t *testing.T, without, with [][]string) string {
	t.Helper()
	for n, c := range plainCalls() {
		a, b := without[n], with[n]
		require.NotEmpty(t, a, "%s tells nothing", c.name)
		for i := range max(len(a), len(b)) {
			if i >= len(a) || i >= len(b) || a[i] != b[i] {
				return fmt.Sprintf("%s, line %d:\nwithout: %q\nwith:    %q", c.name, i, a[min(i, len(a)):min(i+4, len(a))], b[min(i, len(b)):min(i+4, len(b))])
			}
		}
	}
	return ""
}

// TestGORMStaysGORM makes the same calls on models without a version, with the plugin and without, and compares all that
// an application notices of them.
func TestGORMStaysGORM(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		for _, setting := range sessionSettings() {
			t.Run(database.Name+"/"+setting.name, func(t *testing.T) {
				t.Parallel()
				require.Empty(t, difference(t, database, setting, occ.New(), occ.New(occ.WithLeanTransactions())))
			})
		}
		t.Logf("%s: %d calls under %d settings", database.Name, len(plainCalls()), len(sessionSettings()))
	}
}

// meddler is a plugin that changes one thing.
type meddler struct{ meddle func(db *gorm.DB) error }

func (meddler) Name() string                   { return "meddler" }
func (m meddler) Initialize(db *gorm.DB) error { return m.meddle(db) }

func TestADifferenceFromGORMIsFound(t *testing.T) {
	t.Parallel()
	nothing := func(*gorm.DB) {}
	for name, meddle := range map[string]func(db *gorm.DB) error{
		"a condition more": func(db *gorm.DB) error {
			return db.Callback().Update().Before("gorm:update").Register("meddle", func(db *gorm.DB) { db.Where("1 = 1") })
		},
		"an error in other words": func(db *gorm.DB) error {
			return db.Callback().Query().After("gorm:query").Register("meddle", func(db *gorm.DB) {
				if errors.Is(db.Error, gorm.ErrRecordNotFound) {
					db.Error = fmt.Errorf("meddled: %w", db.Error)
				}
			})
		},
		"another error of the same words": func(db *gorm.DB) error {
			return db.Callback().Query().After("gorm:query").Register("meddle", func(db *gorm.DB) {
				if errors.Is(db.Error, gorm.ErrRecordNotFound) {
					db.Error = errors.New(db.Error.Error())
				}
			})
		},
		"rows that were not affected": func(db *gorm.DB) error {
			return db.Callback().Delete().After("*").Register("meddle", func(db *gorm.DB) { db.RowsAffected++ })
		},
		"no hooks": func(db *gorm.DB) error { return db.Callback().Create().Replace("gorm:after_create", nothing) },
		"no transaction": func(db *gorm.DB) error {
			return db.Callback().Create().Replace("gorm:begin_transaction", nothing)
		},
		"a read of its own": func(db *gorm.DB) error {
			return db.Callback().Delete().Before("gorm:delete").Register("meddle", func(db *gorm.DB) {
				_, _ = db.Statement.ConnPool.ExecContext(db.Statement.Context, "SELECT 1")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, difference(t, testdb.One(t, "sqlite"), sessionSettings()[0], meddler{meddle}))
		})
	}
}

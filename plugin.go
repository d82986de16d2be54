package occ

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/kind"
	"github.com/gorm-occ/occ/internal/model"
	"github.com/gorm-occ/occ/internal/read"
	"github.com/gorm-occ/occ/internal/registration"
	"github.com/gorm-occ/occ/internal/tx"
	"github.com/gorm-occ/occ/internal/write"
)

// Plugin is the GORM plugin that compares versions. Make one with [New] for each gorm.DB and register it with db.Use, before
// or after other plugins. It is safe for concurrent use.
type Plugin struct {
	conflictHooks []func(context.Context, *StaleDataError)
	retryReports  []func(context.Context, RetryReport)
	generators    map[string]Generator
	blindWrites   bool
	dialect       string // by WithDialect

	leanTransactions bool

	engine atomic.Pointer[write.Engine] // nil until Initialize
}

func (p *Plugin) newEngine(db *gorm.DB, d *dialect.Dialect) *write.Engine {
	kinds := &kind.Kinds{
		Dialect:    d,
		ColumnType: func(field *schema.Field) string { return kind.ColumnType(db, field) },
		Now:        func() time.Time { return db.NowFunc() },
		Generators: map[string]kind.Generator{},
		Types: kind.Types{
			Version: reflect.TypeFor[Version](), Xmin: reflect.TypeFor[Xmin](),
			Box: func(n int64) any { return Version(n) },
		},
	}
	for name, g := range p.generators {
		kinds.Generators[name] = g
	}
	models := &model.Models{Kinds: kinds, Snapshots: snapshots, Parse: func(model any) error { return (&gorm.Statement{DB: db}).Parse(model) }}
	face := conflict.Face{Refused: staleData, RefusalIn: staleDataIn, Report: p.reportConflict}
	reader := &read.Reader{Face: face, Models: models, Journals: &tx.Journals{Dialect: d}, Dialect: d, Query: db.Callback().Query().Get("gorm:query")}
	e := &write.Engine{Reader: reader, Dialect: d, BlindWrites: p.blindWrites}
	e.Gorm = e.CallbacksOf(db)
	if p.leanTransactions {
		e.Lean = &write.Lean{Engine: e}
	}
	return e
}

// reportConflict calls the conflict hooks, in the order in which they were given.
func (p *Plugin) reportConflict(ctx context.Context, refusal error) {
	if refused := (*StaleDataError)(nil); errors.As(refusal, &refused) {
		for _, hook := range p.conflictHooks {
			hook(ctx, refused)
		}
	}
}

// Option configures a [Plugin]; see [New].
type Option func(*Plugin)

// New makes a plugin. It compares every write to a model that has a version, and leaves all other models alone.
func New(opts ...Option) *Plugin {
	p := &Plugin{generators: map[string]Generator{}}
	for _, opt := range opts {
		if opt != nil {
			opt(p)
		}
	}
	return p
}

// WithConflictHook has hook called once for every refused write, after the call's own transaction has ended, with the
// context of the statement. It is for logging and counting. It is called on the goroutine that wrote, possibly on several
// at once. Given several times, the hooks are called in order; nil is none.
func WithConflictHook(hook func(context.Context, *StaleDataError)) Option {
	return func(p *Plugin) {
		if hook != nil {
			p.conflictHooks = append(p.conflictHooks, hook)
		}
	}
}

// WithBlindWrites turns the comparison off for writes whose version is zero because it was never loaded, as if each were given
// [Unchecked]. It is for existing code that writes models it has not read; such writes can overwrite what others wrote.
func WithBlindWrites() Option {
	return func(p *Plugin) { p.blindWrites = true }
}

// WithDialect names the dialect that the database behaves like: "mysql", "postgres" or "sqlite", as GORM's own drivers for
// them are named. It is for a driver with a name of its own whose database takes the statements of one of the three and
// answers as it does; the plugin believes what it is told, so run your tests on that database. Without it, and with "", the
// driver's name counts. Any other name is an error of db.Use.
func WithDialect(name string) Option {
	return func(p *Plugin) { p.dialect = name }
}

// Name is "occ": the plugin's name in gorm.Config.Plugins.
func (*Plugin) Name() string { return "occ" }

// Initialize is called by db.Use: it registers the plugin's callbacks. A plugin serves one gorm.DB, and those of the same
// dialect that are opened with a copy of its configuration, as gorm.io/plugin/dbresolver does; any other call is an error
// and registers nothing. So is a dialect that the plugin does not know, SQL Server and ClickHouse among them: a comparison
// that the database carries out differently would lose writes. The error lists those that it knows; see [WithDialect]. And so
// is a member of a MySQL group with several primaries (group_replication_single_primary_mode=OFF): it answers OK to some
// statements of a transaction that it has rolled back, and to its COMMIT.
func (p *Plugin) Initialize(db *gorm.DB) error {
	if err := registration.NeedDatabase(db); err != nil {
		return err
	}
	d, err := dialect.Of(db, p.dialect)
	if err != nil {
		return fmt.Errorf("occ: %w; occ.WithDialect names the one that the database behaves like", err)
	}
	if d.HasSeveralPrimaries() {
		return errSeveralPrimaries
	}
	isFirst := p.engine.CompareAndSwap(nil, p.newEngine(db, &d))
	engine := p.engine.Load()
	if !isFirst && (db.Plugins[p.Name()] != gorm.Plugin(p) || d.Name != engine.Dialect.Name) {
		return errors.New("occ: the plugin is registered already: call occ.New for each gorm.DB")
	}
	return errors.Join(engine.Register(db)...)
}

var errSeveralPrimaries = errors.New("occ: the server is set up for a MySQL group with several primaries " +
	"(group_replication_single_primary_mode=OFF), where a transaction that was rolled back for the sake of another member's can be " +
	"answered with OK: a write would be lost without a word; use a group with a single primary")

// pluginOf finds the plugin that db was given.
func pluginOf(db *gorm.DB) (*Plugin, error) {
	if err := registration.NeedDatabase(db); err != nil {
		return nil, err
	}
	p, ok := db.Plugins[(*Plugin)(nil).Name()].(*Plugin)
	if !ok {
		return nil, registration.ErrNotRegistered
	}
	return p, nil
}

// engineOf finds the engine of the plugin that db was given.
func engineOf(db *gorm.DB) (*write.Engine, error) {
	p, err := pluginOf(db)
	if err != nil {
		return nil, err
	}
	return p.engine.Load(), nil
}

// WithGenerator adds a kind of version of the user's own: fields tagged `gorm:"version:name"` take their versions from g.
// A nil generator and the names of the kinds that are there already are errors at first use.
func WithGenerator(name string, g Generator) Option {
	return func(p *Plugin) { p.generators[name] = g }
}

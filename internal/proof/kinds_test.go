package proof

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
)

// Columns are what the models of all kinds have in common. The application gives the keys, so that a row can be deleted
// and inserted again.
type Columns struct {
	ID        int `gorm:"primaryKey;autoIncrement:false"`
	Name      string
	Price     int
	Seen      int            `gorm:"unversioned"`
	DeletedAt gorm.DeletedAt `gorm:"precision:6"`
}

func (c *Columns) columns() *Columns { return c }

// declaration is Columns as a counterexample declares them, the version after them.
const declaration = `type Item struct {
	ID int ` + "`gorm:\"primaryKey;autoIncrement:false\"`" + `
	Name string
	Price int
	Seen int ` + "`gorm:\"unversioned\"`" + `
	DeletedAt gorm.DeletedAt ` + "`gorm:\"precision:6\"`" + `
	%s
}`

// The models of the kinds.
type (
	Versioned[V any] struct {
		Columns
		Version V `gorm:"version"`
	}
	Timed struct {
		Columns
		Version time.Time `gorm:"version;precision:6"`
	}
	Generated struct {
		Columns
		Version string `gorm:"version:mine"`
	}
	Triggered struct {
		Columns
		Version int64 `gorm:"version:database;not null;default:1"`
	}
	ByXmin struct {
		Columns
		Version occ.Xmin
	}
	Compared struct {
		Columns
		occ.Snapshot
	}
	ComparedDirty struct {
		Columns
		occ.Snapshot `gorm:"snapshot:dirty"`
	}
)

// record is a model in memory.
type record interface{ columns() *Columns }

type recordOf[M any] interface {
	*M
	record
}

// kind is a kind of version, and what is different about it.
type kind struct {
	typed
	name     string
	field    string          // as a counterexample declares it
	last     int64           // the last value of a counter; 0: versions are told apart, but not foretold
	isNull   bool            // the column may hold NULL
	triggers bool            // the database writes the versions
	xmin     bool            // every write moves the version, and a transaction has but one
	blind    bool            // the plugin does not compare what was never loaded
	snapshot func(c set) set // the columns that a write of others compares; nil: there is a version
	on       []string        // databases; all by default
	stored   string          // the type of the version's column, where that is not what a migration makes
}

// GoString keeps rapid from printing more of it.
func (k kind) GoString() string { return k.name }

// typed is what has to know the type of the model.
type typed interface {
	model() any
	make(id int) record
	list(records []record) any
	all(db *gorm.DB) ([]record, error)
	current(db *gorm.DB, r record) (record, error)
	rebase(db *gorm.DB, base, mine record) error
	updateG(db *gorm.DB, id, price int, version any) (int, error)
}

type typedAs[M any, P recordOf[M]] struct{}

func (typedAs[M, P]) model() any { return new(M) }

func (typedAs[M, P]) make(id int) record {
	m := P(new(M))
	m.columns().ID = id
	return m
}

func (typedAs[M, P]) list(records []record) any {
	models := make([]*M, len(records))
	for i, r := range records {
		models[i] = (*M)(r.(P))
	}
	return &models
}

func (typedAs[M, P]) all(db *gorm.DB) (records []record, err error) {
	var rows []*M
	err = db.Unscoped().Order("id").Find(&rows).Error
	for _, row := range rows {
		records = append(records, P(row))
	}
	return records, err
}

func (typedAs[M, P]) current(db *gorm.DB, r record) (record, error) {
	row, err := occ.Current(db, (*M)(r.(P)))
	return P(row), err
}

func (typedAs[M, P]) rebase(db *gorm.DB, base, mine record) error {
	return occ.Rebase(db, (*M)(base.(P)), (*M)(mine.(P)))
}

func (typedAs[M, P]) updateG(db *gorm.DB, id, price int, version any) (int, error) {
	if version != nil {
		return gorm.G[M](db, occ.Expect(version)).Where("id = ?", id).Update(context.Background(), "price", price)
	}
	return gorm.G[M](db).Where("id = ?", id).Update(context.Background(), "price", price)
}

func kindOf[M any, P recordOf[M]](name, field string) kind {
	return kind{typed: typedAs[M, P]{}, name: name, field: field}
}

func counterOf[V any](last int64) kind {
	name := reflect.TypeFor[V]().String()
	k := kindOf[Versioned[V], *Versioned[V]](name, "Version "+name+" `gorm:\"version\"`")
	k.last, k.isNull = last, name != "occ.Version"
	return k
}

func opaque[V any]() kind {
	k := counterOf[V](0)
	k.isNull = true
	return k
}

// kinds are all kinds of version on a database.
func kinds(database string) []kind {
	blind, triggered := counterOf[int16](math.MaxInt16), kindOf[Triggered, *Triggered]("database", "Version int64 `gorm:\"version:database;not null;default:1\"`")
	blind.name, blind.blind = "blind writes", true
	triggered.last, triggered.triggers = math.MaxInt64, true
	xmin := kindOf[ByXmin, *ByXmin]("occ.Xmin", "Version occ.Xmin")
	xmin.xmin, xmin.on = true, []string{"postgres"}
	snapshot, dirty := kindOf[Compared, *Compared]("occ.Snapshot", "occ.Snapshot"), kindOf[ComparedDirty, *ComparedDirty]("snapshot:dirty", "occ.Snapshot `gorm:\"snapshot:dirty\"`")
	snapshot.snapshot = func(set) set { return nameColumn | priceColumn | goneColumn }
	dirty.snapshot = func(written set) set { return written &^ seenColumn }
	return slices.DeleteFunc(append(storedOtherwise(database),
		counterOf[occ.Version](math.MaxInt64), counterOf[int8](math.MaxInt8), counterOf[uint8](math.MaxUint8),
		counterOf[*int64](math.MaxInt64), counterOf[sql.NullInt32](math.MaxInt32), blind,
		kindOf[Timed, *Timed]("time.Time", "Version time.Time `gorm:\"version;precision:6\"`"), opaque[string](), opaque[uuid.UUID](),
		kindOf[Generated, *Generated]("generator", "Version string `gorm:\"version:mine\"`"), triggered, xmin, snapshot, dirty,
	), func(k kind) bool { return len(k.on) > 0 && !slices.Contains(k.on, database) })
}

// storedOtherwise are kinds whose column holds less than the model says, as a table that was made by hand may.
func storedOtherwise(database string) []kind {
	if database == "sqlite" { // whose columns take any value
		return nil
	}
	small, whole, padded := counterOf[int64](math.MaxInt16), kindOf[Timed, *Timed]("time.Time", "Version time.Time `gorm:\"version;precision:6\"`"),
		kindOf[Generated, *Generated]("generator", "Version string `gorm:\"version:mine\"`")
	small.stored, padded.stored = "smallint", "char(40)"
	whole.stored = map[string]string{"postgres": "timestamptz(0)", "mariadb": "datetime"}[database]
	stored := []kind{small, whole, padded}
	for i := range stored {
		stored[i].name += " in " + stored[i].stored
	}
	return stored
}

// storeAs gives the version's column another type.
func (k kind) storeAs(t testing.TB, db *gorm.DB, table string) {
	t.Helper()
	how := map[string]string{"postgres": "ALTER COLUMN version TYPE " + k.stored, "mysql": "MODIFY COLUMN version " + k.stored}[db.Name()]
	require.NoError(t, db.Exec("ALTER TABLE "+table+" "+how).Error)
}

// numbered is a generator.
type numbered struct{ n atomic.Int64 }

func (g *numbered) Next(context.Context, any) (any, error) {
	return fmt.Sprint("rev-", g.n.Add(1)), nil
}

// tableOf names the table of a kind: each has its own, so that programs of many kinds share a database.
type tableOf struct {
	schema.NamingStrategy
	table string
}

func (n tableOf) TableName(string) string { return n.table }

// ticking is a clock that never shows one time twice: a row that is inserted again where one was deleted within the same
// tick would be at the same version.
func ticking(by time.Duration) func() time.Time {
	began, n := time.Now().UTC().Truncate(time.Second), &atomic.Int64{}
	return func() time.Time { return began.Add(time.Duration(n.Add(1)) * by) }
}

// tick is what the column of a time tells apart.
func (k kind) tick() time.Duration {
	if k.stored == "datetime" || k.stored == "timestamptz(0)" {
		return time.Second
	}
	return time.Millisecond
}

// open gives a database a table of the kind and a plugin that knows it.
func (k kind) open(t testing.TB, dialector gorm.Dialector, table string) *gorm.DB {
	t.Helper()
	return k.openWith(t, dialector, table)
}

func (k kind) openWith(t testing.TB, dialector gorm.Dialector, table string, opts ...occ.Option) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard, NamingStrategy: tableOf{table: table}, NowFunc: ticking(k.tick())})
	require.NoError(t, err)
	opts = append(opts, occ.WithGenerator("mine", &numbered{}))
	if k.blind {
		opts = append(opts, occ.WithBlindWrites())
	}
	require.NoError(t, db.Use(occ.New(opts...)))
	require.NoError(t, db.Migrator().CreateTable(k.model())) // AutoMigrate takes a table of the same last name for it
	if k.stored != "" {
		k.storeAs(t, db, db.Statement.Quote(table))
	}
	if k.triggers {
		require.NoError(t, occ.CreateTriggers(db, k.model()))
	}
	return db
}

// versionOf is the field of the version; nil where there is none.
func (k kind) versionOf(r record) any {
	if k.snapshot != nil {
		return nil
	}
	return reflect.ValueOf(r).Elem().FieldByName("Version").Interface()
}

// preset gives a model in memory the version of a counter.
func (k kind) preset(r record, v version) {
	field := reflect.ValueOf(r).Elem().FieldByName("Version")
	if field.CanInt() {
		field.SetInt(int64(v))
	} else if field.CanUint() {
		field.SetUint(uint64(v))
	}
}

// canPreset tells a counter whose field is a plain number.
func (k kind) canPreset() bool {
	return k.last != 0 && !k.triggers && !strings.ContainsAny(k.name, "*N")
}

// plain is a version in a form that compares: nil for NULL and zero, int64 for all integers, times in UTC.
func plain(v any) any {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() || rv.IsZero() {
		return nil
	}
	if at, ok := rv.Interface().(time.Time); ok {
		return at.UTC().Round(0)
	}
	if valuer, ok := rv.Interface().(driver.Valuer); ok && rv.Kind() == reflect.Struct {
		value, _ := valuer.Value()
		return plain(value)
	}
	switch {
	case rv.CanInt():
		return rv.Int()
	case rv.CanUint():
		return int64(rv.Uint())
	}
	if rv.Kind() == reflect.String {
		return strings.TrimRight(rv.String(), " ") // with which PostgreSQL reads char(n)
	}
	return rv.Interface()
}

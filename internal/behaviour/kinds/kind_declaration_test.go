package kinds_test

import (
	"database/sql"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Item is a versioned model of any declaration; its versions are compared as numbers.
type Item[V any] struct {
	ID   uint
	Text string
	V    V `gorm:"version"`
}

// TableName is one for all: a test creates the table of its declaration alone.
func (Item[V]) TableName() string { return "items" }

type (
	localCounter  int16
	localUnsigned uint32
)

// number is the number in a version, whatever type holds it; 0 for none.
func number(version any) int64 {
	rv := reflect.ValueOf(version)
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return 0
		}
		rv = rv.Elem()
	}
	switch {
	case rv.CanInt():
		return rv.Int()
	case rv.CanUint():
		return int64(rv.Uint())
	case rv.Kind() == reflect.Struct:
		return number(rv.Field(0).Interface())
	}
	panic(fmt.Sprintf("no number: %T", version))
}

// countsAs is the behaviour of a version of type V, from the first value to the last, last, and on from 1.
func countsAs[V any](last uint64) Behaviour {
	name := fmt.Sprintf("%T", *new(V))
	if reflect.TypeFor[V]().Kind() == reflect.Pointer {
		name = reflect.TypeFor[V]().String()
	}
	return Behaviour{name + " counts from 1, is compared, and goes on at 1 after its last value", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&Item[V]{}))
		require.NoError(t, db.AutoMigrate(&Item[V]{}))
		mine := Item[V]{Text: "a"}
		require.NoError(t, db.Create(&mine).Error)
		require.EqualValues(t, 1, number(mine.V))
		theirs := Reload[Item[V]](t, db, mine.ID)

		require.NoError(t, db.Model(&mine).Update("text", "b").Error)
		err := db.Model(&theirs).Update("text", "c").Error

		row := Stale(t, err)
		require.Equal(t, []int64{1, 2}, []int64{number(row.Expected), number(row.Actual)})
		require.IsType(t, mine.V, row.Expected)
		require.Equal(t, occ.ReasonChanged, row.Reason)
		require.EqualValues(t, 2, number(mine.V))
		require.Equal(t, mine, Reload[Item[V]](t, db, mine.ID))

		require.NoError(t, db.Exec("UPDATE items SET v = ?", last).Error)
		mine = Reload[Item[V]](t, db, mine.ID)
		require.NoError(t, db.Model(&mine).Update("text", "d").Error)
		require.EqualValues(t, 1, number(mine.V))
		require.Equal(t, mine, Reload[Item[V]](t, db, mine.ID))

		require.NoError(t, db.Exec("UPDATE items SET v = ?", last).Error)
		require.NoError(t, db.Model(&Item[V]{}).Where("id = ?", mine.ID).Update("text", "e").Error)
		require.EqualValues(t, 1, number(Reload[Item[V]](t, db, mine.ID).V))
	}}
}

func TestIntegerVersions(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		countsAs[occ.Version](math.MaxInt64),
		countsAs[int](math.MaxInt64),
		countsAs[int8](math.MaxInt8),
		countsAs[int16](math.MaxInt16),
		countsAs[int32](math.MaxInt32),
		countsAs[int64](math.MaxInt64),
		countsAs[uint8](math.MaxUint8),
		countsAs[uint16](math.MaxUint16),
		countsAs[localCounter](math.MaxInt16),
		countsAs[*int64](math.MaxInt64),
		countsAs[*uint8](math.MaxUint8),
		countsAs[*occ.Version](math.MaxInt64),
		countsAs[sql.NullInt64](math.MaxInt64),
		countsAs[sql.NullInt32](math.MaxInt32),
		countsAs[sql.NullInt16](math.MaxInt16),
		countsAs[sql.Null[int64]](math.MaxInt64),
		countsAs[sql.Null[occ.Version]](math.MaxInt64),
	})
}

func TestWideUnsignedVersions(t *testing.T) {
	t.Parallel()
	Run(t, Only("mariadb"), []Behaviour{
		countsAs[uint](math.MaxUint64),
		countsAs[uint32](math.MaxUint32),
		countsAs[uint64](math.MaxUint64),
		countsAs[localUnsigned](math.MaxUint32),
	})
	t.Run("int64 columns", func(t *testing.T) {
		Run(t, Only("sqlite", "postgres"), []Behaviour{
			countsAs[uint](math.MaxInt64),
			countsAs[uint32](math.MaxUint32),
			countsAs[uint64](math.MaxInt64),
			countsAs[localUnsigned](math.MaxUint32),
		})
	})
}

// Envelope and the types below declare a version in all the places where GORM finds a column.
type Envelope struct {
	Revision occ.Version `gorm:"column:rev"`
	Sender   string
}

// Deep holds its version two structs down.
type Deep struct {
	ID      uint
	Text    string
	Outer   Envelope  `gorm:"embedded;embeddedPrefix:outer_"`
	Pointer *Envelope `gorm:"-"`
}

// First has its version before its key, in an embedded struct.
type First struct {
	occ.Version `gorm:"column:lock_version"`
	gorm.Model
	Text string
}

// Behind holds its version in an embedded pointer.
type Behind struct {
	ID   uint
	Text string
	*Meta
}

// Meta is embedded by pointer.
type Meta struct{ Version occ.Version }

// OwnColumn has a column named version that is not the plugin's, and one that is.
type OwnColumn struct {
	ID      uint
	Text    string
	Version string
	Counter int `gorm:"version;column:counter"`
}

// Free has a column named version and no version.
type Free struct {
	ID      uint
	Text    string
	Version int
}

// Ignored has a version that is no column.
type Ignored struct {
	ID      uint
	Text    string
	Version occ.Version `gorm:"-"`
}

// Tabled has names of its own for table and columns.
type Tabled struct {
	Number int64       `gorm:"primaryKey;column:nr"`
	Text   string      `gorm:"column:txt"`
	Lock   occ.Version `gorm:"column:order"` // a reserved word
}

func (Tabled) TableName() string { return "group" }

// declared is the behaviour of a declaration: its version is found, compared and written.
func declared[T any](name string, version func(*T) int64) Behaviour {
	return Behaviour{name, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(new(T)))
		mine := new(T)
		require.NoError(t, db.Create(mine).Error)
		require.EqualValues(t, 1, version(mine))
		theirs, key := new(T), keyOf(t, db, mine)
		require.NoError(t, db.First(theirs, key).Error)

		require.NoError(t, db.Model(mine).Update("Text", "b").Error)
		require.EqualValues(t, 2, version(mine))
		require.NoError(t, db.Save(mine).Error)
		require.EqualValues(t, 3, version(mine))
		require.ErrorIs(t, db.Model(theirs).Update("Text", "c").Error, occ.ErrStaleData)
		require.ErrorIs(t, db.Save(theirs).Error, occ.ErrStaleData)
		require.ErrorIs(t, db.Delete(theirs).Error, occ.ErrStaleData)
		require.EqualValues(t, 1, version(theirs))
		require.NoError(t, db.Model(new(T)).Where("1 = 1").Update("Text", "d").Error)
		require.NoError(t, db.First(theirs, key).Error)
		require.EqualValues(t, 4, version(theirs))
		require.NoError(t, db.Delete(theirs).Error)
	}}
}

func keyOf(t testing.TB, db *gorm.DB, model any) any {
	t.Helper()
	stmt := &gorm.Statement{DB: db}
	require.NoError(t, stmt.Parse(model))
	key, _ := stmt.Schema.PrioritizedPrimaryField.ValueOf(t.Context(), reflect.ValueOf(model).Elem())
	return key
}

func TestDeclarations(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		declared("an embedded version", func(v *VersionedStamp) int64 { return int64(v.Version) }),
		declared("a version in an embedded struct with a prefix and a column name", func(d *Deep) int64 { return int64(d.Outer.Revision) }),
		declared("a version before the key, with a column name, beside gorm.Model", func(f *First) int64 { return int64(f.Version) }),
		declared("a version in an embedded pointer", func(b *Behind) int64 { return int64(b.Meta.Version) }),
		declared("a tagged version beside a column named version", func(o *OwnColumn) int64 { return int64(o.Counter) }),
		declared("reserved words for table and version", func(r *Tabled) int64 { return int64(r.Lock) }),
		{"a column named version without type or tag is the application's own", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Free{}))
			mine := Free{Text: "a", Version: 7}
			require.NoError(t, db.Create(&mine).Error)
			theirs := mine

			require.NoError(t, db.Model(&mine).Update("version", 3).Error)
			require.NoError(t, db.Model(&theirs).Update("text", "b").Error)
			require.NoError(t, db.Table("frees").Where("id = ?", mine.ID).Update("text", "c").Error)

			require.Equal(t, Free{mine.ID, "c", 3}, Reload[Free](t, db, mine.ID))
		}},
		{"a version that is no column is the application's own", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Ignored{}))
			mine := Ignored{Text: "a"}
			require.NoError(t, db.Create(&mine).Error)

			require.NoError(t, db.Model(&mine).Update("text", "b").Error)

			require.Equal(t, Ignored{ID: mine.ID, Text: "b"}, mine)
			require.Equal(t, mine, Reload[Ignored](t, db, mine.ID))
		}},
		{"any naming strategy", func(t *testing.T, db *gorm.DB) {
			named := Reopen(t, db, gorm.Config{NamingStrategy: schema.NamingStrategy{
				TablePrefix: "app_", SingularTable: true, NoLowerCase: true,
			}}, occ.New())
			require.NoError(t, named.AutoMigrate(&Product{}))
			mine := Product{Name: "pen", Price: 10}
			require.NoError(t, named.Create(&mine).Error)
			theirs := mine
			require.NoError(t, named.Model(&theirs).Update("Price", 30).Error)

			require.Equal(t, occ.ReasonChanged, Stale(t, named.Model(&mine).Update("Price", 70).Error).Reason)
			var stored Product
			require.NoError(t, named.First(&stored).Error)
			require.Equal(t, Product{ID: mine.ID, Name: "pen", Price: 30, Version: 2}, stored)
			require.True(t, named.Migrator().HasColumn("app_Product", "Version"))
		}},
	})
}

// TwoVersions and the types below are declared wrongly.
type TwoVersions struct {
	ID   uint
	Text string
	occ.Version
	Other int `gorm:"version"`
}

type (
	floatVersion   = Item[float64]
	boolVersion    = Item[bool]
	bytesVersion   = Item[[]byte]
	complexVersion struct {
		ID   uint
		Text string
		V    int `gorm:"version;serializer:json"`
	}
	kindVersion struct {
		ID   uint
		Text string
		V    int `gorm:"version:nosuchkind"`
	}
	readOnlyVersion struct {
		ID   uint
		Text string
		V    int `gorm:"version;->"`
	}
)

func TestWrongDeclarations(t *testing.T) {
	t.Parallel()
	wrong := func(name string, model func() any, fragments ...string) Behaviour {
		return Behaviour{name, func(t *testing.T, db *gorm.DB) {
			for _, err := range []error{
				db.Create(model()).Error,
				db.Model(model()).Where("id = 1").Update("text", "b").Error,
				db.Save(model()).Error,
				db.Where("id = 1").Delete(model()).Error,
				db.First(model()).Error,
			} {
				for _, fragment := range fragments {
					require.ErrorContains(t, err, fragment)
				}
			}
		}}
	}
	Run(t, testdb.Of("sqlite"), []Behaviour{
		wrong("two versions", func() any { return &TwoVersions{ID: 1} }, "model TwoVersions", "Version and Other"),
		wrong("a float", func() any { return &floatVersion{ID: 1} }, "field V", "float64"),
		wrong("a bool", func() any { return &boolVersion{ID: 1} }, "field V", "bool"),
		wrong("bytes", func() any { return &bytesVersion{ID: 1} }, "field V", "[]uint8"),
		wrong("a serializer", func() any { return &complexVersion{ID: 1} }, "model complexVersion, field V", "serializer"),
		wrong("an unknown kind", func() any { return &kindVersion{ID: 1} }, "model kindVersion, field V", "nosuchkind"),
		wrong("a read-only version", func() any { return &readOnlyVersion{ID: 1} }, "model readOnlyVersion, field V", "writable"),
	})
}

// Stamp is a row of a table from before it had a version.
type Stamp struct {
	ID   uint
	Text string
	At   *time.Time
}

// VersionedStamp is the same table with a version.
type VersionedStamp struct {
	ID   uint
	Text string
	At   *time.Time
	occ.Version
}

func (VersionedStamp) TableName() string { return "stamps" }

func TestMigration(t *testing.T) {
	t.Parallel()
	// Not with PrepareStmt: on SQLite GORM's second AutoMigrate of any added column fails on a prepared statement.
	Run(t, Only("sqlite", "postgres", "postgres simple protocol", "mariadb"), []Behaviour{
		{"AutoMigrate adds the version to a table with rows, at 1 in each of them", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Stamp{}))
			require.NoError(t, db.Create(&[]Stamp{{Text: "a"}, {Text: "b"}}).Error)

			require.NoError(t, db.AutoMigrate(&VersionedStamp{}))

			first, second := Reload[VersionedStamp](t, db, 1), Reload[VersionedStamp](t, db, 2)
			require.Equal(t, []occ.Version{1, 1}, []occ.Version{first.Version, second.Version})
			require.NoError(t, db.Model(&first).Update("text", "c").Error)
			require.Error(t, db.Exec("UPDATE stamps SET version = NULL").Error)
			require.NoError(t, db.Exec("INSERT INTO stamps (id, text) VALUES (3, 'raw')").Error)
			require.Equal(t, occ.Version(1), Reload[VersionedStamp](t, db, 3).Version)
		}},
		{"a second AutoMigrate changes nothing", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Stamp{}))
			require.NoError(t, db.Create(&Stamp{Text: "a"}).Error)
			require.NoError(t, db.AutoMigrate(&VersionedStamp{}))
			before := columnsOf(t, db, "stamps")
			recorded, log := Record(db)

			require.NoError(t, recorded.AutoMigrate(&VersionedStamp{}))

			for _, verb := range []string{"ALTER", "CREATE", "DROP", "INSERT", "UPDATE"} {
				require.Empty(t, log.Sent(verb))
			}
			require.Equal(t, before, columnsOf(t, db, "stamps"))
		}},
		{"a second AutoMigrate of a new table changes nothing", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Product{}, &Note{}, &Deep{}, &First{}))
			recorded, log := Record(db)

			require.NoError(t, recorded.AutoMigrate(&Product{}, &Note{}, &Deep{}, &First{}))

			for _, verb := range []string{"ALTER", "CREATE", "DROP", "INSERT", "UPDATE"} {
				require.Empty(t, log.Sent(verb))
			}
		}},
		{"a default of the application's own is kept", func(t *testing.T, db *gorm.DB) {
			type Numbered struct {
				ID      uint
				Version occ.Version `gorm:"default:5"`
			}
			require.NoError(t, db.AutoMigrate(&Numbered{}))

			require.NoError(t, db.Exec("INSERT INTO numbereds (id) VALUES (1)").Error)

			require.Equal(t, occ.Version(5), Reload[Numbered](t, db, 1).Version)
		}},
	})
}

// columnsOf describes the columns of a table.
func columnsOf(t testing.TB, db *gorm.DB, table string) (columns []string) {
	t.Helper()
	types, err := db.Migrator().ColumnTypes(table)
	require.NoError(t, err)
	for _, column := range types {
		nullable, _ := column.Nullable()
		value, hasDefault := column.DefaultValue()
		columns = append(columns, fmt.Sprintln(column.Name(), column.DatabaseTypeName(), nullable, value, hasDefault))
	}
	return columns
}

package kinds_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Part is what the models of all kinds have in common.
type Part struct {
	ID        uint
	Name      string
	Price     int
	DeletedAt gorm.DeletedAt
}

func (p *Part) part() *Part { return p }

// partOfKind is a pointer to a model of a kind: a struct with a Part and a field Version.
type partOfKind interface{ part() *Part }

// The models of the kinds that the type alone decides, and of those that a tag names.
type (
	typedPart[V any] struct {
		Part
		Version V `gorm:"version"`
	}
	shortTimePart struct {
		Part
		Version time.Time `gorm:"version:time;precision:2"`
	}
	nativePart[V any] struct {
		Part
		Version V `gorm:"version:uuid;type:uuid"`
	}
	binaryPart[V any] struct {
		Part
		Version V `gorm:"version;type:binary(16)"`
	}
	byteaPart struct {
		Part
		Version uuid.UUID `gorm:"version;type:bytea"`
	}
	generatedPart[V any] struct {
		Part
		Version V `gorm:"version:mine"`
	}
	databasePart[V any] struct {
		Part
		Version V `gorm:"version:database"`
	}
	xminPart struct {
		Part
		Version occ.Xmin
	}
)

func (typedPart[V]) TableName() string     { return "parts" }
func (nativePart[V]) TableName() string    { return "parts" }
func (binaryPart[V]) TableName() string    { return "parts" }
func (generatedPart[V]) TableName() string { return "parts" }
func (databasePart[V]) TableName() string  { return "parts" }
func (shortTimePart) TableName() string    { return "parts" }
func (byteaPart) TableName() string        { return "parts" }
func (xminPart) TableName() string         { return "parts" }

// Types of the application's own.
type (
	smallCount uint8
	revision   string
	bareID     [16]byte // neither Value nor Scan
	ownID      [16]byte // bytes, as binary(16) wants them
)

func (id ownID) Value() (driver.Value, error) { return id[:], nil }
func (id *ownID) Scan(src any) error {
	switch src := src.(type) {
	case []byte:
		copy(id[:], src)
	case string:
		copy(id[:], src)
	}
	return nil
}

// numbers is a generator: a running number in the form that the field needs.
type numbers struct {
	n    atomic.Int64
	form func(n int64) any
}

func (g *numbers) Next(context.Context, any) (any, error) { return g.form(g.n.Add(1)), nil }

func counting(form func(n int64) any) occ.Option {
	return occ.WithGenerator("mine", &numbers{form: form})
}

// kindCase is a kind of version: its model's behaviours, and where and how they run.
type kindCase struct {
	name   string
	kind   partKind
	opts   []occ.Option
	on     []string          // databases; all by default
	isUUID bool              // of a column that MySQL does not have
	setup  map[string]string // SQL by database, after the migration
	lacks  []string          // behaviours that are not of this kind
}

func kindOf[M any](name string, opts ...occ.Option) kindCase {
	return kindCase{name: name, kind: partKind{typ: reflect.TypeFor[M]()}, opts: opts}
}

// throughG has the behaviours call gorm.G for the kind. Its two hundred functions are compiled anew for every type, so that
// one kind of each sort does; the others make the calls that gorm.G makes.
func throughG[M any](k kindCase) kindCase {
	k.kind.g = func(db *gorm.DB, id uint, price int, clauses ...clause.Expression) error {
		_, err := gorm.G[M](db, clauses...).Where("id = ?", id).Update(context.Background(), "price", price)
		return err
	}
	return k
}

func (k kindCase) only(databases ...string) kindCase {
	k.on = databases
	return k
}

func (k kindCase) inUUIDColumn() kindCase {
	k.isUUID = true
	return k
}

func (k kindCase) without(behaviours ...string) kindCase {
	k.lacks = behaviours
	return k
}

func (k kindCase) with(setup map[string]string) kindCase {
	k.setup = setup
	return k
}

func kinds() []kindCase {
	text := func(n int64) any { return fmt.Sprint("rev-", n) }
	return []kindCase{
		kindOf[typedPart[occ.Version]]("occ.Version").without("a version of NULL counts as zero"),
		kindOf[typedPart[int8]]("int8"),
		kindOf[typedPart[int16]]("int16"),
		kindOf[typedPart[int32]]("int32"),
		kindOf[typedPart[int64]]("int64"),
		kindOf[typedPart[int]]("int"),
		kindOf[typedPart[uint8]]("uint8"),
		kindOf[typedPart[uint16]]("uint16"),
		kindOf[typedPart[uint32]]("uint32"),
		kindOf[typedPart[uint64]]("uint64"),
		kindOf[typedPart[uint]]("uint"),
		kindOf[typedPart[smallCount]]("named uint8"),
		throughG[typedPart[*int64]](kindOf[typedPart[*int64]]("*int64")),
		throughG[typedPart[sql.NullInt64]](kindOf[typedPart[sql.NullInt64]]("sql.NullInt64")),
		kindOf[typedPart[sql.NullInt32]]("sql.NullInt32"),
		kindOf[typedPart[sql.NullInt16]]("sql.NullInt16"),
		kindOf[typedPart[sql.Null[int64]]]("sql.Null of int64"),

		throughG[typedPart[time.Time]](kindOf[typedPart[time.Time]]("time.Time")),
		kindOf[typedPart[*time.Time]]("*time.Time"),
		kindOf[typedPart[sql.NullTime]]("sql.NullTime"),
		kindOf[typedPart[sql.Null[time.Time]]]("sql.Null of time.Time"),
		kindOf[shortTimePart]("time with precision"),

		throughG[typedPart[string]](kindOf[typedPart[string]]("string")),
		kindOf[typedPart[revision]]("named string"),
		kindOf[typedPart[*string]]("*string"),
		kindOf[typedPart[sql.NullString]]("sql.NullString"),
		throughG[typedPart[uuid.UUID]](kindOf[typedPart[uuid.UUID]]("uuid.UUID")),
		kindOf[typedPart[*uuid.UUID]]("*uuid.UUID"),
		kindOf[typedPart[uuid.NullUUID]]("uuid.NullUUID"),
		kindOf[typedPart[bareID]]("16 bytes without Value"),
		kindOf[typedPart[*bareID]]("pointer to 16 bytes without Value"),
		kindOf[typedPart[ownID]]("16 bytes with Value").without("a version of NULL counts as zero"),
		kindOf[nativePart[uuid.UUID]]("uuid.UUID in a uuid column").inUUIDColumn(),
		kindOf[nativePart[string]]("string in a uuid column").inUUIDColumn(),
		kindOf[nativePart[bareID]]("16 bytes in a uuid column").inUUIDColumn(),
		kindOf[binaryPart[uuid.UUID]]("uuid.UUID in binary(16)").only("sqlite", "mariadb"),
		kindOf[binaryPart[ownID]]("16 bytes in binary(16)").only("sqlite", "mariadb"),
		kindOf[byteaPart]("uuid.UUID in bytea").only("postgres"),

		kindOf[generatedPart[int64]]("generated int64", counting(func(n int64) any { return n })),
		kindOf[generatedPart[sql.NullInt32]]("generated sql.NullInt32", counting(func(n int64) any { return int32(n) })),
		throughG[generatedPart[string]](kindOf[generatedPart[string]]("generated string", counting(text))),
		kindOf[generatedPart[revision]]("generated named string", counting(text)),
		kindOf[generatedPart[[]byte]]("generated []byte", counting(func(n int64) any { return []byte{1, byte(n)} })),
		kindOf[generatedPart[uuid.UUID]]("generated uuid.UUID", counting(func(int64) any { return uuid.New() })),
		kindOf[generatedPart[time.Time]]("generated time.Time", counting(func(n int64) any { return time.Now().Add(time.Duration(n) * time.Second) })),

		throughG[databasePart[int64]](kindOf[databasePart[int64]]("database int64").with(databaseCounter).without(writtenByTriggers...)),
		kindOf[databasePart[time.Time]]("database time.Time").with(databaseTime).without(writtenByTriggers...).only("mariadb", "postgres"),
		throughG[xminPart](kindOf[xminPart]("occ.Xmin").only("postgres").without(writtenByTriggers...)),
	}
}

// writtenByTriggers are the behaviours that set a column the database answers for.
var writtenByTriggers = []string{
	"a version of NULL counts as zero", "a preset version is kept", "a version that was read in another form is compared by value",
}

// databaseCounter has the database count, in the way each of them does it.
var databaseCounter = map[string]string{
	"sqlite": `CREATE TRIGGER i AFTER INSERT ON parts WHEN NEW.version IS NULL BEGIN UPDATE parts SET version = 1 WHERE id = NEW.id; END;
		CREATE TRIGGER u AFTER UPDATE ON parts WHEN NEW.version IS OLD.version BEGIN UPDATE parts SET version = OLD.version + 1 WHERE id = NEW.id; END`,
	"postgres": `ALTER TABLE parts ALTER COLUMN version SET DEFAULT 1;
		CREATE FUNCTION bump() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.version = OLD.version + 1; RETURN NEW; END';
		CREATE TRIGGER u BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION bump()`,
	"mariadb": `ALTER TABLE parts ALTER COLUMN version SET DEFAULT 1;
		CREATE TRIGGER u BEFORE UPDATE ON parts FOR EACH ROW SET NEW.version = OLD.version + 1`,
}

var databaseTime = map[string]string{
	"postgres": `ALTER TABLE parts ALTER COLUMN version SET DEFAULT clock_timestamp();
		CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.version = clock_timestamp(); RETURN NEW; END';
		CREATE TRIGGER u BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION stamp()`,
	"mariadb": `ALTER TABLE parts MODIFY version TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)`,
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		kind.runOn(t, testdb.All(), kindBehaviours)
	}
}

// TestKindsUnderConfigurations runs the kinds that a driver's settings can trip up.
func TestKindsUnderConfigurations(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		if slices.Contains([]string{
			"sql.NullInt64", "time.Time", "uuid.UUID", "uuid.UUID in a uuid column", "16 bytes without Value",
			"generated string", "database int64", "database time.Time", "occ.Xmin",
		}, kind.name) {
			kind.runOn(t, testdb.InTurn(testdb.Configurations()), kindBehaviours)
		}
	}
}

func (k kindCase) runOn(t *testing.T, databases []testdb.Database, behaviours func(partKind) []Behaviour) {
	for _, database := range databases {
		dialect := database.Like
		if len(k.on) > 0 && !slices.Contains(k.on, dialect) || k.isUUID && database.Product == "mysql" || !database.IsTurn(k.name) {
			continue
		}
		t.Run(k.name+"/"+database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{k.kind.new()}, k.opts...)
			execAll(t, db, k.setup[dialect])
			for _, b := range behaviours(k.kind) {
				if !slices.Contains(k.lacks, b.Name) && !impossible(b.Name, database) {
					t.Run(b.Name, func(t *testing.T) { b.Test(t, db) })
				}
			}
		})
	}
}

// impossible says that a behaviour is of no kind on this database.
func impossible(behaviour string, database testdb.Database) bool {
	switch behaviour {
	case rolledBack:
		return strings.Contains(database.Name, "SkipDefaultTransaction")
	case returning:
		return database.Like == "mariadb" // its UPDATE has no RETURNING
	}
	return false
}

const (
	rolledBack = "a transaction that is rolled back leaves the version as it was"
	returning  = "clause.Returning works beside it"
)

func kindBehaviours(k partKind) []Behaviour {
	return slices.Concat(oneRowBehaviours(k), conditionBehaviours(k), severalRowsBehaviours(k), uncheckedBehaviours(k), valueBehaviours(k))
}

func oneRowBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"a new row gets a version, in memory and stored", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			require.NotNil(t, versionIn(m))
			require.NotZero(t, versionIn(m))
			k.requireStored(t, db, m, 10)
		}},
		{"new rows of one call get versions", func(t *testing.T, db *gorm.DB) {
			ms := []partOfKind{k.new(), k.new(), k.new()}

			require.NoError(t, db.Create(valueOf(k.slice(ms...))).Error)

			for _, m := range ms {
				require.NotNil(t, versionIn(m))
				k.requireStored(t, db, m, 0)
			}
		}},
		{"each write moves the version, and the same model writes again", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			seen := []any{versionIn(m)}
			for i, write := range []func() error{
				func() error { return db.Model(m).Update("price", 20).Error },
				func() error { return db.Model(m).Updates(map[string]any{"price": 21}).Error },
				func() error { m.part().Price = 22; return db.Save(m).Error },
				func() error { return db.Model(m).UpdateColumn("price", 23).Error },
				func() error { return db.Model(m).Clauses(occ.Unchecked()).Update("price", 24).Error },
			} {
				require.NoError(t, write())
				require.NotContains(t, seen, versionIn(m))
				k.requireStored(t, db, m, 20+i)
				seen = append(seen, versionIn(m))
			}
		}},
		{"a stale write is refused and writes nothing", func(t *testing.T, db *gorm.DB) {
			mine, theirs := k.stalePair(t, db)
			before := versionIn(mine)
			for _, write := range []func(m partOfKind) error{
				func(m partOfKind) error { return db.Model(m).Update("price", 70).Error },
				func(m partOfKind) error { return db.Save(m).Error },
				func(m partOfKind) error { return db.Delete(m).Error },
				func(m partOfKind) error { return db.Unscoped().Delete(m).Error },
				func(m partOfKind) error { return db.Model(valueOf(m)).UpdateColumn("price", 70).Error },
			} {
				m := k.copy(mine)
				row := Stale(t, write(m))

				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.Equal(t, before, plainVersion(row.Expected))
				require.Equal(t, versionIn(theirs), plainVersion(row.Actual))
				require.Equal(t, before, versionIn(m))
				k.requireStored(t, db, theirs, 30)
			}
		}},
		{"a current row is deleted", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			require.NoError(t, db.Unscoped().Delete(m).Error)

			require.ErrorIs(t, db.Unscoped().First(k.new(), m.part().ID).Error, gorm.ErrRecordNotFound)
		}},
		{"a soft delete moves the version", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			old := k.copy(m)

			require.NoError(t, db.Delete(m).Error)

			require.NotEqual(t, versionIn(old), versionIn(m))
			k.requireStored(t, db, m, 10)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Model(old).Update("price", 5).Error).Reason)
		}},
	}
}

func conditionBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"writes by condition move the version of every row", func(t *testing.T, db *gorm.DB) {
			first, second := k.newPart(t, db), k.newPart(t, db)
			ids := []uint{first.part().ID, second.part().ID}

			result := db.Model(k.new()).Where("id IN ?", ids).Update("price", 40)
			require.NoError(t, result.Error)
			require.EqualValues(t, 2, result.RowsAffected)

			require.ErrorIs(t, db.Model(first).Update("price", 1).Error, occ.ErrStaleData)
			require.ErrorIs(t, db.Model(second).Update("price", 1).Error, occ.ErrStaleData)
			again := k.stored(t, db, first)
			require.Equal(t, 40, again.part().Price)
			require.NoError(t, db.Delete(k.new(), ids).Error)
			require.Equal(t, occ.ReasonDeleted, Stale(t, db.Model(again).Update("price", 1).Error).Reason)
			require.NotEqual(t, versionIn(again), versionIn(k.stored(t, db, first)))
		}},
		{"a write by table and condition moves the version too", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			result := db.Table("parts").Where("id = ?", m.part().ID).Updates(map[string]any{"price": 41})
			require.NoError(t, result.Error)
			require.EqualValues(t, 1, result.RowsAffected)

			require.ErrorIs(t, db.Model(m).Update("price", 1).Error, occ.ErrStaleData)
			require.Equal(t, 41, k.stored(t, db, m).part().Price)
		}},
		{"a write by table reaches a row that is soft-deleted, as GORM's does", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			before := k.stored(t, db, m)
			require.NoError(t, db.Delete(m).Error)

			result := db.Table("parts").Where("id = ?", m.part().ID).Updates(map[string]any{"price": 41})
			require.NoError(t, result.Error)
			require.EqualValues(t, 1, result.RowsAffected)

			after := k.stored(t, db.Unscoped(), m)
			require.Equal(t, 41, after.part().Price)
			require.NotEqual(t, versionIn(before), versionIn(after))
			require.ErrorIs(t, db.Unscoped().Model(m).Update("price", 1).Error, occ.ErrStaleData)
		}},
		{"a write by condition needs a condition, and one that matches nothing is no error", func(t *testing.T, db *gorm.DB) {
			k.newPart(t, db)

			require.ErrorIs(t, db.Model(k.new()).Update("price", 1).Error, gorm.ErrMissingWhereClause)
			result := db.Model(k.new()).Where("id = ?", 987654).Update("price", 1)

			require.NoError(t, result.Error)
			require.Zero(t, result.RowsAffected)
		}},
		{"a write by condition computes from the row", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			require.NoError(t, db.Model(k.new()).Where("id = ? OR id = ?", m.part().ID, 987654).Update("price", gorm.Expr("price * 2")).Error)

			require.Equal(t, 20, k.stored(t, db, m).part().Price)
		}},
	}
}

func severalRowsBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"a slice is saved, updated and deleted, each row with its own version", func(t *testing.T, db *gorm.DB) {
			ms := []partOfKind{k.newPart(t, db), k.newPart(t, db), k.newPart(t, db)}
			require.NoError(t, db.Model(ms[1]).Update("price", 15).Error)

			ms[0].part().Price = 33
			require.NoError(t, db.Save(k.slice(ms...)).Error)
			k.requireStored(t, db, ms[0], 33)
			k.requireStored(t, db, ms[1], 15)
			require.NoError(t, db.Model(k.slice(ms...)).Update("price", 34).Error)
			k.requireStored(t, db, ms[2], 34)
			require.NoError(t, db.Model(k.slice(ms...)).Clauses(occ.Unchecked()).Update("price", 35).Error)
			k.requireStored(t, db, ms[2], 35)
			require.NoError(t, db.Delete(k.slice(ms...)).Error)
			k.requireStored(t, db, ms[1], 35)
			require.NoError(t, db.Unscoped().Delete(k.slice(ms...)).Error)
			require.ErrorIs(t, db.Unscoped().First(k.new(), ms[2].part().ID).Error, gorm.ErrRecordNotFound)
		}},
		{"a slice with a stale row is refused as a whole", func(t *testing.T, db *gorm.DB) {
			mine, theirs := k.stalePair(t, db)
			other := k.newPart(t, db)
			before := versionIn(other)
			for _, write := range []func(ms any) error{
				func(ms any) error { return db.Save(ms).Error },
				func(ms any) error { return db.Model(ms).Update("price", 99).Error },
				func(ms any) error { return db.Delete(ms).Error },
			} {
				row := Stale(t, write(k.slice(other, mine)))

				require.Equal(t, 1, row.Index)
				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.Equal(t, before, versionIn(other))
				k.requireStored(t, db, other, 10)
				k.requireStored(t, db, theirs, 30)
			}
		}},
		{"a save of new and loaded models writes both", func(t *testing.T, db *gorm.DB) {
			loaded, fresh := k.newPart(t, db), k.new()
			loaded.part().Price = 44

			require.NoError(t, db.Save(valueOf(k.slice(fresh, loaded))).Error)

			k.requireStored(t, db, loaded, 44)
			k.requireStored(t, db, fresh, 0)
			require.NoError(t, db.Model(fresh).Update("price", 45).Error)
		}},
		{"a save of a new model with a key inserts it once", func(t *testing.T, db *gorm.DB) {
			m := k.new()
			m.part().ID = 4711

			require.NoError(t, db.Save(m).Error)
			k.requireStored(t, db, m, 0)
			again := k.new()
			again.part().ID = 4711
			require.ErrorIs(t, db.Save(again).Error, occ.ErrVersionMissing)

			require.NoError(t, db.Unscoped().Delete(m).Error)
			require.ErrorIs(t, db.Save(m).Error, occ.ErrStaleData)
		}},
	}
}

func uncheckedBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"Unchecked deletes and soft-deletes whatever the version", func(t *testing.T, db *gorm.DB) {
			mine, _ := k.stalePair(t, db)

			require.NoError(t, db.Clauses(occ.Unchecked()).Delete(mine).Error)
			k.requireStored(t, db, mine, 30)
			require.NoError(t, db.Unscoped().Clauses(occ.Unchecked()).Delete(mine).Error)
			require.ErrorIs(t, db.Unscoped().First(k.new(), mine.part().ID).Error, gorm.ErrRecordNotFound)
		}},
		{"Unchecked deletes nothing where all rows are gone", func(t *testing.T, db *gorm.DB) {
			ms := []partOfKind{k.newPart(t, db), k.newPart(t, db)}
			require.NoError(t, db.Unscoped().Delete(k.slice(ms...)).Error)

			for _, unchecked := range []*gorm.DB{db.Clauses(occ.Unchecked()), db.Unscoped().Clauses(occ.Unchecked())} {
				res := unchecked.Delete(k.slice(ms...))

				require.NoError(t, res.Error)
				require.Zero(t, res.RowsAffected)
			}
		}},
		{"Unchecked writes of a slice leave the models alone whose rows they leave alone", func(t *testing.T, db *gorm.DB) {
			mine, theirs := k.stalePair(t, db) // its row has the price 30
			other, gone, removed := k.newPart(t, db), k.newPart(t, db), k.newPart(t, db)
			before, removedAt := versionIn(mine), versionIn(removed)
			require.NoError(t, db.Unscoped().Delete(gone).Error)
			require.NoError(t, db.Delete(k.stored(t, db, removed)).Error)
			ms := []partOfKind{mine, gone, removed, other}

			for i, write := range []func(tx *gorm.DB) *gorm.DB{
				func(tx *gorm.DB) *gorm.DB { return tx.Model(k.slice(ms...)).Update("price", 11) },
				func(tx *gorm.DB) *gorm.DB { return tx.Delete(k.slice(ms...)) },
			} {
				res := write(db.Clauses(occ.Unchecked()).Where("price < ?", 20))

				require.NoError(t, res.Error)
				require.EqualValues(t, 1, res.RowsAffected, i)
				require.Equal(t, []any{before, removedAt}, []any{versionIn(mine), versionIn(removed)}, i)
				k.requireStored(t, db, other, 11)
				k.requireStored(t, db, theirs, 30)
			}
			require.ErrorIs(t, db.Save(mine).Error, occ.ErrStaleData)
		}},
		{"an Unchecked upsert moves the version of whatever is there", func(t *testing.T, db *gorm.DB) {
			mine, theirs := k.stalePair(t, db)

			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}, occ.Unchecked()).Create(mine).Error)

			require.NotNil(t, versionIn(mine))
			require.NotEqual(t, versionIn(theirs), versionIn(mine))
			k.requireStored(t, db, mine, 10)
			require.NoError(t, db.Model(mine).Update("price", 11).Error)
		}},
		{"an upsert that is not compared writes a soft-deleted row too", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			require.NoError(t, db.Delete(m).Error)
			deleted := versionIn(m)
			again := k.new()
			again.part().ID, again.part().Price = m.part().ID, 12

			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(again).Error)

			require.NotEqual(t, deleted, versionIn(again))
			k.requireStored(t, db, again, 12)
			require.NoError(t, db.Model(again).Update("price", 13).Error)
			require.NoError(t, db.Delete(again).Error)
			again.part().DeletedAt = gorm.DeletedAt{}
			require.NoError(t, db.Clauses(occ.Unchecked()).Save(again).Error)
			require.NoError(t, db.Model(again).Update("price", 14).Error)
			k.requireStored(t, db, again, 14)
		}},
		{"Expect stands in for the model's version", func(t *testing.T, db *gorm.DB) {
			mine, theirs := k.stalePair(t, db)
			expected := versionField(theirs).Interface()
			old := versionField(mine).Interface()

			require.ErrorIs(t, db.Clauses(occ.Expect(old)).Model(theirs).Update("price", 1).Error, occ.ErrStaleData)
			require.NoError(t, db.Clauses(occ.Expect(expected)).Model(mine).Update("price", 50).Error)

			k.requireStored(t, db, mine, 50)
		}},
	}
}

func valueBehaviours(k partKind) []Behaviour {
	return []Behaviour{
		{"a version that was never loaded is refused", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			unloaded := k.new()
			unloaded.part().ID = m.part().ID

			err := db.Model(unloaded).Update("price", 1).Error

			require.ErrorIs(t, err, occ.ErrVersionMissing)
			k.requireStored(t, db, m, 10)
		}},
		{"a version of NULL counts as zero", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			require.NoError(t, db.Exec("UPDATE parts SET version = NULL WHERE id = ?", m.part().ID).Error)
			legacy := k.stored(t, db, m)

			require.NoError(t, db.Model(legacy).Update("price", 60).Error)

			require.NotZero(t, versionIn(legacy))
			k.requireStored(t, db, legacy, 60)
			require.NoError(t, db.Model(legacy).Update("price", 61).Error)
		}},
		{"a model by value is compared", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			require.NoError(t, db.Model(valueOf(m)).Update("price", 80).Error)

			require.ErrorIs(t, db.Model(valueOf(m)).Update("price", 81).Error, occ.ErrStaleData)
			require.Equal(t, 80, k.stored(t, db, m).part().Price)
		}},
		{rolledBack, func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			before := versionIn(m)
			failed := errors.New("failed")
			require.NoError(t, db.Callback().Update().Before("gorm:commit_or_rollback_transaction").Register("fail", func(tx *gorm.DB) {
				if _, fails := tx.Get("fails"); fails {
					_ = tx.AddError(failed)
				}
			}))

			require.ErrorIs(t, db.Set("fails", true).Model(m).Update("price", 1).Error, failed)
			require.NoError(t, db.Callback().Update().Remove("fail"))

			require.Equal(t, before, versionIn(m))
			m.part().Price = 10
			k.requireStored(t, db, m, 10)
			require.NoError(t, db.Model(m).Update("price", 11).Error)
		}},
		{"a preset version is kept", func(t *testing.T, db *gorm.DB) {
			other := k.newPart(t, db)
			m := k.new()
			versionField(m).Set(versionField(other))

			require.NoError(t, db.Create(m).Error)

			require.Equal(t, versionIn(other), versionIn(m))
			k.requireStored(t, db, m, 0)
		}},
		{"an unchanged row is written too", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			require.NoError(t, db.Model(m).Update("price", 10).Error)
			require.NoError(t, db.Save(m).Error)

			k.requireStored(t, db, m, 10)
		}},
		{"DryRun changes nothing", func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)
			before := versionIn(m)

			statement := db.Session(&gorm.Session{DryRun: true}).Model(m).Update("price", 90).Statement

			require.Contains(t, statement.SQL.String(), "UPDATE")
			require.Equal(t, before, versionIn(m))
			m.part().Price = 10
			k.requireStored(t, db, m, 10)
		}},
		{returning, func(t *testing.T, db *gorm.DB) {
			m := k.newPart(t, db)

			require.NoError(t, db.Model(m).Clauses(clause.Returning{}).Update("price", gorm.Expr("price + 1")).Error)

			require.Equal(t, 11, m.part().Price)
			require.NoError(t, db.Model(m).Update("price", 12).Error)
			k.requireStored(t, db, m, 12)
		}},
	}
}

// plainVersion is a version in a form that compares: what a pointer points to, NULL as nil, times in UTC.
func plainVersion(version any) any {
	rv := reflect.ValueOf(version)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return nil
	}
	if valuer, ok := rv.Interface().(driver.Valuer); ok && rv.Kind() == reflect.Struct && rv.Type() != reflect.TypeFor[time.Time]() {
		value, _ := valuer.Value()
		return plainVersion(value)
	}
	if at, ok := rv.Interface().(time.Time); ok {
		return at.UTC().Format(time.RFC3339Nano)
	}
	return rv.Interface()
}

// execAll runs statements that are separated by lines ending in a semicolon.
func execAll(t *testing.T, db *gorm.DB, statements string) {
	t.Helper()
	for _, statement := range splitStatements(statements) {
		execUnprepared(t, db, statement)
	}
}

// execUnprepared runs a statement also where PrepareStmt is set: MySQL prepares no CREATE TRIGGER.
func execUnprepared(t *testing.T, db *gorm.DB, statement string) {
	t.Helper()
	pool, err := db.DB()
	require.NoError(t, err)
	_, err = pool.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func splitStatements(text string) (statements []string) {
	for part := range strings.SplitSeq(text, ";\n") {
		if part = strings.TrimSpace(part); part != "" {
			statements = append(statements, part)
		}
	}
	return statements
}

func TestAModelThatManyMeetAtOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&typedPart[bareID]{}))
		errs := make(chan error, 8)
		for range cap(errs) {
			go func() {
				m := typedPart[bareID]{}
				err := db.Create(&m).Error
				errs <- errors.Join(err, db.First(&typedPart[bareID]{}, m.ID).Error, db.Model(&m).Update("price", 1).Error)
			}()
		}
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
	})
}

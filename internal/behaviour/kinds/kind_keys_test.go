package kinds_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Models whose key is of any type.
type (
	keyedRow[K, V any] struct {
		ID      K `gorm:"primaryKey;size:40;autoIncrement:false"`
		Price   int
		Version V `gorm:"version"`
	}
	keyedBytes[K any] struct {
		ID      K `gorm:"primaryKey;size:40;autoIncrement:false"`
		Price   int
		Version []byte `gorm:"version:mine;size:40"`
	}
)

func (keyedRow[K, V]) TableName() string { return "parts" }
func (keyedBytes[K]) TableName() string  { return "parts" }

// Types of keys and versions that an application may have.
type (
	bytesKey  []byte
	placeKey  struct{ Row, Seat int }
	storedKey [16]byte // in a binary column
)

func (k placeKey) Value() (driver.Value, error) { return fmt.Sprintf("%d/%d", k.Row, k.Seat), nil }
func (k *placeKey) Scan(src any) error {
	text, _ := src.(string)
	if bytes, ok := src.([]byte); ok {
		text = string(bytes)
	}
	_, err := fmt.Sscanf(text, "%d/%d", &k.Row, &k.Seat)
	return err
}
func (placeKey) GormDataType() string { return "string" }

func (k storedKey) Value() (driver.Value, error) { return k[:], nil }
func (k *storedKey) Scan(src any) error {
	bytes, ok := src.([]byte)
	if !ok || len(bytes) != len(k) {
		return fmt.Errorf("%T is no key", src)
	}
	copy(k[:], bytes)
	return nil
}

func (storedKey) GormDBDataType(db *gorm.DB, _ *schema.Field) string {
	return map[string]string{"mysql": "binary(16)", "postgres": "bytea", "sqlite": "blob"}[db.Name()]
}

// keyCase is a type of keys, with values of it in ascending order.
type keyCase struct {
	name string
	run  func(t *testing.T, name string, nth int)
}

// keysOf has the calls made with int64 as the version, and with one more sort, another one from key to key.
func keysOf[K any](name string, keys ...K) keyCase {
	return keyCase{name, func(t *testing.T, name string, nth int) {
		runKeyed[keyedRow[K, int64]](t, name+", int64", keys)
		others := []func(){
			func() { runKeyed[keyedRow[K, string]](t, name+", string", keys) },
			func() { runKeyed[keyedRow[K, time.Time]](t, name+", time.Time", keys) },
			func() { runKeyed[keyedRow[K, uuid.UUID]](t, name+", uuid.UUID", keys) },
			func() { runKeyed[keyedRow[K, storedKey]](t, name+", binary UUID", keys) },
			func() {
				runKeyed[keyedBytes[K]](t, name+", []byte", keys, counting(func(n int64) any { return []byte{1, byte(n)} }))
			},
		}
		for i, run := range others {
			if testdb.IsLongest() || (nth+len(others)-1)%len(others) == i {
				run()
			}
		}
	}}
}

func keyTypes() []keyCase {
	text, number := "c", int64(3)
	return []keyCase{
		keysOf("[]byte", []byte("a"), []byte{0, 255}, []byte(`'"\?`)),
		keysOf("named bytes", bytesKey("a"), bytesKey("b"), bytesKey("c")),
		keysOf("string", "a", "it's", `b\?`),
		keysOf("*string", &text),
		keysOf("*int64", &number),
		keysOf("int8", int8(-3), int8(0x7f)),
		keysOf("sql.NullInt64", sql.NullInt64{Int64: 1, Valid: true}, sql.NullInt64{Int64: 2, Valid: true}),
		keysOf("sql.NullString", sql.NullString{String: "a", Valid: true}, sql.NullString{String: "b", Valid: true}),
		keysOf("uuid.UUID", uuid.New(), uuid.New(), uuid.New()),
		keysOf("binary UUID", storedKey(uuid.New()), storedKey(uuid.New())),
		keysOf("time.Time", Noon, Noon.Add(time.Hour)),
		keysOf("struct with Value", placeKey{1, 2}, placeKey{1, 3}),
	}
}

// TestKeysOfEveryType makes each call on models whose key is of one type and whose version of another.
func TestKeysOfEveryType(t *testing.T) {
	t.Parallel()
	for nth, key := range keyTypes() {
		key.run(t, key.name, nth)
	}
}

func runKeyed[M, K any](t *testing.T, name string, keys []K, opts ...occ.Option) {
	for _, database := range testdb.All() {
		t.Run(strings.ReplaceAll(name, " ", "_")+"/"+database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{new(M)}, opts...)
			k := keyed[M]{t, db}
			models := make([]M, len(keys))
			for i := range models {
				k.field(&models[i], "ID").Set(reflect.ValueOf(keys[i]))
			}
			require.NoError(t, db.Create(&models).Error)
			k.writesOne(models[0])
			k.writesSeveral()
			k.removes()
		})
	}
}

// keyed makes calls on rows of one model.
type keyed[M any] struct {
	*testing.T
	db *gorm.DB
}

func (k keyed[M]) field(m *M, name string) reflect.Value {
	return reflect.ValueOf(m).Elem().FieldByName(name)
}

// stored returns the rows, and wants models to be the same.
func (k keyed[M]) stored(models ...M) (rows []M) {
	k.Helper()
	require.NoError(k, k.db.Order("id").Find(&rows).Error)
	for i := range models {
		require.Equal(k, fmt.Sprint(k.shown(rows[i])), fmt.Sprint(k.shown(models[i])))
	}
	return rows
}

// shown is what a model holds, with times as instants.
func (k keyed[M]) shown(m M) []any {
	shown := []any{k.field(&m, "Price").Interface()}
	for _, name := range []string{"ID", "Version"} {
		value := reflect.Indirect(k.field(&m, name)).Interface()
		if at, ok := value.(time.Time); ok {
			value = at.UTC().Truncate(time.Millisecond)
		}
		shown = append(shown, value)
	}
	return shown
}

func (k keyed[M]) writesOne(m M) {
	k.Helper()
	stale := m
	require.NoError(k, k.db.Model(&m).Update("price", 1).Error)
	require.NoError(k, k.db.Model(&m).Updates(map[string]any{"price": 2}).Error)
	k.field(&m, "Price").SetInt(3)
	require.NoError(k, k.db.Save(&m).Error)
	require.NoError(k, occ.Touch(k.db, &m))
	require.NoError(k, occ.Verify(k.db, &m))
	again := m
	require.NoError(k, k.db.First(&again).Error)
	require.Equal(k, fmt.Sprint(k.shown(again)), fmt.Sprint(k.shown(m)))

	for name, write := range map[string]func(m *M) error{
		"Update": func(m *M) error { return k.db.Model(m).Update("price", 9).Error },
		"Save":   func(m *M) error { return k.db.Save(m).Error },
		"Delete": func(m *M) error { return k.db.Delete(m).Error },
		"Touch":  func(m *M) error { return occ.Touch(k.db, m) },
		"Verify": func(m *M) error { return occ.Verify(k.db, m) },
	} {
		mine := stale
		row := Stale(k, write(&mine))
		require.Equal(k, occ.ReasonChanged, row.Reason, name)
		require.Equal(k, k.shown(stale)[1:], k.shown(mine)[1:], name) // GORM leaves the payload in the model
	}
	mine := stale
	theirs, err := occ.Current(k.db, &mine)
	require.NoError(k, err)
	require.Equal(k, fmt.Sprint(k.shown(m)), fmt.Sprint(k.shown(*theirs)))
	require.NoError(k, occ.Rebase(k.db, &stale, &mine))
	upsert := mine
	require.NoError(k, k.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&upsert).Error)
}

func (k keyed[M]) writesSeveral() {
	k.Helper()
	models := k.stored()
	stale := slices.Clone(models)
	for i := range models {
		k.field(&models[i], "Price").SetInt(int64(10 + i))
	}
	require.NoError(k, k.db.Save(&models).Error)
	k.stored(models...)
	require.NoError(k, k.db.Model(&models).Update("price", gorm.Expr("price + 1")).Error)
	require.NoError(k, occ.Verify(k.db, &models))
	require.NoError(k, occ.Touch(k.db, &models))
	for name, write := range map[string]func(m *[]M) error{
		"Update": func(m *[]M) error { return k.db.Model(m).Update("price", 9).Error },
		"Save":   func(m *[]M) error { return k.db.Save(m).Error },
		"Delete": func(m *[]M) error { return k.db.Delete(m).Error },
		"Verify": func(m *[]M) error { return occ.Verify(k.db, m) },
	} {
		mine := slices.Clone(stale)
		require.ErrorIs(k, write(&mine), occ.ErrStaleData, name)
	}
	require.Len(k, k.stored(), len(models))
}

func (k keyed[M]) removes() {
	k.Helper()
	models := k.stored()
	require.NoError(k, k.db.Delete(&models[0]).Error)
	if len(models) > 1 {
		rest := models[1:]
		require.NoError(k, k.db.Delete(&rest).Error)
	}
	require.Empty(k, k.stored())
}

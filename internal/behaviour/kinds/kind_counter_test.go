package kinds_test

import (
	"database/sql"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// counted is a model whose counter is of any type.
type counted[V any] struct {
	ID      uint
	Price   int
	Version V `gorm:"version"`
}

func (counted[V]) TableName() string { return "counted_" + reflect.TypeFor[V]().Kind().String() }

// narrow has a column that ends before its type does.
type narrow struct {
	ID      uint
	Price   int
	Version int64 `gorm:"version;type:smallint"`
}

func TestACounterStartsAgainAt1BehindItsLastValue(t *testing.T) {
	t.Parallel()
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, nil)
			testRollover[int8](t, db, math.MaxInt8, 1)
			testRollover[int16](t, db, math.MaxInt16, 1)
			testRollover[int32](t, db, math.MaxInt32, 1)
			testRollover[int64](t, db, math.MaxInt64, 1)
			testRollover[uint8](t, db, math.MaxUint8, 1)
			testRollover[uint16](t, db, math.MaxUint16, 1)
			testRollover[uint32](t, db, math.MaxUint32, 1)
			testRollover[int8](t, db, -1, 1)
			testRollover[int8](t, db, -2, -1)
			testRollover[sql.Null[int8]](t, db, sql.Null[int8]{V: math.MaxInt8, Valid: true}, sql.Null[int8]{V: 1, Valid: true})
			if database.Like == "mariadb" {
				testRollover[uint64](t, db, math.MaxUint64, 1)
				testRollover[uint64](t, db, math.MaxUint64-1, math.MaxUint64)
			} else {
				testRollover[uint64](t, db, math.MaxInt64, 1)
			}
		})
	}
}

// testRollover writes a row at version last by model and by condition.
func testRollover[V any](t *testing.T, db *gorm.DB, last, next V) {
	t.Helper()
	require.NoError(t, db.AutoMigrate(&counted[V]{}))
	mine, byCondition := counted[V]{Version: last}, counted[V]{Version: last}
	require.NoError(t, db.Create(&mine).Error)
	require.NoError(t, db.Create(&byCondition).Error)

	require.NoError(t, db.Model(&mine).Update("price", 1).Error)
	require.NoError(t, db.Model(&counted[V]{}).Where("id = ?", byCondition.ID).Update("price", 2).Error)

	require.Equal(t, next, mine.Version)
	require.Equal(t, mine, Reload[counted[V]](t, db, mine.ID))
	require.Equal(t, next, Reload[counted[V]](t, db, byCondition.ID).Version)
	require.NoError(t, db.Model(&mine).Update("price", 3).Error)
}

func TestACounterEndsWithItsColumn(t *testing.T) {
	t.Parallel()
	// Every integer of SQLite has 64 bits.
	Run(t, Except("sqlite", testdb.All()), []Behaviour{
		{"a write behind its last value is at 1", func(t *testing.T, db *gorm.DB) {
			m := narrow{Version: math.MaxInt16}
			require.NoError(t, db.Create(&m).Error)

			require.NoError(t, db.Model(&m).Update("price", 1).Error)

			require.EqualValues(t, 1, m.Version)
			require.Equal(t, m, Reload[narrow](t, db, m.ID))
		}},
	}, &narrow{})
}

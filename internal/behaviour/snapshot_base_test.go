package behaviour_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Coins are stored as a text of their own.
type Coins struct{ Cents int }

func (c *Coins) Scan(stored any) error {
	text, ok := stored.(string)
	if b, isBytes := stored.([]byte); isBytes {
		text, ok = string(b), true
	}
	if !ok {
		return fmt.Errorf("coins of a %T", stored)
	}
	_, err := fmt.Sscanf(text, "%d c", &c.Cents)
	return err
}

func (c Coins) Value() (driver.Value, error) { return fmt.Sprintf("%d c", c.Cents), nil }

func (Coins) GormDataType() string { return "string" }

type (
	aString string
	aNumber uint8
)

// columnValue is a value of a type of column, and another one that mine changes it to.
type columnValue struct {
	name  string
	check func(t *testing.T, db *gorm.DB)
}

func columnOf[T any](value, changed T) columnValue {
	return columnValue{fmt.Sprintf("%T %+v to %+v", value, reflect.Indirect(reflect.ValueOf(value)), reflect.Indirect(reflect.ValueOf(changed))), func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.AutoMigrate(&Sample[T]{}))
		require.NoError(t, db.Create(&Sample[T]{Value: value}).Error)
		var before, mine, theirs Sample[T]
		for _, sample := range []*Sample[T]{&before, &mine, &theirs} {
			require.NoError(t, db.Take(sample).Error)
		}
		mine.Value = changed
		require.NoError(t, db.Model(&theirs).Update("other", 5).Error)

		merged, conflicts, err := occ.Merge(db, nil, &mine, &theirs)
		require.NoError(t, err)
		require.Empty(t, conflicts, "what was loaded is the base")
		require.Equal(t, changed, merged.Value)
		require.Equal(t, 5, merged.Other)
		require.NoError(t, occ.Rebase(db, nil, &mine))
		require.Equal(t, 5, mine.Other)
		var row Sample[T]
		require.NoError(t, db.Take(&row).Error)
		require.Equal(t, row, mine)
		want := before
		want.Value = changed
		_, conflicts, err = occ.Merge(db, &before, &want, &row)
		require.NoError(t, err)
		require.Empty(t, conflicts, "what is stored is what mine changed it to")

		merged, conflicts, err = occ.Merge(db, nil, &before, &theirs)
		require.NoError(t, err)
		require.Empty(t, conflicts)
		require.Equal(t, theirs.Value, merged.Value, "mine has changed nothing")
	}}
}

func ptr[T any](value T) *T { return &value }

func TestSnapshotIsTheBaseOfEachKindOfColumn(t *testing.T) {
	t.Parallel()
	at, later := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.Local), time.Date(2027, 1, 2, 3, 4, 5, 0, time.Local)
	columns := []columnValue{
		columnOf(true, false), columnOf(ptr(true), ptr(false)), columnOf(ptr(false), nil), columnOf((*bool)(nil), ptr(true)),
		columnOf(int8(-3), 4), columnOf(ptr(int8(-3)), ptr(int8(4))), columnOf(ptr(-3), nil),
		columnOf(ptr(uint(3)), ptr(uint(4))), columnOf(ptr(uint64(3)), nil), columnOf(aNumber(3), 4), columnOf(ptr(aNumber(3)), nil),
		columnOf(ptr(time.Second), nil),
		columnOf(float32(1.5), 2), columnOf(ptr(float32(1.5)), ptr(float32(2))), columnOf(ptr(0.25), nil),
		columnOf("a", "b"), columnOf(ptr("a"), ptr("b")), columnOf(aString("a"), "b"), columnOf(ptr(aString("a")), nil),
		columnOf([]byte("a"), []byte("b")), columnOf([]byte(nil), []byte("b")), columnOf(ptr([]byte("a")), nil),
		columnOf(at, later), columnOf(&at, &later), columnOf(&at, nil),
		columnOf(sql.NullBool{Bool: true, Valid: true}, sql.NullBool{}),
		columnOf(sql.NullInt16{Int16: 3, Valid: true}, sql.NullInt16{Int16: 4, Valid: true}),
		columnOf(sql.NullInt64{}, sql.NullInt64{Int64: 4, Valid: true}),
		columnOf(sql.NullFloat64{Float64: 1.5, Valid: true}, sql.NullFloat64{}),
		columnOf(sql.NullString{String: "a", Valid: true}, sql.NullString{Valid: true}),
		columnOf(sql.NullTime{Time: at, Valid: true}, sql.NullTime{}),
		columnOf(ptr(sql.NullString{String: "a", Valid: true}), nil),
		columnOf(Coins{3}, Coins{4}), columnOf(&Coins{3}, &Coins{4}), columnOf(&Coins{3}, nil),
	}
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			for _, column := range columns {
				t.Run(column.name, func(t *testing.T) { column.check(t, Open(t, database, nil)) })
			}
		})
	}
}

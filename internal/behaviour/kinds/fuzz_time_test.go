package kinds_test

import (
	"fmt"
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

// instant is a time that a fuzzer makes up, in a zone, and the precision of the column it goes into.
type instant struct {
	seconds     int64
	nanoseconds uint32
	zone        int32
	precision   uint8
	tick        int64 // how far the clock is when the row is written
}

func (i instant) time() time.Time {
	return time.Unix(i.seconds, int64(i.nanoseconds%1e9)).In(time.FixedZone("made up", int(i.zone%(15*3600))))
}

// typ is a model whose version is a time of the precision; 10 is a column without one.
func (i instant) typ() reflect.Type {
	tag := "version"
	if digits := i.precision % 11; digits < 10 {
		tag = fmt.Sprintf("version;precision:%d", digits)
	}
	return declare(reflect.TypeFor[time.Time](), "", tag)
}

// isInRange leaves a second to the years that every database and driver has, for the version and for the clock.
func (i instant) isInRange() bool {
	first, last := time.Unix(-62135596799, 0), time.Unix(253402300797, 0)
	now := i.time().Add(time.Duration(i.tick))
	return i.time().After(first) && i.time().Before(last) && now.After(first) && now.Before(last)
}

func versionOf(model any) time.Time {
	return reflect.ValueOf(model).Elem().FieldByName("V").Interface().(time.Time)
}

// keepsTime reports whether GORM by itself stores such a time and reads the same one again, but for digits that the column
// has no place for.
func (i instant) keepsTime(t *testing.T, db *gorm.DB) bool {
	stored, read := reflect.New(i.typ()), reflect.New(i.typ())
	stored.Elem().FieldByName("V").Set(reflect.ValueOf(i.time().UTC()))
	if db.Create(stored.Interface()).Error != nil || db.First(read.Interface()).Error != nil {
		return false
	}
	require.NoError(t, db.Where("1 = 1").Delete(reflect.New(i.typ()).Interface()).Error)
	off := i.time().Sub(versionOf(read.Interface()))
	return off > -time.Second && off < time.Second
}

// check requires that a version of any instant is the same in memory and in the row, that only exactly this one is written
// over, and that the next one is later, whatever the clock says.
func (i instant) check(t *testing.T, db *gorm.DB) {
	plain, versioned := i.open(t, db)
	newModel := func() any { return reflect.New(i.typ()).Interface() }
	if !worksInGORM(plain, i.typ()) || !i.isInRange() || !i.keepsTime(t, plain) {
		return
	}
	mine := newModel()
	reflect.ValueOf(mine).Elem().FieldByName("V").Set(reflect.ValueOf(i.time()))
	require.NoError(t, versioned.Create(mine).Error, "%+v", i)
	theirs := newModel()
	require.NoError(t, versioned.First(theirs).Error, "%+v", i)
	require.True(t, versionOf(mine).Equal(versionOf(theirs)), "%+v: %s in memory, %s in the row", i, versionOf(mine), versionOf(theirs))
	started := versionOf(theirs)

	i.refuseNeighbours(t, versioned, mine)
	require.NoError(t, versioned.Model(mine).Clauses(occ.Expect(started.In(i.time().Location()))).Update("Text", "b").Error, "%+v", i)

	row := newModel()
	require.NoError(t, versioned.First(row).Error, "%+v", i)
	require.True(t, versionOf(mine).Equal(versionOf(row)), "%+v: %s in memory, %s in the row", i, versionOf(mine), versionOf(row))
	require.True(t, versionOf(row).After(started), "%+v: %s is not after %s", i, versionOf(row), started)
	require.ErrorIs(t, versioned.Model(theirs).Update("Text", "c").Error, occ.ErrStaleData, "%+v", i)
	i.followByCondition(t, versioned, mine)
}

// refuseNeighbours expects what the row is not at. PostgreSQL and MariaDB know of no time between two microseconds.
func (i instant) refuseNeighbours(t *testing.T, db *gorm.DB, model any) {
	for _, off := range []time.Duration{time.Microsecond, -time.Microsecond, time.Millisecond, time.Second, -time.Hour} {
		other := versionOf(model).Add(off)
		if other.IsZero() {
			continue
		}
		require.Error(t, db.Model(model).Clauses(occ.Expect(other)).Update("Text", "x").Error, "%+v: %s", i, off)
		require.Error(t, db.Model(model).Updates(map[string]any{"text": "x", "v": other}).Error, "%+v: %s", i, off)
	}
}

// followByCondition writes the row without knowing its version, and then as whoever has read it since.
func (i instant) followByCondition(t *testing.T, db *gorm.DB, mine any) {
	before := versionOf(mine)
	blank := func() any { return reflect.New(i.typ()).Interface() }
	require.NoError(t, db.Model(blank()).Where("1 = 1").Update("Text", "d").Error, "%+v", i)
	row := blank()
	require.NoError(t, db.First(row).Error, "%+v", i)
	require.True(t, versionOf(row).After(before), "%+v: %s is not after %s", i, versionOf(row), before)
	require.ErrorIs(t, db.Model(mine).Update("Text", "e").Error, occ.ErrStaleData, "%+v", i)
	require.NoError(t, db.Model(row).Update("Text", "f").Error, "%+v", i)
}

// open opens the database again with a clock of the instant's own.
func (i instant) open(t *testing.T, db *gorm.DB) (plain, versioned *gorm.DB) {
	config := gorm.Config{
		NamingStrategy: schema.NamingStrategy{TablePrefix: "unnamed"},
		NowFunc:        func() time.Time { return i.time().Add(time.Duration(i.tick)) },
	}
	return Reopen(t, db, config), Reopen(t, db, config, occ.New())
}

func instants() (seeds []instant) {
	seconds := []int64{
		0, 1, -1, 951782400, 1700000000, 4102444800, -2208988800, -62135596800, -62135596799, -62167219200,
		253402300799, 253402300798, 253402300800, 253370764800, -62198755200, 1<<31 - 1, 1 << 31, 1 << 33,
	}
	nanoseconds := []uint32{0, 1, 999, 1000, 499999, 500000, 1000000, 5e8, 123456789, 999999499, 999999500, 999999999, 99999999, 900000000}
	zones := []int32{0, 3600, -18000, 19800, 1172, -1172, 50399, -43200, 1}
	ticks := []int64{0, 1, 999, 1000, -1, -1e9, 1e9, -3600e9, 86400e9, 1e6 - 1}
	for i := range 4 * len(seconds) {
		for p := range uint8(11) {
			if i < len(seconds) || (i+int(p))%4 == 0 {
				seeds = append(seeds, instant{seconds[i%len(seconds)], nanoseconds[(i+int(p))%len(nanoseconds)],
					zones[i%len(zones)], p, ticks[(i+int(p))%len(ticks)]})
			}
		}
	}
	return seeds
}

// FuzzTimePrecision writes a row whose version is a time of any instant, zone and precision.
func FuzzTimePrecision(f *testing.F) {
	for _, i := range instants() {
		f.Add(i.seconds, i.nanoseconds, i.zone, i.precision, i.tick)
	}
	db := testdb.One(f, "sqlite").Open(f)
	f.Fuzz(func(t *testing.T, seconds int64, nanoseconds uint32, zone int32, precision uint8, tick int64) {
		instant{seconds, nanoseconds, zone, precision, tick}.check(t, db)
	})
}

// TestTimePrecisions runs the seeds where columns keep fewer digits.
func TestTimePrecisions(t *testing.T) {
	t.Parallel()
	for _, database := range Only("postgres", "mariadb") {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := database.Open(t)
			for n, i := range testdb.Some(instants(), 5) {
				if n%3 == 0 {
					i.check(t, db)
				}
			}
		})
	}
}

package behaviour_test

import (
	"fmt"
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

// Sample has a column of a type that a test chooses.
type Sample[T any] struct {
	ID    uint
	Value T
	Other int
	occ.Snapshot
}

func (Sample[T]) TableName() string { return "samples" }

// storedKind is a type of column with two values that differ in as little as possible.
type storedKind struct {
	typ, value, changed string
	check               func(t *testing.T, db *gorm.DB, k storedKind)
	isInexact           bool // SQL does not find a value that is there
}

func storedAs[T any](typ, value, changed string) storedKind {
	return storedKind{typ: typ, value: value, changed: changed, check: checkStored[T]}
}

func inexact(k storedKind) storedKind {
	k.isInexact = true
	return k
}

func TestSnapshotComparesWhatIsStored(t *testing.T) {
	kinds := map[string][]storedKind{
		"sqlite": {
			storedAs[string]("text", "'a'", "'A'"),
			storedAs[string]("text", "'a'", "'a '"),
			storedAs[string]("text COLLATE NOCASE", "'a'", "'A'"),
			storedAs[string]("text COLLATE RTRIM", "'a'", "'a '"),
			storedAs[string]("text", "''", "NULL"),
			storedAs[int]("integer", "0", "NULL"),
			storedAs[int64]("integer", "9223372036854775807", "9223372036854775806"),
			storedAs[float64]("real", "0.1", "0.10000000000000002"),
			storedAs[float32]("real", "0.1", "0.10000000000000002"),
			storedAs[float64]("real", "3", "3.0000000000000004"),
			storedAs[float64]("decimal(10,2)", "1.25", "1.26"),
			storedAs[string]("numeric", "1.5", "1.25"),
			storedAs[bool]("boolean", "1", "0"),
			storedAs[[]byte]("blob", "x'00ff'", "x'00fe'"),
			storedAs[[]byte]("blob", "x''", "NULL"),
			storedAs[string]("blob", "'text'", "x'74657874'"),
			storedAs[time.Time]("datetime", "'2026-01-02 03:04:05.123456789+00:00'", "'2026-01-02 03:04:05.123456788+00:00'"),
			storedAs[time.Time]("datetime", "'2026-01-02 03:04:05+02:00'", "'2026-01-02 03:04:05+01:00'"),
			inexact(storedAs[time.Time]("datetime", "'2026-01-02T03:04:05Z'", "'2026-01-02T03:04:06Z'")),
			inexact(storedAs[time.Time]("datetime", "'2026-01-02'", "'2026-01-03'")),
			inexact(storedAs[time.Time]("datetime", "datetime('2026-01-02 03:04:06')", "'2026-01-02 03:04:05'")),
			storedAs[string]("json", `'{"a": 1}'`, `'{"a":1}'`),
		},
		"postgres": {
			storedAs[string]("text", "'a'", "'A'"),
			storedAs[string]("text", "'a'", "'a '"),
			storedAs[string]("varchar(9)", "''", "NULL"),
			storedAs[string]("char(4)", "'a'", "'A'"),
			storedAs[string]("uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "'6ba7b810-9dad-11d1-80b4-00c04fd430c9'"),
			storedAs[int]("integer", "0", "NULL"),
			storedAs[int64]("bigint", "9223372036854775807", "9223372036854775806"),
			storedAs[float32]("real", "0.1", "0.10000001"),
			storedAs[float64]("real", "0.1", "0.10000001"),
			storedAs[float64]("double precision", "0.1", "0.10000000000000002"),
			storedAs[float32]("double precision", "0.1", "0.10000000000000002"),
			storedAs[float64]("double precision", "'NaN'", "'Infinity'"),
			storedAs[string]("numeric", "1.50", "1.5"),
			storedAs[string]("numeric(40,20)", "0.12345678901234567890", "0.12345678901234567891"),
			storedAs[float64]("numeric", "0.12345678901234567890", "0.12345678901234567891"),
			storedAs[string]("money", "1.50", "1.51"),
			storedAs[bool]("boolean", "false", "NULL"),
			storedAs[[]byte]("bytea", `'\x00ff'`, `'\x00fe'`),
			storedAs[[]byte]("bytea", `''`, "NULL"),
			storedAs[time.Time]("timestamptz", "'2026-01-02 03:04:05.123456+00'", "'2026-01-02 03:04:05.123457+00'"),
			storedAs[time.Time]("timestamp", "'2026-01-02 03:04:05.123456'", "'2026-01-02 03:04:05.123457'"),
			storedAs[time.Time]("timestamptz(0)", "'2026-01-02 03:04:05+00'", "'2026-01-02 03:04:06+00'"),
			storedAs[string]("timestamptz", "'infinity'", "'-infinity'"),
			storedAs[time.Time]("date", "'2026-01-02'", "'2026-01-03'"),
			storedAs[string]("time", "'03:04:05.123456'", "'03:04:05.123457'"),
			storedAs[string]("timetz", "'03:04:05+02'", "'03:04:05+01'"),
			storedAs[string]("interval", "'1 day'", "'24 hours'"),
			storedAs[string]("json", `'{"a": 1}'`, `'{"a":1}'`),
			storedAs[string]("jsonb", `'{"a": 1}'`, `'{"a": 2}'`),
			storedAs[string]("text[]", "'{a,b}'", "'{a,B}'"),
			storedAs[string]("int4range", "'[1,5)'", "'[1,6)'"),
			inexact(storedAs[string]("inet", "'10.0.0.1'", "'10.0.0.1/8'")),
			storedAs[string]("xml", "'<a/>'", "'<a></a>'"),
			storedAs[string]("point", "'(1,2)'", "'(1,3)'"),
			storedAs[string]("bit(4)", "'1010'", "'1011'"),
			storedAs[string]("tsvector", "'a b'", "'a c'"),
		},
		"mariadb": {
			storedAs[string]("varchar(9)", "'a'", "'A'"),
			storedAs[string]("varchar(9)", "'a'", "'a '"),
			storedAs[string]("varchar(9)", "'a'", "'á'"),
			storedAs[string]("varchar(9) CHARACTER SET latin1", "'é'", "'è'"),
			storedAs[string]("varchar(9)", "''", "NULL"),
			storedAs[string]("longtext", "'a'", "'A'"),
			storedAs[string]("char(4)", "'a'", "'A'"),
			storedAs[string]("uuid", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "'6ba7b810-9dad-11d1-80b4-00c04fd430c9'"),
			storedAs[string]("inet6", "'::1'", "'::2'"),
			storedAs[string]("enum('a','b')", "'a'", "'b'"),
			storedAs[string]("set('a','b')", "'a'", "'a,b'"),
			storedAs[int]("int", "0", "NULL"),
			storedAs[uint64]("bigint unsigned", "18446744073709551615", "18446744073709551614"),
			storedAs[int64]("bigint", "9223372036854775807", "9223372036854775806"),
			storedAs[float32]("float", "1.5", "1.25"),
			storedAs[float32]("float", "0.1", "0.2"),
			storedAs[float32]("float", "1.2345679", "1.2346"),
			storedAs[float32]("float", "1.2345679e20", "1.2346e20"),
			storedAs[float64]("double", "0.1", "0.10000000000000002"),
			storedAs[float64]("double", "1e300", "1.0000000000000002e300"),
			storedAs[string]("decimal(40,20)", "0.12345678901234567890", "0.12345678901234567891"),
			storedAs[float64]("decimal(40,20)", "0.12345678901234567890", "0.12345678901234567891"),
			storedAs[int]("tinyint(1)", "1", "2"),
			storedAs[[]byte]("bit(9)", "b'100000001'", "b'100000011'"),
			storedAs[[]byte]("longblob", "x'00ff'", "x'00fe'"),
			storedAs[[]byte]("varbinary(9)", "x'61'", "x'6120'"),
			storedAs[[]byte]("varbinary(9)", "''", "NULL"),
			storedAs[[]byte]("binary(4)", "x'61'", "x'41'"),
			storedAs[time.Time]("datetime(6)", "'2026-01-02 03:04:05.123456'", "'2026-01-02 03:04:05.123457'"),
			storedAs[time.Time]("datetime", "'2026-01-02 03:04:05'", "'2026-01-02 03:04:06'"),
			storedAs[time.Time]("timestamp(3) NULL", "'2026-01-02 03:04:05.123'", "'2026-01-02 03:04:05.124'"),
			storedAs[time.Time]("date", "'2026-01-02'", "'2026-01-03'"),
			storedAs[string]("time(6)", "'03:04:05.123456'", "'03:04:05.123457'"),
			storedAs[int]("year", "2026", "2027"),
			storedAs[string]("json", `'{"a": 1}'`, `'{"a":1}'`),
			storedAs[[]byte]("point", "POINT(1,2)", "POINT(1,3)"),
		},
	}
	for _, database := range slices.Concat(testdb.All(), testdb.Configurations()) {
		dialect, configuration := database.Like, database.Configuration
		if strings.HasPrefix(configuration, "Skip") || strings.HasPrefix(configuration, "Prepare") {
			continue // makes no difference to values
		}
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			for _, k := range kinds[dialect] {
				if slices.Contains(notOfMySQL, k.typ) && database.Product == "mysql" {
					continue
				}
				t.Run(fmt.Sprintf("%s %s %s", k.typ, k.value, k.changed), func(t *testing.T) {
					k.check(t, Open(t, database, nil), k)
				})
			}
		})
	}
}

// notOfMySQL are types that MariaDB alone has; its json is text, where MySQL's is compared as what it means.
var notOfMySQL = []string{"uuid", "inet6", "json"}

// checkStored has a model of a row with a value written, refused once the value has changed, and written again after a load.
func checkStored[T any](t *testing.T, db *gorm.DB, k storedKind) {
	require.NoError(t, db.Exec("CREATE TABLE samples (id integer PRIMARY KEY, value "+k.typ+", other integer)").Error)
	require.NoError(t, db.Exec("INSERT INTO samples VALUES (1, "+k.value+", 1)").Error)
	updates := countUpdates(t, db)
	for i, load := range []func(m *[]Sample[T]) error{
		func(m *[]Sample[T]) error { return db.Find(m, 1).Error },
		func(m *[]Sample[T]) error { return db.Find(m).Error },
	} {
		require.NoError(t, db.Exec("UPDATE samples SET other = 1, value = "+k.value).Error)
		var mine, stale []Sample[T]
		require.NoError(t, load(&mine))
		require.NoError(t, load(&stale))

		*updates = 0
		for n := range 3 {
			res := db.Model(&mine[0]).Update("other", 10*i+n+2)
			require.NoError(t, res.Error)
			require.EqualValues(t, 1, res.RowsAffected)
		}
		if !k.isInexact && db.Name() != "sqlite" {
			require.Equal(t, 3, *updates, "compared in SQL")
		}
		require.NoError(t, db.Exec("UPDATE samples SET other = 1").Error)
		require.NoError(t, db.Model(&stale[0]).Update("other", 5).Error)

		for _, to := range []string{k.changed, "NULL"} {
			require.NoError(t, db.Exec("UPDATE samples SET value = "+k.value+", other = 5").Error)
			m := stale[0]
			require.NoError(t, db.Model(&m).Update("other", 6).Error)
			require.NoError(t, db.Exec("UPDATE samples SET value = "+to).Error)
			err := db.Model(&m).Update("other", 7).Error
			require.ErrorIs(t, err, occ.ErrStaleData, to)
			require.ErrorContains(t, err, "value", to)
			require.NoError(t, load(&mine))
			require.NoError(t, db.Model(&mine[0]).Update("other", 5).Error, to)
		}
	}
	var last []Sample[T]
	require.NoError(t, db.Exec("UPDATE samples SET value = "+k.value).Error)
	require.NoError(t, db.Find(&last).Error)
	require.NoError(t, db.Model(&last).Update("other", 8).Error)
	require.NoError(t, occ.Verify(db, &last))
	require.NoError(t, db.Exec("UPDATE samples SET value = "+k.changed).Error)
	require.ErrorIs(t, db.Delete(&last[0]).Error, occ.ErrStaleData)
	require.ErrorIs(t, db.Delete(&last).Error, occ.ErrStaleData)
	require.NoError(t, db.Exec("UPDATE samples SET value = "+k.value).Error)
	require.NoError(t, db.Save(&last[0]).Error)
	require.NoError(t, db.Exec("UPDATE samples SET value = "+k.value).Error)
	require.NoError(t, db.Find(&last).Error)
	res := db.Delete(&last[0])
	require.NoError(t, res.Error)
	require.EqualValues(t, 1, res.RowsAffected)
	require.Zero(t, db.Find(&last).RowsAffected)
}

// countUpdates counts the UPDATEs that were sent: two for a call whose last one did not compare.
func countUpdates(t *testing.T, db *gorm.DB) *int {
	n := new(int)
	require.NoError(t, db.Callback().Update().After("gorm:update").Before("gorm:save_after_associations").Register("test:count", func(db *gorm.DB) {
		*n++
		if !strings.Contains(db.Statement.SQL.String(), " AND ") {
			*n++ // the last one was not the compared one
		}
	}))
	return n
}

//go:build !cgo

package kinds_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
)

// TestSQLiteDriversThatWriteWholeSeconds has two writes in one second, whose versions must differ. The driver that can be told
// to write whole seconds is modernc.org/sqlite; tests with cgo do without it, since it takes long to compile.
func TestSQLiteDriversThatWriteWholeSeconds(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"datetime", "sqlite", ""} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dsn := filepath.Join(t.TempDir(), "test.db")
			if format != "" {
				dsn += "?_time_format=" + format
			}
			db, err := gorm.Open(sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: dsn}), &gorm.Config{Logger: logger.Discard})
			require.NoError(t, err)
			pool, err := db.DB()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			require.NoError(t, db.Use(occ.New()))
			require.NoError(t, db.AutoMigrate(&dated{}))
			m := dated{Price: 1}
			require.NoError(t, db.Create(&m).Error)
			mine := Reload[dated](t, db, m.ID)
			require.True(t, m.Version.Equal(mine.Version), "memory holds what is stored")

			require.NoError(t, db.Model(&m).Update("price", 2).Error)

			require.ErrorIs(t, db.Model(&mine).Update("price", 3).Error, occ.ErrStaleData)
			require.NoError(t, db.Model(&m).Update("price", 4).Error)
			require.Equal(t, 4, Reload[dated](t, db, m.ID).Price)
		})
	}
}

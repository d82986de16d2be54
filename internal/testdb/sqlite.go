package testdb

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

func createSQLite(t testing.TB) gorm.Dialector {
	t.Helper()
	pool, err := sql.Open(sqliteDriver, filepath.Join(t.TempDir(), "test.db")+sqlitePragmas)
	require.NoError(t, err)
	return sqlite.New(sqlite.Config{Conn: closeAfter(t, pool)})
}

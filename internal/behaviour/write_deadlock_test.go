package behaviour_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestADeadlockWhileTheReasonIsRead(t *testing.T) {
	t.Parallel()
	deadlock := &mysql.MySQLError{Number: 1213, Message: "Deadlock found when trying to get lock"}
	var breaks atomic.Bool
	for _, database := range Except("sqlite", Except("postgres", testdb.Intercepted(func(call testdb.Call, do func() error) error {
		if breaks.Load() && (strings.Contains(call.Query, "LOCK IN SHARE MODE") || strings.Contains(call.Query, "FOR SHARE")) {
			return deadlock
		}
		return do()
	}))) {
		db := Open(t, database, []any{&Product{}})
		mine, _ := Pair(t, db)
		breaks.Store(true)
		tx := Begin(t, db)

		one := tx.Model(&mine).Update("price", 70).Error
		several := tx.Save(&[]Product{mine, {ID: 1000, Version: 1}}).Error

		for _, err := range []error{one, several} {
			var refused *occ.StaleDataError
			require.ErrorIs(t, err, occ.ErrStaleData)
			require.ErrorIs(t, err, deadlock, "the transaction may be gone")
			require.ErrorAs(t, err, &refused)
			require.Equal(t, occ.ReasonUnknown, refused.Rows[0].Reason)
		}
		require.Equal(t, occ.Version(1), mine.Version)
		require.NoError(t, tx.Rollback().Error)
		require.Equal(t, 30, Reload[Product](t, db, mine.ID).Price)
	}
}

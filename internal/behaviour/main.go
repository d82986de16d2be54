package behaviour

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/gorm-occ/occ/internal/testdb"
)

// Main runs a package's tests and checks that nothing is left running: neither by the plugin nor by a test's pools.
func Main(m *testing.M) {
	goleak.VerifyTestMain(testdb.Main(m),
		// GORM's cache of prepared statements, with PrepareStmt, has a goroutine that nothing ends.
		goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"),
		// A Valuer that panics in a query costs a connection, see rollBack: database/sql waits for its lock for ever.
		goleak.IgnoreAnyFunction("database/sql.(*Tx).rollback"),
	)
}

package testdb

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that nothing is left running.
func TestMain(m *testing.M) {
	// GORM's cache of prepared statements, with PrepareStmt, has a goroutine that nothing ends.
	goleak.VerifyTestMain(Main(m), goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

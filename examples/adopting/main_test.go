package adopting_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/gorm-occ/occ/internal/testdb"
)

// TestMain checks that nothing is left running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(testdb.Main(m)) }

package occvet_test

import (
	"fmt"

	"github.com/gorm-occ/occ/occvet"
)

// A program of your own passes them to multichecker.Main of golang.org/x/tools/go/analysis.
func Example() {
	for _, check := range occvet.Analyzers {
		fmt.Println(check.Name)
	}
	// Output:
	// unread
	// retry
	// rawsql
	// assign
	// leftover
	// blind
	// declare
	// bykey
	// swallow
}

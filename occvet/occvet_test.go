package occvet_test

import (
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/gorm-occ/occ/occvet"
)

// TestChecks runs each check over the package of its name: lines with a want comment are reported, all others are not.
func TestChecks(t *testing.T) {
	for _, a := range occvet.Analyzers {
		t.Run(a.Name, func(t *testing.T) {
			analysistest.Run(t, analysistest.TestData(), on(a), "./"+a.Name, "./lax")
		})
	}
}

// on turns on a check that is off by default.
func on(a *analysis.Analyzer) *analysis.Analyzer {
	if flag := a.Flags.Lookup("on"); flag != nil {
		_ = flag.Value.Set("true")
	}
	return a
}

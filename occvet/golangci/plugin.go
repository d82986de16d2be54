// Package golangci makes the checks of occvet a linter of golangci-lint, by its module plugins.
//
// In .custom-gcl.yml, for golangci-lint custom:
//
//	version: v2.6.0
//	plugins:
//	  - module: github.com/gorm-occ/occ/occvet
//	    import: github.com/gorm-occ/occ/occvet/golangci
//	    version: latest
//
// In .golangci.yml:
//
//	linters:
//	  enable: [occvet]
//	  settings:
//	    custom:
//	      occvet:
//	        type: module
//	        settings:
//	          enable: [bykey]     # in addition to those that are on
//	          disable: [blind]
package golangci

import (
	"fmt"
	"slices"

	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	"github.com/gorm-occ/occ/occvet"
)

// init is how golangci-lint wants a plugin to make itself known.
func init() { register.Plugin("occvet", New) }

// Settings choose the checks, by name.
type Settings struct {
	Enable  []string `json:"enable"`
	Disable []string `json:"disable"`
}

type plugin struct{ settings Settings }

// New makes the linter out of the settings of .golangci.yml. A name that no check has is an error.
func New(raw any) (register.LinterPlugin, error) {
	settings, err := register.DecodeSettings[Settings](raw)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(settings.Enable, settings.Disable) {
		if !slices.ContainsFunc(occvet.Analyzers, func(a *analysis.Analyzer) bool { return a.Name == name }) {
			return nil, fmt.Errorf("occvet: there is no check called %q", name)
		}
	}
	return plugin{settings}, nil
}

// BuildAnalyzers returns the checks that the settings leave.
func (p plugin) BuildAnalyzers() ([]*analysis.Analyzer, error) {
	var chosen []*analysis.Analyzer
	for _, a := range occvet.Analyzers {
		if slices.Contains(p.settings.Disable, a.Name) {
			continue
		}
		if on := a.Flags.Lookup("on"); on != nil && slices.Contains(p.settings.Enable, a.Name) {
			if err := on.Value.Set("true"); err != nil {
				return nil, err
			}
		}
		chosen = append(chosen, a)
	}
	return chosen, nil
}

// GetLoadMode says that the checks need types.
func (p plugin) GetLoadMode() string { return register.LoadModeTypesInfo }

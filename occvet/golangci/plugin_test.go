package golangci_test

import (
	"testing"

	"github.com/golangci/plugin-module-register/register"

	_ "github.com/gorm-occ/occ/occvet/golangci"
)

// linter makes the linter as golangci-lint does: out of what the settings of its file are decoded to.
func linter(t *testing.T, settings any) (register.LinterPlugin, error) {
	t.Helper()
	make, err := register.GetPlugin("occvet")
	if err != nil {
		t.Fatal(err)
	}
	return make(settings)
}

func TestSettingsChooseChecks(t *testing.T) {
	made, err := linter(t, map[string]any{"enable": []string{"bykey"}, "disable": []string{"blind"}})
	if err != nil {
		t.Fatal(err)
	}
	checks, err := made.BuildAnalyzers()
	if err != nil {
		t.Fatal(err)
	}
	on := map[string]bool{}
	for _, a := range checks {
		flag := a.Flags.Lookup("on")
		on[a.Name] = flag == nil || flag.Value.String() == "true"
	}
	for name, want := range map[string]bool{"unread": true, "bykey": true, "swallow": false, "blind": false} {
		if on[name] != want {
			t.Errorf("%s: on is %v, not %v", name, on[name], want)
		}
	}
	if made.GetLoadMode() != register.LoadModeTypesInfo {
		t.Errorf("load mode is %q", made.GetLoadMode())
	}
}

func TestUnknownChecksAreErrors(t *testing.T) {
	for _, settings := range []any{
		map[string]any{"enable": []string{"no such check"}},
		map[string]any{"disable": []string{"no such check"}},
		map[string]any{"no such setting": true},
	} {
		if _, err := linter(t, settings); err == nil {
			t.Errorf("%v is taken", settings)
		}
	}
}

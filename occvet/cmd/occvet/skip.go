package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"

	"golang.org/x/tools/go/analysis/unitchecker"
)

// skip answers go vet for a dependency about which nothing can be known, and reports whether it has. Most dependencies are
// such, and type-checking all of them takes minutes.
func skip(arguments []string) bool {
	if len(arguments) == 0 || !strings.HasSuffix(arguments[len(arguments)-1], ".cfg") {
		return false
	}
	text, err := os.ReadFile(arguments[len(arguments)-1])
	if err != nil {
		return false // the checker says so
	}
	var unit unitchecker.Config
	if json.Unmarshal(text, &unit) != nil || !unit.VetxOnly || unit.VetxOutput == "" || !isWithoutFacts(unit) {
		return false
	}
	return os.WriteFile(unit.VetxOutput, nil, 0o666) == nil
}

// isWithoutFacts reports whether no check can know anything about a package: nothing is known about its imports, and its text
// has no word of GORM, neither an import nor a tag.
func isWithoutFacts(unit unitchecker.Config) bool {
	for _, imported := range unit.PackageVetx {
		if info, err := os.Stat(imported); err != nil || info.Size() > 0 {
			return false
		}
	}
	for _, file := range unit.GoFiles {
		text, err := os.ReadFile(file)
		if err != nil || bytes.Contains(text, []byte("gorm")) {
			return false
		}
	}
	return true
}

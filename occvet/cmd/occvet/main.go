// Occvet runs the checks of package occvet:
//
//	go vet -vettool=$(which occvet) ./...
//	occvet ./...
//	occvet help unread
//
// Checks are chosen by name: -unread runs that one alone, -unread=false all others. -bykey.on and -swallow.on turn on the
// checks that are off.
package main

import (
	"os"
	"strings"

	"golang.org/x/tools/go/analysis/multichecker"

	"github.com/gorm-occ/occ/occvet"
)

func main() {
	if skip(os.Args[1:]) {
		return
	}
	turnOn(os.Args[1:])
	multichecker.Main(occvet.Analyzers...)
}

// turnOn turns on the checks that are chosen by name, of those that are off.
func turnOn(arguments []string) {
	for _, a := range occvet.Analyzers {
		for _, argument := range arguments {
			name := strings.TrimSuffix(strings.TrimLeft(argument, "-"), "=true")
			if on := a.Flags.Lookup("on"); on != nil && name == a.Name && strings.HasPrefix(argument, "-") {
				_ = on.Value.Set("true")
			}
		}
	}
}

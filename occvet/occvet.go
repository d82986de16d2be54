// Package occvet finds what an application that uses github.com/gorm-occ/occ does past it: errors that nobody reads,
// raw SQL, models loaded outside of a retry, versions counted by hand.
//
//	go install github.com/gorm-occ/occ/occvet/cmd/occvet@latest
//	go vet -vettool=$(which occvet) ./...
//
// [Analyzers] are go/analysis passes, each with its manual in Doc: occvet help NAME. They look at models with a version only,
// and know what packages that are imported declare.
//
// A comment says on the finding's line, or alone on the line above it, why a finding is none:
//
//	//occvet:ignore the importer runs alone
//
// The reason is not optional.
package occvet

import (
	"flag"

	"golang.org/x/tools/go/analysis"
)

// Analyzers are the checks of occvet. bykey and swallow are off: they report nothing until their flag "on" is set, which
// the command does for -bykey and -bykey.on.
var Analyzers = []*analysis.Analyzer{unread, retry, rawSQL, assign, leftover, blind, declare, byKey, swallow}

// onFlag is the flag of a check that is off by default.
const onFlag = "on"

func offByDefault() flag.FlagSet {
	var flags flag.FlagSet
	flags.Bool(onFlag, false, "report beside the other checks")
	return flags
}

func isOn(a *analysis.Analyzer) bool { return a.Flags.Lookup(onFlag).Value.String() == "true" }

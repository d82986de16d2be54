package dialect

import (
	"slices"
	"strings"
)

// ModeOf returns what the words behind INSERT, UPDATE or DELETE ask for: that rows which would break a constraint are skipped, or that
// they replace those that are in their way.
func (d Dialect) ModeOf(modifier string) (skips, replaces bool) {
	if modifier == "" {
		return false, false
	}
	words := strings.Fields(strings.ToUpper(modifier))
	return slices.Contains(words, "IGNORE"), slices.Contains(words, "REPLACE")
}

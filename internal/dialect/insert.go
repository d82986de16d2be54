package dialect

import (
	"slices"
	"strings"
)

// InsertMode returns what the words between INSERT and INTO ask for: that rows whose key is there are skipped, or that they
// replace those.
func (d Dialect) InsertMode(modifier string) (skips, replaces bool) {
	if modifier == "" {
		return false, false
	}
	words := strings.Fields(strings.ToUpper(modifier))
	return slices.Contains(words, "IGNORE"), slices.Contains(words, "REPLACE")
}

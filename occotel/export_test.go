package occotel

import (
	"context"

	"github.com/gorm-occ/occ"
)

// KeyText is what WithKeys reports of a row.
var KeyText = keyText

// ConflictHook is the conflict hook of Hooks alone.
func ConflictHook(opts ...Option) func(context.Context, *occ.StaleDataError) {
	return newRecorder(newConfig(opts)).conflict
}

// WrittenOf is how Observe counts what was written.
func WrittenOf() func(table string, counted occ.TableStats) int64 {
	return (&observer{written: map[string]int64{}}).writtenOf
}

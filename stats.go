package occ

import (
	"github.com/gorm-occ/occ/internal/stats"
)

// Stats are counters by table. A table with an alias is counted under its own name. Of names that are made at run time
// (db.Table("orders_2031")), the first 1,000 have counters of their own; writes under further names are counted with the
// table of the model. So Stats does not grow without bound, and its sums are exact.
type Stats map[string]TableStats

// TableStats counts calls, not rows, since the plugin was made. Writes by condition are not counted.
type TableStats struct {
	Checked int64 // compared with a version, refused ones included
	Refused int64 // refused with ErrStaleData
	Blind   int64 // not compared: Unchecked, WithBlindWrites
	// Retried counts attempts of Retry that were refused, or that wrote the table and whose COMMIT reported a conflict,
	// and that were run again.
	Retried int64
}

// Stats returns a copy of the counters. It is safe to call at any time, also before and while the plugin is registered.
func (p *Plugin) Stats() Stats {
	counted := Stats{}
	engine := p.engine.Load()
	if engine == nil {
		return counted // not registered yet
	}
	engine.Counters.Each(func(table string, c *stats.TableCounters) {
		counted[table] = TableStats{
			Checked: c.Checked.Load(), Refused: c.Refused.Load(),
			Blind: c.Blind.Load(), Retried: c.Retried.Load(),
		}
	})
	return counted
}

package occ

import (
	"github.com/gorm-occ/occ/internal/stats"
)

// Stats are counters by table. A table that goes by an alias is counted under its own name. Of names that are made at run
// time (db.Table("orders_2031")), the first 1,000 have counters of their own; what is written under further ones is
// counted with the table of the model. So Stats does not grow without bound, and its sums are exact.
type Stats map[string]TableStats

// TableStats counts calls, not rows, since start; writes by condition are in none of them.
type TableStats struct {
	Checked int64 // compared with a version, refused ones included
	Refused int64 // refused with ErrStaleData
	Blind   int64 // not compared: Unchecked, WithBlindWrites
	// Retried counts attempts of Retry that were refused, or that wrote the table and whose COMMIT reported a conflict,
	// and that were run again.
	Retried int64
}

// Stats gives a copy of the counters since start. It is safe to call at any time.
func (p *Plugin) Stats() Stats {
	counted := Stats{}
	if p.engine == nil {
		return counted // not registered yet
	}
	p.engine.Counters.Each(func(table string, c *stats.TableCounters) {
		counted[table] = TableStats{
			Checked: c.Checked.Load(), Refused: c.Refused.Load(),
			Blind: c.Blind.Load(), Retried: c.Retried.Load(),
		}
	})
	return counted
}

package occ

import (
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm/clause"
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
	stats := Stats{}
	if p.engine == nil {
		return stats // not registered yet
	}
	p.engine.counters.each(func(table string, c *tableCounters) {
		stats[table] = TableStats{
			Checked: c.checked.Load(), Refused: c.refused.Load(),
			Blind: c.blind.Load(), Retried: c.retried.Load(),
		}
	})
	return stats
}

// counters are the running counters of all tables.
type counters struct {
	byTable sync.Map // table name to *tableCounters
	names   atomic.Int64
}

// each calls f with the counters of every table.
func (c *counters) each(f func(table string, counters *tableCounters)) {
	c.byTable.Range(func(table, counters any) bool {
		f(table.(string), counters.(*tableCounters))
		return true
	})
}

// maxCountedNames is how many names that are no model's own table are counted by themselves.
const maxCountedNames = 1000

// of returns the counters of a table, or those of its model's table where there are too many names already. Where no model
// is known ("") there are none to be seen then.
func (c *counters) of(table, ofModel string) *tableCounters {
	if found, ok := c.byTable.Load(table); ok {
		return found.(*tableCounters)
	}
	if table != ofModel && c.names.Add(1) > maxCountedNames {
		c.names.Add(-1)
		if ofModel == "" {
			return &tableCounters{}
		}
		return c.of(ofModel, ofModel)
	}
	added, isThere := c.byTable.LoadOrStore(table, &tableCounters{})
	if isThere && table != ofModel {
		c.names.Add(-1) // another goroutine has counted the name
	}
	return added.(*tableCounters)
}

// tableNamed returns the table that an expression names, without its schema, as GORM has it where there is no alias; a
// sub-query or no name at all is the model's table.
func tableNamed(expr *clause.Expr, ofModel string) string {
	table := tableIn(expr)
	if len(expr.Vars) > 0 || table == "" || strings.ContainsAny(table, "(?") {
		return ofModel
	}
	return table[strings.LastIndexByte(table, '.')+1:]
}

// tableCounters are the running counters of one table.
type tableCounters struct{ checked, refused, blind, retried atomic.Int64 }

package stats

import (
	"sync"
	"sync/atomic"
)

// Counters are the running counters of all tables.
type Counters struct {
	byTable sync.Map // table name to *tableCounters
	names   atomic.Int64
}

// Each calls f with the counters of every table.
func (c *Counters) Each(f func(table string, counters *TableCounters)) {
	c.byTable.Range(func(table, counters any) bool {
		f(table.(string), counters.(*TableCounters))
		return true
	})
}

// maxCountedNames is how many names that are no model's own table are counted by themselves.
const maxCountedNames = 1000

// Of returns the counters of a table, or those of its model's table where there are too many names already. Where no model
// is known ("") there are none to be seen then.
func (c *Counters) Of(table, ofModel string) *TableCounters {
	if found, ok := c.byTable.Load(table); ok {
		return found.(*TableCounters)
	}
	if table != ofModel && c.names.Add(1) > maxCountedNames {
		c.names.Add(-1)
		if ofModel == "" {
			return &TableCounters{}
		}
		return c.Of(ofModel, ofModel)
	}
	added, isThere := c.byTable.LoadOrStore(table, &TableCounters{})
	if isThere && table != ofModel {
		c.names.Add(-1) // another goroutine has counted the name
	}
	return added.(*TableCounters)
}

// TableCounters are the running counters of one table.
type TableCounters struct{ Checked, Refused, Blind, Retried atomic.Int64 }

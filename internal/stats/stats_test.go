package stats

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func tablesOf(c *Counters) map[string]int64 {
	tables := map[string]int64{}
	c.Each(func(table string, counters *TableCounters) { tables[table] = counters.Checked.Load() })
	return tables
}

func TestTablesAreCountedByThemselves(t *testing.T) {
	var c Counters
	c.Of("parts", "parts").Checked.Add(2)
	c.Of("parts", "parts").Checked.Add(1)
	c.Of("old_parts", "parts").Checked.Add(1)
	require.Equal(t, map[string]int64{"parts": 3, "old_parts": 1}, tablesOf(&c))
}

func TestTooManyNamesAreCountedWithTheirModelsTable(t *testing.T) {
	var c Counters
	for i := range maxCountedNames + 5 {
		c.Of("parts_"+strconv.Itoa(i), "parts").Checked.Add(1)
	}
	tables := tablesOf(&c)
	require.Len(t, tables, maxCountedNames+1)
	require.EqualValues(t, 5, tables["parts"])

	c.Of("of no model", "").Checked.Add(1)
	c.Of("things", "things").Checked.Add(1)

	require.NotContains(t, tablesOf(&c), "of no model")
	require.EqualValues(t, 1, tablesOf(&c)["things"], "a model's own table always counts")
}

package hot

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARowIsHotForAWhile(t *testing.T) {
	var rows HotRows
	now := time.Now()
	row, other := HotHash("parts", "1"), HotHash("parts", "2")
	require.NotEqual(t, row, HotHash("parts1", ""))
	require.False(t, rows.Any(now))

	rows.Add(row, now)

	require.True(t, rows.Has(row, now.Add(hotFor-1)))
	require.False(t, rows.Has(other, now))
	require.False(t, rows.Has(row, now.Add(hotFor)))
	require.True(t, rows.Any(now))
	require.False(t, rows.Any(now.Add(2*hotFor)))
	require.Zero(t, rows.N.Load())
}

func TestOnlySoManyRowsAreRemembered(t *testing.T) {
	var rows HotRows
	now := time.Now()
	for i := range uint64(maxHotRows + 10) {
		rows.Add(i, now)
	}
	require.EqualValues(t, maxHotRows, rows.N.Load())
	require.False(t, rows.Has(maxHotRows+1, now))

	rows.Add(maxHotRows+1, now.Add(2*hotFor))

	require.EqualValues(t, 1, rows.N.Load(), "what is over was forgotten")
	require.True(t, rows.Has(maxHotRows+1, now.Add(2*hotFor)))
}

func TestARowThatIsRefusedAgainStaysHot(t *testing.T) {
	var rows HotRows
	now := time.Now()
	for i := range uint64(maxHotRows) {
		rows.Add(i, now)
	}

	rows.Add(0, now.Add(hotFor/2))
	rows.Add(maxHotRows, now.Add(hotFor))

	require.True(t, rows.Has(0, now.Add(hotFor)))
	require.True(t, rows.Has(maxHotRows, now.Add(hotFor)))
	require.EqualValues(t, 2, rows.N.Load(), "what is over was forgotten")
	require.False(t, rows.Any(now.Add(2*hotFor)))
}

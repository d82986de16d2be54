package race_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/race"
)

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name    string
		figures []float64
		want    race.Spread
	}{
		{"of nothing is zero", nil, race.Spread{}},
		{"of one figure is that figure", []float64{7}, race.Spread{Median: 7, Low: 7, High: 7}},
		{"does not depend on the order", []float64{5, 1, 4, 2, 3}, race.Spread{Median: 3, Low: 2, High: 4}},
		{"lies between figures", []float64{1, 2, 3, 4}, race.Spread{Median: 2.5, Low: 1.75, High: 3.25}},
		{"is not moved by one bad round", []float64{1, 1, 1, 1, 100}, race.Spread{Median: 1, Low: 1, High: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, race.SpreadOf(tt.figures))
		})
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	figures := []time.Duration{10, 40, 90, 7}
	base := []time.Duration{10, 20, 30}

	require.Equal(t, []float64{1, 2, 3}, race.Ratios(figures, base))
	require.Equal(t, []float64{0.5}, race.Ratios([]time.Duration{1, 2}, []time.Duration{2, 0}))
}

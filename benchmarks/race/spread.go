package race

import "slices"

// Spread is where most of the figures of several rounds lie.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // a quarter of the figures is below
	High   float64 `json:"high"` // a quarter is above
}

// SpreadOf sums figures up. It is zero for none.
func SpreadOf(figures []float64) Spread {
	if len(figures) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	return Spread{Median: quantile(sorted, 0.5), Low: quantile(sorted, 0.25), High: quantile(sorted, 0.75)}
}

// quantile interpolates between the two figures next to it.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Ratios divides the figures of two contestants round by round, as far as both have them.
func Ratios[N ~int64 | ~float64](figures, base []N) []float64 {
	ratios := make([]float64, 0, len(figures))
	for i := range min(len(figures), len(base)) {
		if base[i] > 0 {
			ratios = append(ratios, float64(figures[i])/float64(base[i]))
		}
	}
	return ratios
}

package work_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/work"
)

// BenchmarkWork is for profiles of one peer at one piece of work; to compare peers, run ./compare.
//
//	go test ./work -run ^$ -bench 'Work/sqlite/Save_of_5_columns/PrepareStmt,_Skip.*/occ$' -cpuprofile cpu.prof
func BenchmarkWork(b *testing.B) {
	for _, name := range peers.Servers() {
		b.Run(name, func(b *testing.B) {
			place, err := work.NewPlace(name)
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, place.Close()) })
			for _, w := range work.All() {
				b.Run(w.Name, func(b *testing.B) { benchmarkWork(b, w, place) })
			}
		})
	}
}

func benchmarkWork(b *testing.B, w work.Work, place *work.Place) {
	for _, setting := range w.Settings {
		for _, peer := range w.Peers(place.Server) {
			b.Run(setting.String()+"/"+peer.Name, func(b *testing.B) {
				c, err := w.Enlist(peer, place, setting)
				require.NoError(b, err)
				if c == nil {
					b.Skip("the peer has no way to do this")
				}
				require.NoError(b, c.Prepare(b.N))
				b.ReportAllocs()
				b.ResetTimer()
				require.NoError(b, c.Run(b.N))
				b.StopTimer()
				require.NoError(b, c.Close())
			})
		}
	}
}

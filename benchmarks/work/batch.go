package work

import (
	"slices"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

const (
	mostForAll   = 1000 // rows: beyond that, peers that go row by row only repeat themselves
	mostForQuick = 1000
)

// batch is the Save of n rows that have been loaded, all or none.
func batch(name string, shape rows.Shape, n int) Work {
	w := Work{Name: name, Baseline: peers.NameByHand, Settings: onAndOff, Peers: batches, Slow: n >= mostForQuick}
	if n > mostForAll {
		w.Settings, w.Peers = []peers.Setting{defaults}, largeBatches
	}
	w.enlist = func(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
		t, err := newTask(peer, place, setting, shape, n, n)
		if err != nil {
			return nil, err
		}
		return t.contestant(race.Contestant{
			Run: t.run(func(_ int, write int64) error { return t.session.SaveAll(write) }),
			Verify: func() error {
				return t.table.Check(1, n, rows.Want{Write: t.writes, Price: t.writes, Version: t.version()})
			},
			Prove: t.prove(func() error { return t.session.SaveAll(1) }),
		}), nil
	}
	return w
}

// largeBatches leaves out the loops but for the one that all are compared with.
func largeBatches(server string) []peers.Peer {
	few := slices.DeleteFunc(peers.All(), func(p peers.Peer) bool {
		return p.Name != peers.NameGORM && p.Name != peers.NameByHand && p.Name != peers.NameOcc
	})
	return append(few, peers.SingleStatements(server)...)
}

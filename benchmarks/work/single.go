package work

import (
	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

// writeOne is a write of the row that is held.
type writeOne struct {
	do     func(s peers.Session, write int64) error
	wanted func(write int64) rows.Want
}

var (
	updateOne = writeOne{
		func(s peers.Session, write int64) error { return s.UpdateOne(0, write) },
		func(write int64) rows.Want { return rows.Want{Price: write} },
	}
	saveOne = writeOne{
		func(s peers.Session, write int64) error { return s.SaveOne(0, write) },
		func(write int64) rows.Want { return rows.Want{Write: write, Price: write} },
	}
)

// single is a write of one row, again and again.
func single(name string, shape rows.Shape, settings []peers.Setting, write writeOne) Work {
	return Work{
		Name: name, Baseline: peers.NameByHand, Settings: settings, Peers: ofOneRow,
		enlist: func(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
			t, err := newTask(peer, place, setting, shape, 1, 1)
			if err != nil {
				return nil, err
			}
			return t.contestant(race.Contestant{
				Run: t.run(func(_ int, n int64) error { return write.do(t.session, n) }),
				Verify: func() error {
					want := write.wanted(t.writes)
					want.Version = t.version()
					return t.table.Check(1, 1, want)
				},
				Prove: t.prove(func() error { return write.do(t.session, 1) }),
			}), nil
		},
	}
}

func enlistUnversioned(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
	t, err := newTask(peer, place, setting, rows.OfPlain, 1, 1)
	if err != nil {
		return nil, err
	}
	return t.contestant(race.Contestant{
		Run:    t.run(func(_ int, write int64) error { return t.session.UpdateOne(0, write) }),
		Verify: func() error { return t.table.Check(1, 1, rows.Want{Price: t.writes}) },
	}), nil
}

// enlistDelete fills the table anew for every slice.
func enlistDelete(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
	const most = 500
	t, err := newTask(peer, place, setting, rows.OfItem, 1, 1)
	if err != nil {
		return nil, err
	}
	return t.contestant(race.Contestant{
		MaxOps: most,
		Prepare: func(n int) error {
			t.size, t.held = n, n
			return t.refill()
		},
		Run:    t.run(func(i int, _ int64) error { return t.session.DeleteOne(i) }),
		Verify: func() error { return t.table.Check(1, t.held, rows.Want{Gone: true}) },
		Prove:  t.prove(func() error { return t.session.DeleteOne(0) }),
	}), nil
}

// enlistRefused has somebody else write the row first. The same model is refused again and again.
func enlistRefused(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
	t, err := newTask(peer, place, setting, rows.OfItem, 1, 1)
	if err != nil {
		return nil, err
	}
	if err := t.table.Disturb(1); err != nil {
		return nil, err
	}
	return t.contestant(race.Contestant{
		Run:    t.run(func(_ int, write int64) error { return refused(t.session.UpdateOne(0, write)) }),
		Verify: t.untouched,
	}), nil
}

func enlistCriteria(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
	const size, first, last = 1000, 101, 200
	t, err := newTask(peer, place, setting, rows.OfItem, size, 0)
	if err != nil {
		return nil, err
	}
	return t.contestant(race.Contestant{
		Run: t.run(func(_ int, write int64) error { return t.session.UpdateWhere(first, last, write) }),
		Verify: func() error {
			if err := t.table.Check(first, last, rows.Want{Price: t.writes, Version: t.version()}); err != nil {
				return err
			}
			return t.table.Check(last+1, size, rows.Want{Version: 1})
		},
	}), nil
}

func enlistLoad(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
	const size = 1000
	t, err := newTask(peer, place, setting, rows.OfItem, size, size)
	if err != nil {
		return nil, err
	}
	return t.contestant(race.Contestant{
		Run:    t.run(func(int, int64) error { return t.session.Load(size) }),
		Verify: func() error { return t.holds(size) },
	}), nil
}

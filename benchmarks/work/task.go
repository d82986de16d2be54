package work

import (
	"errors"
	"fmt"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

// task is a peer at one piece of work: what is stored, what the peer holds, and how often it has written.
type task struct {
	peer    peers.Peer
	session peers.Session
	table   rows.Table
	size    int // rows in the table
	held    int // rows that the peer has loaded
	isReady bool
	writes  int64 // since the table was filled; the first is 1
}

func newTask(peer peers.Peer, place *Place, setting peers.Setting, shape rows.Shape, size, held int) (*task, error) {
	judge, err := place.judge()
	if err != nil {
		return nil, err
	}
	t := &task{peer: peer, table: rows.NewTable(judge, shape), size: size, held: held}
	if err := t.table.Create(); err != nil {
		return nil, err
	}
	if t.session, err = peer.Open(place.conn(setting), shape); err != nil {
		return nil, err
	}
	return t, t.refill()
}

// refill begins anew: rows at version 1, loaded by the peer.
func (t *task) refill() error {
	if err := t.table.Refill(t.size); err != nil {
		return err
	}
	t.writes, t.isReady = 0, true
	if err := t.session.Load(t.held); err != nil {
		return err
	}
	return t.holds(t.held)
}

func (t *task) holds(n int) error {
	if held := t.session.Held(); held != n {
		return fmt.Errorf("%d rows are loaded, not %d", held, n)
	}
	return nil
}

func (t *task) ready(int) error {
	if t.isReady {
		return nil
	}
	return t.refill()
}

// run repeats a write.
func (t *task) run(write func(i int, write int64) error) func(int) error {
	return func(n int) error {
		for i := range n {
			t.writes++
			if err := write(i, t.writes); err != nil {
				return err
			}
		}
		return nil
	}
}

// version is that of a row which every write has written.
func (t *task) version() int64 {
	if !t.peer.Compares {
		return 1
	}
	return 1 + t.writes
}

// prove has somebody else write a row that the peer holds, and the peer write it then. It may not get through.
func (t *task) prove(write func() error) func() error {
	if !t.peer.Compares {
		return nil
	}
	return func() error {
		if err := errors.Join(t.refill(), t.table.Disturb(t.held)); err != nil {
			return err
		}
		t.isReady = false
		if err := refused(write()); err != nil {
			return err
		}
		return t.untouched()
	}
}

// untouched tells whether the rows are as they were before the refused write, and all of them: none or all are written.
func (t *task) untouched() error {
	err := t.table.Check(t.held, t.held, rows.Want{Price: -1, Version: 2})
	if err == nil && t.held > 1 {
		err = t.table.Check(1, t.held-1, rows.Want{Version: 1})
	}
	if err != nil {
		return fmt.Errorf("a refused write has written: %w", err)
	}
	return nil
}

// refused turns the refusal that is wanted into success.
func refused(err error) error {
	if errors.Is(err, peers.ErrStale) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("a stale write fails: %w", err)
	}
	return errors.New("a stale write is not refused")
}

// contestant gives the task the parts that all work has in common.
func (t *task) contestant(c race.Contestant) *race.Contestant {
	if c.Prepare == nil {
		c.Prepare = t.ready
	}
	c.Close = t.session.Close
	return &c
}

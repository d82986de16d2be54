package work

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

const (
	maxWriterConns  = 24 // servers allow about a hundred in all
	writesPerWriter = 4  // in a slice, at least
	maxAttempts     = 100_000
)

// Hot is the name of the work of n writers on one row.
func Hot(n int) string { return fmt.Sprintf("hot row, %d writers", n) }

// way reads the hot row and writes it, so that no write is lost.
type way struct {
	name      string
	isCounted bool // it writes versions
	write     func(db *gorm.DB, retries *atomic.Int64) error
}

// LockFirst is the way that others are compared with.
const LockFirst = "SELECT FOR UPDATE"

// Adaptive is the way that is recommended for a row which many write at once.
const Adaptive = "occ.Retry, WithAdaptiveLock"

var ways = []way{
	{LockFirst, false, lockFirst},
	{"SERIALIZABLE, with occ.Retry", false, retry[rows.Item[int64]](
		occ.WithTxOptions(&sql.TxOptions{Isolation: sql.LevelSerializable}))},
	{"occ.Retry", true, retry[rows.Item[occ.Version]]()},
	{"occ.Retry, WithLockAfter(1)", true, retry[rows.Item[occ.Version]](occ.WithLockAfter(1))},
	{Adaptive, true, retry[rows.Item[occ.Version]](occ.WithAdaptiveLock())},
}

// hot has n writers add one to the price of one row. An operation is one write that went through.
func hot(n int) Work {
	return Work{
		Name: Hot(n), Baseline: LockFirst, Settings: []peers.Setting{defaults}, Slow: n > 4,
		Peers: func(string) []peers.Peer {
			var all []peers.Peer
			for _, w := range ways {
				all = append(all, peers.Peer{Name: w.name, Compares: w.isCounted})
			}
			return all
		},
		enlist: func(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
			for _, w := range ways {
				if w.name == peer.Name {
					return w.enlist(place, n)
				}
			}
			return nil, peers.ErrUnsupported
		},
	}
}

// crowd is the writers and what they have written.
type crowd struct {
	way     way
	place   *Place
	writers int
	db      *gorm.DB
	table   rows.Table
	written int64
	retries atomic.Int64
	took    []time.Duration // of each write of the last slice
}

func (w way) enlist(place *Place, writers int) (*race.Contestant, error) {
	judge, err := place.judge()
	if err != nil {
		return nil, err
	}
	c := &crowd{way: w, place: place, writers: writers, table: rows.NewTable(judge, rows.OfItem)}
	if c.db, err = gorm.Open(place.conn(defaults).Dialector, &gorm.Config{Logger: logger.Discard}); err != nil {
		return nil, err
	}
	if err := errors.Join(c.db.Use(occ.New()), c.table.Create(), c.table.Refill(1)); err != nil {
		return nil, err
	}
	return &race.Contestant{
		MinOps: writers * writesPerWriter, Concurrent: true,
		Prepare: c.gather, Run: c.run, Verify: c.verify, Close: c.leave, Note: c.note, Attempts: c.attempts,
	}, nil
}

// gather opens the connections, which is not to be timed.
func (c *crowd) gather(int) error {
	n := min(c.writers, maxWriterConns)
	c.place.Crowd(n)
	conns, errs := make([]*sql.Conn, n), make([]error, n)
	for i := range conns {
		conns[i], errs[i] = c.place.Pool.Conn(context.Background())
	}
	for _, conn := range conns {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}

func (c *crowd) run(n int) error {
	var all sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, c.writers)
	c.took = make([]time.Duration, n)
	for i := range c.writers {
		all.Go(func() {
			for at := next.Add(1) - 1; errs[i] == nil && at < int64(n); at = next.Add(1) - 1 {
				began := time.Now()
				errs[i] = c.way.write(c.db, &c.retries)
				c.took[at] = time.Since(began)
			}
		})
	}
	all.Wait()
	c.written += int64(n)
	return errors.Join(errs...)
}

func (c *crowd) verify() error {
	c.place.Disperse()
	want := rows.Want{Price: c.written, Version: 1}
	if c.way.isCounted {
		want.Version += c.written
	}
	return c.table.Check(1, 1, want)
}

// note says how often a write was tried, and how much longer than others the slow ones take.
func (c *crowd) note() string {
	slices.Sort(c.took)
	p50, p99 := c.took[len(c.took)/2], c.took[len(c.took)*99/100]
	return fmt.Sprintf("%.2f attempts, p99 is %.1fx p50", c.attempts(), float64(p99)/float64(p50))
}

// attempts is how often a write was tried until it went through.
func (c *crowd) attempts() float64 { return 1 + float64(c.retries.Load())/float64(c.written) }

func (c *crowd) leave() error {
	c.place.Disperse()
	return nil
}

// lockFirst is the transaction that one writes by hand. SQLite has one lock only: for the whole database.
func lockFirst(db *gorm.DB, _ *atomic.Int64) error {
	return db.Transaction(func(tx *gorm.DB) error {
		reading := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate})
		if tx.Name() == peers.SQLite {
			if err := tx.Exec("DELETE FROM items WHERE 1 = 0").Error; err != nil {
				return err
			}
			reading = tx
		}
		return addOne[rows.Item[int64]](tx, reading)
	})
}

func retry[M any, P interface {
	*M
	Amount() *int64
}](opts ...occ.RetryOption) func(*gorm.DB, *atomic.Int64) error {
	return func(db *gorm.DB, retries *atomic.Int64) error {
		count := occ.WithRetryHook(func(int, error, time.Duration) { retries.Add(1) })
		all := append([]occ.RetryOption{count, occ.WithMaxAttempts(maxAttempts)}, opts...)
		return occ.Retry(context.Background(), db, func(tx *gorm.DB) error { return addOne[M, P](tx, tx) }, all...)
	}
}

func addOne[M any, P interface {
	*M
	Amount() *int64
}](tx, reading *gorm.DB) error {
	var row M
	if err := reading.First(&row, 1).Error; err != nil {
		return err
	}
	return tx.Model(&row).Update("price", *P(&row).Amount()+1).Error
}

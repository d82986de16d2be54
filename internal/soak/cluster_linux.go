package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/cluster"
	"github.com/gorm-occ/occ/internal/ledger"
	"github.com/gorm-occ/occ/internal/workload"
)

const (
	catchUp       = time.Minute     // for a node to have the last row
	betweenEvents = 4 * time.Second // in which the cluster is whole
)

// clusterSoak has writers write at all nodes of a cluster while things happen to it.
type clusterSoak struct {
	options
	cluster cluster.Cluster
	ledger  *ledger.Ledger
	out     io.Writer
	closers []func() error
}

func soakCluster(ctx context.Context, o options, out io.Writer) (status int, err error) {
	c, err := cluster.Start(ctx, o.cluster)
	if err != nil {
		return unusable, err
	}
	s := &clusterSoak{options: o, cluster: c, out: out, closers: []func() error{c.Close}}
	defer func() { err = errors.Join(err, s.close()) }()
	fmt.Fprintf(out, "%s for %s, %d workers, seed %d, happens: %s\n", o.cluster, o.duration, o.workers, o.seed, strings.Join(o.happens(), ", "))
	clients, err := s.connect()
	if err != nil {
		return unusable, err
	}
	if s.ledger, err = ledger.New(clients[0].db); err != nil {
		return unusable, err
	}
	if err := s.awaitTables(ctx, clients); err != nil {
		return unusable, err
	}
	if err := s.load(ctx, clients); err != nil {
		return unusable, err
	}
	return s.conclude(ctx)
}

func (s *clusterSoak) close() (err error) {
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i]())
	}
	return err
}

func (s *clusterSoak) open(e *cluster.Endpoint, o cluster.Options) (*gorm.DB, error) {
	pool, dialector, err := e.Open(o)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, pool.Close)
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	return db, db.Use(occ.New())
}

// client writes at one place.
type client struct {
	db     *gorm.DB
	begins ledger.Begins
}

// connect opens clients for each place to write at.
func (s *clusterSoak) connect() (clients []client, err error) {
	for _, c := range s.kinds() {
		for _, e := range s.cluster.Writers() {
			db, err := s.open(e, c.options)
			if err == nil && s.sabotage {
				err = workload.Sabotage(db)
			}
			if err != nil {
				return nil, err
			}
			clients = append(clients, client{db, c.begins})
		}
	}
	return clients, nil
}

type clientKind struct {
	options cluster.Options
	begins  ledger.Begins
}

// kinds are those of docs/clusters.md. GORM's own transactions need dirty reads at a node of Galera that is cut off.
func (s *clusterSoak) kinds() []clientKind {
	if s.options.cluster != "galera" {
		return []clientKind{{begins: ledger.GORMsToo}}
	}
	dirtyReads := func(c *mysql.Config) { c.Params = map[string]string{"wsrep_dirty_reads": "ON"} }
	return []clientKind{
		{begins: ledger.OnlyOurs},
		{options: cluster.Options{MySQL: dirtyReads}, begins: ledger.GORMsToo},
	}
}

// awaitTables waits until all places to write at have the tables.
func (s *clusterSoak) awaitTables(ctx context.Context, clients []client) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for _, c := range clients {
		var cards int64
		for c.db.WithContext(ctx).Model(&ledger.Card{}).Count(&cards).Error != nil || cards < ledger.Cards {
			if ctx.Err() != nil {
				return fmt.Errorf("a node does not have the tables: %w", ctx.Err())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// load has writers write, and things happen, for as long as the options say.
func (s *clusterSoak) load(ctx context.Context, clients []client) error {
	ctx, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	var all sync.WaitGroup
	for i := range s.workers {
		c := clients[i%len(clients)]
		all.Go(func() { s.ledger.Write(ctx, fmt.Sprint("w", i), c.db, c.begins, s.seed+uint64(i)) })
	}
	all.Go(func() { s.tell(ctx) })
	err := s.disturb(ctx)
	if err != nil {
		cancel()
	}
	all.Wait()
	return err
}

func (s *clusterSoak) tell(ctx context.Context) {
	start, ticker := time.Now(), time.NewTicker(5*time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fmt.Fprintf(s.out, "%4ds %s\n", int(time.Since(start).Seconds()), &s.ledger.Totals)
		}
	}
}

// disturb has one thing happen after the other. It returns when the cluster is whole again.
func (s *clusterSoak) disturb(ctx context.Context) error {
	events := map[string]func(context.Context, *rand.Rand) error{
		"kill": s.cluster.Kill, "stop": s.cluster.Stop, "partition": s.cluster.Partition, "failover": s.cluster.Failover,
	}
	names, random := s.happens(), rand.New(rand.NewPCG(s.seed, 2))
	began := time.Now()
	for i := 0; len(names) > 0; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(random.Int64N(int64(betweenEvents)))):
		}
		name := names[i%len(names)]
		fmt.Fprintf(s.out, "%4ds %s\n", int(time.Since(began).Seconds()), name)
		if err := events[name](ctx, random); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	<-ctx.Done()
	return nil
}

// conclude holds every node against what the writers were told.
func (s *clusterSoak) conclude(ctx context.Context) (int, error) {
	if err := s.end(ctx); err != nil {
		return unusable, err
	}
	status := good
	for _, e := range s.cluster.Readers() {
		found, err := s.check(ctx, e)
		if err != nil {
			return unusable, fmt.Errorf("%s: %w", e.Name, err)
		}
		fmt.Fprintf(s.out, "%s: of those of unknown outcome, %d were applied and %d were not; %d anomalies\n", e.Name, found.Applied, found.NotApplied, len(found.Anomalies))
		for _, anomaly := range found.Anomalies[:min(shown, len(found.Anomalies))] {
			fmt.Fprintf(s.out, "ANOMALY at %s: %s\n", e.Name, anomaly)
		}
		if len(found.Anomalies) > 0 {
			status = anomaly
		}
	}
	for _, text := range s.ledger.Errors(12) {
		fmt.Fprintln(s.out, text)
	}
	fmt.Fprintf(s.out, "total: %s\n", &s.ledger.Totals)
	return status, nil
}

// end writes the last row, as soon as there is somebody who takes it.
func (s *clusterSoak) end(ctx context.Context) error {
	db, err := s.open(s.cluster.Writers()[0], cluster.Options{})
	for deadline := time.Now().Add(catchUp); ; time.Sleep(100 * time.Millisecond) {
		if err == nil {
			err = s.ledger.End(db.WithContext(ctx))
		} else {
			db, err = s.open(s.cluster.Writers()[0], cluster.Options{})
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// check waits until a node has the last row.
func (s *clusterSoak) check(ctx context.Context, e *cluster.Endpoint) (f ledger.Found, err error) {
	for deadline := time.Now().Add(catchUp); ; time.Sleep(100 * time.Millisecond) {
		var db *gorm.DB
		if db, err = s.open(e, cluster.Options{}); err == nil {
			f, err = s.ledger.Check(db.WithContext(ctx))
		}
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return f, err
		}
	}
}

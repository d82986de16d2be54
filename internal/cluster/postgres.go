//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/gorm-occ/occ/internal/host"
)

var postgresPackages = host.Packages{
	Name: "cluster-postgres", Suites: []string{"trixie", "sid"}, Wanted: []string{"postgresql-17", "pgbouncer"},
}

const (
	postgresBin = "/usr/lib/postgresql/17/bin/"
	maintenance = "postgres" // the database that is always there
)

// Postgres is a primary with a streaming standby.
type Postgres struct {
	run         *run
	nodes       [2]*Node
	primary     atomic.Int32 // which of nodes
	writers     *Endpoint
	bouncers    []*bouncer // in front of the primary
	isWaitedFor bool       // a commit waits for the standby
}

// StartPostgres starts a primary and a standby. With synchronous, a COMMIT waits until the standby has it.
func StartPostgres(ctx context.Context, h host.Host, synchronous bool) (p *Postgres, err error) {
	r, err := newRun(ctx, h, postgresPackages)
	if err != nil {
		return nil, err
	}
	p = &Postgres{run: r, isWaitedFor: synchronous}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	p.writers = &Endpoint{Name: "primary", dialect: "postgres", port: func() int { return p.Primary().Port }}
	template, err := r.template(ctx, func(dir string) []string {
		return []string{postgresBin + "initdb", "-D", dir, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync"}
	})
	if err != nil {
		return p, err
	}
	for i := range p.nodes {
		if p.nodes[i], err = r.node(i); err != nil {
			return p, err
		}
		p.nodes[i].user = host.Nobody // pg_basebackup gives what it copies to the one who runs it
	}
	if err := r.copyData(ctx, template, p.nodes[0]); err != nil {
		return p, err
	}
	if err := p.serve(ctx, p.nodes[0]); err != nil {
		return p, err
	}
	if err := p.writers.exec(ctx, maintenance, "CREATE DATABASE "+testDatabase); err != nil {
		return p, err
	}
	return p, p.join(ctx, p.nodes[1])
}

// serve starts a node and waits until it answers.
func (p *Postgres) serve(ctx context.Context, n *Node) error {
	command := []string{postgresBin + "postgres", "-D", n.data(), "-p", fmt.Sprint(n.Port)}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + n.dir, "dynamic_shared_memory_type=mmap", "max_connections=200",
		"fsync=off", "full_page_writes=off", "wal_level=replica", "hot_standby=on", "wal_keep_size=256MB", "wal_receiver_timeout=5s", "wal_sender_timeout=5s",
	} {
		command = append(command, "-c", setting)
	}
	if err := n.start(command); err != nil {
		return err
	}
	return n.await(ctx, func(ctx context.Context) error {
		var one int
		return n.endpoint("postgres").query(ctx, maintenance, "SELECT 1", &one)
	})
}

// join makes a node a standby of the primary, with a copy of the primary's data.
func (p *Postgres) join(ctx context.Context, n *Node) error {
	if err := os.RemoveAll(p.run.outside(n.data())); err != nil {
		return err
	}
	if err := p.run.makeDir(n.dir, n.user); err != nil {
		return err
	}
	backup := []string{
		postgresBin + "pg_basebackup", "-h", "127.0.0.1", "-p", fmt.Sprint(p.Primary().Port), "-U", "postgres",
		"-D", n.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync",
	}
	if err := p.run.enclosed(ctx, backup); err != nil {
		return err
	}
	if err := p.serve(ctx, n); err != nil {
		return err
	}
	if err := n.await(ctx, p.isStreaming); err != nil {
		return err
	}
	if !p.isWaitedFor {
		return nil
	}
	return p.writers.exec(ctx, maintenance, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
}

func (p *Postgres) isStreaming(ctx context.Context) error {
	var n int
	err := p.writers.query(ctx, maintenance, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", &n)
	if err == nil && n == 0 {
		err = errors.New("no standby is connected")
	}
	return err
}

// Primary is the node that takes writes.
func (p *Postgres) Primary() *Node { return p.nodes[p.primary.Load()] }

// Standby is the other node.
func (p *Postgres) Standby() *Node { return p.nodes[1-p.primary.Load()] }

// Writer is where the primary is.
func (p *Postgres) Writer() *Endpoint { return p.writers }

// Reader is where a node is.
func (*Postgres) Reader(n *Node) *Endpoint { return n.endpoint("postgres") }

// PauseReplay has the standby go on with what it has, whatever the primary writes.
func (p *Postgres) PauseReplay(ctx context.Context) error {
	reader := p.Reader(p.Standby())
	if err := reader.exec(ctx, maintenance, "SELECT pg_wal_replay_pause()"); err != nil {
		return err
	}
	return p.Standby().await(ctx, func(ctx context.Context) error {
		var state string
		err := reader.query(ctx, maintenance, "SELECT pg_get_wal_replay_pause_state()", &state)
		if err == nil && state != "paused" {
			err = errors.New("replay is " + state)
		}
		return err
	})
}

// ResumeReplay ends what PauseReplay began.
func (p *Postgres) ResumeReplay(ctx context.Context) error {
	return p.Reader(p.Standby()).exec(ctx, maintenance, "SELECT pg_wal_replay_resume()")
}

// CatchUp waits until the standby has applied what the primary has written so far.
func (p *Postgres) CatchUp(ctx context.Context) error {
	var written string
	if err := p.writers.query(ctx, maintenance, "SELECT pg_current_wal_lsn()", &written); err != nil {
		return err
	}
	return p.Standby().await(ctx, func(ctx context.Context) error {
		var isThere bool
		err := p.Reader(p.Standby()).query(ctx, maintenance, "SELECT pg_last_wal_replay_lsn() >= '"+written+"'", &isThere)
		if err == nil && !isThere {
			err = errors.New("the standby is behind " + written)
		}
		return err
	})
}

// Restart has the primary crash and come back, on the same timeline.
func (p *Postgres) Restart(ctx context.Context) error {
	if err := p.Primary().kill(); err != nil {
		return err
	}
	return p.serve(ctx, p.Primary())
}

// Promote kills the primary and has the standby take its place.
func (p *Postgres) Promote(ctx context.Context) error {
	if err := p.Primary().kill(); err != nil {
		return err
	}
	standby := p.Reader(p.Standby())
	var done bool
	if err := standby.query(ctx, maintenance, "SELECT pg_promote(true, 60)", &done); err != nil {
		return err
	}
	if !done {
		return errors.New("the standby was not promoted")
	}
	if err := standby.exec(ctx, maintenance, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	p.primary.Store(1 - p.primary.Load())
	for _, b := range p.bouncers {
		if err := b.follow(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Rejoin makes the node that was the primary before Promote a standby of the new one.
func (p *Postgres) Rejoin(ctx context.Context) error {
	if err := p.Standby().kill(); err != nil {
		return err
	}
	return p.join(ctx, p.Standby())
}

// Close ends the servers and removes their data.
func (p *Postgres) Close() (err error) {
	for _, b := range p.bouncers {
		err = errors.Join(err, b.node.kill())
	}
	for _, n := range p.nodes {
		if n != nil {
			err = errors.Join(err, n.kill())
		}
	}
	return errors.Join(err, p.run.remove())
}

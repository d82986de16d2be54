//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gorm-occ/occ/internal/host"
)

var galeraPackages = host.Packages{
	Name: "cluster-galera", Suites: []string{"trixie", "bookworm"}, Wanted: []string{"mariadb-server", "galera-4", "rsync", "bash", "util-linux"},
}

// Galera is a cluster of three MariaDB nodes, all of which take writes.
type Galera struct {
	run   *run
	nodes []*Node
	ports map[*Node]galeraPorts
}

// galeraPorts are those that nodes use among themselves.
type galeraPorts struct{ group, incremental, whole int }

// StartGalera starts the nodes one after the other.
func StartGalera(ctx context.Context, h host.Host) (g *Galera, err error) {
	r, err := newRun(ctx, h, galeraPackages)
	if err != nil {
		return nil, err
	}
	g = &Galera{run: r, ports: map[*Node]galeraPorts{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	template, err := r.template(ctx, func(dir string) []string {
		return []string{
			"/usr/bin/mariadb-install-db", "--no-defaults", "--datadir=" + dir,
			"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
		}
	})
	if err != nil {
		return g, err
	}
	if err := g.prepare(ctx, template); err != nil {
		return g, err
	}
	for i := range g.nodes {
		if err := g.serve(ctx, g.nodes[i], i == 0); err != nil {
			return g, err
		}
	}
	return g, g.nodes[0].endpoint("mysql").exec(ctx, "mysql", "CREATE DATABASE "+testDatabase)
}

// prepare gives each node its ports and its data.
func (g *Galera) prepare(ctx context.Context, template string) error {
	for i := range maxNodes {
		n, err := g.run.node(i)
		if err != nil {
			return err
		}
		var p galeraPorts
		for _, port := range []*int{&p.group, &p.incremental, &p.whole} {
			if *port, err = host.FreePort(); err != nil {
				return err
			}
		}
		g.ports[n] = p
		if err := g.run.copyData(ctx, template, n); err != nil {
			return err
		}
		g.nodes = append(g.nodes, n)
	}
	for _, n := range g.nodes {
		if err := os.WriteFile(g.run.outside(g.file(n)), []byte(g.configuration(n)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (g *Galera) file(n *Node) string { return filepath.Join(n.dir, "my.cnf") }

func (g *Galera) configuration(n *Node) string {
	var members []string
	for _, other := range g.nodes {
		members = append(members, fmt.Sprint("127.0.0.1:", g.ports[other].group))
	}
	p := g.ports[n]
	return fmt.Sprintf(`[mariadbd]
datadir=%[1]s/data
socket=%[1]s/socket
pid-file=%[1]s/pid
port=%[2]d
bind-address=127.0.0.1
skip-name-resolve
loose-plugin-wsrep-provider=OFF
max_connections=300
binlog_format=ROW
innodb_autoinc_lock_mode=2
innodb_flush_log_at_trx_commit=2
innodb_buffer_pool_size=64M
innodb_log_file_size=32M
wsrep_on=ON
wsrep_provider=/usr/lib/galera/libgalera_smm.so
wsrep_cluster_name=occ
wsrep_cluster_address=gcomm://%[3]s
wsrep_node_name=%[4]s
wsrep_node_address=127.0.0.1:%[5]d
wsrep_node_incoming_address=127.0.0.1:%[2]d
wsrep_sst_method=rsync
wsrep_sst_receive_address=127.0.0.1:%[7]d
wsrep_provider_options="gmcast.listen_addr=tcp://127.0.0.1:%[5]d;ist.recv_addr=127.0.0.1:%[6]d;base_host=127.0.0.1;base_port=%[5]d;gcache.size=64M;pc.recovery=false"
`, n.dir, n.Port, strings.Join(members, ","), n.Name, p.group, p.incremental, p.whole)
}

// serve starts a node and waits until it is part of the cluster.
func (g *Galera) serve(ctx context.Context, n *Node, isFirst bool) error {
	command := []string{"/usr/sbin/mariadbd", "--defaults-file=" + g.file(n)}
	if isFirst {
		command = append(command, "--wsrep-new-cluster")
	}
	if err := n.start(command); err != nil {
		return err
	}
	return n.await(ctx, func(ctx context.Context) error { return g.isSynced(ctx, n) })
}

func (g *Galera) isSynced(ctx context.Context, n *Node) error {
	var name, state, status string
	e := n.endpoint("mysql")
	if err := e.query(ctx, "mysql", "SHOW STATUS LIKE 'wsrep_local_state_comment'", &name, &state); err != nil {
		return err
	}
	if err := e.query(ctx, "mysql", "SHOW STATUS LIKE 'wsrep_cluster_status'", &name, &status); err != nil {
		return err
	}
	if state != "Synced" || status != "Primary" {
		return fmt.Errorf("%s is %s, its component %s", n.Name, state, status)
	}
	return nil
}

// Nodes are the three.
func (g *Galera) Nodes() []*Node { return g.nodes }

// Isolate cuts a node off from the others: it goes on to run, and answers what it can by itself.
func (g *Galera) Isolate(ctx context.Context, n *Node) error { return g.isolate(ctx, n, 1) }

// Reunite ends what Isolate began.
func (g *Galera) Reunite(ctx context.Context, n *Node) error { return g.isolate(ctx, n, 0) }

func (g *Galera) isolate(ctx context.Context, n *Node, on int) error {
	return n.endpoint("mysql").exec(ctx, "mysql", fmt.Sprintf("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=%d'", on))
}

// Close ends the servers and removes their data.
func (g *Galera) Close() (err error) {
	for _, n := range g.nodes {
		err = errors.Join(err, n.kill())
	}
	return errors.Join(err, g.run.remove())
}

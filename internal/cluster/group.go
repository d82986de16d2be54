//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorm-occ/occ/internal/host"
)

// groupPackages are those of the servers' program.
var groupPackages = host.Packages{Name: "mysql9", Suites: []string{"sid"}, Wanted: []string{"mysql-server-core"}}

// Group is a MySQL group of three members.
type Group struct {
	run     *run
	nodes   []*Node
	ports   []int // that members use among themselves
	isMulti bool  // all of them take writes
	primary atomic.Pointer[Node]
}

// StartGroup starts the members. With multi, all of them are primaries.
func StartGroup(ctx context.Context, h host.Host, multi bool) (g *Group, err error) {
	r, err := newRun(ctx, h, groupPackages)
	if err != nil {
		return nil, err
	}
	g = &Group{run: r, isMulti: multi}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	template, err := r.template(ctx, func(dir string) []string {
		return []string{
			"/usr/sbin/mysqld", "--no-defaults", "--initialize-insecure", "--datadir=" + dir, "--mysqlx=OFF",
			"--secure-file-priv=NULL", "--innodb-redo-log-capacity=64M",
		}
	})
	if err != nil {
		return g, err
	}
	for i := range maxNodes {
		n, err := r.node(i)
		if err != nil {
			return g, err
		}
		port, err := host.FreePort()
		if err != nil {
			return g, err
		}
		g.nodes, g.ports = append(g.nodes, n), append(g.ports, port)
		if err := r.copyData(ctx, template, n); err != nil {
			return g, err
		}
		if err := os.Remove(r.outside(n.data() + "/auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) { // each has an id of its own
			return g, err
		}
	}
	for i := range g.nodes {
		if err := g.found(ctx, i); err != nil {
			return g, err
		}
	}
	g.primary.Store(g.nodes[0])
	return g, g.nodes[0].endpoint("mysql").exec(ctx, "mysql", "CREATE DATABASE "+testDatabase)
}

// Primary is the member that takes writes, or one of those that do.
func (g *Group) Primary() *Node { return g.primary.Load() }

const whoIsPrimary = "SELECT member_port FROM performance_schema.replication_group_members " +
	"WHERE member_role = 'PRIMARY' AND member_state = 'ONLINE' ORDER BY member_port LIMIT 1"

// findPrimary asks the members until one that is part of the group names the primary.
func (g *Group) findPrimary(ctx context.Context) error {
	for {
		for _, n := range g.nodes {
			var port int
			once, done := context.WithTimeout(ctx, time.Second)
			err := errors.Join(g.isOnline(once, n), n.endpoint("mysql").query(once, "mysql", whoIsPrimary, &port))
			done()
			i := slices.IndexFunc(g.nodes, func(n *Node) bool { return n.Port == port })
			if err == nil && i >= 0 && g.nodes[i].Runs() {
				g.primary.Store(g.nodes[i])
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no member names a primary: %w", ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func (g *Group) command(i int) []string {
	n, single, everywhere := g.nodes[i], "ON", "OFF"
	if g.isMulti {
		single, everywhere = "OFF", "ON"
	}
	var seeds []string
	for _, port := range g.ports {
		seeds = append(seeds, fmt.Sprint("127.0.0.1:", port))
	}
	command := []string{
		"/usr/sbin/mysqld", "--no-defaults", "--datadir=" + n.data(), fmt.Sprint("--port=", n.Port), "--bind-address=127.0.0.1",
		"--socket=" + n.dir + "/socket", "--pid-file=" + n.dir + "/pid", "--mysqlx=OFF", "--secure-file-priv=NULL", "--max-connections=300",
		"--innodb-buffer-pool-size=64M", "--innodb-redo-log-capacity=64M", "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0",
		"--innodb-doublewrite=OFF", fmt.Sprint("--server-id=", i+1), "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-bin=bin",
		"--report-host=127.0.0.1", "--plugin-load-add=group_replication.so",
	}
	for name, value := range map[string]string{
		"group-name": "3f0e37b2-9d4a-4a43-8d9e-6d0b0c5a7f10", "start-on-boot": "OFF", "local-address": seeds[i],
		"group-seeds": strings.Join(seeds, ","), "ip-allowlist": "127.0.0.1/8", "single-primary-mode": single,
		"enforce-update-everywhere-checks": everywhere, "recovery-get-public-key": "ON", "communication-stack": "XCOM",
		"member-expel-timeout": "2", "unreachable-majority-timeout": "4", "autorejoin-tries": "0",
	} {
		command = append(command, "--loose-group-replication-"+name+"="+value)
	}
	return command
}

// found has a member take part for the first time. The first one makes the group.
func (g *Group) found(ctx context.Context, i int) error {
	if err := g.serve(ctx, i); err != nil {
		return err
	}
	statements := []string{
		"SET SQL_LOG_BIN = 0", "CREATE USER replica@'%' IDENTIFIED BY 'replica'",
		"GRANT REPLICATION SLAVE, BACKUP_ADMIN, CONNECTION_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO replica@'%'", "SET SQL_LOG_BIN = 1",
		"RESET BINARY LOGS AND GTIDS",
		"CHANGE REPLICATION SOURCE TO SOURCE_USER = 'replica', SOURCE_PASSWORD = 'replica' FOR CHANNEL 'group_replication_recovery'",
	}
	if i == 0 {
		statements = append(statements, "SET GLOBAL group_replication_bootstrap_group = ON", "START GROUP_REPLICATION",
			"SET GLOBAL group_replication_bootstrap_group = OFF")
	} else {
		statements = append(statements, "START GROUP_REPLICATION")
	}
	if err := g.nodes[i].endpoint("mysql").exec(ctx, "mysql", statements...); err != nil {
		return err
	}
	return g.nodes[i].await(ctx, func(ctx context.Context) error { return g.isOnline(ctx, g.nodes[i]) })
}

// serve starts a member, which does not take part yet.
func (g *Group) serve(ctx context.Context, i int) error {
	n := g.nodes[i]
	if err := n.start(g.command(i)); err != nil {
		return err
	}
	return n.await(ctx, func(ctx context.Context) error {
		var one int
		return n.endpoint("mysql").query(ctx, "mysql", "SELECT 1", &one)
	})
}

const memberState = "SELECT COALESCE(MAX(member_state), 'OFFLINE') FROM performance_schema.replication_group_members WHERE member_id = @@server_uuid"

func (g *Group) isOnline(ctx context.Context, n *Node) error {
	var state string
	err := n.endpoint("mysql").query(ctx, "mysql", memberState, &state)
	if err == nil && state != "ONLINE" {
		err = fmt.Errorf("%s is %s", n.Name, state)
	}
	return err
}

// rejoin has a member take part again, whatever kept it from it.
func (g *Group) rejoin(ctx context.Context, n *Node) error {
	return n.await(ctx, func(ctx context.Context) error {
		e := n.endpoint("mysql")
		var state string
		if err := e.query(ctx, "mysql", memberState, &state); err != nil {
			return err
		}
		switch state {
		case "ONLINE":
			return nil
		case "ERROR":
			if err := e.exec(ctx, "mysql", "STOP GROUP_REPLICATION"); err != nil {
				return err
			}
			fallthrough
		case "OFFLINE":
			if err := e.exec(ctx, "mysql", "START GROUP_REPLICATION"); err != nil {
				return err
			}
		}
		return fmt.Errorf("%s is %s", n.Name, state)
	})
}

// Close ends the servers and removes their data.
func (g *Group) Close() (err error) {
	for _, n := range g.nodes {
		err = errors.Join(err, n.kill())
	}
	return errors.Join(err, g.run.remove())
}

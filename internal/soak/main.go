// Soak has many sessions write the same rows of a database for as long as it is told, in every way that GORM and occ
// have, while contexts end and connections are killed underneath. It checks what each of them was told, and ends with
// status 1 as soon as something does not fit, with the part of the history that shows it; with 2 if it could not run.
//
//	go run ./internal/soak -db postgres -for 10m
//
// With -cluster, the writers write at all nodes of a cluster that it starts, see package cluster, while nodes are killed,
// stopped, cut off or replaced. Each attempt enters what it does in a ledger, against which each node is held in the end.
//
//	go run ./internal/soak -cluster galera -for 60s -kill
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gorm-occ/occ/internal/testdb"
)

const (
	good     = 0
	anomaly  = 1
	unusable = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options are what the command line asks for.
type options struct {
	database testdb.Database
	duration time.Duration
	workers  int
	seed     uint64
	sabotage bool
	cluster  string

	kill, stop, partition, failover bool
}

// happens are the names of what is to happen to a cluster.
func (o options) happens() (names []string) {
	for _, event := range []struct {
		name string
		is   bool
	}{{"kill", o.kill}, {"stop", o.stop}, {"partition", o.partition}, {"failover", o.failover}} {
		if event.is {
			names = append(names, event.name)
		}
	}
	return names
}

func run(ctx context.Context, args []string, out, complaints io.Writer) int {
	o, err := parse(args, complaints)
	if errors.Is(err, flag.ErrHelp) {
		return good
	}
	if err == nil {
		var status int
		start := soak
		if o.cluster != "" {
			start = soakCluster
		}
		if status, err = start(ctx, o, out); err == nil {
			return status
		}
	}
	fmt.Fprintln(complaints, "soak:", err)
	return unusable
}

func parse(args []string, complaints io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(complaints)
	name := flags.String("db", "", "the `database`: sqlite, postgres or mariadb")
	dsn := flags.String("dsn", "", "the server, if it is not the tests' one; not for sqlite")
	flags.DurationVar(&o.duration, "for", 30*time.Second, "how long")
	flags.IntVar(&o.workers, "workers", 8, "how many sessions at the same time")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what the sessions do, but not when")
	flags.BoolVar(&o.sabotage, "sabotage", false, "have nothing compared: it has to be noticed")
	flags.StringVar(&o.cluster, "cluster", "", "in place of -db, the `cluster`: galera, group, postgres or pgbouncer; takes root on Debian")
	flags.BoolVar(&o.kill, "kill", false, "of a cluster: nodes crash and come back")
	flags.BoolVar(&o.stop, "stop", false, "of a cluster: nodes stop answering for a while")
	flags.BoolVar(&o.partition, "partition", false, "of a cluster: nodes, or the clients, are cut off for a while")
	flags.BoolVar(&o.failover, "failover", false, "of a cluster: another node takes the primary's place")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no option", flags.Arg(0))
	case o.workers < 1:
		return o, fmt.Errorf("-workers %d: at least 1 is needed", o.workers)
	case o.duration <= 0:
		return o, fmt.Errorf("-for %s: it has to last", o.duration)
	}
	if o.cluster != "" {
		return o, o.checkCluster(*name, *dsn)
	}
	if len(o.happens()) > 0 {
		return o, fmt.Errorf("-%s: there is no -cluster for it to happen to", o.happens()[0])
	}
	if err := useServer(*name, *dsn); err != nil {
		return o, err
	}
	o.database, err = databaseOf(*name)
	return o, err
}

var clusters = []string{"galera", "group", "postgres", "pgbouncer"}

func (o options) checkCluster(database, dsn string) error {
	switch {
	case database != "" || dsn != "":
		return errors.New("-cluster: it has databases of its own")
	case !slices.Contains(clusters, o.cluster):
		return fmt.Errorf("-cluster %q: it is one of %s", o.cluster, strings.Join(clusters, ", "))
	case o.failover && o.cluster == "galera":
		return fmt.Errorf("-failover: every node of %s takes writes", o.cluster)
	}
	return nil
}

func databaseOf(name string) (testdb.Database, error) {
	databases := testdb.All()
	i := slices.IndexFunc(databases, func(d testdb.Database) bool { return d.Name == name })
	if i < 0 {
		return testdb.Database{}, fmt.Errorf("-db %q: it is sqlite, postgres, mariadb, or with -dsn postgres18, mariadb11 or mysql", name)
	}
	return databases[i], nil
}

// useServer names the server the way that tests are told.
func useServer(database, dsn string) error {
	switch {
	case dsn == "":
		return nil
	case database == "sqlite":
		return errors.New("-dsn: sqlite has a file of its own")
	}
	return os.Setenv("TEST_"+strings.ToUpper(database)+"_DSN", dsn)
}

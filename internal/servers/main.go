//go:build linux

// Command servers starts database servers for the tests: MySQL 9, MariaDB 11.8 and PostgreSQL 18, and those that machines
// often have as services, MariaDB 10.11 and PostgreSQL 15. They come from Debian's packages, are unpacked into a directory of their own and installed
// nowhere, and listen on free ports of 127.0.0.1.
//
//	go run ./internal/servers start [-mirror URL] [name ...]    prints the environment for the tests
//	go run ./internal/servers env [name ...]                    prints it again, for those that run
//	go run ./internal/servers stop [name ...]
//	go run ./internal/servers clusters                          unpacks what the clusters are made of, and starts none
//
// The names are mysql9, mariadb11, mariadb10, postgres18 and postgres15; without any, mysql9, mariadb11 and postgres18 are
// meant. The output is for eval:
//
//	eval "$(go run ./internal/servers start)" && go test ./...
//
// It has to be run by root on Debian or a derivative: a server runs in a chroot, as the user nobody. What was downloaded
// and set up stays in occ-servers below [os.UserCacheDir], where the next start finds it; a server is not durable.
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

	"github.com/gorm-occ/occ/internal/cluster"
	"github.com/gorm-occ/occ/internal/host"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

const usage = "usage: servers start [-mirror URL] [name ...] | env [name ...] | stop [name ...] | clusters"

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	commands := map[string]func(context.Context, machine, []spec, io.Writer) error{"start": start, "env": env, "stop": stop, "clusters": clusters}
	command, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q; %s", args[0], usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	mirror := flags.String("mirror", "", "the Debian archive to download from; by default the one that apt uses here")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	h, err := host.New(*mirror)
	if errors.Is(err, host.ErrNotRoot) {
		err = fmt.Errorf("%w; as another user, start them in containers (compose.yaml) and set %s", err, strings.Join(variables(), ", "))
	}
	if err != nil {
		return err
	}
	return command(ctx, machine{h}, chosen, out)
}

// clusters unpacks what those of internal/cluster are made of.
func clusters(ctx context.Context, h machine, _ []spec, _ io.Writer) error {
	return cluster.Unpack(ctx, h.Host)
}

// choose returns the servers of these names, or the new ones.
func choose(wanted []string) (chosen []spec, err error) {
	if len(wanted) == 0 {
		return slices.DeleteFunc(slices.Clone(specs), func(s spec) bool { return s.isOld }), nil
	}
	for _, name := range wanted {
		i := slices.IndexFunc(specs, func(s spec) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no server is called %q; there are %s", name, strings.Join(names(specs), ", "))
		}
		chosen = append(chosen, specs[i])
	}
	return chosen, nil
}

func names(of []spec) (names []string) {
	for _, s := range of {
		names = append(names, s.name)
	}
	return names
}

func variables() (names []string) {
	for _, s := range specs {
		names = append(names, s.variable)
	}
	return names
}

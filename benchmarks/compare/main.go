// Command compare has occ and its peers do the same work side by side, and writes docs/benchmarks.md of it.
//
//	go run ./compare                            # everything, about ten minutes on two cores
//	go run ./compare -quick                     # does it run at all? one minute
//	go run ./compare -db sqlite -work 'Save of' # a part; the rest of the report stays as it was
//	go run ./compare -render                    # the report of the results that are there
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/work"
)

type options struct {
	databases     []string
	works         *regexp.Regexp
	plan          race.Plan
	quick, render bool
	out           string
	command       string // without where it wrote to
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	databases := flags.String("db", strings.Join(peers.Servers(), ","), "databases, separated by commas")
	works := flags.String("work", "", "regexp of the work's names")
	flags.IntVar(&o.plan.Rounds, "rounds", 9, "rounds, in each of which every peer has its turn")
	flags.DurationVar(&o.plan.Slice, "slice", 30*time.Millisecond, "length of a turn")
	flags.DurationVar(&o.plan.Budget, "budget", 4*time.Second, "no new round of the same work begins after this")
	flags.BoolVar(&o.quick, "quick", false, "few short rounds, and no large batches: a trial that is not written down unless -out is given")
	flags.BoolVar(&o.render, "render", false, "measure nothing, write the report again")
	flags.StringVar(&o.out, "out", "", "folder of benchmarks.md (default ../docs)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.plan = race.Plan{Rounds: 2, Slice: 2 * time.Millisecond, Budget: time.Second}
	} else if o.out == "" {
		o.out = filepath.Join("..", "docs")
	}
	o.command = "go run ./compare"
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "out" {
			o.command += fmt.Sprintf(" -%s=%s", f.Name, f.Value)
		}
	})
	o.databases = strings.Split(*databases, ",")
	var err error
	o.works, err = regexp.Compile(*works)
	return o, err
}

func run(ctx context.Context, o *options) error {
	results, err := o.results()
	if err != nil {
		return err
	}
	if o.render && len(results.Entries) == 0 {
		return errors.New("there are no results to write a report of")
	}
	if !o.render {
		for _, name := range o.databases {
			if err := surveyDatabase(ctx, o, name, results); err != nil {
				return err
			}
		}
		fmt.Print("\n", plainTable(known(verdicts(results, o.databases))))
	}
	if o.out == "" {
		return nil
	}
	return errors.Join(results.write(o.file("results.json")), writeReport(results, o.out))
}

// results are those of earlier runs. A run that writes nothing begins without.
func (o *options) results() (*Results, error) {
	if o.out == "" {
		return &Results{Machines: map[string]Machine{}}, nil
	}
	return readResults(o.file("results.json"))
}

// file is one beside the charts.
func (o *options) file(name string) string { return filepath.Join(o.out, "benchmarks", name) }

func surveyDatabase(ctx context.Context, o *options, name string, results *Results) (err error) {
	server, err := describe(name)
	if err != nil {
		return err
	}
	results.Machines[name] = machine(o, server)
	s := newSurvey(name, o.plan)
	defer func() { err = errors.Join(err, s.close()) }()
	for _, w := range chosen(work.All(), o.works.MatchString, o.quick) {
		for _, setting := range w.Settings {
			fmt.Fprintf(os.Stderr, "%s  %s: %s, %s\n", time.Now().Format(time.TimeOnly), name, w.Name, setting)
			e, err := s.measure(w, setting)
			if err := cmp.Or(ctx.Err(), err); err != nil { // an interrupted run removes its databases too
				return err
			}
			results.put(e)
			fmt.Printf("\n%s: %s, %s\n%s", e.Database, e.Work, e.Setting, plainTable(table(e)))
		}
	}
	return nil
}

func machine(o *options, server string) Machine {
	m := Machine{
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Server: server,
		Command: o.command,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "gorm.io/gorm" {
				m.GORM = dependency.Version
			}
		}
	}
	return m
}

// Gormsuite runs GORM's own tests on SQLite, PostgreSQL and MariaDB: as they are, with the plugin registered, and with a version in
// each model besides. They have to end alike, but for the known differences, each of which has its reason (differences.go).
//
//	go run ./internal/gormsuite                       # clones GORM at the version of go.mod
//	go run ./internal/gormsuite -source ~/src/gorm    # takes a clone that is there
//
// GORM's module holds no tests of databases. Where its repository does not answer, the suite is skipped, and says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	alike     = 0
	different = 1
	unusable  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("gormsuite", flag.ContinueOnError)
	flags.SetOutput(complaints)
	source := flags.String("source", os.Getenv("GORM_SOURCE"), "a `clone` of "+repository)
	keep := flags.Bool("work", false, "keep the folder with the programs, and print its name")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return alike
	case err != nil:
		return unusable
	}
	isAlike, err := compareAll(ctx, *source, *keep, out)
	switch {
	case errors.Is(err, errNoSource):
		fmt.Fprintln(out, "skipped: GORM's own suite:", err, "(-source names a clone)")
		return alike
	case err != nil:
		fmt.Fprintln(complaints, "gormsuite:", err)
		return unusable
	case !isAlike:
		return different
	}
	return alike
}

// compareAll reports whether the tests end alike on all databases.
func compareAll(ctx context.Context, source string, keep bool, out io.Writer) (bool, error) {
	dir, err := os.MkdirTemp("", "gormsuite")
	if err != nil {
		return false, err
	}
	if keep {
		fmt.Fprintln(out, dir)
	} else {
		defer os.RemoveAll(dir)
	}
	s, err := unpack(ctx, source, dir)
	if err != nil {
		return false, err
	}
	for _, v := range variants {
		if err := s.build(ctx, v); err != nil {
			return false, err
		}
	}
	var all sync.WaitGroup
	reports, errs := make([]report, len(databases)), make([]error, len(databases))
	for i, d := range databases {
		all.Go(func() { reports[i], errs[i] = s.compareOn(ctx, d) })
	}
	all.Wait()
	isAlike := true
	for _, r := range reports {
		fmt.Fprint(out, r.text)
		isAlike = isAlike && !r.isDifferent
	}
	return isAlike, errors.Join(errs...)
}

// report is what is told of a database.
type report struct {
	text        string
	isDifferent bool
}

func (r *report) say(format string, args ...any) { r.text += fmt.Sprintf(format+"\n", args...) }

func (r *report) differ(format string, args ...any) {
	r.isDifferent = true
	r.say("  "+format, args...)
}

// compareOn runs the variants on one database.
func (s *suite) compareOn(ctx context.Context, d database) (r report, err error) {
	environment, drop, err := d.create(ctx, s.dir)
	if err != nil {
		return r, fmt.Errorf("%s: %w", d.name, err)
	}
	defer func() { err = errors.Join(err, drop()) }()
	b := bench{s, environment}
	control, err := b.run(ctx, plain, "")
	if err != nil {
		return r, err
	}
	r.say("%s: %d of GORM's tests pass as they are, of %s", d.name, control.passed(), s.version)
	for _, variant := range []string{registered, versioned} {
		if err := b.compare(ctx, variant, control, &r); err != nil {
			return r, err
		}
	}
	return r, b.tryDifferences(ctx, d.dialect, &r)
}

// compare runs a variant, whose tests have to end as in the control.
func (b bench) compare(ctx context.Context, variant string, control outcome, r *report) error {
	o, err := b.run(ctx, variant, "")
	if err != nil {
		return err
	}
	first := o.differing(control)
	still, messages, err := b.again(ctx, variant, first)
	if err != nil {
		return err
	}
	r.say("%s: %d", variant, o.passed())
	if len(first) > len(still) {
		r.say("  run once more by themselves: %s", strings.Join(first, ", "))
	}
	for _, test := range still {
		r.differ("%s is different:\n\t%s", test, strings.Join(messages[test], "\n\t"))
	}
	return nil
}

// tryDifferences has each known difference show itself.
func (b bench) tryDifferences(ctx context.Context, dialect string, r *report) error {
	shown := 0
	for _, d := range differences {
		o, err := b.run(ctx, unedited, d.pattern())
		if err != nil {
			return err
		}
		if isThere := o.ends[d.test] != "PASS" && o.ends[d.test] != "SKIP"; isThere == d.isOn(dialect) {
			shown++
		} else {
			r.differ("%s ends with %s without its edits: mend differences.go", d.test, o.ends[d.test])
		}
	}
	r.say("known differences: %d of %d are as they are listed", shown, len(differences))
	return nil
}

func (s *suite) program(variant string) string { return filepath.Join(s.dir, variant+".test") }

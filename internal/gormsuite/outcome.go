package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// outcome is how each test has ended, PASS, FAIL or SKIP, and what it has said.
type outcome struct {
	ends     map[string]string
	messages map[string][]string
}

var (
	began = regexp.MustCompile(`^=== (?:RUN|CONT|NAME) +([^/\s]+)`)
	ended = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+)`)
	said  = regexp.MustCompile(`^ +\w+\.go:\d+: `)
)

// read makes an outcome of what a test program prints with -test.v.
func read(output []byte) outcome {
	o := outcome{map[string]string{}, map[string][]string{}}
	var test string
	for line := range strings.Lines(string(output)) {
		if m := began.FindStringSubmatch(line); m != nil {
			test = m[1]
		} else if m := ended.FindStringSubmatch(line); m != nil {
			o.ends[m[2]] = m[1]
		} else if said.MatchString(line) {
			o.messages[test] = append(o.messages[test], strings.TrimSpace(line))
		}
	}
	return o
}

// passed is how many tests have.
func (o outcome) passed() (n int) {
	for _, end := range o.ends {
		if end == "PASS" {
			n++
		}
	}
	return n
}

// differing are the tests that ended otherwise than in the control, which includes those that did not end.
func (o outcome) differing(control outcome) (tests []string) {
	all := maps.Clone(control.ends)
	maps.Copy(all, o.ends)
	for _, test := range slices.Sorted(maps.Keys(all)) {
		if o.ends[test] != control.ends[test] {
			tests = append(tests, test)
		}
	}
	return tests
}

// bench is a database in which test programs run, one at a time.
type bench struct {
	suite       *suite
	environment []string
}

// run has a program run its tests, or those that a pattern names.
func (b bench) run(ctx context.Context, variant, pattern string) (outcome, error) {
	args := []string{"-test.v", "-test.timeout=10m"}
	if pattern != "" {
		args = append(args, "-test.run="+pattern)
	}
	program := exec.CommandContext(ctx, b.suite.program(variant), args...)
	program.Dir, program.Env = b.suite.tests(), slices.Concat(os.Environ(), b.environment, []string{"DEBUG=false"})
	var output bytes.Buffer
	program.Stdout, program.Stderr = &output, &output
	err := program.Run() // a test that fails is an error too
	o := read(output.Bytes())
	if len(o.ends) == 0 && !bytes.Contains(output.Bytes(), []byte("panic:")) {
		return o, fmt.Errorf("%s ran no test: %w\n%s", variant, err, output.Bytes())
	}
	return o, nil
}

// again runs tests by themselves: what is a matter of time, such as a cache that expires, comes out as it should then.
func (b bench) again(ctx context.Context, variant string, tests []string) (still []string, messages map[string][]string, err error) {
	messages = map[string][]string{}
	for _, test := range tests {
		control, err := b.run(ctx, plain, "^"+test+"$")
		if err != nil {
			return nil, nil, err
		}
		o, err := b.run(ctx, variant, "^"+test+"$")
		if err != nil {
			return nil, nil, err
		}
		if len(o.differing(control)) > 0 {
			still, messages[test] = append(still, test), o.messages[test]
		}
	}
	return still, messages, nil
}

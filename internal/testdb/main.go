package testdb

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// parallel is how many tests run at the same time, where -parallel does not say: they wait for servers most of the time.
const parallel = "8"

// Main is a testing.M for TestMain of a package that uses databases. Its Run runs the tests, closes the connections that
// went from test to test, and says on standard error which databases were not tested.
func Main(m *testing.M) interface{ Run() int } { return tests{m} }

type tests struct{ m *testing.M }

func (r tests) Run() int {
	flag.Parse()
	setUnlessGiven("test.parallel", parallel)
	code := r.m.Run()
	if err := CloseServers(); err != nil {
		fmt.Fprintln(os.Stderr, "testdb:", err)
		code = max(code, 1)
	}
	if missing := notTested(); len(missing) > 0 {
		warn("not tested, since no server answers: " + strings.Join(missing, ", ") + "; see docs/testing.md")
	}
	return code
}

// setUnlessGiven gives a flag a value that the command line does not give it.
func setUnlessGiven(name, value string) {
	isGiven := false
	flag.Visit(func(f *flag.Flag) { isGiven = isGiven || f.Name == name })
	if !isGiven {
		must(flag.Set(name, value))
	}
}

// CloseServers closes the connections that go from test to test, or from database to database of a program.
func CloseServers() (err error) {
	for _, s := range servers {
		err = errors.Join(err, s.close())
	}
	return err
}

// notTested returns the names of the servers that tests asked for in vain.
func notTested() (names []string) {
	for _, s := range servers {
		if s.isMissed.Load() {
			names = append(names, s.name)
		}
	}
	return names
}

func warn(text string) {
	fmt.Fprintln(os.Stderr, "testdb: "+text)
	if _, err := os.Stat("go.mod"); err == nil { // one package tells it for all
		tellGo("testdb: " + text)
	}
}

// tellGo writes a line where the go command writes, which shows nothing of several packages whose tests pass. It does so on Linux, and
// where that is a terminal or a pipe: what else writes to a file does not know of the line.
func tellGo(line string) {
	out, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	if info, err := out.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) != 0 {
		fmt.Fprintln(out, line)
	}
}

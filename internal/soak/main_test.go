package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/internal/testdb"
)

// TestMain has the test binary be the command where a test asks for it.
func TestMain(m *testing.M) {
	if os.Getenv(isCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

const isCommand = "OCC_TEST_SOAK"

func command(t *testing.T, args ...string) (soak *exec.Cmd, dir string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	soak, dir = exec.CommandContext(t.Context(), self, args...), t.TempDir()
	soak.Env = append(os.Environ(), isCommand+"=yes", "TMPDIR="+dir, "TEST_DATABASES=") // which one is an argument
	return soak, dir
}

// soaked runs the command. What it leaves behind is in dir.
func soaked(t *testing.T, args ...string) (status int, out, complaints, dir string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	soak, dir := command(t, args...)
	soak.Stdout, soak.Stderr = &stdout, &stderr
	if exit := new(exec.ExitError); !errors.As(soak.Run(), &exit) {
		return good, stdout.String(), stderr.String(), dir
	}
	return soak.ProcessState.ExitCode(), stdout.String(), stderr.String(), dir
}

func TestBadUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, `-db "": it is sqlite, postgres, mariadb, or with -dsn postgres18, mariadb11 or mysql`},
		{[]string{"-db", "oracle"}, `-db "oracle": it is sqlite, postgres, mariadb, or with -dsn postgres18, mariadb11 or mysql`},
		{[]string{"-db", "sqlite", "-for", "0s"}, "-for 0s: it has to last"},
		{[]string{"-db", "sqlite", "-for", "soon"}, `invalid value "soon" for flag -for`},
		{[]string{"-db", "sqlite", "-workers", "0"}, "-workers 0: at least 1 is needed"},
		{[]string{"-db", "sqlite", "-dsn", "x"}, "-dsn: sqlite has a file of its own"},
		{[]string{"-db", "sqlite", "more"}, `"more" is no option`},
		{[]string{"-cluster", "oracle"}, `-cluster "oracle": it is one of galera, group, postgres, pgbouncer`},
		{[]string{"-cluster", "galera", "-db", "mariadb"}, "-cluster: it has databases of its own"},
		{[]string{"-cluster", "galera", "-failover"}, "-failover: every node of galera takes writes"},
		{[]string{"-db", "sqlite", "-kill"}, "-kill: there is no -cluster for it to happen to"},
		{[]string{"-unheard"}, "flag provided but not defined: -unheard"},
	} {
		status, out, complaints, _ := soaked(t, tt.args...)

		require.Equal(t, unusable, status, tt.args)
		require.Contains(t, complaints, tt.want)
		require.Empty(t, out)
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	status, _, complaints, _ := soaked(t, "-help")

	require.Equal(t, good, status)
	require.Contains(t, complaints, "-sabotage")
}

func TestADatabaseThatDoesNotAnswerIsUnusable(t *testing.T) {
	for name, dsn := range map[string]string{
		"postgres": "host=127.0.0.1 port=1 user=nobody dbname=none sslmode=disable",
		"mariadb":  "nobody@tcp(127.0.0.1:1)/none",
	} {
		status, out, complaints, _ := soaked(t, "-db", name, "-dsn", dsn, "-for", "1s")

		require.Equal(t, unusable, status)
		require.Contains(t, complaints, "soak: "+name+" does not answer")
		require.Empty(t, out)
	}
}

func TestAGoodDatabaseShowsNoAnomaly(t *testing.T) {
	status, out, complaints, dir := soaked(t, "-db", "sqlite", "-for", "2s", "-workers", "3", "-seed", "7")

	require.Equal(t, good, status, out)
	require.Regexp(t, regexp.MustCompile(`^sqlite for 2s, 3 workers, seed 7\n   1s \d+ operations`), out)
	require.Regexp(t, regexp.MustCompile(`total: [1-9]\d* operations, [1-9]\d* writes, .* 0 anomalies\n$`), out)
	require.Empty(t, complaints)
	requireEmpty(t, dir)
}

func TestSabotageIsFound(t *testing.T) {
	for _, database := range testdb.All() {
		t.Run(database.Name, func(t *testing.T) {
			database.Open(t) // or skip this, where the server is not there

			status, out, _, _ := soaked(t, "-db", database.Name, "-for", "15s", "-sabotage")

			require.Equal(t, anomaly, status, out)
			require.Contains(t, out, "ANOMALY: not linearizable")
			require.Regexp(t, regexp.MustCompile(`a picture of it: \S+\.html`), out)
			require.Regexp(t, regexp.MustCompile(`total: .* [1-9]\d* anomalies\n$`), out)
		})
	}
}

func TestAnInterruptEndsItAndRemovesTheDatabase(t *testing.T) {
	soak, dir := command(t, "-db", "sqlite", "-for", "10m")
	out, err := soak.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, soak.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "sqlite for 10m")

	require.NoError(t, soak.Process.Signal(os.Interrupt))

	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	require.NoError(t, soak.Wait())
	require.Contains(t, last, "total: ")
	requireEmpty(t, dir)
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

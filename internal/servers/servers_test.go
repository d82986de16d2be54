//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/internal/host"
)

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no command", nil, "usage: servers start"},
		{"a command that there is not", []string{"restart"}, `unknown command "restart"`},
		{"a server that there is not", []string{"start", "oracle"}, `no server is called "oracle"; there are mysql9, mariadb11, mariadb10, postgres18, postgres15`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, run(t.Context(), tt.args, &bytes.Buffer{}), tt.want)
		})
	}
}

func TestOldServersAreStartedByNameOnly(t *testing.T) {
	t.Parallel()
	chosen, err := choose(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"mysql9", "mariadb11", "postgres18"}, names(chosen))

	chosen, err = choose([]string{"postgres15", "mysql9"})
	require.NoError(t, err)
	require.Equal(t, []string{"postgres15", "mysql9"}, names(chosen))
}

func TestAProcessIsKnownByItsStart(t *testing.T) {
	t.Parallel()
	h := machine{host.Host{Cache: t.TempDir()}}
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s := specs[0]
	p := process{cmd.Process.Pid, since(cmd.Process.Pid), 20001}

	require.NoError(t, h.remember(s, p))
	found, ok := h.running(s)
	require.True(t, ok)
	require.Equal(t, p, found)
	another := p
	another.since += "1"
	require.NoError(t, h.remember(s, another))
	_, ok = h.running(s)
	require.False(t, ok, "another process with the id")

	require.NoError(t, another.end(syscall.SIGKILL))
	require.True(t, p.isAlive())
	require.NoError(t, p.end(syscall.SIGTERM))
	require.Error(t, <-ended)
	require.False(t, p.isAlive())
}

func TestEnvTellsOfServersThatRun(t *testing.T) {
	t.Parallel()
	h := machine{host.Host{Cache: t.TempDir()}}
	var out bytes.Buffer
	for i, s := range specs {
		require.ErrorContains(t, env(t.Context(), h, specs, &out), s.name+" does not run")
		require.NoError(t, h.remember(s, process{os.Getpid(), since(os.Getpid()), 20001 + i}))
	}
	out.Reset()

	require.NoError(t, env(t.Context(), h, specs, &out))

	require.Equal(t, []string{
		"export TEST_MYSQL_DSN='root@tcp(127.0.0.1:20001)/test?parseTime=true&charset=utf8mb4'",
		"export TEST_MARIADB11_DSN='root@tcp(127.0.0.1:20002)/test?parseTime=true&charset=utf8mb4'",
		"export TEST_MARIADB_DSN='root@tcp(127.0.0.1:20003)/test?parseTime=true&charset=utf8mb4'",
		"export TEST_POSTGRES18_DSN='host=127.0.0.1 port=20004 user=postgres dbname=test sslmode=disable'",
		"export TEST_POSTGRES_DSN='host=127.0.0.1 port=20005 user=postgres dbname=test sslmode=disable'",
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
}

func TestAServerThatEndsIsReportedWithItsLog(t *testing.T) {
	t.Parallel()
	h := machine{host.Host{Cache: t.TempDir()}}
	require.NoError(t, os.WriteFile(h.logFile(specs[0]), []byte("no space left"), 0o600))

	_, err := h.await(t.Context(), specs[0], process{pid: os.Getpid(), since: "ended", port: 1})

	require.ErrorContains(t, err, "the server has ended: no space left")
}

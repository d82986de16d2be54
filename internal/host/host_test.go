//go:build linux

package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFailedCommandSaysWhy(t *testing.T) {
	t.Parallel()
	err := Host{}.Command(t.Context(), "bash", "-c", "echo no such package >&2; exit 100")

	require.ErrorContains(t, err, "exit status 100: no such package")
}

func TestAptOfAServerLeavesTheMachinesAlone(t *testing.T) {
	t.Parallel()
	h := Host{Mirror: "http://archive.invalid/debian"}
	dir := t.TempDir()

	config, err := h.configureApt(t.Context(), dir, "sid")

	require.NoError(t, err)
	written, err := os.ReadFile(config)
	require.NoError(t, err)
	require.Contains(t, string(written), `Dir::State::status "`+dir+`/status"`)
	sources, err := os.ReadFile(filepath.Join(dir, "sources.list"))
	require.NoError(t, err)
	require.Equal(t, "deb [signed-by="+keyring+"] http://archive.invalid/debian sid main\n", string(sources))
}

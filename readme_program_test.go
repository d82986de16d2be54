//go:build cgo

package occ_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheProgramInTheReadmeRuns needs cgo: the program opens SQLite by gorm.io/driver/sqlite's own driver.
func TestTheProgramInTheReadmeRuns(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(program, []byte(snippetsOf(t, "README.md")[0]), 0o600))

	out, err := exec.CommandContext(t.Context(), "go", "run", program).Output()

	require.NoError(t, err)
	shown := block(t, string(page), "```\n")
	require.Len(t, strings.Split(shown, "\n"), 2)
	for _, line := range strings.Split(shown, "\n") {
		require.Contains(t, "\n"+string(out), "\n"+line+"\n")
	}
	require.Contains(t, string(out), block(t, string(page), "```sql\n")) // in the log of GORM
}

// block is the first one of a page that is opened by these characters at the beginning of a line.
func block(t *testing.T, page, opening string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n\n"+opening)
	require.True(t, found)
	text, _, closed := strings.Cut(rest, "\n```")
	require.True(t, closed)
	return text
}

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
	program := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(program, []byte(snippets(t)[0]), 0o600))

	out, err := exec.CommandContext(t.Context(), "go", "run", program).Output()

	require.NoError(t, err)
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, shown, _ := strings.Cut(string(page), "\n```\ntrue ")
	shown, _, _ = strings.Cut(shown, "\n")
	require.Contains(t, string(out), "<nil>\n")
	require.Contains(t, string(out), "\ntrue "+shown+"\n")
	require.Contains(t, string(out), "UPDATE `products` SET `stock`=8,`version`=2 WHERE `products`.`id` = 1 AND `products`.`version` = 1")
}

package occ_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippets are the blocks of Go in the README.
func snippets(t *testing.T) (code []string) {
	t.Helper()
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, block := range strings.Split(string(page), "```go\n")[1:] {
		snippet, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		code = append(code, snippet)
	}
	require.NotEmpty(t, code)
	return code
}

func TestTheProgramInTheReadmeRuns(t *testing.T) {
	t.Parallel()
	if !hasCgo {
		t.Skip("gorm.io/driver/sqlite needs cgo, unless it is told of another driver")
	}
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

func TestTheSnippetsInTheReadmeAreExamples(t *testing.T) {
	t.Parallel()
	examples, err := os.ReadFile("example_test.go")
	require.NoError(t, err)

	for _, snippet := range snippets(t)[1:] {
		require.Contains(t, unindented(string(examples)), unindented(snippet))
	}
}

func unindented(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

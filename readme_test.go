package occ_test

import (
	"os"
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

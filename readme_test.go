package occ_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippetsOf are the blocks of Go in a page.
func snippetsOf(t *testing.T, name string) (code []string) {
	t.Helper()
	page, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, block := range strings.Split(string(page), "```go\n")[1:] {
		snippet, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		code = append(code, snippet)
	}
	require.NotEmpty(t, code, name)
	return code
}

// TestTheSnippetsInTheDocumentsAreExamples holds each snippet to a file whose Examples run. README's one is a program, which
// TestTheProgramInTheReadmeRuns runs.
func TestTheSnippetsInTheDocumentsAreExamples(t *testing.T) {
	t.Parallel()
	for page, examples := range map[string][]string{
		"docs/rules.md":             {"example_test.go"},
		"docs/conflicts.md":         {"example_conflicts_test.go"},
		"docs/schema.md":            {"example_schema_test.go"},
		"docs/versions.md":          {"example_versions_test.go"},
		"docs/testing-your-code.md": {"occtest/example_test.go", "occtest/example_memory_test.go", "examples/adopting/sqlmock_test.go"},
		"docs/forms.md":             {"occform/example_test.go"},
		"docs/observing.md":         {"example_observing_test.go", "occotel/example_prometheus_test.go"},
	} {
		source := ""
		for _, file := range examples {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			source += string(text)
		}
		for _, snippet := range snippetsOf(t, page) {
			require.Contains(t, unindented(source), unindented(snippet), page)
		}
	}
}

func unindented(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

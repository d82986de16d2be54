package adopting_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/imports"
)

var rule = regexp.MustCompile(`(?m)^\s*(gofmt -r '.*' -w \.)$`)

// TestTheRulesOfMigrating runs the commands of docs/migrating.md, and what goimports does, on the package before; what they make of it
// is compiled as the package after.
func TestTheRulesOfMigrating(t *testing.T) {
	t.Parallel()
	commands := rule.FindAllStringSubmatch(read(t, "../../docs/migrating.md"), -1)
	require.Len(t, commands, 4)
	dir := t.TempDir()
	path := filepath.Join(dir, "product.go")
	require.NoError(t, os.WriteFile(path, []byte(read(t, "before/product.go")), 0o644))

	for _, command := range commands {
		gofmt := exec.CommandContext(t.Context(), "sh", "-c", command[1])
		gofmt.Dir = dir
		out, err := gofmt.CombinedOutput()
		require.NoError(t, err, "%s: %s", command[1], out)
	}
	rewritten, err := imports.Process("before/product.go", []byte(read(t, path)), nil)

	require.NoError(t, err)
	require.Equal(t, read(t, "after/product.go"), strings.ReplaceAll(strings.Replace(string(rewritten), "Package before", "Package after", 1), "package before", "package after"))
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

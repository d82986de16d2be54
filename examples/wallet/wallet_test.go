package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheStory(t *testing.T) {
	var out strings.Builder

	require.NoError(t, run(&out, ""))

	t.Log(out.String())
	for _, line := range []string{
		"balance: expected 25, found 20: 5 lost\n",
		"AND `occ_example_wallets`.`version` = 1\n",
		"occ: stale data: update of \"occ_example_wallets\" refused: row id=3 changed: expected version 1, found 2\n",
		"balance: expected 25, found 25: nothing lost\n",
		fmt.Sprintf("balance: expected %[1]d, found %[1]d: nothing lost\n", workers*deposits),
	} {
		require.Contains(t, out.String(), line)
	}
}

func TestDSNs(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                     "SQLite in a temporary folder",
		"postgres://u:p@127.0.0.1:5432/test":   "PostgreSQL",
		"postgresql://127.0.0.1/test":          "PostgreSQL",
		"host=/var/run/postgresql dbname=test": "PostgreSQL",
		"u:p@tcp(127.0.0.1:3306)/test":         "MariaDB",
		"u:p@/test?parseTime=true":             "MariaDB",
	} {
		name, dialector, remove, err := dialectorOf(dsn)
		require.NoError(t, err)
		require.NotNil(t, dialector)
		require.NoError(t, remove())
		require.Equal(t, want, name, dsn)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/work"
)

// descriptions are queries for the version of a server and the settings that decide what a commit costs, and the texts
// that say them.
var descriptions = map[string]struct{ query, text string }{
	peers.SQLite: {
		"SELECT sqlite_version(), (SELECT journal_mode FROM pragma_journal_mode), (SELECT CASE synchronous WHEN 1 THEN 'NORMAL' ELSE synchronous END FROM pragma_synchronous)",
		"SQLite %s, a file, journal_mode=%s, synchronous=%s",
	},
	peers.PostgreSQL: {
		"SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')",
		"PostgreSQL %s, fsync=%s, synchronous_commit=%s",
	},
	peers.MariaDB: {
		"SELECT version(), @@innodb_flush_log_at_trx_commit, @@sync_binlog",
		"MariaDB %s, innodb_flush_log_at_trx_commit=%s, sync_binlog=%s",
	},
}

// describe describes a server.
func describe(server string) (text string, err error) {
	place, err := work.NewPlace(server)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	var version, first, second string
	d := descriptions[server]
	err = place.Pool.QueryRowContext(context.Background(), d.query).Scan(&version, &first, &second)
	return fmt.Sprintf(d.text, release(version), first, second), err
}

// release is a version without what a distribution adds to it.
func release(version string) string {
	if end := strings.IndexAny(version, " -"); end >= 0 {
		return version[:end]
	}
	return version
}

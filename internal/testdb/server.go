package testdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	maxNamespaces  = 6 // at once, of one process: two of them stay within PostgreSQL's default of 100 connections
	answerTimeout  = 5 * time.Second
	commandTimeout = 30 * time.Second
)

// server is a database server that tests share. A test gets a namespace of its own on it: a schema or a database.
type server struct {
	name         string
	open         func() (*sql.DB, error) // in the namespace that the DSN names
	create, drop string                  // SQL, with %s for the namespace
	ping         func() error            // asks the server once per process
	slots        chan struct{}
}

func newServer(name, create, drop string, open func() (*sql.DB, error)) *server {
	s := &server{name: name, open: open, create: create, drop: drop, slots: make(chan struct{}, maxNamespaces)}
	s.ping = sync.OnceValue(func() error { return s.administer(answerTimeout, "SELECT 1") })
	return s
}

// namespace creates a namespace that is dropped when t ends, and returns its name.
func (s *server) namespace(t testing.TB) string {
	t.Helper()
	s.mustAnswer(t)
	s.slots <- struct{}{}
	t.Cleanup(func() { <-s.slots })

	name := "occ_" + strings.ToLower(rand.Text())
	require.NoError(t, s.administer(commandTimeout, fmt.Sprintf(s.create, name)))
	t.Cleanup(func() {
		err := s.administer(commandTimeout, fmt.Sprintf(s.drop, name))
		require.NoError(t, err, "dropping the test's database; did the test leave a transaction open?")
	})
	return name
}

// mustAnswer skips t if the server is not there, or fails it in CI, where nobody would see the skip.
func (s *server) mustAnswer(t testing.TB) {
	t.Helper()
	err := s.ping()
	if err == nil {
		return
	}
	complain := t.Skipf
	if os.Getenv("CI") == "true" {
		complain = t.Fatalf
	}
	complain("%s does not answer; start it with: docker compose up -d --wait (%v)", s.name, err)
}

// administer runs one statement on a connection of its own.
func (s *server) administer(timeout time.Duration, query string) error {
	pool, err := s.open()
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err = pool.ExecContext(ctx, query)
	return err
}

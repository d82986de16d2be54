package testdb

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	maxNamespaces  = 6 // at once, of the tests of one process: two of them stay within PostgreSQL's default of 100 connections
	maxAdminConns  = 2
	answerTimeout  = 5 * time.Second
	commandTimeout = 30 * time.Second
)

// servers are those that tests know of, in the order of [All].
var servers = []*server{
	newPostgres("postgres", "TEST_POSTGRES_DSN", "host=127.0.0.1 port=5432 user=postgres dbname=test sslmode=disable"),
	newMariaDB("mariadb", "TEST_MARIADB_DSN", "root@tcp(127.0.0.1:3306)/test?parseTime=true&charset=utf8mb4"),
	newPostgres("postgres18", "TEST_POSTGRES18_DSN", ""),
	newMariaDB("mariadb11", "TEST_MARIADB11_DSN", ""),
	newMariaDB("mysql", "TEST_MYSQL_DSN", ""),
}

// server is a database server that tests share. A test gets a namespace of its own on it: a schema or a database.
type server struct {
	name         string                  // of its databases
	product      string                  // postgres, mariadb or mysql: the name without a version
	variable     string                  // of the environment, with the DSN
	otherwise    string                  // the DSN where the environment has none
	open         func() (*sql.DB, error) // in the namespace that the DSN names
	create, drop string                  // SQL, with %s for the namespace
	ping         func() error            // asks the server once per process
	slots        chan struct{}
	admin        func() (*sql.DB, error) // a pool for whatever is not a test's
	spares       spares
	wasAsked     atomic.Bool // by a test
	isMissed     atomic.Bool // a test had to do without
}

func newServer(name, variable, otherwise string) *server {
	s := &server{
		name: name, product: strings.TrimRight(name, "0123456789"), variable: variable, otherwise: otherwise,
		slots: make(chan struct{}, maxNamespaces),
	}
	s.admin = sync.OnceValues(s.openAdmin)
	s.ping = sync.OnceValue(func() error { return s.administer(answerTimeout, "SELECT 1") })
	return s
}

// dsn returns where the server is, and nothing where nobody has said that: what the environment says may change.
func (s *server) dsn() string { return cmp.Or(os.Getenv(s.variable), s.otherwise) }

// namespace creates a namespace, and returns its name and what drops it.
func (s *server) namespace() (name string, drop func() error, err error) {
	if err := s.ping(); err != nil {
		return "", nil, s.silence(err)
	}
	name = "occ_" + strings.ToLower(rand.Text())
	drop = func() error { return s.administer(commandTimeout, fmt.Sprintf(s.drop, name)) }
	return name, drop, s.administer(commandTimeout, fmt.Sprintf(s.create, name))
}

// admit waits until t can have a namespace, and keeps its place until t ends.
func (s *server) admit(t testing.TB) {
	t.Helper()
	s.mustAnswer(t)
	s.slots <- struct{}{}
	t.Cleanup(func() { <-s.slots })
}

// silence is the error of a server that does not answer.
func (s *server) silence(err error) error {
	return fmt.Errorf("%s does not answer; start it with: docker compose up -d --wait, or see docs/testing.md (%w)", s.name, err)
}

// mustAnswer skips t if the server is not there, or fails it in CI, where nobody would see the skip.
func (s *server) mustAnswer(t testing.TB) {
	t.Helper()
	s.wasAsked.Store(true)
	err := s.ping()
	if err == nil {
		return
	}
	s.isMissed.Store(true)
	complain := t.Skipf
	if os.Getenv("CI") == "true" {
		complain = t.Fatalf
	}
	complain("%v", s.silence(err))
}

func (s *server) openAdmin() (*sql.DB, error) {
	pool, err := s.open()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(maxAdminConns)
	pool.SetMaxIdleConns(maxAdminConns)
	return pool, nil
}

// administer runs one statement outside of any namespace.
func (s *server) administer(timeout time.Duration, query string) error {
	pool, err := s.admin()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err = pool.ExecContext(ctx, query)
	return err
}

// close ends the connections that outlive tests.
func (s *server) close() error {
	pool, err := s.admin()
	if err != nil {
		return nil // there never was one
	}
	return errors.Join(s.spares.close(), pool.Close())
}

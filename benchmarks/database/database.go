// Package database gives every peer a database of its own: a file of SQLite, a schema of PostgreSQL, a database of
// MariaDB. All of a run are removed with it.
package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

const (
	commandTimeout = 30 * time.Second
	maxOpenConns   = 4
)

// The names of the databases.
const (
	SQLite     = "sqlite"
	PostgreSQL = "postgres"
	MariaDB    = "mariadb"
)

// Names are the databases that peers can be compared on.
func Names() []string { return []string{SQLite, PostgreSQL, MariaDB} }

// engine is what one kind of database does in its own way.
type engine interface {
	// create makes an empty database; the connector leads to it.
	create(name string) (driver.Connector, error)
	drop(name string) error
	// about describes the server and the settings that decide what a commit costs.
	about() (string, error)
	close() error
}

// Server is one kind of database for the length of a run.
type Server struct {
	Name   string
	engine engine
	run    string
	made   []*Database
}

// Start finds the server: SQLite in a folder of its own, the others by TEST_POSTGRES_DSN and TEST_MARIADB_DSN.
func Start(name string) (*Server, error) {
	open := map[string]func() (engine, error){SQLite: openSQLite, PostgreSQL: openPostgres, MariaDB: openMariaDB}[name]
	if open == nil {
		return nil, fmt.Errorf("no database is called %q: choose of %s", name, strings.Join(Names(), ", "))
	}
	e, err := open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Server{Name: name, engine: e, run: "occ_bench_" + strings.ToLower(rand.Text()[:10])}, nil
}

// About describes the server and the settings that decide what a commit costs.
func (s *Server) About() (string, error) { return s.engine.about() }

// Close removes all that the run has made.
func (s *Server) Close() error {
	var errs []error
	for _, d := range s.made {
		errs = append(errs, d.Pool.Close(), d.Counted.Close(), s.engine.drop(d.namespace))
	}
	return errors.Join(append(errs, s.engine.close())...)
}

// Database is empty at first and belongs to one peer.
type Database struct {
	Server    string // its Name
	Pool      *sql.DB
	Counted   *sql.DB // the same database, through connections that count
	Trips     *Trips  // what they have counted
	namespace string
}

// New makes a database.
func (s *Server) New() (*Database, error) {
	name := fmt.Sprintf("%s_%d", s.run, len(s.made))
	connector, err := s.engine.create(name)
	if err != nil {
		return nil, err
	}
	trips := &Trips{}
	d := &Database{
		Server: s.Name, Pool: sql.OpenDB(connector), Counted: sql.OpenDB(&countingConnector{connector, trips}),
		Trips: trips, namespace: name,
	}
	s.made = append(s.made, d)
	d.Pool.SetMaxOpenConns(maxOpenConns)
	d.Counted.SetMaxOpenConns(maxOpenConns)
	d.Counted.SetMaxIdleConns(0) // servers have few connections, and peers are many
	return d, nil
}

// Crowd has the pool keep a connection for each of n writers, Disperse lets them go again.
func (d *Database) Crowd(n int) {
	d.Pool.SetMaxOpenConns(n)
	d.Pool.SetMaxIdleConns(n)
}

// Disperse undoes Crowd.
func (d *Database) Disperse() {
	d.Pool.SetMaxOpenConns(maxOpenConns)
	d.Pool.SetMaxIdleConns(1)
}

// Dialector is GORM's for a pool of the database.
func (d *Database) Dialector(pool *sql.DB) gorm.Dialector {
	switch d.Server {
	case PostgreSQL:
		return postgres.New(postgres.Config{Conn: pool})
	case MariaDB:
		return mysql.New(mysql.Config{Conn: pool})
	default:
		return sqlite.New(sqlite.Config{Conn: pool})
	}
}

// administer runs one statement on a connection of its own.
func administer(connector driver.Connector, query string) error {
	pool := sql.OpenDB(connector)
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	_, err := pool.ExecContext(ctx, query)
	return err
}

// release is a version without what a distribution adds to it.
func release(version string) string {
	if end := strings.IndexAny(version, " -"); end >= 0 {
		return version[:end]
	}
	return version
}

// ask reads one row of text.
func ask(connector driver.Connector, query string, into ...any) error {
	pool := sql.OpenDB(connector)
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	return pool.QueryRowContext(ctx, query).Scan(into...)
}

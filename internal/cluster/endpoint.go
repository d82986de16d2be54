//go:build linux

package cluster

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	testDatabase = "test"
	dialTimeout  = 5 * time.Second
)

var errCut = errors.New("the network is down")

// Endpoint is where clients connect to: to one node, or to whichever is the primary now. Its network can be cut.
type Endpoint struct {
	Name    string
	dialect string
	port    func() int

	mu    sync.Mutex
	isCut bool
	links map[*link]struct{}
}

func (n *Node) endpoint(dialect string) *Endpoint {
	return &Endpoint{Name: n.Name, dialect: dialect, port: func() int { return n.Port }}
}

// Cut breaks all connections, and keeps new ones from being made until Mend is called.
func (e *Endpoint) Cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.isCut = true
	for l := range e.links {
		_ = l.Conn.Close()
	}
	clear(e.links)
}

// Break breaks all connections; new ones can be made at once.
func (e *Endpoint) Break() {
	e.Cut()
	e.Mend()
}

// Mend ends what Cut began.
func (e *Endpoint) Mend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.isCut = false
}

type link struct {
	net.Conn
	endpoint *Endpoint
}

func (l *link) Close() error {
	l.endpoint.mu.Lock()
	delete(l.endpoint.links, l)
	l.endpoint.mu.Unlock()
	return l.Conn.Close()
}

func (e *Endpoint) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", fmt.Sprint("127.0.0.1:", e.port()))
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isCut {
		return nil, errors.Join(&net.OpError{Op: "dial", Net: "tcp", Err: errCut}, conn.Close())
	}
	l := &link{conn, e}
	if e.links == nil {
		e.links = map[*link]struct{}{}
	}
	e.links[l] = struct{}{}
	return l, nil
}

// Options are of the drivers.
type Options struct {
	Database string                // the one of the tests by default
	Postgres func(*pgx.ConnConfig) // changes the configuration
	MySQL    func(*mysql.Config)   // changes the configuration
	Wrap     func(net.Conn) net.Conn
}

// Open opens a pool of connections to what is at the endpoint.
func (e *Endpoint) Open(o Options) (*sql.DB, gorm.Dialector, error) {
	if o.Database == "" {
		o.Database = testDatabase
	}
	if e.dialect == "postgres" {
		return e.openPostgres(o)
	}
	return e.openMySQL(o)
}

func (e *Endpoint) openPostgres(o Options) (*sql.DB, gorm.Dialector, error) {
	config, err := pgx.ParseConfig("host=127.0.0.1 user=postgres sslmode=disable connect_timeout=5 dbname=" + o.Database)
	if err != nil {
		return nil, nil, err
	}
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.wrap(e.dial(ctx)) }
	if o.Postgres != nil {
		o.Postgres(config)
	}
	pool := stdlib.OpenDB(*config)
	return pool, postgres.New(postgres.Config{Conn: pool, PreferSimpleProtocol: config.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol}), nil
}

func (e *Endpoint) openMySQL(o Options) (*sql.DB, gorm.Dialector, error) {
	config := mysql.NewConfig()
	config.User, config.DBName, config.ParseTime, config.Logger = "root", o.Database, true, &mysql.NopLogger{}
	config.ReadTimeout, config.WriteTimeout = 20*time.Second, 20*time.Second // of a frozen server
	config.Net, config.Addr = "cluster "+rand.Text(), "127.0.0.1"
	mysql.RegisterDialContext(config.Net, func(ctx context.Context, _ string) (net.Conn, error) { return o.wrap(e.dial(ctx)) })
	if o.MySQL != nil {
		o.MySQL(config)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, nil, err
	}
	pool := sql.OpenDB(connector)
	return pool, gormmysql.New(gormmysql.Config{Conn: pool, DSNConfig: config}), nil
}

func (o Options) wrap(conn net.Conn, err error) (net.Conn, error) {
	if err != nil || o.Wrap == nil {
		return conn, err
	}
	return o.Wrap(conn), nil
}

// query asks for one row, on a connection of its own.
func (e *Endpoint) query(ctx context.Context, database, query string, into ...any) error {
	pool, _, err := e.Open(Options{Database: database})
	if err != nil {
		return err
	}
	defer pool.Close()
	return pool.QueryRowContext(ctx, query).Scan(into...)
}

// exec runs statements, on a connection of its own.
func (e *Endpoint) exec(ctx context.Context, database string, statements ...string) error {
	pool, _, err := e.Open(Options{Database: database})
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

package work

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/internal/testdb"
)

// maxOpenConns is how many connections a peer can have at the same time, unless it is a crowd.
const maxOpenConns = 4

// Place is where a peer works: a database of its own, empty at first.
type Place struct {
	Server    string // one of peers.Servers
	Pool      *sql.DB
	Close     func() error // removes the database
	dialector gorm.Dialector
}

// NewPlace makes a place on a server.
func NewPlace(server string) (*Place, error) { return newPlace(server, testdb.Own()) }

// NewCountedPlace makes a place on a server, and counts what goes there.
func NewCountedPlace(server string) (*Place, *Trips, error) {
	trips := &Trips{}
	p, err := newPlace(server, testdb.Intercepted(trips.count))
	if err != nil {
		return nil, nil, err
	}
	p.Pool.SetMaxIdleConns(0) // servers have few connections, and peers are many
	return p, trips, nil
}

func newPlace(server string, databases []testdb.Database) (*Place, error) {
	i := slices.IndexFunc(databases, func(d testdb.Database) bool { return d.Name == server })
	if i < 0 || !slices.Contains(peers.Servers(), server) {
		return nil, fmt.Errorf("there is no database %q: choose of %s", server, strings.Join(peers.Servers(), ", "))
	}
	db, remove, err := databases[i].Create()
	if err != nil {
		return nil, err
	}
	p := &Place{Server: server, Close: remove, dialector: db.Dialector}
	if p.Pool, err = db.DB(); err != nil {
		return nil, err
	}
	p.Disperse()
	return p, nil
}

// Crowd has the pool keep a connection for each of n writers, Disperse lets them go again.
func (p *Place) Crowd(n int) {
	p.Pool.SetMaxOpenConns(n)
	p.Pool.SetMaxIdleConns(n)
}

// Disperse undoes Crowd.
func (p *Place) Disperse() {
	p.Pool.SetMaxOpenConns(maxOpenConns)
	p.Pool.SetMaxIdleConns(1)
}

// conn is the place as the peer sees it.
func (p *Place) conn(setting peers.Setting) peers.Conn {
	return peers.Conn{Server: p.Server, Pool: p.Pool, Dialector: p.dialector, Setting: setting}
}

// judge is a way to the place without any peer.
func (p *Place) judge() (*gorm.DB, error) {
	return gorm.Open(p.dialector, &gorm.Config{Logger: logger.Discard})
}

// Trips counts what goes to a database. A prepared statement is one trip to prepare it and one for each execution.
type Trips struct {
	Statements atomic.Int64 // BEGIN, COMMIT and ROLLBACK included
	Ends       atomic.Int64 // of those, BEGIN, COMMIT and ROLLBACK
	Prepares   atomic.Int64
}

// Reset begins to count again.
func (t *Trips) Reset() {
	t.Statements.Store(0)
	t.Ends.Store(0)
	t.Prepares.Store(0)
}

func (t *Trips) count(call testdb.Call, do func() error) error {
	err := do()
	switch call.Name {
	case "begin", "commit", "rollback":
		t.Statements.Add(1)
		t.Ends.Add(1)
	case "prepare":
		t.Prepares.Add(1)
	case "exec", "query":
		if err != driver.ErrSkip { // else database/sql prepares it
			t.Statements.Add(1)
		}
	}
	return err
}

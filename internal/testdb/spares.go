package testdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"time"
)

// resetTimeout bounds what is done with a connection between two tests.
const resetTimeout = 5 * time.Second

// session is a connection to a server that can be given to one test after another.
type session interface {
	driver.Conn
	// enter makes a namespace the one that statements refer to.
	enter(ctx context.Context, namespace string) error
	// reset ends whatever the last test left: a transaction, settings, locks, prepared statements. After an error the
	// connection is of no use.
	reset(ctx context.Context) error
	// lend returns the connection as one whose Close calls giveBack.
	lend(giveBack func() error) driver.Conn
}

// spares are the connections to a server that no test holds at the moment. A new connection costs PostgreSQL 38 ms of
// processor time, and its first query of the catalog another 16 ms, which is more than most tests take.
type spares struct {
	mu   sync.Mutex
	idle map[string][]session // by the configuration they were opened with
}

// take returns a connection that was opened with a configuration, or nil. In place of the one that is then opened, it
// closes one of another configuration: there are never more connections than tests have had at the same time.
func (s *spares) take(configuration string) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken := s.pop(configuration); taken != nil {
		return taken
	}
	for other := range s.idle {
		if unused := s.pop(other); unused != nil {
			_ = unused.Close()
			break
		}
	}
	return nil
}

func (s *spares) pop(configuration string) session {
	idle := s.idle[configuration]
	if len(idle) == 0 {
		return nil
	}
	last := len(idle) - 1
	s.idle[configuration] = idle[:last]
	return idle[last]
}

// put keeps a connection for the next test, or closes it where it cannot be reset.
func (s *spares) put(configuration string, conn session) error {
	ctx, cancel := context.WithTimeout(context.Background(), resetTimeout)
	defer cancel()
	if conn.reset(ctx) != nil {
		return conn.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = map[string][]session{}
	}
	s.idle[configuration] = append(s.idle[configuration], conn)
	return nil
}

// close closes the connections that are there.
func (s *spares) close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for configuration := range s.idle {
		for conn := s.pop(configuration); conn != nil; conn = s.pop(configuration) {
			err = errors.Join(err, conn.Close())
		}
	}
	return err
}

// connector opens sessions.
type connector interface {
	open(ctx context.Context) (session, error)
	Driver() driver.Driver
}

// lender is a connector for one test: its connections were other tests' before where there are such.
type lender struct {
	connector
	spares        *spares
	configuration string
	namespace     string
}

func (l lender) Connect(ctx context.Context) (driver.Conn, error) {
	for conn := l.spares.take(l.configuration); conn != nil; conn = l.spares.take(l.configuration) {
		if lent, err := l.enter(ctx, conn); err == nil {
			return lent, nil // else the server has ended it meanwhile
		}
	}
	conn, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return l.enter(ctx, conn)
}

func (l lender) enter(ctx context.Context, conn session) (driver.Conn, error) {
	if err := conn.enter(ctx, l.namespace); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn.lend(func() error { return l.spares.put(l.configuration, conn) }), nil
}

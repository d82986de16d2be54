package behaviour

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// RoundTrips counts what goes to a database, which is more than a logger hears of: savepoints and the like too.
type RoundTrips struct {
	mu   sync.Mutex
	sent []string
}

func (r *RoundTrips) add(sql string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, sql)
}

// Take gives what was sent since it was last called.
func (r *RoundTrips) Take() (sent []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, r.sent = r.sent, nil
	return sent
}

// CountedPool is a connection pool whose round trips are counted; CountedTx a transaction of it.
type (
	CountedPool struct{ CountedConn }
	CountedTx   struct{ CountedConn }
	CountedConn struct {
		gorm.ConnPool
		Trips *RoundTrips
	}
)

func (c CountedConn) ExecContext(ctx context.Context, sql string, args ...any) (sql.Result, error) {
	c.Trips.add(sql)
	return c.ConnPool.ExecContext(ctx, sql, args...)
}

func (c CountedConn) QueryContext(ctx context.Context, sql string, args ...any) (*sql.Rows, error) {
	c.Trips.add(sql)
	return c.ConnPool.QueryContext(ctx, sql, args...)
}

func (c CountedConn) QueryRowContext(ctx context.Context, sql string, args ...any) *sql.Row {
	c.Trips.add(sql)
	return c.ConnPool.QueryRowContext(ctx, sql, args...)
}

// GetDBConn is how GORM finds the pool: what is sent to that is not counted.
func (c *CountedPool) GetDBConn() (*sql.DB, error) {
	return (&gorm.DB{Config: &gorm.Config{ConnPool: c.ConnPool}}).DB()
}

func (c *CountedPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	c.Trips.add("BEGIN")
	tx, err := c.ConnPool.(gorm.TxBeginner).BeginTx(ctx, opts)
	return &CountedTx{CountedConn: CountedConn{ConnPool: tx, Trips: c.Trips}}, err
}

func (c *CountedTx) Commit() error {
	c.Trips.add("COMMIT")
	return c.ConnPool.(gorm.TxCommitter).Commit()
}

func (c *CountedTx) Rollback() error {
	c.Trips.add("ROLLBACK")
	return c.ConnPool.(gorm.TxCommitter).Rollback()
}

// CountRoundTrips opens the database of db again, counted and without a default transaction.
func CountRoundTrips(t testing.TB, db *gorm.DB) (*gorm.DB, *RoundTrips) {
	again := Reopen(t, db, gorm.Config{SkipDefaultTransaction: true}, occ.New())
	trips := &RoundTrips{}
	again.ConnPool = &CountedPool{CountedConn: CountedConn{ConnPool: again.ConnPool, Trips: trips}}
	again.Statement.ConnPool = again.ConnPool
	return again, trips
}

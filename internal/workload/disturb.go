package workload

import (
	"context"
	"database/sql"
	"time"
)

// killEvery is how often a connection is killed in an epoch that is disturbed.
const killEvery = 100 * time.Millisecond

var (
	identify = map[string]string{"postgres": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
	kill     = map[string]string{"postgres": "SELECT pg_terminate_backend($1)", "mysql": "KILL ?"}
)

// kill kills connections of the workload's own pool, whatever they are doing, until ctx ends.
func (w *Workload) kill(ctx context.Context) {
	pool, err := w.db.DB()
	if err != nil || kill[w.dialect] == "" {
		return
	}
	for ticker := time.NewTicker(killEvery); ; {
		select {
		case <-ctx.Done():
			ticker.Stop()
			return
		case <-ticker.C:
			w.killOne(ctx, pool)
		}
	}
}

// killOne has a connection tell its number, go back to the pool, and be killed from another one. Both may fail: they
// are killed, too.
func (w *Workload) killOne(ctx context.Context, pool *sql.DB) {
	var number int64
	if err := pool.QueryRowContext(ctx, identify[w.dialect]).Scan(&number); err != nil {
		return
	}
	_, _ = pool.ExecContext(ctx, kill[w.dialect], number)
}

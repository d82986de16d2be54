package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/goleak"

	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/internal/workload"
)

const (
	epoch      = 2 * time.Second
	checkLimit = 5 * time.Second // for one row
	shown      = 5               // anomalies
	disturbs   = 3               // one epoch of as many; in the others, an error of a connection is an anomaly
)

var levels = map[string][]sql.IsolationLevel{
	"sqlite":   {sql.LevelDefault},
	"postgres": {sql.LevelDefault, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable},
	"mariadb":  {sql.LevelDefault, sql.LevelReadUncommitted, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable},
}

// soak runs a workload on a database of its own, which is removed whatever happens. An error says that it could not.
func soak(ctx context.Context, o options, out io.Writer) (status int, err error) {
	before := goleak.IgnoreCurrent()
	db, remove, err := o.database.Create()
	if err != nil {
		return unusable, err
	}
	w, err := workload.New(db, workload.Config{
		Sessions: o.workers, Seed: o.seed, Levels: levels[o.database.Name], Slots: 2, Length: epoch, Limit: checkLimit,
		Disturbs: disturbs,
	})
	if err == nil && o.sabotage {
		err = workload.Sabotage(db)
	}
	if err != nil {
		return unusable, errors.Join(err, remove())
	}
	fmt.Fprintf(out, "%s for %s, %d workers, seed %d\n", o.database.Name, o.duration, o.workers, o.seed)
	work(ctx, w, o.duration, out)
	if err := errors.Join(remove(), testdb.CloseServers()); err != nil {
		w.Report("leak", "the database could not be removed: "+err.Error())
	}
	if err := goleak.Find(before); err != nil {
		w.Report("leak", err.Error())
	}
	return conclude(w, out), nil
}

// work goes on until there is an anomaly, and tells how it is getting on.
func work(ctx context.Context, w *workload.Workload, duration time.Duration, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil && w.Totals().Anomalies.Load() == 0 {
			w.Epoch(ctx)
		}
	}()
	start, ticker := time.Now(), time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
			fmt.Fprintf(out, "%4ds %s\n", int(time.Since(start).Seconds()), w.Totals())
		}
	}
}

// conclude shows the first anomalies, and says how it went.
func conclude(w *workload.Workload, out io.Writer) int {
	found := w.Anomalies()
	for i, a := range found {
		if i == shown {
			fmt.Fprintf(out, "and %d more\n", len(found)-shown)
			break
		}
		fmt.Fprintf(out, "ANOMALY: %s\n%s\n", a.Rule, a.Text)
		if a.Failure == nil {
			continue
		}
		if path, err := a.Failure.Picture(""); err != nil {
			fmt.Fprintf(out, "no picture of it: %v\n", err)
		} else {
			fmt.Fprintf(out, "a picture of it: %s\n", path)
		}
	}
	fmt.Fprintf(out, "total: %s\n", w.Totals())
	if len(found) > 0 {
		return anomaly
	}
	return good
}

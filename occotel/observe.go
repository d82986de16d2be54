package occotel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gorm-occ/occ"
)

// Observe has gorm.occ.writes read from p.Stats whenever the metrics are collected, so that a write costs nothing for it. It
// counts calls, not rows, since start, by db.collection.name and gorm.occ.outcome:
//
//   - written: compared with a version, and not refused. One that is under way, or that failed for another reason, is among
//     them.
//   - refused: refused with [occ.ErrStaleData].
//   - blind: not compared ([occ.Unchecked], [occ.WithBlindWrites]).
//
// The three have no write in common; writes by condition are in none. A table appears once it has been written, 1,000 names
// that are made at run time at most (see [occ.Stats]).
//
// Call it after db.Use(p). A nil p, and an instrument that cannot be made, are errors. Two plugins
// that share a provider have their figures reported under the same attributes, of which the SDK keeps one: give each a provider
// of its own. Unregister of the result ends it.
func Observe(p *occ.Plugin, opts ...Option) (metric.Registration, error) {
	if p == nil {
		return nil, errors.New("occotel: there is no plugin to observe: pass what occ.New returned")
	}
	meter := newConfig(opts).meter()
	writes, err := meter.Int64ObservableCounter("gorm.occ.writes", metric.WithUnit("{write}"),
		metric.WithDescription("Writes of models that have a version, by what became of them."))
	if err != nil {
		return nil, fmt.Errorf("occotel: gorm.occ.writes: %w", err)
	}
	o := &observer{plugin: p, writes: writes, written: map[string]int64{}}
	registration, err := meter.RegisterCallback(o.observe, writes)
	if err != nil {
		return nil, fmt.Errorf("occotel: gorm.occ.writes: %w", err)
	}
	return registration, nil
}

// observer reads the counters of a plugin.
type observer struct {
	plugin *occ.Plugin
	writes metric.Int64ObservableCounter

	mu      sync.Mutex
	written map[string]int64 // by table, as observed last
}

func (o *observer) observe(_ context.Context, to metric.Observer) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for table, counted := range o.plugin.Stats() {
		collection := collectionKey.String(table)
		tell := func(outcome string, n int64) {
			to.ObserveInt64(o.writes, n, metric.WithAttributeSet(attribute.NewSet(collection, outcomeKey.String(outcome))))
		}
		tell("written", o.writtenOf(table, counted))
		tell("refused", counted.Refused)
		tell("blind", counted.Blind)
	}
	return nil
}

// writtenOf never returns less than before, as a counter has to: a write is counted as compared before it is refused.
func (o *observer) writtenOf(table string, counted occ.TableStats) int64 {
	o.written[table] = max(o.written[table], counted.Checked-counted.Refused)
	return o.written[table]
}

// Package occotel reports on occ with OpenTelemetry: each refused write as an event of the caller's span, and counters and
// histograms of conflicts, retries and writes. It uses OpenTelemetry's API alone; what becomes of the figures is up to the
// SDK of the application.
//
//	plugin := occ.New(occotel.Hooks())
//	err := db.Use(plugin)
//	registration, err := occotel.Observe(plugin)
//
// The instruments, with their units and attributes:
//
//	gorm.occ.conflicts       counter    {conflict}  refused writes: db.collection.name, gorm.occ.operation, gorm.occ.reason
//	gorm.occ.retry.attempts  histogram  {attempt}   attempts of a call of occ.Retry: gorm.occ.outcome, gorm.occ.locked
//	gorm.occ.retry.wait      histogram  s           the time that such a call waited between them: the same
//	gorm.occ.writes          counter    {write}     writes, out of Plugin.Stats: db.collection.name, gorm.occ.outcome
//
// The first three are those of [Hooks], the last is that of [Observe]. No metric has keys, versions or values of rows.
package occotel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// ScopeName is the name of the instrumentation scope of all instruments.
const ScopeName = "github.com/gorm-occ/occ/occotel"

const (
	collectionKey = attribute.Key("db.collection.name") // by OpenTelemetry's semantic conventions
	operationKey  = attribute.Key("gorm.occ.operation")
	reasonKey     = attribute.Key("gorm.occ.reason")
	outcomeKey    = attribute.Key("gorm.occ.outcome")
	lockedKey     = attribute.Key("gorm.occ.locked")
	rowsKey       = attribute.Key("gorm.occ.rows")
	keysKey       = attribute.Key("gorm.occ.keys")
)

// Option configures [Hooks] and [Observe].
type Option func(*config)

type config struct {
	meters metric.MeterProvider
	keys   bool
}

// WithMeterProvider names the provider whose meter makes the instruments. Without it, and with nil, it is the global one, as
// [otel.SetMeterProvider] sets it, also later on. There is no such option for traces: events are added
// to the spans that are there.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) {
		if provider != nil {
			c.meters = provider
		}
	}
}

// WithKeys adds gorm.occ.keys to the events of [Hooks]: the primary keys of the refused rows, of at most 5, each as
// column=value. Metrics have no keys with it either. Keys may be personal data; without it nothing of a row is reported.
func WithKeys() Option {
	return func(c *config) { c.keys = true }
}

func newConfig(opts []Option) config {
	c := config{meters: otel.GetMeterProvider()}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	return c
}

func (c config) meter() metric.Meter { return c.meters.Meter(ScopeName) }

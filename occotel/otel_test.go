package occotel_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occotel"
)

// Order has a version, and lines that have one.
type Order struct {
	ID    uint
	State string
	Lines []Line
	occ.Version
}

// Line is a line of an order. Its key is one that must not be seen in a metric.
type Line struct {
	Code    string `gorm:"primaryKey;size:60"`
	OrderID uint
	Amount  int
	occ.Version
}

// watched is a database whose plugin reports to exporters in memory.
type watched struct {
	*gorm.DB
	plugin *occ.Plugin
	meters *metric.MeterProvider
	reader *metric.ManualReader
	traces *trace.TracerProvider
	spans  *tracetest.SpanRecorder
}

// watch has a database reported on. Other plugins are registered before occ, or behind it.
func watch(t *testing.T, db *gorm.DB, opts ...occotel.Option) watched {
	t.Helper()
	w := unused(t, db, opts...)
	w.use(t)
	return w
}

func unused(t *testing.T, db *gorm.DB, opts ...occotel.Option) watched {
	t.Helper()
	reader, spans := metric.NewManualReader(), tracetest.NewSpanRecorder()
	meters, traces := metric.NewMeterProvider(metric.WithReader(reader)), trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	t.Cleanup(func() {
		require.NoError(t, errors.Join(meters.Shutdown(context.Background()), traces.Shutdown(context.Background())))
	})
	opts = append([]occotel.Option{occotel.WithMeterProvider(meters)}, opts...)
	return watched{DB: db, plugin: occ.New(occotel.Hooks(opts...)), meters: meters, reader: reader, traces: traces, spans: spans}
}

func (w watched) use(t *testing.T) {
	t.Helper()
	require.NoError(t, w.Use(w.plugin))
	require.NoError(t, w.AutoMigrate(&Order{}, &Line{}))
	_, err := occotel.Observe(w.plugin, occotel.WithMeterProvider(w.meters))
	require.NoError(t, err)
}

// pair creates an order and returns two copies of it, of which the first is stale.
func (w watched) pair(t *testing.T) (mine, theirs Order) {
	t.Helper()
	mine = Order{State: "new"}
	require.NoError(t, w.Create(&mine).Error)
	require.NoError(t, w.First(&theirs, mine.ID).Error)
	require.NoError(t, w.Model(&theirs).Update("state", "paid").Error)
	return mine, theirs
}

// inSpan runs do in a span and returns it as it ended.
func (w watched) inSpan(t *testing.T, do func(ctx context.Context)) trace.ReadOnlySpan {
	t.Helper()
	ctx, span := w.traces.Tracer("test").Start(t.Context(), "request")
	do(ctx)
	span.End()
	for _, ended := range w.spans.Ended() {
		if ended.SpanContext().Equal(span.SpanContext()) {
			return ended
		}
	}
	require.Fail(t, "the span has not ended")
	return nil
}

// collect returns the metrics by name.
func (w watched) collect(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, w.reader.Collect(t.Context(), &all))
	byName := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, occotel.ScopeName, scope.Scope.Name)
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// sums returns the values of a counter by attributes, as text: "db.collection.name=orders,gorm.occ.outcome=blind".
func sums(t *testing.T, m metricdata.Metrics) map[string]int64 {
	t.Helper()
	sum, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok, "%T", m.Data)
	require.True(t, sum.IsMonotonic)
	values := map[string]int64{}
	for _, point := range sum.DataPoints {
		values[encoded(point.Attributes)] = point.Value
	}
	return values
}

func encoded(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }

// attributes returns those of an event by name.
func attributes(event trace.Event) map[string]any {
	values := map[string]any{}
	for _, a := range event.Attributes {
		values[string(a.Key)] = a.Value.AsInterface()
	}
	return values
}

// conflicts returns the events of a span that report a conflict.
func conflicts(span trace.ReadOnlySpan) (events []trace.Event) {
	for _, event := range span.Events() {
		if event.Name == "gorm.occ.conflict" {
			events = append(events, event)
		}
	}
	return events
}

func each(t *testing.T, f func(t *testing.T, db *gorm.DB)) {
	t.Parallel()
	testdb.Each(t, f)
}

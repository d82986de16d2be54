package occotel

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/gorm-occ/occ"
)

// Hooks is an option for [occ.New] that reports every refused write and every call of [occ.Retry].
//
// A refused write, [occ.Touch] or [occ.Verify] is one event gorm.occ.conflict of the span in the statement's context, which
// is the caller's own (that of db.WithContext), also where gorm.io/plugin/opentelemetry makes a span for each statement.
// Where that span has ended, as the statement's of an owner can have when an association is refused, the event is in a new
// span gorm.occ.conflict below it. The event has db.collection.name, gorm.occ.operation, gorm.occ.reason and, as
// gorm.occ.rows, how many rows were refused. The write is counted in gorm.occ.conflicts. The values of operation and reason
// are those of [occ.Op] and [occ.Reason]; the reason is that of the first refused row.
//
// A call of Retry is recorded when it has ended: gorm.occ.outcome is success or failure, gorm.occ.locked says whether an
// attempt locked rows as it read them. A call that ran nothing, because its options were wrong or a transaction was open,
// counts as a failure of 0 attempts.
//
// At most 1,000 tables are told apart, for programs that make their names at run time; the conflicts of further ones are
// counted under the table _OTHER. A write that is not refused costs nothing. Hooks adds to other hooks and reports.
// Instruments that cannot be made are told to OpenTelemetry's error handler, and count nothing.
func Hooks(opts ...Option) occ.Option {
	r := newRecorder(newConfig(opts))
	onConflict, onRetry := occ.WithConflictHook(r.conflict), occ.WithRetryReport(r.retry)
	return func(p *occ.Plugin) {
		onConflict(p)
		onRetry(p)
	}
}

const conflictName = "gorm.occ.conflict"

// recorder has the instruments of Hooks.
type recorder struct {
	keys      bool
	tables    tables
	conflicts metric.Int64Counter
	attempts  metric.Int64Histogram
	wait      metric.Float64Histogram
}

func newRecorder(c config) *recorder {
	meter := c.meter()
	conflicts, errConflicts := meter.Int64Counter("gorm.occ.conflicts", metric.WithUnit("{conflict}"),
		metric.WithDescription("Writes that were refused because the row was no longer at the version they were based on."))
	attempts, errAttempts := meter.Int64Histogram("gorm.occ.retry.attempts", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts of a call of occ.Retry."),
		metric.WithExplicitBucketBoundaries(1, 2, 3, 4, 5, 7, 10, 15, 20, 50))
	wait, errWait := meter.Float64Histogram("gorm.occ.retry.wait", metric.WithUnit("s"),
		metric.WithDescription("The time that a call of occ.Retry waited between its attempts."),
		metric.WithExplicitBucketBoundaries(0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	if err := errors.Join(errConflicts, errAttempts, errWait); err != nil {
		otel.Handle(err)
	}
	return &recorder{keys: c.keys, conflicts: conflicts, attempts: attempts, wait: wait}
}

func (r *recorder) conflict(ctx context.Context, refused *occ.StaleDataError) {
	operation, reason := operationKey.String(string(refused.Op)), reasonKey.String(string(reasonOf(refused)))
	r.conflicts.Add(ctx, 1, metric.WithAttributes(collectionKey.String(r.tables.bounded(refused.Table)), operation, reason))

	span, end := recording(ctx)
	defer end()
	if !span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{collectionKey.String(refused.Table), operation, reason, rowsKey.Int(len(refused.Rows))}
	if r.keys {
		attributes = append(attributes, keysKey.StringSlice(keysOf(refused.Rows)))
	}
	span.AddEvent(conflictName, trace.WithAttributes(attributes...))
}

// recording returns the span of a context; where it was sampled and has ended, a new one below it, which end ends. An
// association's statement is reported once the owner's call has ended, and with it the span that a plugin gave that.
func recording(ctx context.Context) (span trace.Span, end func()) {
	span = trace.SpanFromContext(ctx)
	if span.IsRecording() || !span.SpanContext().IsSampled() {
		return span, func() {}
	}
	_, below := span.TracerProvider().Tracer(ScopeName).Start(ctx, conflictName)
	return below, func() { below.End() }
}

func reasonOf(refused *occ.StaleDataError) occ.Reason {
	if len(refused.Rows) == 0 || refused.Rows[0].Reason == "" {
		return occ.ReasonUnknown
	}
	return refused.Rows[0].Reason
}

func (r *recorder) retry(ctx context.Context, report occ.RetryReport) {
	outcome := "success"
	if report.Err != nil {
		outcome = "failure"
	}
	attributes := metric.WithAttributeSet(attribute.NewSet(outcomeKey.String(outcome), lockedKey.Bool(report.Locked)))
	r.attempts.Record(ctx, int64(report.Attempts), attributes)
	r.wait.Record(ctx, report.Waited.Seconds(), attributes)
}

// maxKeys is how many rows of a refused write are named, as in the text of its error.
const maxKeys = 5

func keysOf(rows []occ.StaleRow) []string {
	keys := make([]string, 0, maxKeys)
	for _, row := range rows[:min(len(rows), maxKeys)] {
		keys = append(keys, keyText(row.PrimaryKey))
	}
	return keys
}

// keyText is a primary key as column=value, the columns in the order of their names.
func keyText(key map[string]any) string {
	parts := make([]string, 0, len(key))
	for column, value := range key {
		parts = append(parts, column+"="+valueText(value))
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

func valueText(value any) string {
	if bytes, ok := value.([]byte); ok {
		return hex.EncodeToString(bytes)
	}
	if rv := reflect.ValueOf(value); rv.Kind() == reflect.Pointer && !rv.IsNil() {
		return valueText(rv.Elem().Interface())
	}
	return fmt.Sprint(value)
}

const (
	maxTables   = 1000
	otherTables = "_OTHER" // as OpenTelemetry's conventions call what is too much
)

// tables bounds the names of tables that a metric has.
type tables struct {
	mu    sync.Mutex
	known map[string]struct{}
}

// bounded returns table, or otherTables where there are too many already.
func (t *tables) bounded(table string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.known[table]; ok {
		return table
	}
	if len(t.known) >= maxTables {
		return otherTables
	}
	if t.known == nil {
		t.known = map[string]struct{}{}
	}
	t.known[table] = struct{}{}
	return table
}

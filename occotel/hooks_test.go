package occotel_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"gorm.io/gorm"
	"gorm.io/plugin/opentelemetry/tracing"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occotel"
)

func TestARefusedWriteIsAnEventAndIsCounted(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		w := watch(t, db)
		mine, _ := w.pair(t)

		span := w.inSpan(t, func(ctx context.Context) {
			require.ErrorIs(t, w.WithContext(ctx).Model(&mine).Update("state", "sent").Error, occ.ErrStaleData)
		})

		events := conflicts(span)
		require.Len(t, events, 1)
		require.Equal(t, map[string]any{
			"db.collection.name": "orders", "gorm.occ.operation": "update", "gorm.occ.reason": "changed", "gorm.occ.rows": int64(1),
		}, attributes(events[0]))
		counted := w.collect(t)["gorm.occ.conflicts"]
		require.Equal(t, "{conflict}", counted.Unit)
		require.NotEmpty(t, counted.Description)
		require.Equal(t, map[string]int64{
			"db.collection.name=orders,gorm.occ.operation=update,gorm.occ.reason=changed": 1,
		}, sums(t, counted))
	})
}

func TestReasonsAreToldApart(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		w := watch(t, db)
		mine, theirs := w.pair(t)

		require.ErrorIs(t, w.Model(&Order{ID: mine.ID}).Update("state", "sent").Error, occ.ErrVersionMissing)
		ahead := Order{ID: mine.ID, Version: 9}
		require.ErrorIs(t, w.Model(&ahead).Update("state", "sent").Error, occ.ErrStaleData)
		require.NoError(t, w.Delete(&theirs).Error)
		require.ErrorIs(t, w.Delete(&mine).Error, occ.ErrStaleData)

		require.Equal(t, map[string]int64{
			"db.collection.name=orders,gorm.occ.operation=update,gorm.occ.reason=missing": 1,
			"db.collection.name=orders,gorm.occ.operation=update,gorm.occ.reason=ahead":   1,
			"db.collection.name=orders,gorm.occ.operation=delete,gorm.occ.reason=deleted": 1,
		}, sums(t, w.collect(t)["gorm.occ.conflicts"]))
	})
}

func TestKeysAreReportedOnRequestAndNeverInMetrics(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		w := watch(t, db, occotel.WithKeys())
		order, lines := Order{State: "new"}, make([]Line, 7)
		require.NoError(t, w.Create(&order).Error)
		for i := range lines {
			lines[i] = Line{Code: "secret-" + strconv.Itoa(i), OrderID: order.ID}
		}
		require.NoError(t, w.Create(&lines).Error)
		require.NoError(t, w.Model(&Line{}).Where("1 = 1").Update("amount", 1).Error)

		span := w.inSpan(t, func(ctx context.Context) {
			require.ErrorIs(t, w.WithContext(ctx).Save(&lines).Error, occ.ErrStaleData)
		})

		events := conflicts(span)
		require.Len(t, events, 1)
		got := attributes(events[0])
		require.EqualValues(t, 7, got["gorm.occ.rows"])
		require.Equal(t, []string{"code=secret-0", "code=secret-1", "code=secret-2", "code=secret-3", "code=secret-4"}, got["gorm.occ.keys"])
		require.NotContains(t, fmt.Sprint(w.collect(t)), "secret")
		counted := sums(t, w.collect(t)["gorm.occ.conflicts"])
		require.Len(t, counted, 1)
	})
}

func TestKeysAreText(t *testing.T) {
	t.Parallel()
	id := uint(7)
	for want, key := range map[string]map[string]any{
		"a=1,b=x":   {"b": "x", "a": 1},
		"id=7":      {"id": &id},
		"id=0aff":   {"id": []byte{10, 255}},
		"id=<nil>":  {"id": (*uint)(nil)},
		"":          nil,
		"id=a=b, c": {"id": "a=b, c"},
	} {
		require.Equal(t, want, occotel.KeyText(key))
	}
}

func TestTheNumberOfTablesIsBounded(t *testing.T) {
	t.Parallel()
	w := unused(t, sqlite(t))
	hook := occotel.ConflictHook(occotel.WithMeterProvider(w.meters))
	for i := range 1200 {
		hook(t.Context(), &occ.StaleDataError{Op: occ.OpUpdate, Table: "orders_" + strconv.Itoa(i)})
	}

	counted := sums(t, w.collect(t)["gorm.occ.conflicts"])
	require.Len(t, counted, 1001)
	require.EqualValues(t, 200, counted["db.collection.name=_OTHER,gorm.occ.operation=update,gorm.occ.reason=unknown"])
	require.EqualValues(t, 1, counted["db.collection.name=orders_999,gorm.occ.operation=update,gorm.occ.reason=unknown"])
}

func TestCallsOfRetryAreMeasured(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		w := watch(t, db)
		wait := occ.WithBackOff(func() backoff.BackOff { return backoff.NewConstantBackOff(2 * time.Millisecond) })
		refusing := func(times int) func(*gorm.DB) error {
			return func(*gorm.DB) error {
				if times--; times >= 0 {
					return occ.ErrStaleData
				}
				return nil
			}
		}

		require.NoError(t, occ.Retry(t.Context(), w.DB, refusing(0), wait))
		require.NoError(t, occ.Retry(t.Context(), w.DB, refusing(2), wait))
		require.ErrorIs(t, occ.Retry(t.Context(), w.DB, refusing(9), wait, occ.WithMaxAttempts(4)), occ.ErrStaleData)

		metrics := w.collect(t)
		attempts, waits := metrics["gorm.occ.retry.attempts"], metrics["gorm.occ.retry.wait"]
		require.Equal(t, "{attempt}", attempts.Unit)
		require.Equal(t, "s", waits.Unit)
		success := attribute.NewSet(attribute.String("gorm.occ.outcome", "success"), attribute.Bool("gorm.occ.locked", false))
		failure := attribute.NewSet(attribute.String("gorm.occ.outcome", "failure"), attribute.Bool("gorm.occ.locked", false))
		byOutcome := points(t, attempts.Data.(metricdata.Histogram[int64]))
		require.Len(t, byOutcome, 2)
		require.EqualValues(t, 2, byOutcome[success].Count)
		require.EqualValues(t, 4, byOutcome[success].Sum)
		require.EqualValues(t, 1, byOutcome[failure].Count)
		require.EqualValues(t, 4, byOutcome[failure].Sum)
		waited := points(t, waits.Data.(metricdata.Histogram[float64]))
		require.GreaterOrEqual(t, waited[success].Sum, 0.004)
		require.Less(t, waited[success].Sum, 60.0, "in seconds")
		require.GreaterOrEqual(t, waited[failure].Sum, 0.006)
	})
}

func points[N int64 | float64](t *testing.T, h metricdata.Histogram[N]) map[attribute.Set]metricdata.HistogramDataPoint[N] {
	t.Helper()
	found := map[attribute.Set]metricdata.HistogramDataPoint[N]{}
	for _, point := range h.DataPoints {
		found[point.Attributes] = point
	}
	return found
}

func TestBesideThePluginForTraces(t *testing.T) {
	for _, isFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("registered before occ %t", isFirst), func(t *testing.T) {
			each(t, func(t *testing.T, db *gorm.DB) {
				w := unused(t, db)
				traced := tracing.NewPlugin(tracing.WithTracerProvider(w.traces), tracing.WithoutMetrics())
				if isFirst {
					require.NoError(t, w.Use(traced))
				}
				w.use(t)
				if !isFirst {
					require.NoError(t, w.Use(traced))
				}
				mine, theirs := w.pair(t)

				for name, write := range map[string]func(db *gorm.DB) error{
					"update": func(db *gorm.DB) error { return db.Model(&mine).Update("state", "sent").Error },
					"upsert": func(db *gorm.DB) error { return db.Save([]*Order{&mine}).Error },
					"delete": func(db *gorm.DB) error { return db.Delete(&mine).Error },
					"touch":  func(db *gorm.DB) error { return occ.Touch(db, &mine) },
					"verify": func(db *gorm.DB) error { return occ.Verify(db, &mine) },
					"in a transaction": func(db *gorm.DB) error {
						return occ.Transaction(db, func(tx *gorm.DB) error { return tx.Model(&mine).Update("state", "sent").Error })
					},
				} {
					span := w.inSpan(t, func(ctx context.Context) {
						require.ErrorIs(t, write(w.WithContext(ctx)), occ.ErrStaleData, name)
					})
					require.Len(t, conflicts(span), 1, name)
				}
				span := w.inSpan(t, func(ctx context.Context) {
					require.NoError(t, w.WithContext(ctx).Model(&theirs).Update("state", "sent").Error)
				})
				require.Empty(t, conflicts(span))
			})
		})
	}
}

// The child's statement runs while the span of the parent's is open; it has ended once the call returns.
func TestARefusedAssociationIsReportedInTheSameTrace(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		w := unused(t, db)
		require.NoError(t, w.Use(tracing.NewPlugin(tracing.WithTracerProvider(w.traces), tracing.WithoutMetrics())))
		w.use(t)
		order := Order{State: "new", Lines: []Line{{Code: "a", Amount: 1}}}
		require.NoError(t, w.Create(&order).Error)
		require.NoError(t, w.Model(&Line{}).Where("1 = 1").Update("amount", 2).Error)

		span := w.inSpan(t, func(ctx context.Context) {
			order.State = "sent"
			require.ErrorIs(t, w.WithContext(ctx).Session(&gorm.Session{FullSaveAssociations: true}).Save(&order).Error, occ.ErrStaleData)
		})

		reported := 0
		for _, ended := range w.spans.Ended() {
			if ended.SpanContext().TraceID() == span.SpanContext().TraceID() {
				reported += len(conflicts(ended))
			}
		}
		require.Equal(t, 1, reported)
	})
}

func TestHooksAddToOthers(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	var told []string
	first, second := unused(t, db), unused(t, db)
	plugin := occ.New(
		occ.WithConflictHook(func(context.Context, *occ.StaleDataError) { told = append(told, "conflict") }),
		occotel.Hooks(occotel.WithMeterProvider(first.meters), nil), occotel.Hooks(occotel.WithMeterProvider(second.meters)),
		occ.WithRetryReport(func(context.Context, occ.RetryReport) { told = append(told, "retry") }))
	require.NoError(t, db.Use(plugin))
	require.NoError(t, db.AutoMigrate(&Order{}, &Line{}))
	mine, _ := first.pair(t)

	require.ErrorIs(t, occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
		return tx.Model(&mine).Update("state", "sent").Error
	}, occ.WithMaxAttempts(1)), occ.ErrStaleData)

	require.Equal(t, []string{"conflict", "retry"}, told)
	for _, w := range []watched{first, second} {
		metrics := w.collect(t)
		require.Contains(t, metrics, "gorm.occ.conflicts")
		require.Contains(t, metrics, "gorm.occ.retry.attempts")
		require.Contains(t, metrics, "gorm.occ.retry.wait")
	}
}

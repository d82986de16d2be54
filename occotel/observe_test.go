package occotel_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occotel"
)

func sqlite(t testing.TB) *gorm.DB { return testdb.One(t, "sqlite").Open(t) }

func TestWritesAreReadOutOfStats(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		w := watch(t, db)
		mine, theirs := w.pair(t)
		require.ErrorIs(t, w.Model(&mine).Update("state", "sent").Error, occ.ErrStaleData)
		require.NoError(t, w.Model(&theirs).Update("state", "sent").Error)
		require.NoError(t, w.Clauses(occ.Unchecked()).Model(&mine).Update("state", "lost").Error)

		writes := w.collect(t)["gorm.occ.writes"]

		require.Equal(t, "{write}", writes.Unit)
		require.NotEmpty(t, writes.Description)
		require.Equal(t, map[string]int64{
			"db.collection.name=orders,gorm.occ.outcome=written": 2,
			"db.collection.name=orders,gorm.occ.outcome=refused": 1,
			"db.collection.name=orders,gorm.occ.outcome=blind":   1,
		}, sums(t, writes))
		stats := w.plugin.Stats()["orders"]
		require.Equal(t, occ.TableStats{Checked: 3, Refused: 1, Blind: 1}, stats)
	})
}

func TestUnregisterEndsIt(t *testing.T) {
	t.Parallel()
	w := unused(t, sqlite(t))
	require.NoError(t, w.Use(w.plugin))
	require.NoError(t, w.AutoMigrate(&Order{}, &Line{}))
	registration, err := occotel.Observe(w.plugin, occotel.WithMeterProvider(w.meters), occotel.WithKeys())
	require.NoError(t, err)
	w.pair(t)
	require.Contains(t, w.collect(t), "gorm.occ.writes")

	require.NoError(t, registration.Unregister())

	require.NotContains(t, w.collect(t), "gorm.occ.writes")
}

func TestACounterNeverFalls(t *testing.T) {
	t.Parallel()
	written := occotel.WrittenOf()
	require.EqualValues(t, 7, written("orders", occ.TableStats{Checked: 7}))
	require.EqualValues(t, 7, written("orders", occ.TableStats{Checked: 7, Refused: 1}), "the seventh was under way")
	require.EqualValues(t, 8, written("orders", occ.TableStats{Checked: 9, Refused: 1}))
}

func TestThereIsNothingToObserve(t *testing.T) {
	t.Parallel()
	_, err := occotel.Observe(nil)
	require.ErrorContains(t, err, "occotel: there is no plugin to observe: pass what occ.New returned")
}

func TestAnInstrumentThatCannotBeMadeIsAnError(t *testing.T) {
	t.Parallel()
	_, err := occotel.Observe(occ.New(), occotel.WithMeterProvider(brokenProvider{}))
	require.ErrorIs(t, err, errBroken)
}

var errBroken = errors.New("broken")

type brokenProvider struct{ noop.MeterProvider }

func (brokenProvider) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ noop.Meter }

func (brokenMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errBroken
}

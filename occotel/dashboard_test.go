package occotel_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occotel"
)

// dashboard is what of dashboard.json names metrics.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
	Panels []struct {
		Title, Description string
		Targets            []struct{ Expr string }
	}
}

func (d dashboard) queries() (queries []string) {
	for _, variable := range d.Templating.List {
		if variable.Type == "query" {
			queries = append(queries, variable.Query)
		}
	}
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

var (
	metricName = regexp.MustCompile(`\bgorm_occ_[a-z_]+_(?:total|bucket|sum|count)\b`)
	matcher    = regexp.MustCompile(`\b([a-z_]+)=~?"([^"]*)"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// Each query of the dashboard names metrics, labels and values that Prometheus has of a program with Hooks and Observe.
func TestTheDashboardShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var shown dashboard
	require.NoError(t, json.Unmarshal(text, &shown))
	queries := shown.queries()
	require.GreaterOrEqual(t, len(queries), 9)
	scraped := scrape(t)
	unseen := map[string]bool{}
	for name := range scraped {
		unseen[name] = true
	}

	for _, query := range queries {
		names := metricName.FindAllString(query, -1)
		require.NotEmpty(t, names, query)
		for _, name := range names {
			family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			require.Contains(t, scraped, family, query)
			delete(unseen, family)
			requireLabels(t, scraped[family], query)
		}
	}
	require.Empty(t, unseen, "metrics that the dashboard does not show")
}

// The page about the figures has a line for each panel.
func TestThePageExplainsEveryPanel(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/observing.md")
	require.NoError(t, err)
	var shown dashboard
	require.NoError(t, json.Unmarshal(text, &shown))
	require.NotEmpty(t, shown.Panels)

	for _, panel := range shown.Panels {
		require.Contains(t, string(page), " | "+panel.Title+" |\n")
	}
}

func requireLabels(t *testing.T, labels map[string]map[string]bool, query string) {
	t.Helper()
	for _, found := range matcher.FindAllStringSubmatch(query, -1) {
		label, wanted := found[1], found[2]
		require.Contains(t, labels, label, query)
		if wanted == "$table" {
			continue
		}
		for value := range strings.SplitSeq(wanted, "|") {
			require.True(t, labels[label][value], "%s=%q in %s", label, value, query)
		}
	}
	for _, found := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(found[1], ", ") {
			if label != "le" {
				require.Contains(t, labels, label, query)
			}
		}
	}
}

// scrape returns the labels of the metrics, and their values, of a program that has met all that can happen.
func scrape(t *testing.T) map[string]map[string]map[string]bool {
	t.Helper()
	registry := prometheus.NewRegistry()
	exported, err := exporter.New(exporter.WithRegisterer(registry))
	require.NoError(t, err)
	w := unused(t, sqlite(t))
	w.meters = metric.NewMeterProvider(metric.WithReader(exported))
	w.plugin = occ.New(occotel.Hooks(occotel.WithMeterProvider(w.meters)))
	w.use(t)
	meetAll(t, w)

	families, err := registry.Gather()
	require.NoError(t, err)
	scraped := map[string]map[string]map[string]bool{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "gorm_") {
			continue
		}
		labels := map[string]map[string]bool{}
		for _, m := range family.GetMetric() {
			for _, pair := range m.GetLabel() {
				if labels[pair.GetName()] == nil {
					labels[pair.GetName()] = map[string]bool{}
				}
				labels[pair.GetName()][pair.GetValue()] = true
			}
		}
		scraped[family.GetName()] = labels
	}
	return scraped
}

func meetAll(t *testing.T, w watched) {
	t.Helper()
	mine, _ := w.pair(t)
	for _, stale := range []Order{mine, {ID: mine.ID}, {ID: mine.ID, Version: 9}} {
		require.ErrorIs(t, w.Model(&stale).Update("state", "sent").Error, occ.ErrStaleData)
	}
	locking := func(tx *gorm.DB) error { return tx.First(&Order{}, mine.ID).Error }
	require.NoError(t, occ.Retry(t.Context(), w.DB, locking, occ.WithLockAfter(0)))
	require.Error(t, occ.Retry(t.Context(), w.DB, locking, occ.WithMaxAttempts(0)))
}

package occotel_test

import (
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// counter is a figure of occ.Stats for Prometheus.
type counter struct {
	*prometheus.Desc
	of func(occ.TableStats) int64
}

var counters = []counter{
	{desc("checked", "Writes that were compared with a version, refused ones included."), func(s occ.TableStats) int64 { return s.Checked }},
	{desc("refused", "Writes that were refused."), func(s occ.TableStats) int64 { return s.Refused }},
	{desc("blind", "Writes that were not compared."), func(s occ.TableStats) int64 { return s.Blind }},
	{desc("retried", "Attempts of occ.Retry that were followed by another."), func(s occ.TableStats) int64 { return s.Retried }},
}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("occ_"+name+"_total", help, []string{"table"}, nil)
}

// collector tells Prometheus the counters of a plugin, whenever it asks.
type collector struct{ plugin *occ.Plugin }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, counter := range counters {
		to <- counter.Desc
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	for table, stats := range c.plugin.Stats() {
		for _, counter := range counters {
			to <- prometheus.MustNewConstMetric(counter.Desc, prometheus.CounterValue, float64(counter.of(stats)), table)
		}
	}
}

// Prometheus without OpenTelemetry: a Collector over the plugin's Stats.
func Example_prometheus() {
	db, end := testdb.Example()
	defer end()
	plugin, registry := occ.New(), prometheus.NewRegistry()
	registry.MustRegister(collector{plugin})
	if err := errors.Join(db.Use(plugin), db.AutoMigrate(&Line{})); err != nil {
		log.Fatal(err)
	}
	line := Line{Code: "a"}
	db.Create(&line)
	db.Model(&line).Update("amount", 1)
	db.Model(&Line{Code: "a", Version: 1}).Update("amount", 2) // stale

	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for text := range strings.Lines(scrape.Body.String()) {
		if !strings.HasPrefix(text, "#") {
			fmt.Print(text)
		}
	}
	// Output:
	// occ_blind_total{table="lines"} 0
	// occ_checked_total{table="lines"} 2
	// occ_refused_total{table="lines"} 1
	// occ_retried_total{table="lines"} 0
}

package occotel_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occotel"
)

// observed registers the plugin, with what OpenTelemetry is told of it.
func observed(db *gorm.DB, provider *metric.MeterProvider) error {
	plugin := occ.New(occotel.Hooks(occotel.WithMeterProvider(provider)))
	if err := db.Use(plugin); err != nil {
		return err
	}
	_, err := occotel.Observe(plugin, occotel.WithMeterProvider(provider))
	return err
}

func Example() {
	db, end := testdb.Example()
	defer end()
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	if err := errors.Join(observed(db, provider), db.AutoMigrate(&Order{}), db.Create(&Order{State: "new"}).Error); err != nil {
		log.Fatal(err)
	}

	db.Model(&Order{ID: 1, Version: 7}).Update("state", "sent") // refused

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		log.Fatal(err)
	}
	for _, metric := range collected.ScopeMetrics[0].Metrics {
		fmt.Println(metric.Name)
	}
	// Unordered output:
	// gorm.occ.conflicts
	// gorm.occ.writes
}

package occ_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestWhoIsTold(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{
		{"several conflict hooks are called in order, and nil is none", func(t *testing.T, db *gorm.DB) {
			var told []string
			hook := func(name string) occ.Option {
				return occ.WithConflictHook(func(_ context.Context, refused *occ.StaleDataError) {
					told = append(told, name+" "+refused.Table)
				})
			}
			watched, _ := WithPlugin(t, db, hook("first"), occ.WithConflictHook(nil), hook("second"))
			mine, _ := Pair(t, watched)

			require.ErrorIs(t, watched.Model(&mine).Update("price", 70).Error, occ.ErrStaleData)

			require.Equal(t, []string{"first products", "second products"}, told)
		}},
		{"one report for each call of Retry, when it has ended", func(t *testing.T, db *gorm.DB) {
			var reports, again []occ.RetryReport
			watched, _ := WithPlugin(t, db,
				occ.WithRetryReport(func(_ context.Context, r occ.RetryReport) { reports = append(reports, r) }),
				occ.WithRetryReport(nil),
				occ.WithRetryReport(func(ctx context.Context, r occ.RetryReport) {
					require.Equal(t, "of the call", ctx.Value(contextKey{}))
					again = append(again, r)
				}))
			ctx := context.WithValue(t.Context(), contextKey{}, "of the call")
			wait := occ.WithBackOff(func() backoff.BackOff { return backoff.NewConstantBackOff(2 * time.Millisecond) })
			failing := func(times int) func(*gorm.DB) error {
				return func(*gorm.DB) error {
					if times--; times >= 0 {
						return occ.ErrStaleData
					}
					return nil
				}
			}

			require.NoError(t, occ.Retry(ctx, watched, failing(0)))
			require.NoError(t, occ.Retry(ctx, watched, failing(2), wait, occ.WithLockAfter(2)))
			gaveUp := occ.Retry(ctx, watched, failing(9), wait, occ.WithMaxAttempts(2))
			require.ErrorIs(t, gaveUp, occ.ErrStaleData)
			wrong := occ.Retry(ctx, watched, Never, occ.WithMaxAttempts(0))
			require.Error(t, wrong)
			require.Panics(t, func() { _ = occ.Retry(ctx, watched, Never) })

			require.Len(t, reports, 5)
			require.Equal(t, reports, again)
			require.Equal(t, occ.RetryReport{Attempts: 1}, reports[0])
			require.GreaterOrEqual(t, reports[1].Waited, 4*time.Millisecond)
			require.GreaterOrEqual(t, reports[2].Waited, 2*time.Millisecond)
			reports[1].Waited, reports[2].Waited = 0, 0
			require.Equal(t, occ.RetryReport{Attempts: 3, Locked: true}, reports[1])
			require.Equal(t, occ.RetryReport{Attempts: 2, Err: gaveUp}, reports[2])
			require.Equal(t, occ.RetryReport{Err: wrong}, reports[3])
			require.Equal(t, 1, reports[4].Attempts)
			require.ErrorContains(t, reports[4].Err, "did not return")
		}},
		{"an alias is counted as its table", func(t *testing.T, db *gorm.DB) {
			mine, theirs := Pair(t, db)
			require.NoError(t, db.Table("products AS p").First(&Product{}).Error)
			before := db.Plugins["occ"].(*occ.Plugin).Stats()["products"]
			for i := range 3 {
				alias := fmt.Sprintf("products p%d", i)
				_ = db.Table(alias).Where("1 = 1").Model(&theirs).Update("price", 40+i).Error
				err := db.Table(alias).Where("1 = 1").Model(&mine).Update("price", 50+i).Error
				var refused *occ.StaleDataError
				if errors.As(err, &refused) {
					require.Equal(t, "products", refused.Table)
				}
			}

			stats := db.Plugins["occ"].(*occ.Plugin).Stats()
			require.Len(t, stats, 1)
			require.EqualValues(t, before.Checked+6, stats["products"].Checked)
		}},
		{"names made at run time have no end, the counters have", func(t *testing.T, db *gorm.DB) {
			mine := Create(t, db)
			plugin, names := db.Plugins["occ"].(*occ.Plugin), 3000
			dry := db.Session(&gorm.Session{DryRun: true})
			for i := range names {
				require.NoError(t, dry.Table(fmt.Sprintf("products_%d", i)).Model(&mine).Update("price", i).Error)
			}

			stats := plugin.Stats()
			var checked int64
			for _, table := range stats {
				checked += table.Checked
			}
			require.Len(t, stats, 1001)
			require.EqualValues(t, names, checked)
			require.EqualValues(t, 1, stats["products_999"].Checked)
			require.EqualValues(t, 2000, stats["products"].Checked)
		}},
	}, &Product{})
}

// An exporter of figures may ask for them while the application is starting.
func TestStatsWhileThePluginIsRegistered(t *testing.T) {
	t.Parallel()
	db, plugin := testdb.One(t, "sqlite").Open(t), occ.New()
	var asking sync.WaitGroup
	registered := make(chan struct{})
	asking.Go(func() {
		for {
			require.Empty(t, plugin.Stats())
			select {
			case <-registered:
				return
			default:
			}
		}
	})

	require.NoError(t, db.Use(plugin))
	close(registered)
	asking.Wait()

	require.Empty(t, plugin.Stats())
}

type contextKey struct{}

func TestARefusalInALog(t *testing.T) {
	t.Parallel()
	refused := &occ.StaleDataError{Op: occ.OpUpdate, Table: "products", Rows: []occ.StaleRow{
		{PrimaryKey: map[string]any{"id": uint(7), "code": "a\nb"}, Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged},
		{PrimaryKey: map[string]any{"id": uint(8)}, Expected: occ.Snapshot{}, Actual: occ.Snapshot{}, Reason: occ.ReasonChanged},
		{PrimaryKey: map[string]any{"id": uint(9)}, Expected: (*int64)(nil), Reason: occ.ReasonDeleted},
	}}
	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Warn("refused", "err", refused)
	slog.New(slog.NewJSONHandler(&structured, nil)).Warn("refused", "err", refused)

	require.Equal(t, 1, strings.Count(text.String(), "\n"))
	require.Contains(t, text.String(), `err.op=update err.table=products err.rows="[key=code=\"a\\nb\",id=7 expected=1 actual=2 reason=changed `)
	var line struct{ Err json.RawMessage }
	require.NoError(t, json.Unmarshal(structured.Bytes(), &line))
	require.JSONEq(t, `{"op": "update", "table": "products", "rows": [
		{"key": {"id": 7, "code": "a\nb"}, "expected": 1, "actual": 2, "reason": "changed"},
		{"key": {"id": 8}, "expected": null, "actual": null, "reason": "changed"},
		{"key": {"id": 9}, "expected": null, "actual": null, "reason": "deleted"}]}`, string(line.Err))

	refused.Rows, refused.Err = make([]occ.StaleRow, 1000), ErrBoom
	structured.Reset()
	slog.New(slog.NewJSONHandler(&structured, nil)).Warn("refused", "err", refused)
	require.Less(t, structured.Len(), 1000)
	require.Contains(t, structured.String(), `"more":995,"err":"`)
}

// Coupon has a key that its users make up.
type Coupon struct {
	Code    string `gorm:"primaryKey;size:60"`
	Percent int
	Version occ.Version
}

func TestNoLineOfALogIsForged(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{{"a key with a line break is escaped", func(t *testing.T, db *gorm.DB) {
		mine := Coupon{Code: "a\nocc: stale data: forged id=1", Percent: 5}
		require.NoError(t, db.Create(&mine).Error)
		require.NoError(t, db.Model(&Coupon{Code: mine.Code, Version: 1}).Update("percent", 6).Error)

		err := db.Model(&mine).Clauses(occ.Expect(1)).Update("percent", 7).Error

		require.ErrorContains(t, err, `row code="a\nocc: stale data: forged id=1" changed: expected version 1, found 2`)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, mine.Code, Stale(t, err).PrimaryKey["code"])
	}}, {"what is ahead is said as it is known", func(t *testing.T, db *gorm.DB) {
		mine := Coupon{Code: "plain", Percent: 5, Version: 6}
		require.NoError(t, db.Create(&mine).Error)

		err := db.Model(&mine).Clauses(occ.Expect(999)).Update("percent", 7).Error

		require.Equal(t, occ.ReasonAhead, Stale(t, err).Reason)
		require.ErrorContains(t, err, "row code=plain: the model is at 999, ahead of the row at 6: the transaction that wrote 999 was rolled back, or")
	}}}, &Coupon{})
}

package occ_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// logged logs to standard output, without the time of day.
func logged() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func ExampleStaleDataError_LogValue() {
	log := logged()
	db, end := shop(occ.WithConflictHook(func(ctx context.Context, refused *occ.StaleDataError) {
		log.WarnContext(ctx, "write refused", "conflict", refused)
	}))
	defer end()

	_ = db.Save(&Article{ID: 1, Version: 7}).Error
	// Output:
	// level=WARN msg="write refused" conflict.op=update conflict.table=articles conflict.rows="[key=id=1 expected=7 actual=1 reason=ahead]"
}

// quiet logs a refused write at Warn and without its SQL, which has the row's values in it. All else is logged as before.
type quiet struct {
	logger.Interface
	log *slog.Logger
}

func (q quiet) LogMode(level logger.LogLevel) logger.Interface {
	return quiet{q.Interface.LogMode(level), q.log}
}

func (q quiet) Trace(ctx context.Context, begin time.Time, sql func() (string, int64), err error) {
	if errors.Is(err, occ.ErrStaleData) {
		q.log.WarnContext(ctx, err.Error())
		return
	}
	q.Interface.Trace(ctx, begin, sql, err)
}

func Example_logger() {
	db, end := shop()
	defer end()
	db.Logger = quiet{logger.Default, logged()} // in gorm.Config, of an application

	_ = db.Save(&Article{ID: 1, Stock: 8, Version: 7}).Error
	// Output:
	// level=WARN msg="occ: stale data: update of \"articles\" refused: row id=1: the model is at 7, ahead of the row at 1: the transaction that wrote 7 was rolled back, or it was not loaded from the row"
}

func ExamplePlugin_Stats_expvar() {
	db, end := testdb.Example()
	defer end()
	plugin := occ.New()
	if err := errors.Join(db.Use(plugin), db.AutoMigrate(&Article{})); err != nil {
		panic(err)
	}
	if expvar.Get("occ") == nil { // Publish panics where the name is taken
		expvar.Publish("occ", expvar.Func(func() any { return plugin.Stats() }))
	}
	article := Article{ID: 1, Stock: 10}
	db.Create(&article)
	db.Model(&article).Update("stock", 9)
	db.Model(&Article{ID: 1, Version: 1}).Update("stock", 8)

	fmt.Println(expvar.Get("occ")) // what /debug/vars answers
	// Output: {"articles":{"Checked":2,"Refused":1,"Blind":0,"Retried":0}}
}

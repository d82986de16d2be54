package session

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Log keeps the statements that the plugin sends itself until they can be logged with the line of the application that led to
// them. A logger looks for that line on the stack, not further than 13 frames up, and the plugin's own are more. The statements
// are shown in the order in which they were sent, with the time that each has taken.
type Log struct {
	logger.Interface // what they are logged to
	dialector        gorm.Dialector
	entries          []entry
	last             *entry // the one whose text is being asked for
}

// entry is a statement to be logged.
type entry struct {
	ctx      context.Context
	took     time.Duration
	sql      string
	vars     []any
	text     string // of a statement that does not give its SQL and variables apart
	affected int64
	err      error
}

// Keep has sessions that are made from a config log to the Log.
func (l *Log) Keep(config *gorm.Config) {
	l.Interface, l.dialector = config.Logger, config.Dialector
	config.Logger = l
}

// KeepOf returns the caller's [Own] db with a Log in the place of its logger; what is no database, as it is.
func (l *Log) KeepOf(db *gorm.DB) *gorm.DB {
	if db == nil || db.Config == nil {
		return db
	}
	logged, config := *Own(db), *db.Config
	l.Keep(&config)
	logged.Config = &config
	return &logged
}

// LogMode returns a logger that writes at once: whoever asks for another level is not the plugin.
func (l *Log) LogMode(level logger.LogLevel) logger.Interface { return l.Interface.LogMode(level) }

// Trace keeps a statement. Its text is made when it is logged, if it is.
func (l *Log) Trace(ctx context.Context, began time.Time, show func() (sql string, affected int64), err error) {
	e := entry{ctx: ctx, took: time.Since(began), err: err}
	l.last = &e
	e.text, e.affected = show()
	l.last = nil
	l.entries = append(l.entries, e)
}

// ParamsFilter takes the SQL and its variables from whoever makes a text of them.
func (l *Log) ParamsFilter(ctx context.Context, sql string, vars ...any) (string, []any) {
	if l.last != nil {
		l.last.sql, l.last.vars = sql, vars
		return "", nil
	}
	return l.filter(ctx, sql, vars)
}

func (l *Log) filter(ctx context.Context, sql string, vars []any) (string, []any) {
	if filter, ok := l.Interface.(gorm.ParamsFilter); ok {
		return filter.ParamsFilter(ctx, sql, vars...)
	}
	return sql, vars
}

// show returns the text of a statement.
func (l *Log) show(e entry) (sql string, affected int64) {
	if e.sql == "" {
		return e.text, e.affected
	}
	sql, vars := l.filter(e.ctx, e.sql, e.vars)
	return l.dialector.Explain(sql, vars...), e.affected
}

package occ

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
)

// A database can end a transaction in the middle: MariaDB rolls all of it back when one statement meets a deadlock, runs
// further statements each on its own, and answers COMMIT with OK. So the statements of a transaction that has a journal
// are watched, through GORM's callbacks, which see raw SQL too. All others pass after a look at an atomic counter.

func (p *engine) registerWatch(db *gorm.DB) []error {
	query, row, raw := db.Callback().Query(), db.Callback().Row(), db.Callback().Raw()
	return []error{
		query.Before("gorm:query").Register("occ:enter_query", p.enterQuery),
		query.After("gorm:query").Register("occ:leave_query", p.leaveQuery),
		row.Before("gorm:row").Register("occ:enter_row", p.enterRow),
		row.After("gorm:row").Register("occ:leave_row", p.leaveRow),
		raw.Before("gorm:raw").Register("occ:enter_raw", p.enter),
		raw.After("gorm:raw").Register("occ:leave_raw", p.leaveRaw),
	}
}

// watched is a callback that sends a statement, and what it reports looked at before anything can be put on top of it.
func (p *journals) watched(send func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
		send(db)
		p.leave(db)
	}
}

// enter keeps a statement out of a transaction that is not there any more: it would be committed by itself.
func (p *journals) enter(db *gorm.DB) {
	j := p.of(db.Statement.ConnPool)
	if j == nil {
		return
	}
	p.lookAtUnread(db, j)
	if j.state == dialect.Gone {
		_ = db.AddError(j.ended())
	}
}

// leave notes what the error of a statement has done to its transaction.
func (p *journals) leave(db *gorm.DB) {
	if db.Error == nil {
		return
	}
	if j := p.of(db.Statement.ConnPool); j != nil {
		p.note(db, j, db.Error)
	}
}

// note keeps the first error that brought the transaction into its state.
func (p *journals) note(db *gorm.DB, j *journal, err error) {
	if err == nil || !j.isWatched || j.state == dialect.Gone {
		return
	}
	ctx := context.WithoutCancel(db.Statement.Context)
	if state := p.dialect.StateAfter(ctx, connectionOf(db.Statement.ConnPool), err); state > j.state {
		j.state, j.failure = state, err
	}
}

// ended is nil while the transaction can be committed.
func (j *journal) ended() error {
	if j.state == dialect.Open {
		return nil
	}
	return fmt.Errorf("occ: the transaction cannot go on, an earlier statement in it failed: %w", j.failure)
}

// enterRow also makes sure that gorm.DB.Row, whose caller cannot see an error before it scans, returns something to scan:
// after an error GORM has none, and a prepared statement that failed makes one that panics.
func (p *journals) enterRow(db *gorm.DB) {
	p.enter(db)
	j := p.of(db.Statement.ConnPool)
	if several, _ := db.Get("rows"); j == nil || j.state == dialect.Open || several == true {
		return
	}
	if db.Error == nil {
		_ = db.AddError(j.ended())
	}
	never := endedContext{db.Statement.Context, j.ended()}
	db.Statement.Dest = connectionOf(db.Statement.ConnPool).QueryRowContext(never, "")
}

// endedContext keeps database/sql from sending a query, and is the reason it gives.
type endedContext struct {
	context.Context
	err error
}

func (endedContext) Done() <-chan struct{} { return closed }
func (c endedContext) Err() error          { return c.err }

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// leaveRow remembers rows that the caller is going to read, since MariaDB reports a deadlock among them.
func (p *journals) leaveRow(db *gorm.DB) {
	j := p.of(db.Statement.ConnPool)
	if j == nil {
		return
	}
	p.note(db, j, db.Error)
	switch dest := db.Statement.Dest.(type) {
	case *sql.Rows:
		if dest != nil {
			j.unread = append(j.unread, dest)
		}
	case *sql.Row:
		p.note(db, j, dest.Err())
	}
}

// lookAtUnread notes the errors of rows that the caller has read, and forgets those that are closed.
func (p *journals) lookAtUnread(db *gorm.DB, j *journal) {
	open := j.unread[:0]
	for _, rows := range j.unread {
		p.note(db, j, rows.Err())
		if _, isClosed := rows.Columns(); isClosed == nil {
			open = append(open, rows)
		}
	}
	clear(j.unread[len(open):])
	j.unread = open
}

// leaveRaw follows the savepoints that GORM's nested transactions, SavePoint and RollbackTo, or raw SQL set.
func (p *journals) leaveRaw(db *gorm.DB) {
	j := p.of(db.Statement.ConnPool)
	if j == nil || db.DryRun {
		return
	}
	p.note(db, j, db.Error)
	name, isRollback, ok := p.dialect.SavepointIn(db.Statement.SQL.String())
	switch {
	case !ok || db.Error != nil:
	case isRollback:
		j.wentBackTo(db.Statement.Context, name)
	default:
		j.mark(name)
	}
}

func (j *journal) mark(name string) {
	if j.marks == nil {
		j.marks = map[string]int{}
	}
	j.marks[name] = len(j.memories)
}

func (j *journal) wentBackTo(ctx context.Context, name string) {
	if mark, ok := j.marks[name]; ok {
		j.rollBackTo(ctx, mark)
	}
	j.wentBack(nil)
}

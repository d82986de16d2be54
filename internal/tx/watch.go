package tx

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Watched is a callback that sends a statement, and what it reports looked at before anything can be put on top of it.
func (js *Journals) Watched(send func(*gorm.DB)) func(*gorm.DB) {
	return func(db *gorm.DB) {
		send(db)
		js.Leave(db)
	}
}

// Enter keeps a statement out of a transaction that is not there any more: it would be committed by itself.
func (js *Journals) Enter(db *gorm.DB) {
	j := js.Of(db.Statement.ConnPool)
	if j == nil {
		return
	}
	js.lookAtUnread(db, j)
	if j.state == dialect.Gone {
		_ = db.AddError(j.ended())
	}
}

// Leave notes what the error of a statement has done to its transaction.
func (js *Journals) Leave(db *gorm.DB) {
	if db.Error == nil {
		return
	}
	if j := js.Of(db.Statement.ConnPool); j != nil {
		js.note(db, j, db.Error)
	}
}

// note keeps the first error that brought the transaction into its state.
func (js *Journals) note(db *gorm.DB, j *Journal, err error) {
	if err == nil || !j.IsWatched || j.state == dialect.Gone {
		return
	}
	j.bring(js.stateAfter(db.Statement.Context, db.Statement.ConnPool, err), err)
}

func (js *Journals) stateAfter(ctx context.Context, pool gorm.ConnPool, err error) dialect.State {
	return js.Dialect.StateAfter(context.WithoutCancel(ctx), ConnectionOf(pool), err)
}

func (j *Journal) bring(state dialect.State, err error) {
	if j.IsWatched && state > j.state {
		j.state, j.failure = state, err
	}
}

// EndedBy notes what the error of a statement has done to the transaction of pool, and reports whether that is not there any more.
func (js *Journals) EndedBy(ctx context.Context, pool gorm.ConnPool, err error) bool {
	if err == nil || !IsTransaction(pool) {
		return false
	}
	state := js.stateAfter(ctx, pool, err)
	if j := js.Of(pool); j != nil {
		j.bring(state, err)
	}
	return state == dialect.Gone
}

// ended is nil while the transaction can be committed.
func (j *Journal) ended() error {
	switch {
	case j.state == dialect.Open:
		return nil
	case j.endedBySQL != nil:
		return j.endedBySQL
	}
	return fmt.Errorf("occ: the transaction cannot go on, an earlier statement in it failed: %w", j.failure)
}

// EnterRow also makes sure that gorm.DB.Row returns something to scan: its caller cannot see an error before. After an
// error GORM returns nil, and after a prepared statement that failed a row that panics.
func (js *Journals) EnterRow(db *gorm.DB) {
	js.Enter(db)
	j := js.Of(db.Statement.ConnPool)
	if several, _ := db.Get("rows"); j == nil || j.state == dialect.Open || several == true {
		return
	}
	if db.Error == nil {
		_ = db.AddError(j.ended())
	}
	never := EndedContext{db.Statement.Context, j.ended()}
	db.Statement.Dest = ConnectionOf(db.Statement.ConnPool).QueryRowContext(never, "")
}

// EndedContext keeps database/sql from sending a query, and is the reason it gives.
type EndedContext struct {
	context.Context
	Reason error
}

func (EndedContext) Done() <-chan struct{} { return closed }

func (c EndedContext) Err() error { return c.Reason }

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// LeaveRow remembers rows that the caller is going to read, since MariaDB reports a deadlock among them.
func (js *Journals) LeaveRow(db *gorm.DB) {
	j := js.Of(db.Statement.ConnPool)
	if j == nil {
		return
	}
	js.note(db, j, db.Error)
	js.follow(db, j)
	switch dest := db.Statement.Dest.(type) {
	case *sql.Rows:
		if dest != nil {
			j.unread = append(j.unread, dest)
		}
	case *sql.Row:
		js.note(db, j, dest.Err())
	}
}

// lookAtUnread notes the errors of rows that the caller has read, and forgets those that are closed.
func (js *Journals) lookAtUnread(db *gorm.DB, j *Journal) {
	open := j.unread[:0]
	for _, rows := range j.unread {
		js.note(db, j, rows.Err())
		if _, isClosed := rows.Columns(); isClosed == nil {
			open = append(open, rows)
		}
	}
	clear(j.unread[len(open):])
	j.unread = open
}

// LeaveRaw keeps track of the savepoints that GORM's nested transactions, SavePoint and RollbackTo, or raw SQL set.
func (js *Journals) LeaveRaw(db *gorm.DB) {
	j := js.Of(db.Statement.ConnPool)
	if j == nil {
		return
	}
	js.note(db, j, db.Error)
	js.follow(db, j)
}

package tx

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
)

// A transaction that raw SQL has ended is no transaction any more: further statements would each be one of their own.
var (
	errRolledBack = fmt.Errorf("occ: raw SQL has rolled back the transaction that it was sent in: return an error to roll back: %w",
		gorm.ErrInvalidTransaction)
	errCommitted = fmt.Errorf("occ: raw SQL has committed the transaction that it was sent in: return nil to commit: %w",
		gorm.ErrInvalidTransaction)
)

// savepoint is one that is set in the transaction.
type savepoint struct {
	name string
	mark int // how many memories there were
}

// follow has the journal do what a statement has done to the transaction.
func (js *Journals) follow(db *gorm.DB, j *Journal) {
	if db.DryRun {
		return
	}
	controls, isOneOfSeveral := js.Dialect.ControlsIn(db.Statement.SQL.String())
	switch {
	case len(controls) == 0:
	case db.Error == nil:
		for i := 0; i < len(controls) && j.endedBySQL == nil; i++ {
			js.obey(db.Statement.Context, j, controls[i])
		}
	case (isOneOfSeveral || controls[0].Ends()) && j.state != dialect.Gone: // it is unknown which of them were carried out
		j.state, j.failure = dialect.Gone, db.Error
	}
}

func (js *Journals) obey(ctx context.Context, j *Journal, control dialect.Control) {
	switch control.Does {
	case dialect.SetsSavepoint:
		js.mark(j, control.Name)
	case dialect.GoesBack:
		j.wentBackTo(ctx, control.Name)
	case dialect.Releases:
		j.release(control.Name)
	case dialect.RollsBack:
		j.end(ctx, errRolledBack)
	case dialect.Commits:
		j.end(ctx, errCommitted)
	}
}

// mark keeps a savepoint that was set.
func (js *Journals) mark(j *Journal, name string) {
	if js.Dialect.ReplacesSavepoints() {
		j.savepoints = slices.DeleteFunc(j.savepoints, func(s savepoint) bool { return s.name == name })
	}
	j.savepoints = append(j.savepoints, savepoint{name, len(j.Memories)})
}

// lastNamed is the savepoint that a name means: the last one of several; -1 where there is none.
func (j *Journal) lastNamed(name string) int {
	for i := len(j.savepoints) - 1; i >= 0; i-- {
		if j.savepoints[i].name == name {
			return i
		}
	}
	return -1
}

// wentBackTo undoes the memories since a savepoint. The savepoint stays, and those after it are gone.
func (j *Journal) wentBackTo(ctx context.Context, name string) {
	if i := j.lastNamed(name); i >= 0 {
		j.RollBackTo(ctx, j.savepoints[i].mark)
		j.savepoints = j.savepoints[:i+1]
	}
	j.wentBack(nil)
}

// release forgets a savepoint, and those after it.
func (j *Journal) release(name string) {
	if i := j.lastNamed(name); i >= 0 {
		j.savepoints = j.savepoints[:i]
	}
}

// end notes that a statement has ended the transaction. A COMMIT of one that has failed rolls it back.
func (j *Journal) end(ctx context.Context, reason error) {
	if reason == errCommitted && j.state == dialect.Open {
		j.Memories, j.rows = nil, written{}
	} else {
		reason = errRolledBack
		j.RollBackTo(ctx, 0)
	}
	j.state, j.endedBySQL, j.savepoints = dialect.Gone, reason, nil
}

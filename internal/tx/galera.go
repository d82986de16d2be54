package tx

import (
	"context"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Two habits of a Galera cluster would commit part of a transaction. A node loses the error of a query whose transaction it has
// rolled back, so that the next statements are committed each on its own. And a node that is cut off refuses ROLLBACK and COMMIT.
// Then database/sql gives the connection with the open transaction to the next caller, whose BEGIN commits it.

// HiddenRollback returns an error where the database has rolled back the transaction of pool and has not said so.
func HiddenRollback(ctx context.Context, d *dialect.Dialect, pool gorm.ConnPool) error {
	if !d.IsGalera() || !IsTransaction(pool) {
		return nil
	}
	conn := ConnectionOf(pool)
	if !d.HidesRollbacks(conn != pool) {
		return nil
	}
	return d.HiddenRollback(ctx, conn)
}

// noticeRollback has a statement fail where its transaction was rolled back and the database has not said so.
func (js *Journals) noticeRollback(db *gorm.DB) {
	if db.Error != nil || db.DryRun {
		return
	}
	err := HiddenRollback(db.Statement.Context, js.Dialect, db.Statement.ConnPool)
	if err == nil {
		return
	}
	_ = db.AddError(err)
	if j := js.Of(db.Statement.ConnPool); j != nil {
		js.note(db, j, err)
	}
}

// EnterWrite is [Journals.Enter] for a statement that writes. What was read before it by gorm.DB.Rows, Row and Scan has passed
// no callback when it ended. The transaction that GORM has just begun for the write itself is not asked for.
func (js *Journals) EnterWrite(db *gorm.DB) {
	if js.Dialect.IsGalera() && !IsDefault(db) {
		js.noticeRollback(db)
	}
	js.Enter(db)
}

// LeaveRead is [Journals.Leave] for a query whose rows were read.
func (js *Journals) LeaveRead(db *gorm.DB) {
	js.noticeRollback(db)
	js.Leave(db)
	if j := js.Of(db.Statement.ConnPool); j != nil {
		js.follow(db, j)
	}
}

// Commit commits a transaction that the plugin has begun. An error of a Galera node leaves nothing of it open.
func (js *Journals) Commit(ctx context.Context, pool gorm.ConnPool) error {
	committer := pool.(gorm.TxCommitter)
	if !js.Dialect.IsGalera() || ctx.Err() != nil {
		return BecauseOf(ctx, committer.Commit())
	}
	err := HiddenRollback(ctx, js.Dialect, pool)
	if err == nil {
		err = commitFirst(ctx, pool)
	}
	if err != nil {
		_ = js.RollBack(pool)
		return BecauseOf(ctx, err)
	}
	_ = committer.Commit() // of nothing: an error is one of the connection
	return nil
}

// commitFirst commits on the connection itself, which can still roll back where that is refused.
func commitFirst(ctx context.Context, pool gorm.ConnPool) error {
	_, err := ConnectionOf(pool).ExecContext(context.WithoutCancel(ctx), "COMMIT")
	return err
}

// EndDefault ends GORM's default transaction before GORM does: at a Galera node that is cut off, GORM's end of it would leave it open.
func (js *Journals) EndDefault(db *gorm.DB) {
	ctx, pool := db.Statement.Context, db.Statement.ConnPool
	if !IsDefault(db) || ctx.Err() != nil {
		return
	}
	if db.Error == nil {
		_ = db.AddError(commitFirst(ctx, pool))
	}
	if db.Error != nil {
		_ = js.Dialect.RollBackAnyway(context.WithoutCancel(ctx), ConnectionOf(pool))
	}
}

package tx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// Nest runs fc in a savepoint.
func (js *Journals) Nest(db *gorm.DB, fc func(tx *gorm.DB) error) error {
	if db.DisableNestedTransaction {
		return fc(db.Session(&gorm.Session{}))
	}
	if err := js.EndOf(db); err != nil {
		return err
	}
	return js.Atomically(db.Session(&gorm.Session{Initialized: true}), func() error {
		js.Of(db.Statement.ConnPool).IsWatched = true
		if err := fc(db.Session(&gorm.Session{})); err != nil {
			return err
		}
		return js.EndOf(db)
	})
}

// BecauseOf says why a transaction is done already: database/sql rolls back as soon as the context ends.
func BecauseOf(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && errors.Is(err, sql.ErrTxDone) && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// OfBegin says that a context has ended, where a transaction could not be begun because of it. Some drivers give an error of their
// own for that: SQLite's without cgo that it was interrupted.
func OfBegin(ctx context.Context, err error) error {
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// EndOf returns why tx cannot be committed; nil if it can.
func (js *Journals) EndOf(tx *gorm.DB) error {
	j := js.Of(tx.Statement.ConnPool)
	if j == nil {
		return nil
	}
	js.lookAtUnread(tx, j)
	return j.ended()
}

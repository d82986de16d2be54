package write

import (
	"database/sql"
	"errors"

	"github.com/gorm-occ/occ/internal/rows"
	"github.com/gorm-occ/occ/internal/tx"
)

// What a batch has written in part has to be undone before it is found out why. A savepoint does that, at the price of two round
// trips for every batch. The transaction that the plugin has begun for the call itself, in which nothing else has been written, can be
// rolled back as a whole and begun again instead, at no price for a batch that is written. (at_once.go needs neither, and locks the rows
// in the order of their keys, which keeps batches from deadlocking.)

// isFirstInDefault reports whether nothing but the statement that is to be sent can have written in the transaction, which the
// plugin has begun for the call: no hooks, no associations, no parents, no callbacks of others, and no other part of the call.
func (c *Call) isFirstInDefault() bool {
	return c.unit == nil && c.depth == 0 && len(c.Model.Touches) == 0 && !c.Model.MayNest(c.Stmt) &&
		c.Plugin.processors.of(c.op).hasOurs() && c.hasBegun()
}

// hasBegun reports whether the plugin has begun a transaction of database/sql for the call, where there was none. A pool of another
// plugin may go round a transaction of the caller's and say that it has begun one, or have one that does not roll back.
func (c *Call) hasBegun() bool {
	pool := tx.PoolOfDefault(c.DB)
	_, isPlain := tx.ConnectionOf(c.Stmt.ConnPool).(*sql.Tx)
	return isPlain && pool != nil && !tx.IsTransaction(pool)
}

// sendFirst sends a batch as the first statements of its transaction, and begins that again where they have not written all rows.
func (p *plan) sendFirst(hand []*rows.Row, send sender) (int64, error) {
	affected, err := sendAll(hand, send)
	if !errors.Is(err, errShort) {
		return affected, err
	}
	if err := p.beginAgain(); err != nil {
		return 0, err
	}
	return affected, errShort
}

// beginAgain rolls the default transaction back, and begins another in its place.
func (c *Call) beginAgain() error {
	pool := tx.PoolOfDefault(c.DB)
	err := c.Plugin.RollBack(c.Stmt.ConnPool)
	c.Stmt.ConnPool = pool
	if err == nil {
		c.Stmt.ConnPool, err = beginOn(c.Ctx, pool)
	}
	if err != nil { // there is no transaction that GORM could end
		c.Stmt.ConnPool = pool
		tx.UnsetDefault(c.DB)
	}
	return err
}

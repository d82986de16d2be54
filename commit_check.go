package occ

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/write"
)

// WithCommitCheck has Retry find out what became of a COMMIT whose answer was lost with its connection. PostgreSQL, from
// version 13 on, remembers how a transaction ended: it is asked by pg_xact_status on another connection, again for up to 10
// seconds while it cannot be reached or the transaction has not ended. A transaction that was committed ends the call with
// success, and versions in memory stay as they were written; one that was not is followed by the next attempt.
//
// The outcome stays unknown, and Retry returns the error of the COMMIT as it does without this option: where the database
// cannot tell for certain, because it is another one, the server that answers is on another timeline since a failover or a
// restore, it has crashed and may have given the number of a lost transaction to a committed one, or it has forgotten the
// transaction; where the transaction wrote nothing; and where ctx has ended. What counts as
// committed is what the server has: with a synchronous standby, one that fails at that moment may not have it.
// An idempotency key that fc inserts works on every database: see docs/conflicts.md.
//
// It costs one round trip more for each transaction, before its COMMIT, and one question for each plugin; on other databases
// nothing.
func WithCommitCheck() RetryOption {
	return func(r *retry) { r.checksCommit = true }
}

// commitCheck finds out what became of a COMMIT without an answer.
type commitCheck struct {
	dialect *dialect.Dialect
	pool    gorm.ConnPool // what the transaction was begun on
	mark    dialect.TransactionMark
}

// maxCommitCheck is how long the database is asked.
const maxCommitCheck = 10 * time.Second

// knowsOutcomes asks the database, until it has said yes.
func knowsOutcomes(ctx context.Context, p *write.Engine, pool gorm.ConnPool) bool {
	if p.HasOutcomes.Load() {
		return true
	}
	knows := p.Dialect.KnowsOutcomes(ctx, pool)
	if knows {
		p.HasOutcomes.Store(true)
	}
	return knows
}

var errRolledBack = errors.New("occ: the answer to COMMIT was lost, and the transaction was not carried out")

// outcome asks until the transaction has ended, or for as long as is reasonable.
func (c *commitCheck) outcome(ctx context.Context) dialect.Outcome {
	ctx, cancel := context.WithTimeout(ctx, maxCommitCheck)
	defer cancel()
	wait := &backoff.ExponentialBackOff{InitialInterval: 5 * time.Millisecond, MaxInterval: 250 * time.Millisecond, Multiplier: 2}
	for wait.Reset(); ; {
		outcome, err := c.dialect.OutcomeOf(ctx, c.pool, c.mark)
		if err == nil && outcome != dialect.InProgress {
			return outcome
		}
		if !sleep(ctx, wait.NextBackOff()) {
			return dialect.Unknown
		}
	}
}

// settle is the error of a COMMIT, and nil where the answer was lost and the transaction was carried out.
func (c *commitCheck) settle(ctx context.Context, err error) error {
	if c == nil || err == nil || !c.dialect.IsLost(err) {
		return err
	}
	switch c.outcome(ctx) {
	case dialect.Committed:
		return nil
	case dialect.RolledBack:
		return fmt.Errorf("%w: %w", errRolledBack, err)
	}
	return err
}

package dialect

import (
	"context"
	"database/sql"
	"errors"
)

// Outcome is what became of a transaction whose COMMIT got no answer.
type Outcome int

// The outcomes.
const (
	Unknown    Outcome = iota // the database cannot tell for certain
	InProgress                // the server has not ended it yet
	RolledBack
	Committed
)

// TransactionMark names a transaction of PostgreSQL: its number, on its server, before and after which no standby was
// promoted or backup restored. A server that crashes may give the number again, unless the transaction was committed: of the
// numbers that it had given, it knows those that it had written to disk. Such a crash resets its statistics.
type TransactionMark struct{ id, timeline, system, statistics string }

const (
	knowsOutcomes = "SELECT to_regproc('pg_catalog.pg_xact_status') IS NOT NULL"
	whichHistory  = "CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, " +
		"(SELECT system_identifier::text FROM pg_control_system()), (SELECT COALESCE(stats_reset::text, '') FROM pg_stat_bgwriter)"
	currentTransaction = "SELECT COALESCE(pg_current_xact_id_if_assigned()::text, ''), " + whichHistory
	outcomeOf          = "SELECT CASE WHEN $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) THEN '" + inProgress + "' " +
		"ELSE COALESCE(pg_xact_status($1::text::xid8), '') END, " + whichHistory
	inProgress = "in progress" // also of a number that was not given yet, which would be an error
)

// KnowsOutcomes reports whether the database remembers how transactions ended: PostgreSQL from version 13 on. Databases
// that only speak its protocol may not have the functions, and calling one that is not there would abort a transaction.
func (d Dialect) KnowsOutcomes(ctx context.Context, conn Conn) bool {
	knows := false
	return d.Name == postgres && conn.QueryRowContext(ctx, knowsOutcomes).Scan(&knows) == nil && knows
}

// Mark names the transaction on conn, before its COMMIT. One that has written nothing has no name.
func (d Dialect) Mark(ctx context.Context, conn Conn) (mark TransactionMark, err error) {
	err = conn.QueryRowContext(ctx, currentTransaction).Scan(&mark.id, &mark.timeline, &mark.system, &mark.statistics)
	return mark, err
}

// OutcomeOf asks, on another connection, what became of a marked transaction. With an error, asking again may help.
func (d Dialect) OutcomeOf(ctx context.Context, conn Conn, mark TransactionMark) (Outcome, error) {
	if mark.id == "" || mark.timeline == "" {
		return Unknown, nil
	}
	var status string
	var now TransactionMark
	err := conn.QueryRowContext(ctx, outcomeOf, mark.id).Scan(&status, &now.timeline, &now.system, &now.statistics)
	switch {
	case d.isFinal(err):
		return Unknown, nil
	case err != nil:
		return Unknown, err
	case now.timeline != mark.timeline, now.system != mark.system:
		return Unknown, nil
	}
	if now.statistics != mark.statistics || mark.statistics == "" {
		return outcomeAfterCrash[status], nil
	}
	return outcomeByStatus[status], nil
}

var (
	outcomeByStatus = map[string]Outcome{"committed": Committed, "aborted": RolledBack, inProgress: InProgress}
	// After a crash, the status can be that of another transaction, unless the marked one was committed.
	outcomeAfterCrash = map[string]Outcome{"committed": Unknown, "aborted": RolledBack, inProgress: RolledBack}
)

// isFinal reports whether the question would end with the same error the next time.
func (d Dialect) isFinal(err error) bool {
	f, ok := d.faultIn(err)
	return errors.Is(err, sql.ErrConnDone) || ok && !f.isConnectionState() && f.state != tooManyConnections
}

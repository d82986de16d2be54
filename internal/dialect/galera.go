package dialect

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"
)

// IsGalera reports whether the server is a node of a Galera cluster, as far as it said so when the database was opened.
func (d Dialect) IsGalera() bool { return d.session.isGalera }

// HidesRollbacks reports whether a query of the server can be answered as if its transaction were there, although it was rolled
// back for a write of another node. MariaDB's nodes lose the error of a SELECT that is a prepared statement: what follows in the
// transaction is committed statement by statement. The driver prepares each statement with parameters, unless its
// interpolateParams is on; GORM's PrepareStmt prepares all of them.
func (d Dialect) HidesRollbacks(prepares bool) bool {
	return d.IsGalera() && d.session.isMariaDB && (prepares || d.session.preparesParams)
}

var errHiddenRollback = errors.New("occ: the transaction was rolled back for a write of another node, and the server answered its last query " +
	"as if it were there (MariaDB with Galera): run it again; with interpolateParams=true in the DSN the server's own error 1213 arrives")

// HiddenRollback returns an error where the transaction on conn is not there any more. The error counts as MariaDB's 1213.
func (d Dialect) HiddenRollback(ctx context.Context, conn Conn) error {
	var isThere bool
	if err := conn.QueryRowContext(ctx, "SELECT @@in_transaction").Scan(&isThere); err != nil || isThere {
		return err
	}
	return errHiddenRollback
}

// RollBackAnyway rolls back the transaction on conn at a node that is cut off from its cluster, which refuses ROLLBACK as it
// refuses any statement (1047). Dirty reads are what has it carry out statements that change no rows.
func (d Dialect) RollBackAnyway(ctx context.Context, conn Conn) error {
	_, err := conn.ExecContext(ctx, "ROLLBACK")
	if !d.IsNotReady(err) {
		return err
	}
	for _, statement := range []string{"SET SESSION wsrep_dirty_reads=ON", "ROLLBACK", "SET SESSION wsrep_dirty_reads=OFF"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// preparesParams reports whether the driver has the server prepare a statement with parameters. The server counts them. Of
// what cannot be asked it is supposed.
func preparesParams(db *gorm.DB) bool {
	pool, err := db.DB()
	if err != nil {
		return true
	}
	ctx := context.Background()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return true
	}
	defer func() { _ = conn.Close() }()
	before, err := preparedBy(ctx, conn)
	if err != nil {
		return true
	}
	var one int
	if err := conn.QueryRowContext(ctx, "SELECT ?", 1).Scan(&one); err != nil {
		return true
	}
	after, err := preparedBy(ctx, conn)
	return err != nil || after != before
}

// preparedBy returns how many prepared statements a connection has run.
func preparedBy(ctx context.Context, conn *sql.Conn) (n int, err error) {
	var name string
	err = conn.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Com_stmt_execute'").Scan(&name, &n)
	return n, err
}

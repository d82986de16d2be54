package testdb

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
)

// lent are the two servers with what a test could leave behind on a connection.
var lent = []struct {
	server    *server
	connector func(t *testing.T) connector
	id        string
	leave     []string // what it leaves behind
	isLeft    string   // counts what is left of it
	where     string   // the namespace in use
	abandon   string   // what a connection is not handed on with
}{
	{
		postgresServer, func(t *testing.T) connector {
			config, err := postgresConfig()
			require.NoError(t, err)
			return postgresConnector{stdlib.GetConnector(*config)}
		},
		"SELECT pg_backend_pid()",
		[]string{
			"SET lock_timeout = 12345", "CREATE TEMP TABLE leftover (id int)", "SELECT pg_advisory_lock(4711)",
			"SET search_path = pg_catalog", "PREPARE leftover AS SELECT 1",
		},
		`SELECT (SELECT count(*) FROM pg_settings WHERE name = 'lock_timeout' AND setting = '12345')
			+ (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
			+ (SELECT count(*) FROM pg_prepared_statements WHERE name = 'leftover')
			+ (CASE WHEN to_regclass('leftover') IS NULL THEN 0 ELSE 1 END)`,
		"SELECT current_schema()",
		"BEGIN",
	},
	{
		mariadbServer, func(t *testing.T) connector {
			config, err := mariadbConfig()
			require.NoError(t, err)
			snapshotIsolation(config)
			config.Params["lock_wait_timeout"] = "77"
			c, err := newMariaDBConnector(config)
			require.NoError(t, err)
			return c
		},
		"SELECT connection_id()",
		[]string{
			"SET SESSION lock_wait_timeout = 12345", "SET innodb_snapshot_isolation = OFF", "SET NAMES latin1", "SET @leftover = 1",
			"CREATE TEMPORARY TABLE leftover (id int)", "SELECT GET_LOCK('leftover', 0)", "SET autocommit = 0", "BEGIN",
		},
		`SELECT (@@lock_wait_timeout <> 77) + (NOT @@innodb_snapshot_isolation) + (@@collation_connection <> 'utf8mb4_general_ci')
			+ (@leftover IS NOT NULL) + (NOT @@autocommit) + (IS_USED_LOCK('leftover') <=> connection_id()) + @@in_transaction`,
		"SELECT DATABASE()",
		"KILL connection_id()",
	},
}

func TestAConnectionIsHandedOnAsIfItWereNew(t *testing.T) {
	t.Parallel()
	for _, tt := range lent {
		t.Run(tt.server.name, func(t *testing.T) {
			t.Parallel()
			first, second := tt.server.namespace(t), tt.server.namespace(t)
			lender := lender{tt.connector(t), &spares{}, "a configuration", first}
			t.Cleanup(func() { require.NoError(t, lender.spares.close()) })
			pool := sql.OpenDB(lender)
			id := queryText(t, pool, tt.id)
			conn, err := pool.Conn(t.Context())
			require.NoError(t, err)
			for _, statement := range tt.leave {
				_, err := conn.ExecContext(t.Context(), statement)
				require.NoError(t, err, statement)
			}
			require.NoError(t, conn.Close())
			require.NoError(t, pool.Close())

			lender.namespace = second
			next := sql.OpenDB(lender)

			require.Equal(t, id, queryText(t, next, tt.id))
			require.Equal(t, "0", queryText(t, next, tt.isLeft))
			require.Equal(t, second, queryText(t, next, tt.where))
			_, err = next.Exec("CREATE TABLE leftover (id int)")
			require.NoError(t, err)
			require.NoError(t, next.Close())
		})
	}
}

func TestAConnectionThatCannotBeResetIsClosed(t *testing.T) {
	t.Parallel()
	for _, tt := range lent {
		t.Run(tt.server.name, func(t *testing.T) {
			t.Parallel()
			namespace := tt.server.namespace(t)
			lender := lender{tt.connector(t), &spares{}, "a configuration", namespace}
			pool := sql.OpenDB(lender)
			id := queryText(t, pool, tt.id)
			_, _ = pool.Exec(tt.abandon) // MariaDB answers that it was killed
			_ = pool.Close()

			next := sql.OpenDB(lender)

			require.NotEqual(t, id, queryText(t, next, tt.id))
			require.NoError(t, next.Close())
			require.NoError(t, lender.spares.close())
		})
	}
}

func TestAConnectionThatTheServerEndedIsReplaced(t *testing.T) {
	t.Parallel()
	kill := map[string]string{"postgres": "SELECT pg_terminate_backend(%s, 10000)", "mariadb": "KILL HARD CONNECTION %s"}
	for _, tt := range lent {
		t.Run(tt.server.name, func(t *testing.T) {
			t.Parallel()
			namespace := tt.server.namespace(t)
			lender := lender{tt.connector(t), &spares{}, "a configuration", namespace}
			pool := sql.OpenDB(lender)
			id := queryText(t, pool, tt.id)
			require.NoError(t, pool.Close())
			require.NoError(t, tt.server.administer(commandTimeout, fmt.Sprintf(kill[tt.server.name], id)))

			next := sql.OpenDB(lender)

			require.NotEqual(t, id, queryText(t, next, tt.id))
			require.NoError(t, next.Close())
			require.NoError(t, lender.spares.close())
		})
	}
}

func TestSparesOfAnotherConfigurationMakeRoom(t *testing.T) {
	t.Parallel()
	var s spares
	mine, other := &idleSession{}, &idleSession{}
	require.NoError(t, s.put("mine", mine))
	require.NoError(t, s.put("other", other))

	require.Same(t, mine, s.take("mine"))
	require.Nil(t, s.take("mine"))

	require.True(t, other.isClosed)
	require.False(t, mine.isClosed)
}

// idleSession is a session that can be reset and closed.
type idleSession struct {
	session
	isClosed bool
}

func (s *idleSession) reset(context.Context) error { return nil }
func (s *idleSession) Close() error                { s.isClosed = true; return nil }

func queryText(t *testing.T, pool *sql.DB, query string) (text string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(query).Scan(&text))
	return text
}

package testdb

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
)

// lending is what a test could leave behind on a connection to a kind of server.
type lending struct {
	connector func(t *testing.T, s *server) connector
	id        string
	leave     []string // what it leaves behind
	isLeft    string   // counts what is left of it
	where     string   // the namespace in use
	abandon   string   // what a connection is not handed on after
	kill      string
}

var lendings = map[bool]lending{
	true: { // of PostgreSQL
		func(t *testing.T, s *server) connector {
			config, err := pgx.ParseConfig(s.dsn())
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
		"SELECT pg_terminate_backend(%s, 10000)",
	},
	false: { // of MariaDB and MySQL
		func(t *testing.T, s *server) connector {
			config, err := s.configureMariaDB()
			require.NoError(t, err)
			config.Params = map[string]string{"charset": "utf8mb4", "lock_wait_timeout": "77", "sql_mode": "'ANSI'"}
			c, err := newMariaDBConnector(config)
			require.NoError(t, err)
			return c
		},
		"SELECT connection_id()",
		[]string{
			"SET SESSION lock_wait_timeout = 12345", "SET sql_mode = ''", "SET NAMES latin1", "SET @leftover = 1",
			"CREATE TEMPORARY TABLE leftover (id int)", "SELECT GET_LOCK('leftover', 0)", "SET autocommit = 0",
			"START TRANSACTION WITH CONSISTENT SNAPSHOT",
		},
		`SELECT (@@lock_wait_timeout <> 77) + (@@sql_mode NOT LIKE '%ANSI%') + (@@character_set_client <> 'utf8mb4')
			+ (@leftover IS NOT NULL) + (NOT @@autocommit) + (IS_USED_LOCK('leftover') <=> connection_id())
			+ (SELECT count(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = connection_id())`,
		"SELECT DATABASE()",
		"KILL connection_id()",
		"KILL %s",
	},
}

// eachLending runs test with every server that lends connections.
func eachLending(t *testing.T, test func(t *testing.T, s *server, l lending)) {
	t.Helper()
	for _, s := range configuredServers() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s, lendings[s.product == "postgres"])
		})
	}
}

func TestAConnectionIsHandedOnAsIfItWereNew(t *testing.T) {
	t.Parallel()
	eachLending(t, func(t *testing.T, s *server, l lending) {
		first, second := newNamespace(t, s), newNamespace(t, s)
		conns := lender{l.connector(t, s), &spares{}, "a configuration", first}
		t.Cleanup(func() { require.NoError(t, conns.spares.close()) })
		pool := sql.OpenDB(conns)
		id := queryText(t, pool, l.id)
		conn, err := pool.Conn(t.Context())
		require.NoError(t, err)
		for _, statement := range l.leave {
			_, err := conn.ExecContext(t.Context(), statement)
			require.NoError(t, err, statement)
		}
		require.NoError(t, conn.Close())
		require.NoError(t, pool.Close())

		conns.namespace = second
		next := sql.OpenDB(conns)

		require.Equal(t, id, queryText(t, next, l.id))
		require.Equal(t, "0", queryText(t, next, l.isLeft))
		require.Equal(t, second, queryText(t, next, l.where))
		_, err = next.Exec("CREATE TABLE leftover (id int)")
		require.NoError(t, err)
		require.NoError(t, next.Close())
	})
}

func TestAConnectionThatCannotBeResetIsClosed(t *testing.T) {
	t.Parallel()
	eachLending(t, func(t *testing.T, s *server, l lending) {
		namespace := newNamespace(t, s)
		conns := lender{l.connector(t, s), &spares{}, "a configuration", namespace}
		pool := sql.OpenDB(conns)
		id := queryText(t, pool, l.id)
		_, _ = pool.Exec(l.abandon) // MariaDB answers that it was killed
		_ = pool.Close()

		next := sql.OpenDB(conns)

		require.NotEqual(t, id, queryText(t, next, l.id))
		require.NoError(t, next.Close())
		require.NoError(t, conns.spares.close())
	})
}

func TestAConnectionThatTheServerEndedIsReplaced(t *testing.T) {
	t.Parallel()
	eachLending(t, func(t *testing.T, s *server, l lending) {
		namespace := newNamespace(t, s)
		conns := lender{l.connector(t, s), &spares{}, "a configuration", namespace}
		pool := sql.OpenDB(conns)
		id := queryText(t, pool, l.id)
		require.NoError(t, pool.Close())
		require.NoError(t, s.administer(commandTimeout, fmt.Sprintf(l.kill, id)))

		next := sql.OpenDB(conns)

		require.NotEqual(t, id, queryText(t, next, l.id))
		require.NoError(t, next.Close())
		require.NoError(t, conns.spares.close())
	})
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

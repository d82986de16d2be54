//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"path"
	"strings"
	"syscall"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// spec is what there is to know of a server: its packages, how it is set up, started and asked.
type spec struct {
	name     string
	suites   []string // of Debian, the first that has the packages
	packages []string

	initialize []string           // the command that fills dataDir
	serve      func(int) []string // the command that serves at a port
	end        syscall.Signal     // has it end without waiting for sessions
	driver     string             // of database/sql
	variable   string             // of the environment, for its DSN
	dsn        func(port int, database string) string
	maintain   string // the database that is always there
	isOld      bool   // only meant by name: machines have it as a service
}

// Paths in the server's root. Of dataDir nothing is there before initialize has been run.
const (
	homeDir = "/srv/occ"
	dataDir = homeDir + "/data"
)

var specs = []spec{
	{
		name: "mysql9", suites: []string{"sid"}, packages: []string{"mysql-server-core"},
		initialize: append([]string{"/usr/sbin/mysqld", "--no-defaults", "--initialize-insecure"}, mysqlOptions...),
		serve: func(port int) []string {
			return append(append([]string{"/usr/sbin/mysqld", "--no-defaults"}, mysqlOptions...), mysqlNetwork(port)...)
		},
		end: syscall.SIGTERM, driver: "mysql", variable: "TEST_MYSQL_DSN", dsn: mysqlDSN,
	},
	{
		name: "mariadb11", suites: []string{"trixie", "sid"}, packages: []string{"mariadb-server-core", "mariadb-client-core"},
		initialize: mariadbInstall, serve: serveMariaDB,
		end: syscall.SIGTERM, driver: "mysql", variable: "TEST_MARIADB11_DSN", dsn: mysqlDSN,
	},
	{
		name: "mariadb10", suites: []string{"bookworm"}, packages: []string{"mariadb-server-core", "mariadb-client-core"},
		initialize: mariadbInstall, serve: serveMariaDB,
		end: syscall.SIGTERM, driver: "mysql", variable: "TEST_MARIADB_DSN", dsn: mysqlDSN, isOld: true,
	},
	postgres("18", "sid", "TEST_POSTGRES18_DSN"),
	postgres("15", "bookworm", "TEST_POSTGRES_DSN"),
}

func postgres(version, suite, variable string) spec {
	bin := "/usr/lib/postgresql/" + version + "/bin/"
	return spec{
		name: "postgres" + version, suites: []string{suite}, packages: []string{"postgresql-" + version},
		initialize: []string{
			bin + "initdb", "-D", dataDir, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync",
		},
		serve: func(port int) []string {
			command := []string{bin + "postgres", "-D", dataDir, "-p", fmt.Sprint(port)}
			for _, setting := range postgresSettings {
				command = append(command, "-c", setting)
			}
			return command
		},
		end: syscall.SIGINT, driver: "pgx", variable: variable, maintain: "postgres", isOld: version == "15",
		dsn: func(port int, database string) string {
			return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=%s sslmode=disable", port, database)
		},
	}
}

var mariadbInstall = []string{
	"/usr/bin/mariadb-install-db", "--no-defaults", "--datadir=" + dataDir,
	"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
}

func serveMariaDB(port int) []string {
	command := append([]string{"/usr/sbin/mariadbd", "--no-defaults", "--skip-name-resolve"}, mariadbOptions...)
	return append(command, mysqlNetwork(port)...)
}

// Tests create and drop a thousand databases: nothing is flushed, and no log of changes is kept.
var (
	mysqlOptions = []string{
		"--datadir=" + dataDir, "--mysqlx=OFF", "--secure-file-priv=NULL", "--skip-log-bin",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--innodb-buffer-pool-size=128M", "--innodb-redo-log-capacity=64M",
	}
	mariadbOptions = []string{
		"--datadir=" + dataDir, "--skip-log-bin",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF", "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=32M",
	}
	postgresSettings = []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + homeDir, "max_connections=200", "dynamic_shared_memory_type=mmap",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off",
	}
)

func mysqlNetwork(port int) []string {
	return []string{
		fmt.Sprint("--port=", port), "--bind-address=127.0.0.1", "--max-connections=300",
		"--socket=" + path.Join(homeDir, "socket"), "--pid-file=" + path.Join(homeDir, "pid"),
	}
}

func mysqlDSN(port int, database string) string {
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s?parseTime=true&charset=utf8mb4", port, database)
}

const testDatabase = "test"

// prepare has the server create the database of the tests, unless it is there, and returns the server's version.
func (s spec) prepare(ctx context.Context, port int) (version string, err error) {
	pool, err := sql.Open(s.driver, s.dsn(port, s.maintain))
	if err != nil {
		return "", err
	}
	defer pool.Close()
	if err := pool.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
		return "", err
	}
	_, err = pool.ExecContext(ctx, "CREATE DATABASE "+testDatabase)
	if err != nil && !strings.Contains(err.Error(), "exists") {
		return "", err
	}
	return version, nil
}

// environment is the line of a shell that tells the tests of the server.
func (s spec) environment(port int) string {
	return fmt.Sprintf("export %s='%s'", s.variable, s.dsn(port, testDatabase))
}

package proof

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	mysqldriver "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/plugin/dbresolver"
	"pgregory.net/rapid"

	"github.com/gorm-occ/occ"
)

// settings are how the session of a program is set up: by GORM, by the server, or not at all.
type settings struct {
	lean, prepares, skips, translates bool
	batch                             int      // CreateBatchSize; 0: none
	set                               []string // SQL: what the session sets on a connection of its own
	cautious                          bool     // of MariaDB: sql_safe_updates, and clientFoundRows
	other                             string   // a plugin or a pool of others
}

// What others may bring along.
const (
	resolver  = "dbresolver"
	committer = "a pool that always commits"
	replaced  = "GORM's callbacks replaced"
	alongside = "a callback that writes a row of its own"
)

// mayRefuse reports whether writes may be errors that plain settings do not give. Then nothing is written.
func (s settings) mayRefuse() bool { return s.other == committer || s.other == replaced }

// GoString keeps rapid from printing what String says.
func (s settings) GoString() string { return s.String() }

// String is the settings as a counterexample names them.
func (s settings) String() string {
	var texts []string
	for name, isSet := range map[string]bool{
		"WithLeanTransactions": s.lean, "PrepareStmt": s.prepares, "SkipDefaultTransaction": s.skips, "TranslateError": s.translates,
		"sql_safe_updates and clientFoundRows": s.cautious,
	} {
		if isSet {
			texts = append(texts, name)
		}
	}
	if s.batch > 0 {
		texts = append(texts, fmt.Sprint("CreateBatchSize ", s.batch))
	}
	if s.other != "" {
		texts = append(texts, s.other)
	}
	slices.Sort(texts)
	return strings.Join(append(texts, s.set...), "; ")
}

// variablesOf are what a session may set on its connection, by what the database is like. One of each list, or none.
var variablesOf = map[string][][]string{
	"sqlite": {{"PRAGMA reverse_unordered_selects = 1"}, {"PRAGMA recursive_triggers = 1"}},
	"postgres": {
		{isolation + "REPEATABLE READ", isolation + "SERIALIZABLE", isolation + "READ UNCOMMITTED"},
		{"SET TimeZone = 'Asia/Kolkata'", "SET TimeZone = 'America/St_Johns'"},
		{"SET plan_cache_mode = force_generic_plan"},
		{"SET DateStyle = 'German'"},
	},
	"mariadb": {
		{
			"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
			"SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
		},
		{"SET sql_mode = ''", "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'"},
		{"SET time_zone = '+05:30'"},
		{"SET sql_auto_is_null = 1"},
	},
}

const isolation = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL "

// anySettings are GORM's defaults for every other program.
func anySettings(like string) *rapid.Generator[settings] {
	return rapid.Custom(func(t *rapid.T) settings {
		s := settings{}
		if !rapid.Bool().Draw(t, "settings") {
			return s
		}
		s.lean, s.prepares = rapid.Bool().Draw(t, "lean"), rapid.Bool().Draw(t, "prepares")
		s.translates = rapid.Bool().Draw(t, "translates")
		if s.skips = rapid.Bool().Draw(t, "skips"); !s.skips { // else GORM leaves the batches before the one that failed
			s.batch = rapid.IntRange(0, 2).Draw(t, "batch")
		}
		s.cautious = like == "mariadb" && rapid.Bool().Draw(t, "cautious")
		if rapid.Bool().Draw(t, "own connection") {
			for _, values := range variablesOf[like] {
				if i := rapid.IntRange(-1, len(values)-1).Draw(t, "variable"); i >= 0 {
					s.set = append(s.set, values[i])
				}
			}
		}
		return s
	})
}

// anyOthers are settings of which some have to do with plugins and pools of others.
func anyOthers(like string) *rapid.Generator[settings] {
	return rapid.Custom(func(t *rapid.T) settings {
		s := anySettings(like).Draw(t, "settings")
		if rapid.IntRange(0, 2).Draw(t, "others") < 2 {
			return s
		}
		s.other = rapid.SampledFrom([]string{resolver, committer, replaced, alongside}).Draw(t, "other")
		switch s.other {
		case committer:
			s = settings{other: committer, cautious: s.cautious, lean: s.lean, skips: s.skips}
		case resolver:
			s.set = nil // it chooses the connection
		case replaced:
			s.skips = false // which could not be undone
		}
		return s
	})
}

// apply gives a program its session, on a connection of its own where it sets anything there.
func (s settings) apply(t testing.TB, db *gorm.DB) (session *gorm.DB, end func()) {
	t.Helper()
	session = db.Session(&gorm.Session{
		Context: context.Background(), PrepareStmt: s.prepares, SkipDefaultTransaction: s.skips, CreateBatchSize: s.batch,
	})
	session.Config.TranslateError = s.translates
	pool, err := db.DB()
	require.NoError(t, err)
	if s.other == committer {
		session.Statement.ConnPool = &alwaysCommits{pool}
	}
	if len(s.set) == 0 {
		return session, func() {}
	}
	conn, err := pool.Conn(context.Background())
	require.NoError(t, err)
	for _, query := range s.set {
		_, err := conn.ExecContext(context.Background(), query)
		require.NoError(t, err, query)
	}
	session.Statement.ConnPool = conn
	if s.prepares {
		session.Statement.ConnPool = gorm.NewPreparedStmtDB(conn, 0, time.Hour)
	}
	return session, func() { discard(conn) }
}

// key tells apart what a database is opened for.
func (s settings) key() string { return fmt.Sprint(s.lean, s.cautious, s.other) }

// dialector leads to the database, by a pool of its own where the server is told something of every connection.
func (s settings) dialector(t testing.TB, db *gorm.DB) gorm.Dialector {
	t.Helper()
	if !s.cautious {
		return db.Dialector
	}
	config := db.Dialector.(*mysqldriver.Dialector).DSNConfig.Clone()
	require.NoError(t, db.Raw("SELECT DATABASE()").Scan(&config.DBName).Error)
	config.ClientFoundRows = true
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	config.Params["sql_safe_updates"] = "1"
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(4)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return mysqldriver.New(mysqldriver.Config{Conn: pool, DSNConfig: config})
}

// discard closes a connection, so that no other program has what was set on it.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// alwaysCommits is a pool like that of gorm.io/sharding: it has the methods of a transaction, and begins none.
type alwaysCommits struct{ gorm.ConnPool }

func (p *alwaysCommits) BeginTx(context.Context, *sql.TxOptions) (gorm.ConnPool, error) {
	return p, nil
}
func (p *alwaysCommits) Commit() error   { return nil }
func (p *alwaysCommits) Rollback() error { return nil }

// Aside is written by a callback of others, along with whatever is.
type Aside struct {
	ID   int
	Name string
	occ.Version
}

func (Aside) TableName() string { return "asides" }

// bring has a database meet what others bring along.
func (s settings) bring(t testing.TB, db *gorm.DB, aside *Aside) {
	t.Helper()
	callbacks := db.Callback()
	switch s.other {
	case resolver:
		require.NoError(t, db.Use(dbresolver.Register(dbresolver.Config{Replicas: []gorm.Dialector{db.Dialector}})))
	case replaced:
		plain, err := gorm.Open(db.Dialector, &gorm.Config{Logger: db.Logger})
		require.NoError(t, err)
		require.NoError(t, errors.Join(
			callbacks.Create().Replace("gorm:create", plain.Callback().Create().Get("gorm:create")),
			callbacks.Update().Replace("gorm:update", plain.Callback().Update().Get("gorm:update")),
			callbacks.Delete().Replace("gorm:delete", plain.Callback().Delete().Get("gorm:delete")),
		))
	case alongside:
		also := func(tx *gorm.DB) {
			if tx.Error == nil && tx.Statement.Table != "asides" {
				_ = tx.AddError(tx.Session(&gorm.Session{NewDB: true}).Model(aside).Update("name", "x").Error)
			}
		}
		require.NoError(t, errors.Join(
			callbacks.Create().After("gorm:create").Before("gorm:after_create").Register("other:create", also),
			callbacks.Update().After("gorm:update").Before("gorm:after_update").Register("other:update", also),
			callbacks.Delete().After("gorm:delete").Before("gorm:after_delete").Register("other:delete", also),
		))
	}
}

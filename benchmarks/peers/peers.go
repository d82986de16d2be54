// Package peers is the ways to write a row without losing somebody else's write, each as its users would do it.
package peers

import (
	"database/sql"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ/benchmarks/rows"
)

// ErrStale is what a peer returns for a write that it refused, in whatever way it says so.
var ErrStale = errors.New("stale")

// ErrUnsupported is returned by a peer that has no way to do something, and is then left out.
var ErrUnsupported = errors.ErrUnsupported

// The names that ratios and targets refer to.
const (
	NameOcc    = "occ"
	NameLean   = "occ, WithLeanTransactions"
	NameByHand = "GORM, check by hand"
	NameGORM   = "GORM, no check"
	NameSQL    = "database/sql, prepared"
)

// The names of the databases that peers are compared on.
const (
	SQLite     = "sqlite"
	PostgreSQL = "postgres"
	MariaDB    = "mariadb"
)

// Servers returns the names of the databases.
func Servers() []string { return []string{SQLite, PostgreSQL, MariaDB} }

// Peer is one way to write.
type Peer struct {
	Name string
	// Compares tells whether the peer claims to refuse stale writes; the others are there to see what that costs.
	Compares bool
	Open     func(c Conn, shape rows.Shape) (Session, error)
}

// Conn is how a peer reaches its database.
type Conn struct {
	Server    string // one of Servers
	Pool      *sql.DB
	Dialector gorm.Dialector
	Setting   Setting
}

// Setting is GORM's configuration. Peers without such a setting do the same: a transaction round every write, or none.
type Setting struct {
	PrepareStmt            bool
	SkipDefaultTransaction bool
}

// String names the setting as GORM does.
func (s Setting) String() string {
	switch {
	case s.PrepareStmt && s.SkipDefaultTransaction:
		return "PrepareStmt, SkipDefaultTransaction"
	case s.PrepareStmt:
		return "PrepareStmt"
	case s.SkipDefaultTransaction:
		return "SkipDefaultTransaction"
	default:
		return "GORM's defaults"
	}
}

// Session is a peer that holds rows in memory, as an application would, and writes them. A write is the write-th: that
// number decides what the columns are set to.
type Session interface {
	Load(n int) error // rows 1 to n
	Held() int        // how many rows it holds
	UpdateOne(i int, write int64) error
	SaveOne(i int, write int64) error
	DeleteOne(i int) error
	SaveAll(write int64) error
	UpdateWhere(first, last, write int64) error
	Close() error
}

// All are the peers that can do everything that one does with rows.
func All() []Peer {
	return []Peer{
		{NameSQL, true, openSQL},
		{NameGORM, false, openGORM},
		{NameByHand, true, openByHand},
		{"optimisticlock", true, openOptimisticLock},
		{"xorm", true, openXorm},
		{"gorp", true, openGorp},
		{NameOcc, true, openOcc},
	}
}

// Lean is occ with the option for writes of one row.
func Lean() Peer { return Peer{NameLean, true, openLean} }

// Bare is occ's model without the plugin: what the type of the version costs by itself.
func Bare() Peer { return Peer{"GORM, no check, occ.Version", false, openBare} }

// openDB opens GORM as the setting says.
func openDB(c Conn, plugins ...gorm.Plugin) (*gorm.DB, error) {
	db, err := gorm.Open(c.Dialector, &gorm.Config{
		PrepareStmt: c.Setting.PrepareStmt, SkipDefaultTransaction: c.Setting.SkipDefaultTransaction,
		Logger: logger.Discard,
	})
	if err != nil {
		return nil, err
	}
	for _, plugin := range plugins {
		if err := db.Use(plugin); err != nil {
			return nil, err
		}
	}
	return db, nil
}

// affected turns GORM's answer to a write with a condition into ErrStale.
func affected(res *gorm.DB, want int64) error {
	if res.Error != nil {
		return res.Error
	}
	if res.RowsAffected != want {
		return ErrStale
	}
	return nil
}

// closeStatements ends what PrepareStmt keeps open.
func closeStatements(db *gorm.DB) error {
	if prepared, ok := db.ConnPool.(*gorm.PreparedStmtDB); ok {
		prepared.Close()
	}
	return nil
}

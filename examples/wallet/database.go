package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ/examples/internal/embedded"
)

// database is the one that the wallets are kept in.
type database struct {
	name      string
	dialector gorm.Dialector
	remove    func() error
}

func newDatabase(dsn string) (*database, error) {
	name, dialector, remove, err := dialectorOf(dsn)
	return &database{name, dialector, remove}, err
}

// use runs f with connections and a gorm.DB of its own: a plugin that it uses is not there for the others.
func (d *database) use(f func(db *gorm.DB) error) error {
	db, err := gorm.Open(d.dialector, &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(workers)
	pool.SetMaxIdleConns(workers)
	return errors.Join(f(db), pool.Close())
}

// dialectorOf tells databases by their DSN.
func dialectorOf(dsn string) (name string, dialector gorm.Dialector, remove func() error, err error) {
	keep := func() error { return nil }
	switch {
	case dsn == "":
		folder, err := os.MkdirTemp("", "wallet")
		remove = func() error { return os.RemoveAll(folder) }
		return "SQLite in a temporary folder", embedded.Open(filepath.Join(folder, "wallet.db")), remove, err
	case strings.Contains(dsn, ")/"), strings.Contains(dsn, "@/"):
		return "MariaDB", mysql.Open(dsn), keep, nil
	default:
		return "PostgreSQL", postgres.Open(dsn), keep, nil
	}
}

// withTable runs f with the table of the example in place, and drops it afterwards.
func (d *database) withTable(f func() error) error {
	err := d.use(func(db *gorm.DB) error {
		if db.Migrator().HasTable(&Wallet{}) {
			return errors.New("there is a table " + Wallet{}.TableName() + " already: drop it, or name another database")
		}
		return db.AutoMigrate(&Wallet{})
	})
	if err != nil {
		return err
	}
	return errors.Join(f(), d.use(func(db *gorm.DB) error { return db.Migrator().DropTable(&Wallet{}) }))
}

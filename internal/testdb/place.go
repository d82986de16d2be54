package testdb

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	"gorm.io/gorm"
)

// maxOpenConns is how many connections a test can have at the same time to one database.
const maxOpenConns = 8

// place is an empty database, and how it is removed.
type place struct {
	dialector gorm.Dialector
	remove    func() error
}

// create makes a place.
type create = func() (place, error)

// placed returns the place that a pool leads to. Where there is no pool, whatever was made for it is removed.
func placed(pool *sql.DB, err error, dialector func(*sql.DB) gorm.Dialector, remove func() error) (place, error) {
	if err != nil {
		return place{}, errors.Join(err, remove())
	}
	pool.SetMaxOpenConns(maxOpenConns)
	pool.SetMaxIdleConns(maxOpenConns / 2)
	return place{dialector(pool), func() error { return errors.Join(pool.Close(), remove()) }}, nil
}

// inFolder gives open the name of a file in a folder that is removed with the place.
func inFolder(dialector func(*sql.DB) gorm.Dialector, open func(file string) (*sql.DB, error)) (place, error) {
	folder, err := os.MkdirTemp("", "occ")
	if err != nil {
		return place{}, err
	}
	pool, err := open(filepath.Join(folder, "test.db"))
	return placed(pool, err, dialector, func() error { return os.RemoveAll(folder) })
}

// inNamespace gives open a namespace that is dropped with the place.
func (s *server) inNamespace(dialector func(*sql.DB) gorm.Dialector, open func(namespace string) (*sql.DB, error)) (place, error) {
	namespace, drop, err := s.namespace()
	if err != nil {
		return place{}, err
	}
	pool, err := open(namespace)
	return placed(pool, err, dialector, drop)
}

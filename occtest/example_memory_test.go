//go:build cgo

package occtest_test

import (
	"fmt"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// A database in memory is one of its connection: the pool has to have one alone.
func Example_memory() {
	open := func() (*gorm.DB, error) {
		db, err := gorm.Open(sqlite.Open(":memory:"))
		if err != nil {
			return nil, err
		}
		pool, err := db.DB()
		if err != nil {
			return nil, err
		}
		pool.SetMaxOpenConns(1)
		return db, nil
	}

	db, err := open()
	fmt.Println(err)
	pool, _ := db.DB()
	_ = pool.Close()
	// Output: <nil>
}

package occ_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

func ExampleCheckSchema() {
	db, end := shop()
	defer end()
	type Product = Article
	type Order struct {
		ID      uint
		Version int64 `gorm:"version"`
	}
	if err := errors.Join(db.AutoMigrate(&Order{}), db.Exec("ALTER TABLE orders RENAME COLUMN version TO revision").Error); err != nil {
		log.Fatal(err)
	}

	fmt.Println(occ.CheckSchema(db, &Product{}))
	fmt.Println(occ.CheckSchema(db, &Product{}, &Order{}))

	if err := db.Exec("ALTER TABLE orders RENAME COLUMN revision TO version").Error; err != nil {
		log.Fatal(err)
	}
	if err := occ.CheckSchema(db, &Product{}, &Order{}); err != nil {
		log.Fatal(err) // names each column and trigger that does not fit, and the statement that mends it
	}
	// Output:
	// <nil>
	// occ: the schema does not fit the versions:
	// model Order, field Version: table `orders` has no column "version"
	// 	ALTER TABLE `orders` ADD COLUMN `version` integer;
}

func ExampleCreateTriggers() {
	db, end := shop()
	defer end()
	if err := occ.CreateTriggers(db, &Article{}); err != nil {
		log.Fatal(err)
	}
	var mine Article
	db.First(&mine, 1)

	db.Exec("UPDATE articles SET stock = 9 WHERE id = 1") // another program
	err := db.Model(&mine).Update("stock", 8).Error
	fmt.Println(errors.Is(err, occ.ErrStaleData))
	// Output: true
}

func ExampleTriggerSQL() {
	db, end := shop()
	defer end()
	type Product struct {
		ID    uint
		Stock int
		occ.Version
	}

	up, down, err := occ.TriggerSQL(db, &Product{})
	fmt.Println(len(up), down, err)
	// Output: 2 [DROP TRIGGER IF EXISTS `occ_version_products`] <nil>
}

func ExampleDropTriggers() {
	db, end := testdb.Example()
	defer end()
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Article{}), occ.CreateTriggers(db, &Article{})); err != nil {
		log.Fatal(err)
	}

	fmt.Println(occ.DropTriggers(db, &Article{}))
	// Output: <nil>
}

package occ_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// revisions are r1, r2 and so on.
type revisions struct{}

func (revisions) Next(_ context.Context, current any) (any, error) {
	if current == nil {
		return "r1", nil
	}
	n, err := strconv.Atoi(current.(string)[1:])
	return fmt.Sprintf("r%d", n+1), err
}

func ExampleWithGenerator() {
	type Document struct {
		ID      uint
		Title   string
		Version string `gorm:"version:revision"`
	}
	db, end := testdb.Example()
	defer end()
	err := db.Use(occ.New(occ.WithGenerator("revision", revisions{})))
	if err := errors.Join(err, db.AutoMigrate(&Document{})); err != nil {
		log.Fatal(err)
	}

	document := Document{Title: "draft"}
	db.Create(&document)
	first := document.Version
	db.Model(&document).Update("title", "final")
	fmt.Println(first, document.Version)
	// Output: r1 r2
}

func ExampleSnapshot() {
	type Product struct {
		ID    uint
		Name  string
		Price int
		occ.Snapshot
	}
	db, end := testdb.Example()
	defer end()
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Product{}), db.Create(&Product{Name: "pen", Price: 10}).Error); err != nil {
		log.Fatal(err)
	}
	var p, stale Product
	db.First(&stale, 1)

	db.First(&p, 1)
	err := db.Model(&p).Update("price", 12).Error
	fmt.Println(err)
	fmt.Println(db.Model(&stale).Update("price", 11).Error)
	// Output:
	// <nil>
	// occ: stale data: update of "products" refused: row id=1 changed since it was loaded: price
}

func ExampleVersionText() {
	db, end := shop()
	defer end()
	var shown Article
	db.First(&shown, 1)
	text, err := occ.VersionText(db, &shown) // into the answer
	fmt.Println(text, err)

	write := db.Model(&Article{ID: 1}).Clauses(occ.ExpectText(text)) // out of the next request
	fmt.Println(write.Update("stock", 9).Error)
	stale := db.Model(&Article{ID: 1}).Clauses(occ.ExpectText(text))
	fmt.Println(errors.Is(stale.Update("stock", 8).Error, occ.ErrStaleData))
	// Output:
	// 1 <nil>
	// <nil>
	// true
}

func ExampleExpectText() {
	db, end := shop()
	defer end()

	any := db.Model(&Article{ID: 1}).Clauses(occ.ExpectText(occ.AnyVersion)) // If-Match: *
	fmt.Println(any.Update("stock", 9).Error)
	gone := db.Model(&Article{ID: 2}).Clauses(occ.ExpectText(occ.AnyVersion))
	fmt.Println(errors.Is(gone.Update("stock", 9).Error, occ.ErrStaleData))
	// Output:
	// <nil>
	// true
}

func ExampleExpect_read() {
	db, end := shop()
	defer end()

	var article Article
	err := db.Clauses(occ.Expect(7)).First(&article, 1).Error // what the client believes to be there
	fmt.Println(errors.Is(err, occ.ErrStaleData), article.Version)
	// Output: true 1
}

func ExampleWithLeanTransactions() {
	db, end := shop(occ.WithLeanTransactions())
	defer end()
	var article Article
	db.First(&article, 1)

	fmt.Println(db.Model(&article).Update("stock", 9).Error) // one round trip: no BEGIN, no COMMIT
	// Output: <nil>
}

// Sheet is a drawing that its layers belong to.
type Sheet struct {
	ID      uint
	Title   string
	Version occ.Version
}

// Layer moves the version of its sheet.
type Layer struct {
	ID      uint
	SheetID uint
	Name    string
	Sheet   Sheet `gorm:"touch"`
	Version occ.Version
}

func ExampleTouch() {
	db, end := testdb.Example()
	defer end()
	sheet := Sheet{Title: "plan"}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Sheet{}, &Layer{}), db.Create(&sheet).Error); err != nil {
		log.Fatal(err)
	}
	stale := sheet

	fmt.Println(occ.Touch(db, &sheet), sheet.Version)
	fmt.Println(errors.Is(db.Model(&stale).Update("title", "map").Error, occ.ErrStaleData))

	db.Create(&Layer{Name: "roads", SheetID: sheet.ID}) // the tag touches too
	db.First(&sheet, sheet.ID)
	fmt.Println(sheet.Version)
	// Output:
	// <nil> 2
	// true
	// 3
}

func ExampleVerify() {
	db, end := shop()
	defer end()
	var article Article
	db.First(&article, 1)

	err := db.Transaction(func(tx *gorm.DB) error {
		// what is decided here is based on the article, which is not written
		return occ.Verify(tx, &article)
	})
	fmt.Println(err)
	// Output: <nil>
}

package occ_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Article is what the examples write.
type Article struct {
	ID    uint
	Stock int
	occ.Version
}

// shop gives an example a database with article 1, of which there are 10.
func shop(opts ...occ.Option) (db *gorm.DB, end func()) {
	db, end = testdb.Example()
	if err := errors.Join(db.Use(occ.New(opts...)), db.AutoMigrate(&Article{}), db.Create(&Article{ID: 1, Stock: 10}).Error); err != nil {
		log.Fatal(err)
	}
	return db, end
}

func Example() {
	db, end := testdb.Example() // gorm.Open
	defer end()
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Article{})); err != nil {
		log.Fatal(err)
	}
	db.Create(&Article{ID: 1, Stock: 10})

	var mine, theirs Article
	db.First(&mine, 1)
	db.First(&theirs, 1)
	fmt.Println(db.Model(&theirs).Update("stock", 9).Error) // the row is at version 2 now
	err := db.Model(&mine).Update("stock", 8).Error         // based on version 1
	fmt.Println(errors.Is(err, occ.ErrStaleData), err)
	// Output:
	// <nil>
	// true occ: stale data: update of "articles" refused: row id=1 changed: expected version 1, found 2
}

func ExampleNew() {
	db, end := testdb.Example() // gorm.Open
	defer end()

	plugin := occ.New(
		occ.WithLeanTransactions(),
		occ.WithConflictHook(func(_ context.Context, refused *occ.StaleDataError) { log.Print(refused) }),
	)
	fmt.Println(db.Use(plugin))
	// Output: <nil>
}

func Example_sql() {
	db, end := shop()
	defer end()
	mine := Article{ID: 1, Version: 1}

	fmt.Println(db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Model(&mine).Update("stock", 8) }))
	fmt.Println(db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Delete(&mine) }))
	// Output:
	// UPDATE `articles` SET `stock`=8,`version`=2 WHERE `articles`.`id` = 1 AND `articles`.`version` = 1
	// DELETE FROM `articles` WHERE `articles`.`version` = 1 AND `articles`.`id` = 1
}

func Example_readAgain() {
	db, end := shop()
	defer end()

	take := func(n int) error {
		for {
			var article Article
			if err := db.First(&article, 1).Error; err != nil {
				return err
			}
			err := db.Model(&article).Update("stock", article.Stock-n).Error
			if !errors.Is(err, occ.ErrStaleData) {
				return err
			}
		}
	}
	fmt.Println(take(3))
	// Output: <nil>
}

func Example_byCondition() {
	db, end := shop()
	defer end()
	var mine Article
	db.First(&mine, 1)

	res := db.Model(&Article{}).Where("stock > ?", 0).Update("stock", gorm.Expr("stock - 1"))
	fmt.Println(res.RowsAffected, res.Error)

	err := db.Model(&mine).Update("stock", 20).Error
	fmt.Println(errors.Is(err, occ.ErrStaleData))
	// Output:
	// 1 <nil>
	// true
}

func ExampleExpect() {
	db, end := shop()
	defer end()
	form := struct {
		ID             uint
		Stock, Version int
	}{ID: 1, Stock: 8, Version: 1} // what the page was filled with, and the new stock

	write := db.Model(&Article{ID: form.ID}).Clauses(occ.Expect(form.Version))
	err := write.Updates(map[string]any{"stock": form.Stock}).Error
	fmt.Println(err)

	again := db.Model(&Article{ID: form.ID}).Clauses(occ.Expect(form.Version))
	fmt.Println(errors.Is(again.Update("stock", form.Stock).Error, occ.ErrStaleData)) // the form was sent twice
	// Output:
	// <nil>
	// true
}

func ExampleUnchecked() {
	db, end := shop()
	defer end()

	article := Article{ID: 1} // never loaded
	err := db.Model(&article).Clauses(occ.Unchecked()).Update("stock", 100).Error
	fmt.Println(err, article.Version)
	// Output: <nil> 2
}

func ExampleWithBlindWrites() {
	db, end := shop(occ.WithBlindWrites())
	defer end()

	fmt.Println(db.Model(&Article{ID: 1}).Update("stock", 8).Error)                      // never loaded: not compared
	fmt.Println(errors.Is(db.Save(&Article{ID: 1, Version: 1}).Error, occ.ErrStaleData)) // loaded: compared
	// Output:
	// <nil>
	// true
}

func ExampleStaleDataError() {
	db, end := shop()
	defer end()
	var mine Article
	db.First(&mine, 1)
	db.Delete(&Article{}, 1)

	err := db.Model(&mine).Update("stock", 8).Error
	var stale *occ.StaleDataError
	if errors.As(err, &stale) {
		row := stale.Rows[0]
		fmt.Println(stale.Op, stale.Table, row.PrimaryKey, row.Expected, row.Actual, row.Reason)
	}
	// Output: update articles map[id:1] 1 <nil> deleted
}

func ExampleReason() {
	db, end := shop()
	defer end()

	err := db.Model(&Article{ID: 2, Version: 1}).Update("stock", 8).Error
	var stale *occ.StaleDataError
	if errors.As(err, &stale) {
		switch stale.Rows[0].Reason {
		case occ.ReasonChanged:
			fmt.Println("somebody has changed the article")
		case occ.ReasonDeleted:
			fmt.Println("somebody has deleted the article")
		default:
			fmt.Println("load the article again")
		}
	}
	// Output: somebody has deleted the article
}

func ExampleErrVersionMissing() {
	db, end := shop()
	defer end()

	err := db.Model(&Article{ID: 1}).Update("stock", 8).Error
	fmt.Println(errors.Is(err, occ.ErrVersionMissing))
	fmt.Println(err)
	// Output:
	// true
	// occ: stale data: update of "articles" refused: row id=1 is at version 1, but the version of the model was never loaded (load the row before writing it, write by condition with Model(&T{}).Where(...), name the version with occ.Expect, or skip the check with occ.Unchecked)
}

func ExampleWithConflictHook() {
	db, end := shop(occ.WithConflictHook(func(_ context.Context, refused *occ.StaleDataError) {
		fmt.Println("refused:", refused.Table, refused.Rows[0].Reason)
	}))
	defer end()

	_ = db.Save(&Article{ID: 1, Version: 7}).Error
	// Output: refused: articles ahead
}

func ExamplePlugin_Stats() {
	db, end := testdb.Example()
	defer end()
	plugin := occ.New()
	if err := errors.Join(db.Use(plugin), db.AutoMigrate(&Article{})); err != nil {
		log.Fatal(err)
	}
	article := Article{ID: 1, Stock: 10}
	db.Create(&article)
	db.Model(&article).Update("stock", 9)
	db.Model(&Article{ID: 1, Version: 1}).Update("stock", 8)

	fmt.Printf("%+v\n", plugin.Stats()["articles"])
	// Output: {Checked:2 Refused:1 Blind:0 Retried:0}
}

func ExampleVersion_json() {
	type Product struct {
		ID          uint             `json:"id"`
		occ.Version `json:"version"` // without the tag it is called Version
	}

	text, err := json.Marshal(Product{ID: 1, Version: 3})
	fmt.Println(string(text), err)
	// Output: {"id":1,"version":3} <nil>
}

func ExampleVersion() {
	type Invoice struct {
		ID       uint
		Total    int
		Revision occ.Version `gorm:"column:rev"` // a name of its own
	}
	type Order struct {
		ID          uint
		LockVersion uint32 `gorm:"version"` // any integer column, tagged
	}
	db, end := testdb.Example()
	defer end()
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Invoice{}, &Order{})); err != nil {
		log.Fatal(err)
	}

	invoice, order := Invoice{Total: 5}, Order{}
	db.Create(&invoice)
	db.Create(&order)
	db.Model(&invoice).Update("total", 6)
	fmt.Println(invoice.Revision, order.LockVersion)
	// Output: 2 1
}

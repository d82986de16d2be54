package occtest_test

import (
	"context"
	"fmt"
	"testing"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occtest"
)

func ExampleRefusesStale() {
	rename := func(ctx context.Context, db *gorm.DB, id uint) error {
		var p Product
		if err := db.WithContext(ctx).First(&p, id).Error; err != nil {
			return err
		}
		return db.WithContext(ctx).Model(&p).Update("name", "mine").Error
	}
	_ = func(t *testing.T, db *gorm.DB) { // TestRename
		p := Product{Name: "old"}
		db.Create(&p)
		occtest.RefusesStale[Product](t, db, p.ID, func(ctx context.Context) error { return rename(ctx, db, p.ID) })
	}
}

func ExampleOvertake() {
	db, remove := testdb.Example()
	defer remove()
	_ = db.Use(occ.New())
	_ = db.AutoMigrate(&Product{})
	p := Product{Name: "old"}
	db.Create(&p)
	t := &recorder{name: "ExampleOvertake"} // the *testing.T of a test
	defer t.end()

	o := occtest.Overtake(t, db, func(p *Product) { p.Name = "theirs" })
	err := db.Model(&p).Update("name", "mine").Error

	fmt.Println(o.Happened(), err)
	// Output: true occ: stale data: update of "products" refused: row id=1 changed: expected version 1, found 2
}

package unread

import (
	"context"
	"log"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"shop/models"
	"shop/repo"
)

func unread(db *gorm.DB, p *models.Product, all []models.Order) {
	db.Save(p)                                                      // want `the error of this write of Product is never read`
	db.Save(&all)                                                   // want `the error of this write of Order is never read`
	db.Model(p).Update("stock", 1)                                  // want `this write of Product`
	db.Model(&models.Price{ID: 1}).Updates(models.Price{Amount: 2}) // want `this write of Price`
	db.Clauses(clause.Returning{}).                                 // want `never read`
									Delete(p)
	go db.Save(p)      // want `never read`
	defer db.Delete(p) // want `never read`
	res := db.Save(p)  // want `never read`
	log.Print(res.RowsAffected)
	if db.Save(p).RowsAffected == 0 { // want `never read`
		return
	}
	tx := db.Where("stock > 0").Session(&gorm.Session{})
	tx.Model(&models.Invoice{}).Update("total", 1) // want `this write of Invoice`
	_ = db.Model(&models.Plain{}).Association("Products").Append(p)
	db.Model(&models.Plain{}).Association("Products").Append(p) // want `this call is never read`
}

func generics(ctx context.Context, db *gorm.DB) {
	gorm.G[models.Product](db).Where("id = ?", 1).Update(ctx, "stock", 1)    // want `this write of Product`
	gorm.G[models.Product](db, occ.Expect(1)).Where("id = ?", 1).Delete(ctx) // want `this write of Product`
	gorm.G[models.Plain](db).Where("id = ?", 1).Delete(ctx)
	if _, err := gorm.G[models.Product](db).Where("id = ?", 1).Delete(ctx); err != nil {
		log.Print(err)
	}
}

func functions(ctx context.Context, db *gorm.DB, p *models.Product) {
	occ.Touch(db, p)                                                    // want `this call is never read`
	occ.Retry(ctx, db, func(tx *gorm.DB) error { return nil })          // want `this call is never read`
	db.Transaction(func(tx *gorm.DB) error { return tx.Save(p).Error }) // want `this call is never read: .*Product`
	db.Transaction(func(tx *gorm.DB) error { return tx.Save(&models.Plain{}).Error })
	r := repo.Repo{DB: db}
	r.Save(p)                         // want `this call is never read: .*Product`
	r.Write(p)                        // want `never read`
	r.Wrapped(p)                      // want `never read`
	r.Joined(p)                       // want `never read`
	r.InTransaction(p)                // want `never read`
	r.Retried(ctx, 1)                 // want `never read`
	new(repo.Generic[int]).Save(1, p) // want `never read`
	own(db, p)                        // want `never read`
	r.Plain(&models.Plain{})
	r.Load(p)
	r.Handled(p)
}

func own(db *gorm.DB, p *models.Product) error {
	if err := db.Save(p).Error; err != nil {
		return err
	}
	return nil
}

func read(db *gorm.DB, p *models.Product) error {
	if err := db.Save(p).Error; err != nil {
		log.Print(err)
	}
	res := db.Save(p)
	if res.RowsAffected == 0 {
		log.Print(res.Error)
	}
	_ = db.Save(p).Error
	_ = db.Save(p)
	db.First(p)
	db.Save(&models.Plain{})
	db.Session(&gorm.Session{DryRun: true}).Save(p).Statement.SQL.Reset()
	handed := db.Save(p)
	check(handed)
	var kept struct{ db *gorm.DB }
	kept.db = db.Save(p)
	db.Save(p) //occvet:ignore the row is this program's alone
	//occvet:ignore and so it is here
	db.Save(p)
	_ = db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Save(p) })
	return kept.db.Error
}

func ignored(db *gorm.DB, p *models.Product) {
	db.Save(p) /* want `never read` */ //occvet:ignore
}

func check(*gorm.DB) {}

func scoped(db *gorm.DB, byName bool, p *models.Product) error {
	if byName {
		db = db.Where("name = ?", "x")
	}
	db.Model(p).Update("stock", 1) // want `never read`
	return db.Model(p).Update("stock", 1).Error
}

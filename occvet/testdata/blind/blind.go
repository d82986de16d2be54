package blind

import (
	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"shop/models"
)

func reported(db *gorm.DB, id uint) {
	db.Model(&models.Product{ID: id}).Update("stock", 8)                            // want `this Product has a key and no version`
	db.Model(models.Product{ID: id, Name: "x"}).Updates(map[string]any{"stock": 1}) // want `this Product`
	db.Delete(&models.Invoice{ID: id})                                              // want `this Invoice`
	db.Model(&models.Order{Base: models.Base{ID: id}}).Update("state", "")          // want `this Order`
	p := models.Product{ID: id}
	db.Model(&p).Update("stock", 1) // want `this Product`
	q := &models.Product{ID: id}
	db.Clauses(clause.Returning{}).Delete(q) // want `this Product`
}

func fine(db *gorm.DB, id uint, f form, loaded *models.Product, option clause.Expression, set map[string]any) {
	db.Model(&models.Product{ID: id}).Clauses(occ.Expect(f.Version)).Update("stock", 8)
	db.Model(&models.Product{ID: id}).Clauses(occ.Unchecked()).Update("stock", 8)
	db.Model(&models.Product{ID: id}).Clauses(option).Update("stock", 8)
	db.Model(&models.Product{ID: id, Version: f.Version}).Update("stock", 8)
	db.Model(&models.Product{ID: id}).Updates(map[string]any{"stock": 1, "version": f.Version})
	db.Model(&models.Product{ID: id}).Updates(set)
	db.Model(&models.Product{ID: id}).Updates(f)
	db.Model(&models.Product{}).Where("id = ?", id).Update("stock", 8)
	db.Save(&models.Product{ID: id, Stock: 8})
	db.Create(&models.Product{ID: id})
	db.Model(loaded).Update("stock", 8)
	db.Delete(&models.Plain{ID: id})
	p := models.Product{ID: id}
	db.First(&p)
	db.Model(&p).Update("stock", 1)
	q := models.Product{ID: id}
	q.Version = f.Version
	db.Model(&q).Update("stock", 1)
	made := models.Product{ID: id}
	db.Create(&made)
	db.Model(&made).Update("stock", 1)
}

func unversioned(db *gorm.DB, id uint) string {
	db.Model(&models.Product{ID: id}).UpdateColumn("views", 6)
	db.Model(&models.Product{ID: id}).Updates(models.Product{Views: 6})
	db.Session(&gorm.Session{DryRun: true}).Model(&models.Product{ID: id}).Update("stock", 1)
	return db.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Model(&models.Product{ID: id}).Update("stock", 1) })
}

type form struct {
	Stock   int
	Version occ.Version
}

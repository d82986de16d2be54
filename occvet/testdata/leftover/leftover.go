package leftover

import (
	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"shop/models"
)

func reported(db *gorm.DB, p *models.Product, i models.Invoice) bool {
	db.Model(p).Where("version = ?", p.Version).Update("stock", 1)             // want `the plugin compares the version of Product`
	db.Model(&i).Where("id = ? AND invoices.rev = ?", 1, 2).Update("total", 1) // want `the version of Invoice`
	db.Where(map[string]any{"version": 1}).Delete(p)                           // want `the version of Product`
	res := db.Save(p)
	if res.RowsAffected == 0 { // want `a stale write of Product is an error`
		return false
	}
	return db.Delete(p).RowsAffected != 1 // want `a stale write of Product`
}

func fine(db *gorm.DB, p *models.Product, plain *models.Plain) bool {
	byCondition := db.Model(&models.Product{}).Where("id = ? AND version = ?", 1, 2).Update("stock", 1)
	if byCondition.RowsAffected == 0 {
		return false
	}
	var typed models.Product
	if db.Model(&typed).Where("stock > 0").Update("stock", 1).RowsAffected == 0 {
		return false
	}
	own := db.Model(p).Where("stock > ?", 0).Update("stock", 1)
	if own.RowsAffected == 0 {
		return false
	}
	if db.Model(p).Clauses(clause.Returning{}).Update("stock", 1).RowsAffected == 0 {
		return false
	}
	db.Model(p).Where("name = 'version = ?'").Update("stock", 1)
	db.Model(plain).Where("version = ?", 1).Update("stock", 1)
	db.Model(&models.Product{ID: 1}).Clauses(occ.Expect(1)).Update("stock", 1)
	var loaded models.Product
	db.Where("version = ?", 1).First(&loaded)
	return db.Create(p).RowsAffected == 0
}

package bykey

import (
	"github.com/gorm-occ/occ"
	"gorm.io/gorm"

	"shop/models"
)

func reported(db *gorm.DB, id uint, f models.Product) {
	db.Model(&models.Product{}).Where("id = ?", id).Update("stock", 8)             // want `names one Product in a condition`
	db.Model(&models.Product{}).Where(&models.Product{ID: id}).Update("stock", 8)  // want `names one Product`
	db.Model(&models.Product{}).Where(map[string]any{"id": id}).Update("stock", 8) // want `names one Product`
	db.Delete(&models.Product{}, id)                                               // want `names one Product`
	db.Delete(&models.Product{}, "id = ?", id)                                     // want `names one Product`
}

func fine(db *gorm.DB, id uint, ids []uint, f models.Product) {
	db.Model(&models.Product{ID: id}).Clauses(occ.Expect(1)).Updates(f)
	db.Model(&models.Product{}).Where("id = ?", id).Clauses(occ.Expect(1)).Update("stock", 8)
	db.Model(&models.Product{}).Where("id = ?", id).Update("stock", gorm.Expr("stock - 1"))
	db.Model(&models.Product{}).Where("id IN ?", ids).Update("stock", 8)
	db.Model(&models.Product{}).Where("stock > ?", 0).Update("stock", 8)
	db.Delete(&models.Product{}, ids)
	db.Delete(&models.Product{}, "stock = 0")
	db.Delete(&models.Plain{}, id)
}

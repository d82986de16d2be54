package before

import (
	"net/http"

	"gorm.io/gorm"
)

// SetStock answers a request that sets the stock of a product.
func SetStock(db *gorm.DB, p *Product, stock int) int {
	result := db.Model(p).Update("stock", stock)
	switch {
	case result.Error != nil:
		return http.StatusInternalServerError
	case result.RowsAffected == 0:
		return http.StatusConflict
	default:
		return http.StatusNoContent
	}
}

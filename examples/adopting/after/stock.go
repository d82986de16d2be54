package after

import (
	"errors"
	"net/http"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// SetStock answers a request that sets the stock of a product.
func SetStock(db *gorm.DB, p *Product, stock int) int {
	err := db.Model(p).Update("stock", stock).Error
	switch {
	case errors.Is(err, occ.ErrStaleData):
		return http.StatusConflict
	case err != nil:
		return http.StatusInternalServerError
	default:
		return http.StatusNoContent
	}
}

package leftover

import (
	"testing"

	"gorm.io/gorm"

	"shop/models"
)

func deletesOne(t *testing.T, db *gorm.DB, p *models.Product) {
	if res := db.Delete(p); res.Error != nil || res.RowsAffected != 1 {
		t.Fatal(res.Error)
	}
}

package retry

import (
	"gorm.io/gorm"

	"shop/models"
)

func anotherSession(db *gorm.DB) error {
	return db.Transaction(func(tx *gorm.DB) error { return db.Create(&models.Plain{}).Error })
}

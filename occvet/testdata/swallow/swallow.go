package swallow

import (
	"context"
	"errors"
	"log"
	"log/slog"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"

	"shop/models"
	"shop/repo"
)

func reported(ctx context.Context, db *gorm.DB, p *models.Product) error {
	_ = db.Save(p).Error                                           // want `thrown away`
	_ = db.Save(p)                                                 // want `thrown away`
	n, _ := gorm.G[models.Product](db).Where("id = 1").Delete(ctx) // want `thrown away`
	_ = n
	_ = repo.Repo{DB: db}.Save(p)            // want `thrown away`
	if err := db.Save(p).Error; err != nil { // want `only logged`
		log.Print(err)
	}
	res := db.Save(p)
	if res.Error != nil { // want `only logged`
		slog.Error("save", "err", res.Error)
	}
	err := db.Save(p).Error
	if errors.Is(err, occ.ErrStaleData) {
		return nil // want `a refused write is returned as a successful one`
	}
	return err
}

func fine(db *gorm.DB, p *models.Product) error {
	if err := db.Save(p).Error; err != nil {
		log.Print(err)
		return err
	}
	if err := db.Save(p).Error; err != nil {
		log.Fatal(err)
	}
	if err := db.Save(&models.Plain{}).Error; err != nil {
		log.Print(err)
	}
	if err := db.First(p).Error; err != nil {
		log.Print(err)
	}
	err := db.Save(p).Error
	if errors.Is(err, occ.ErrStaleData) {
		return errors.New("somebody was faster")
	}
	return err
}

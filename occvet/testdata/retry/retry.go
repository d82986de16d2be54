package retry

import (
	"context"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"

	"shop/models"
)

type service struct{ db, audit *gorm.DB }

func (s *service) outer(ctx context.Context, id uint) error {
	err := s.db.Transaction(func(tx *gorm.DB) error {
		s.audit.Create(&models.Plain{})
		return s.db.Delete(&models.Plain{}, id).Error // want `outside of the transaction: .* use tx`
	})
	if err != nil {
		return err
	}
	err = occ.Transaction(s.db.WithContext(ctx), func(tx *gorm.DB) error {
		save(s.db) // want `outside of the transaction`
		_ = s.db.Name()
		return save(tx)
	})
	if err != nil {
		return err
	}
	return occ.Retry(ctx, s.db, func(_ *gorm.DB) error {
		return s.db.WithContext(ctx).First(&models.Plain{}).Error // want `use the closure's parameter`
	})
}

func save(*gorm.DB) error { return nil }

func nested(db *gorm.DB) error {
	return db.Transaction(func(tx *gorm.DB) error {
		return tx.Transaction(func(inner *gorm.DB) error { return tx.Create(&models.Plain{}).Error })
	})
}

func shadowed(db *gorm.DB) error {
	return db.Transaction(func(db *gorm.DB) error { return db.Create(&models.Plain{}).Error })
}

func loadedOutside(ctx context.Context, db *gorm.DB, given *models.Product) error {
	var p models.Product
	if err := db.First(&p, 1).Error; err != nil {
		return err
	}
	return occ.Retry(ctx, db, func(tx *gorm.DB) error {
		p.Stock--
		if err := tx.Save(&p).Error; err != nil { // want `p was loaded outside of the closure`
			return err
		}
		return tx.Model(given).Update("stock", 1).Error // want `given was loaded outside`
	})
}

func loadedInside(ctx context.Context, db *gorm.DB, given *models.Product, load func(*gorm.DB, *models.Product)) error {
	var p models.Product
	fresh := models.Product{Name: "new"}
	return occ.Retry(ctx, db, func(tx *gorm.DB) error {
		if err := tx.First(&p, given.ID).Error; err != nil {
			return err
		}
		load(tx, given)
		inner := p
		err := tx.Save(&inner).Error
		if err == nil {
			err = tx.Save(&p).Error
		}
		if err == nil {
			err = tx.Save(given).Error
		}
		if err == nil {
			err = tx.Save(&fresh).Error
		}
		return err
	})
}

func allowed(ctx context.Context, db *gorm.DB, given *models.Product) error {
	err := occ.Transaction(db, func(tx *gorm.DB) error { return tx.Save(given).Error })
	if err != nil {
		return err
	}
	return occ.Retry(ctx, db, func(tx *gorm.DB) error {
		if err := tx.Create(given).Error; err != nil {
			return err
		}
		return tx.Model(given).Clauses(occ.Unchecked()).Update("stock", 1).Error
	})
}

func overtaken(ctx context.Context, db *gorm.DB, given *models.Product) error {
	return occ.Retry(ctx, db, func(tx *gorm.DB) error {
		return db.Save(given).Error // want `outside of the transaction`
	})
}

func global() error {
	return models.DB.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&models.Plain{}).Error; err != nil {
			return err
		}
		return models.DB.Create(&models.Plain{}).Error // want `outside of the transaction`
	})
}

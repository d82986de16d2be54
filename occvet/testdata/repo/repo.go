// Package repo hands the outcomes of writes on.
package repo

import (
	"context"
	"errors"
	"fmt"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"

	"shop/models"
)

// Repo keeps products.
type Repo struct{ DB *gorm.DB }

func (r Repo) Save(p *models.Product) error {
	return r.DB.Save(p).Error
}

func (r Repo) Write(p *models.Product) *gorm.DB {
	return r.DB.Save(p)
}

func (r Repo) Wrapped(p *models.Product) (int64, error) {
	res := r.DB.Model(p).Update("stock", 1)
	if res.Error != nil {
		return 0, fmt.Errorf("product %d: %w", p.ID, res.Error)
	}
	return res.RowsAffected, nil
}

func (r Repo) Joined(p *models.Product) (err error) {
	err = errors.Join(err, r.Save(p))
	return
}

func (r Repo) InTransaction(p *models.Product) error {
	return r.DB.Transaction(func(tx *gorm.DB) error { return tx.Delete(p).Error })
}

func (r Repo) Retried(ctx context.Context, id uint) error {
	return occ.Retry(ctx, r.DB, func(tx *gorm.DB) error {
		var p models.Product
		if err := tx.First(&p, id).Error; err != nil {
			return err
		}
		return tx.Save(&p).Error
	})
}

func (r Repo) Plain(p *models.Plain) error { return r.DB.Save(p).Error }

func (r Repo) Load(p *models.Product) error { return r.DB.First(p).Error }

func (r Repo) Handled(p *models.Product) error {
	if err := r.DB.Save(p).Error; err != nil {
		panic(err)
	}
	return nil
}

// Generic is of any kind of products.
type Generic[K comparable] struct{ db *gorm.DB }

// Save hands the outcome on.
func (g Generic[K]) Save(_ K, p *models.Product) error { return g.db.Save(p).Error }

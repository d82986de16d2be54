package main

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// sqlStore has occ compare: neither the condition nor the next version is written here.
type sqlStore struct{ db *gorm.DB }

func newSQLStore(db *gorm.DB) (sqlStore, error) {
	return sqlStore{db}, errors.Join(db.Use(occ.New()), db.AutoMigrate(&Wallet{}))
}

func (s sqlStore) Load(ctx context.Context, id string) (w Wallet, err error) {
	err = s.db.WithContext(ctx).First(&w, "id = ?", id).Error
	return w, err
}

func (s sqlStore) Save(ctx context.Context, w *Wallet) error {
	err := s.db.WithContext(ctx).Save(w).Error
	if errors.Is(err, occ.ErrStaleData) {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	return err
}

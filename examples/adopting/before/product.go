// Package before keeps products with gorm.io/plugin/optimisticlock.
package before

import (
	"gorm.io/gorm"
	"gorm.io/plugin/optimisticlock"
)

// Product is what the shop sells.
type Product struct {
	ID        uint
	Stock     int
	Version   optimisticlock.Version
	DeletedAt gorm.DeletedAt
}

// Edited is the product that a client sends back, with the version it was shown.
func Edited(id uint, stock int, version int64) Product {
	return Product{ID: id, Stock: stock, Version: optimisticlock.Version{Int64: version, Valid: true}}
}

// Shown is the version that a client is shown.
func (p *Product) Shown() int64 { return p.Version.Int64 }

// WasLoaded reports whether the product came out of the database.
func (p *Product) WasLoaded() bool { return p.Version.Valid }

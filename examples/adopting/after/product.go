// Package after keeps products with gorm.io/plugin/optimisticlock.
package after

import (
	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
)

// Product is what the shop sells.
type Product struct {
	ID        uint
	Stock     int
	Version   occ.Version
	DeletedAt gorm.DeletedAt
}

// Edited is the product that a client sends back, with the version it was shown.
func Edited(id uint, stock int, version int64) Product {
	return Product{ID: id, Stock: stock, Version: occ.Version(version)}
}

// Shown is the version that a client is shown.
func (p *Product) Shown() int64 { return int64(p.Version) }

// WasLoaded reports whether the product came out of the database.
func (p *Product) WasLoaded() bool { return (p.Version != 0) }

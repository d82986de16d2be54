// Package models is imported by the packages that the checks are tried on.
package models

import (
	"time"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
)

// Base is embedded.
type Base struct {
	ID uint
	occ.Version
}

// Product has its version by embedding, and GORM's name for the table.
type Product struct {
	ID    uint
	Name  string
	Stock int
	Views int `gorm:"unversioned"`
	occ.Version
}

// Order has its version in an embedded struct, and a table name of its own.
type Order struct {
	Base
	State string
}

// TableName is a constant.
func (Order) TableName() string { return "shop.orders_2026" }

// Invoice has a tagged version, in a column of another name.
type Invoice struct {
	ID       uint
	Total    int
	Revision uint32 `gorm:"version;column:rev"`
}

// Price is compared by its values.
type Price struct {
	ID     uint
	Amount int
	occ.Snapshot
}

// Row has the version that PostgreSQL keeps.
type Row struct {
	ID uint
	occ.Xmin
}

// Audited has triggers.
type Audited struct {
	ID      uint
	Text    string
	Version time.Time `gorm:"version"`
}

// Plain has no version.
type Plain struct {
	ID      uint
	Stock   int
	Version int
}

// Migrate has triggers made.
func Migrate(db *gorm.DB) error { return occ.CreateTriggers(db, &Audited{}) }

// DB is used by everybody.
var DB *gorm.DB

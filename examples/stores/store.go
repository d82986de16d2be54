package main

import (
	"context"
	"errors"

	"github.com/gorm-occ/occ"
)

// Wallet is a row, an item or a document, and the version that it was read at. Version 0 is one that is not stored yet.
type Wallet struct {
	ID      string      `bson:"_id" dynamodbav:"id" gorm:"primaryKey;size:64"`
	Balance int64       `bson:"balance" dynamodbav:"balance"`
	Version occ.Version `bson:"version" dynamodbav:"version"`
}

// TableName keeps away from the tables of others.
func (Wallet) TableName() string { return table }

const table = "occ_example_stores"

// ErrStale reports that somebody else has written the wallet since it was read. Nothing is written.
var ErrStale = errors.New("somebody else has written the wallet since it was read")

// Store is all that the story needs of a database.
type Store interface {
	// Load reads the wallet as it is now.
	Load(ctx context.Context, id string) (Wallet, error)
	// Save writes the wallet if it is still at the version it was read at, and gives it the next one; else the error matches
	// ErrStale. A wallet at version 0 is inserted, if there is none.
	Save(ctx context.Context, w *Wallet) error
}

package main

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// mongoStore compares in the filter: an update whose filter matches nothing writes nothing.
type mongoStore struct{ wallets *mongo.Collection }

func (s mongoStore) Load(ctx context.Context, id string) (w Wallet, err error) {
	err = s.wallets.FindOne(ctx, bson.M{"_id": id}).Decode(&w)
	return w, err
}

func (s mongoStore) Save(ctx context.Context, w *Wallet) error {
	next := *w
	next.Version++ //occvet:ignore MongoDB counts no versions, so this store does
	if err := s.write(ctx, w, next); err != nil {
		return err
	}
	*w = next
	return nil
}

func (s mongoStore) write(ctx context.Context, read *Wallet, next Wallet) error {
	if read.Version == 0 {
		_, err := s.wallets.InsertOne(ctx, next)
		if mongo.IsDuplicateKeyError(err) {
			return fmt.Errorf("%w: %w", ErrStale, err)
		}
		return err
	}
	res, err := s.wallets.ReplaceOne(ctx, bson.M{"_id": read.ID, "version": read.Version}, next)
	if err == nil && res.MatchedCount == 0 {
		return fmt.Errorf("%w: no wallet %q at version %d", ErrStale, read.ID, read.Version)
	}
	return err
}

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheStory(t *testing.T) {
	for store, name := range map[string]string{
		"sqlite": "SQLite", "dynamodb": "DynamoDB", "mongodb": "",
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			needDynalite(t, store)
			var out strings.Builder

			err := run(t.Context(), &out, store, "")

			t.Log(out.String())
			require.NoError(t, err)
			require.Contains(t, out.String(), name)
			require.Contains(t, out.String(), ErrStale.Error())
			require.Contains(t, out.String(), "balance: expected 25, found 25 at version 3: nothing lost\n")
			if store != "mongodb" || os.Getenv("MONGODB_URI") != "" {
				require.Contains(t, out.String(), "balance: expected 200, found 200 at version 201: nothing lost\n")
			}
		})
	}
}

// needDynalite leaves DynamoDB out where npm ci was not run, but never in CI.
func needDynalite(t *testing.T, store string) {
	_, err := os.Stat(filepath.Join("node_modules", "dynalite"))
	if store == "dynamodb" && err != nil && os.Getenv("CI") == "" {
		t.Skip(errNoDynalite)
	}
}

// TestContract holds every store to what the interface says.
func TestContract(t *testing.T) {
	for _, store := range []string{"sqlite", "dynamodb", "mongodb"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			needDynalite(t, store)
			s, err := open(t.Context(), store, "")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.stop()) })
			keepsContract(t, s)
		})
	}
	t.Run("mongodb at an address", func(t *testing.T) {
		t.Parallel()
		uri, stop, err := startFerretDB()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, stop()) })
		s, err := openMongoDB(t.Context(), uri)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.stop()) })
		require.False(t, s.losing, "a MongoDB compares as it writes")
		keepsContract(t, s)
	})
}

func keepsContract(t *testing.T, s Store) {
	w := Wallet{ID: "x", Balance: 1}
	require.NoError(t, s.Save(t.Context(), &w))
	require.EqualValues(t, 1, w.Version)
	again := Wallet{ID: "x", Balance: 2}
	require.ErrorIs(t, s.Save(t.Context(), &again), ErrStale, "a wallet that is there is not inserted")
	require.Zero(t, again.Version)

	stale := w
	w.Balance = 3
	require.NoError(t, s.Save(t.Context(), &w))
	require.EqualValues(t, 2, w.Version)
	stale.Balance = 4
	require.ErrorIs(t, s.Save(t.Context(), &stale), ErrStale)
	require.EqualValues(t, 1, stale.Version, "the version is what it was, so that a second try is refused too")
	require.ErrorIs(t, s.Save(t.Context(), &stale), ErrStale)

	stored, err := s.Load(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, Wallet{ID: "x", Balance: 3, Version: 2}, stored)
	gone := Wallet{ID: "y", Version: 1}
	require.ErrorIs(t, s.Save(t.Context(), &gone), ErrStale, "a wallet that is gone is not inserted")
	_, err = s.Load(t.Context(), "y")
	require.Error(t, err)
}

// TestCrowdOnFerretDB expects deposits to be lost: would the crowd find a store that does not compare as it writes?
func TestCrowdOnFerretDB(t *testing.T) {
	t.Parallel()
	s, err := openMongoDB(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	require.True(t, s.losing)
	const rounds = 10
	var lost int64
	for round := 0; round < rounds && lost == 0; round++ {
		lost, err = crowd(t.Context(), io.Discard, s, strings.Repeat("x", round+1))
		require.NoError(t, err)
	}
	t.Logf("lost: %d of %d", lost, workers*deposits)
	require.Positive(t, lost, "FerretDB loses nothing any more: let the crowd run on it")
}

func TestMistakesAreNamed(t *testing.T) {
	err := run(t.Context(), io.Discard, "oracle", "")
	require.ErrorContains(t, err, `no store called "oracle": it is sqlite, dynamodb or mongodb`)

	t.Chdir(t.TempDir())
	_, err = open(t.Context(), "dynamodb", "")
	require.ErrorIs(t, err, errNoDynalite)
	require.ErrorContains(t, err, "npm ci")
}

// TestBlindStore has a crowd use a store that does not compare: what it loses has to be seen.
func TestBlindStore(t *testing.T) {
	t.Parallel()
	s, err := open(t.Context(), "sqlite", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })

	err = tell(t.Context(), io.Discard, blindStore{s.Store}, "x")

	require.ErrorContains(t, err, "the stale write was not refused")
}

// blindStore saves what it is given at the version that the wallet has now.
type blindStore struct{ Store }

func (s blindStore) Save(ctx context.Context, w *Wallet) error {
	err := s.Store.Save(ctx, w)
	if !errors.Is(err, ErrStale) {
		return err
	}
	now, err := s.Load(ctx, w.ID)
	if err != nil {
		return err
	}
	w.Version = now.Version
	return s.Store.Save(ctx, w)
}

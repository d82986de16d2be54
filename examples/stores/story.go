package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

const (
	workers  = 8
	deposits = 25 // of 1 each, by every worker
)

// tell has two requests read a wallet that holds 10; one deposits 5, the other 10.
func tell(ctx context.Context, out io.Writer, s Store, id string) error {
	fmt.Fprintln(out, "two requests read 10, one deposits 5, one 10")
	if err := s.Save(ctx, &Wallet{ID: id, Balance: 10}); err != nil {
		return err
	}
	first, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	second, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "first  writes %d at version %d\n", first.Balance+5, first.Version)
	first.Balance += 5
	if err := s.Save(ctx, &first); err != nil {
		return err
	}
	if err := refused(ctx, out, s, second); err != nil {
		return err
	}
	fmt.Fprintln(out, "second reads again and deposits 10")
	if err := deposit(ctx, s, id, 10, new(atomic.Int64)); err != nil {
		return err
	}
	_, err = compare(ctx, out, s, id, 25)
	return err
}

// refused makes the stale write of the second request.
func refused(ctx context.Context, out io.Writer, s Store, second Wallet) error {
	fmt.Fprintf(out, "second writes %d at version %d\n", second.Balance+10, second.Version)
	second.Balance += 10
	err := s.Save(ctx, &second)
	if !errors.Is(err, ErrStale) {
		return fmt.Errorf("the stale write was not refused: %w", err)
	}
	fmt.Fprintln(out, " ", err)
	return nil
}

// crowd has all workers deposit into one empty wallet, and says how much of it is lost.
func crowd(ctx context.Context, out io.Writer, s Store, id string) (lost int64, err error) {
	fmt.Fprintf(out, "%d workers make %d deposits of 1 each\n", workers, deposits)
	if err := s.Save(ctx, &Wallet{ID: id}); err != nil {
		return 0, err
	}
	var refusals atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		all.Go(func() {
			for range deposits {
				errs[i] = errors.Join(errs[i], deposit(ctx, s, id, 1, &refusals))
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "refused and tried again: %d times\n", refusals.Load())
	return compare(ctx, out, s, id, workers*deposits)
}

// deposit reads the wallet and writes the new balance, and starts again with what is there now as often as it is refused.
func deposit(ctx context.Context, s Store, id string, amount int64, refusals *atomic.Int64) error {
	for {
		w, err := s.Load(ctx, id)
		if err != nil {
			return err
		}
		w.Balance += amount
		err = s.Save(ctx, &w)
		if !errors.Is(err, ErrStale) {
			return err
		}
		refusals.Add(1)
	}
}

// compare puts the balance that the deposits add up to beside the one that is stored.
func compare(ctx context.Context, out io.Writer, s Store, id string, expected int64) (lost int64, err error) {
	w, err := s.Load(ctx, id)
	if err != nil {
		return 0, err
	}
	lost = expected - w.Balance
	verdict := "nothing lost"
	if lost != 0 {
		verdict = fmt.Sprintf("%d lost", lost)
	}
	_, err = fmt.Fprintf(out, "balance: expected %d, found %d at version %d: %s\n\n", expected, w.Balance, w.Version, verdict)
	return lost, err
}

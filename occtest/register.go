package occtest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"
)

// registered counts registrations, so that each has a name of its own.
var registered atomic.Int64

// beforeWrites has before called in front of every create, update and delete through db until t ends.
func beforeWrites(t testing.TB, db *gorm.DB, before func(*gorm.DB)) {
	t.Helper()
	name, in := fmt.Sprintf("occtest:%d", registered.Add(1)), &inUse{}
	isIn := func(*gorm.DB) bool { return in.Load() }
	in.Store(true)
	c := db.Callback()
	create, update, remove := c.Create(), c.Update(), c.Delete()
	report(t, create.Match(isIn).Before("*").Register(name, before))
	report(t, update.Match(isIn).Before("*").Register(name, before))
	report(t, remove.Match(isIn).Before("*").Register(name, before))
	t.Cleanup(func() {
		in.Store(false)
		report(t, create.Match(never).Register(name, before))
		report(t, update.Match(never).Register(name, before))
		report(t, remove.Match(never).Register(name, before))
	})
}

// afterRaw has after called behind every statement of Exec and Raw through db until t ends.
func afterRaw(t testing.TB, db *gorm.DB, after func(*gorm.DB)) {
	t.Helper()
	name, in := fmt.Sprintf("occtest:%d", registered.Add(1)), &inUse{}
	isIn := func(*gorm.DB) bool { return in.Load() }
	in.Store(true)
	c := db.Callback()
	raw, row, query := c.Raw(), c.Row(), c.Query()
	report(t, raw.Match(isIn).After("*").Register(name, after))
	report(t, row.Match(isIn).After("*").Register(name, after))
	report(t, query.Match(isIn).After("*").Register(name, after))
	t.Cleanup(func() {
		in.Store(false)
		report(t, raw.Match(never).Register(name, after))
		report(t, row.Match(never).Register(name, after))
		report(t, query.Match(never).Register(name, after))
	})
}

type inUse = atomic.Bool

// never keeps a callback out. GORM asks at each registration, and then forgets those that no longer match; its Remove would log a warning.
func never(*gorm.DB) bool { return false }

func report(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("occtest: register a callback: %v", err)
	}
}

package testdb

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"gorm.io/gorm"
)

// Create opens an empty database for a program, which is no test that could own it: remove ends it.
func (d Database) Create(opts ...gorm.Option) (db *gorm.DB, remove func() error, err error) {
	owner := &program{}
	err = owner.run(func() { db = d.Open(owner, opts...) })
	if err != nil {
		return nil, nil, errors.Join(err, owner.end())
	}
	return db, owner.end, nil
}

// program owns databases like a test does. Where a test would end early, what it does ends with an error.
type program struct {
	testing.TB
	complaint string
	cleanups  []func()
}

// gaveUp ends what a program was doing, as runtime.Goexit ends a test.
type gaveUp struct{}

func (p *program) run(do func()) (err error) {
	defer func() {
		if r := recover(); r != nil && r != any(gaveUp{}) {
			panic(r)
		}
		if p.complaint != "" {
			err = errors.New(p.complaint)
			p.complaint = ""
		}
	}()
	do()
	return nil
}

func (p *program) end() (err error) {
	for len(p.cleanups) > 0 {
		last := p.cleanups[len(p.cleanups)-1]
		p.cleanups = p.cleanups[:len(p.cleanups)-1]
		err = errors.Join(err, p.run(last))
	}
	return err
}

func (p *program) Helper()                           {}
func (p *program) Name() string                      { return "program" } // for testify's messages
func (p *program) Cleanup(f func())                  { p.cleanups = append(p.cleanups, f) }
func (p *program) Errorf(format string, args ...any) { p.complaint = fmt.Sprintf(format, args...) }
func (p *program) FailNow()                          { panic(gaveUp{}) }

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	p.FailNow()
}

// Skipf is an error: nobody would see that a program did nothing.
func (p *program) Skipf(format string, args ...any) { p.Fatalf(format, args...) }

func (p *program) TempDir() string {
	dir, err := os.MkdirTemp("", "occ")
	if err != nil {
		p.Fatalf("%v", err)
	}
	p.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			p.Errorf("%v", err)
		}
	})
	return dir
}

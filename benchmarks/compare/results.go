package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gorm-occ/occ/benchmarks/race"
)

// Results is what is kept of runs: results.json. A run replaces what it has measured and keeps the rest.
type Results struct {
	Machines map[string]Machine `json:"machines,omitempty"` // by database
	Entries  []*Entry           `json:"entries"`
}

// Machine is what a database was measured on.
type Machine struct {
	Cores   int    `json:"cores"`
	System  string `json:"system"`
	Go      string `json:"go"`
	GORM    string `json:"gorm"`
	Server  string `json:"server"`
	Command string `json:"command"`
}

// Entry is the peers on one piece of work.
type Entry struct {
	Database string    `json:"database"`
	Work     string    `json:"work"`
	Setting  string    `json:"setting"`
	Baseline string    `json:"baseline"`
	Date     string    `json:"date"`
	Peers    []Figures `json:"peers"`
}

// Figures are one peer's, each per operation. A Wrong peer has none.
type Figures struct {
	Peer  string `json:"peer"`
	Wrong string `json:"wrong,omitempty"`
	Note  string `json:"note,omitempty"`
	Counts
	Attempts float64         `json:"attempts,omitempty"`
	Time     []time.Duration `json:"ns"` // one for each round
	Bytes    float64         `json:"bytes"`
	Allocs   float64         `json:"allocs"`
}

// Counts is what one operation sends.
type Counts struct {
	Statements int64 `json:"statements"` // BEGIN, COMMIT and ROLLBACK included
	Ends       int64 `json:"ends"`       // of those, BEGIN, COMMIT and ROLLBACK
	Prepares   int64 `json:"prepares"`   // besides
}

func readResults(path string) (*Results, error) {
	results := &Results{Machines: map[string]Machine{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	if err != nil {
		return nil, err
	}
	return results, json.Unmarshal(text, results)
}

func (r *Results) write(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// put adds an entry, or replaces that of an earlier run.
func (r *Results) put(e *Entry) {
	i := slices.IndexFunc(r.Entries, func(old *Entry) bool {
		return old.Database == e.Database && old.Work == e.Work && old.Setting == e.Setting
	})
	if i < 0 {
		r.Entries = append(r.Entries, e)
		return
	}
	r.Entries[i] = e
}

// find gives the entries of one database and work, in the order of their settings.
func (r *Results) find(database, work string) []*Entry {
	var found []*Entry
	for _, e := range r.Entries {
		if e.Database == database && e.Work == work {
			found = append(found, e)
		}
	}
	return found
}

func (e *Entry) of(peer string) *Figures {
	for i := range e.Peers {
		if e.Peers[i].Peer == peer {
			return &e.Peers[i]
		}
	}
	return nil
}

// timeRatio is how long peer takes when base takes 1. It is zero where one of them has no figures.
func (e *Entry) timeRatio(peer, base string) race.Spread {
	p, b := e.of(peer), e.of(base)
	if p == nil || b == nil {
		return race.Spread{}
	}
	return race.SpreadOf(race.Ratios(p.Time, b.Time))
}

// allocRatio is how many allocations peer makes when base makes 1.
func (e *Entry) allocRatio(peer, base string) float64 {
	p, b := e.of(peer), e.of(base)
	if p == nil || b == nil || b.Allocs == 0 {
		return 0
	}
	return p.Allocs / b.Allocs
}

// median is the time of one operation in the round in the middle.
func (f *Figures) median() float64 {
	times := make([]float64, len(f.Time))
	for i, t := range f.Time {
		times[i] = float64(t)
	}
	return race.SpreadOf(times).Median
}

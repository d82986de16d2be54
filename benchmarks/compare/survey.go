package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/gorm-occ/occ/benchmarks/database"
	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/work"
)

// survey is the peers on one database.
type survey struct {
	server *database.Server
	plan   race.Plan
	places map[string]*database.Database // by peer
}

func newSurvey(server *database.Server, plan race.Plan) *survey {
	return &survey{server, plan, map[string]*database.Database{}}
}

// place is the database of a peer, which it keeps for all work.
func (s *survey) place(peer string) (*database.Database, error) {
	if place, ok := s.places[peer]; ok {
		return place, nil
	}
	place, err := s.server.New()
	if err == nil {
		s.places[peer] = place
	}
	return place, err
}

// measure counts the statements of all peers, and then races them.
func (s *survey) measure(w work.Work, setting peers.Setting) (*Entry, error) {
	var contestants []race.Contestant
	var counts []Counts
	for _, peer := range w.Peers(s.server.Name) {
		place, err := s.place(peer.Name)
		if err != nil {
			return nil, err
		}
		count, err := s.count(w, peer, place, setting)
		if err != nil {
			return nil, err
		}
		c, err := w.Enlist(peer, work.Place{Database: place}, setting)
		if err != nil {
			return nil, err
		}
		if c != nil {
			contestants, counts = append(contestants, *c), append(counts, count)
		}
	}
	plan := s.plan
	plan.Rounds *= max(w.Rounds, 1)
	results := race.Run(contestants, plan)
	for _, c := range contestants {
		if err := c.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return s.entry(w, setting, results, counts), nil
}

// count has the peer do the work twice through connections that count, and counts the second time: prepared statements
// are there by then. What the peer does wrong is for the race to find.
func (s *survey) count(w work.Work, peer peers.Peer, place *database.Database, setting peers.Setting) (Counts, error) {
	c, err := w.Enlist(peer, work.Place{Database: place, IsCounted: true}, setting)
	if err != nil || c == nil || c.Concurrent {
		return Counts{}, err
	}
	place.Counted.SetMaxIdleConns(1)
	defer place.Counted.SetMaxIdleConns(0)
	for range 2 {
		if err := c.Prepare(1); err != nil {
			return Counts{}, err
		}
		place.Trips.Reset()
		_ = c.Run(1)
	}
	counts := Counts{
		Statements: place.Trips.Statements.Load(), Ends: place.Trips.Ends.Load(), Prepares: place.Trips.Prepares.Load(),
	}
	return counts, c.Close()
}

func (s *survey) entry(w work.Work, setting peers.Setting, results []race.Result, counts []Counts) *Entry {
	e := &Entry{
		Database: s.server.Name, Work: w.Name, Setting: setting.String(), Baseline: w.Baseline,
		Date: time.Now().UTC().Format(time.DateOnly),
	}
	for i, r := range results {
		e.Peers = append(e.Peers, Figures{
			Peer: r.Name, Wrong: r.Wrong, Note: r.Note, Counts: counts[i], Time: r.Time,
			Bytes: race.SpreadOf(r.Bytes).Median, Allocs: race.SpreadOf(r.Allocs).Median,
		})
	}
	return e
}

// chosen is the work of a run. A quick one has no large batches, and one setting for each piece of work.
func chosen(all []work.Work, isWanted func(name string) bool, isQuick bool) []work.Work {
	all = slices.DeleteFunc(slices.Clone(all), func(w work.Work) bool {
		return !isWanted(w.Name) || (isQuick && w.Slow)
	})
	for i := range all {
		if isQuick {
			all[i].Settings = all[i].Settings[:1]
		}
	}
	return all
}

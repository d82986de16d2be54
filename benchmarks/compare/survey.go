package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/work"
)

// survey is the peers on one database.
type survey struct {
	server string // one of peers.Servers
	plan   race.Plan
	places map[string]*work.Place // by peer
	counts map[string]*counted    // by peer
}

// counted is a place with its count.
type counted struct {
	*work.Place
	trips *work.Trips
}

func newSurvey(server string, plan race.Plan) *survey {
	return &survey{server, plan, map[string]*work.Place{}, map[string]*counted{}}
}

// close removes what the survey has made.
func (s *survey) close() (err error) {
	for _, place := range s.places {
		err = errors.Join(err, place.Close())
	}
	for _, place := range s.counts {
		err = errors.Join(err, place.Close())
	}
	return err
}

// place returns the database of a peer, which it keeps for all work.
func (s *survey) place(peer string) (*work.Place, error) {
	if place, ok := s.places[peer]; ok {
		return place, nil
	}
	place, err := work.NewPlace(s.server)
	if err == nil {
		s.places[peer] = place
	}
	return place, err
}

// counted returns the database in which a peer's statements are counted.
func (s *survey) counted(peer string) (*counted, error) {
	if place, ok := s.counts[peer]; ok {
		return place, nil
	}
	place, trips, err := work.NewCountedPlace(s.server)
	if err == nil {
		s.counts[peer] = &counted{place, trips}
	}
	return s.counts[peer], err
}

// measure counts the statements of all peers, and then races them.
func (s *survey) measure(w work.Work, setting peers.Setting) (*Entry, error) {
	var contestants []race.Contestant
	var counts []Counts
	for _, peer := range w.Peers(s.server) {
		place, err := s.place(peer.Name)
		if err != nil {
			return nil, err
		}
		count, err := s.count(w, peer, setting)
		if err != nil {
			return nil, err
		}
		c, err := w.Enlist(peer, place, setting)
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
func (s *survey) count(w work.Work, peer peers.Peer, setting peers.Setting) (Counts, error) {
	place, err := s.counted(peer.Name)
	if err != nil {
		return Counts{}, err
	}
	c, err := w.Enlist(peer, place.Place, setting)
	if err != nil || c == nil || c.Concurrent {
		return Counts{}, err
	}
	place.Pool.SetMaxIdleConns(1)
	defer place.Pool.SetMaxIdleConns(0)
	for range 2 {
		if err := c.Prepare(1); err != nil {
			return Counts{}, err
		}
		place.trips.Reset()
		_ = c.Run(1)
	}
	counts := Counts{
		Statements: place.trips.Statements.Load(), Ends: place.trips.Ends.Load(), Prepares: place.trips.Prepares.Load(),
	}
	return counts, c.Close()
}

func (s *survey) entry(w work.Work, setting peers.Setting, results []race.Result, counts []Counts) *Entry {
	e := &Entry{
		Database: s.server, Work: w.Name, Setting: setting.String(), Baseline: w.Baseline,
		Date: time.Now().UTC().Format(time.DateOnly),
	}
	for i, r := range results {
		e.Peers = append(e.Peers, Figures{
			Peer: r.Name, Wrong: r.Wrong, Note: r.Note, Counts: counts[i], Time: r.Time, Attempts: r.Attempts,
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

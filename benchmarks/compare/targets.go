package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/work"
)

// noise is how far from 1.00 a ratio of two equal things may be.
const noise = 0.02

// target is a promise about cost: a figure that must not be above its limit, or below it where it is a floor.
type target struct {
	Text    string
	Works   []string
	limit   func(database string) float64
	isFloor bool
	measure func(e *Entry) race.Spread // zero: cannot be told
}

// verdict is a target on one database: its worst figure of all work and settings.
type verdict struct {
	IsKnown, IsMet bool
	Limit          float64
	Worst          race.Spread
	Where          string // the work and setting of the worst
	Missed, Of     int    // figures
}

func always(limit float64) func(string) float64 { return func(string) float64 { return limit } }

func ofTime(base string) func(*Entry) race.Spread {
	return func(e *Entry) race.Spread { return e.timeRatio(peers.NameOcc, base) }
}

func ofAllocs(base string) func(*Entry) race.Spread {
	return func(e *Entry) race.Spread { return exactly(e.allocRatio(peers.NameOcc, base)) }
}

func exactly(figure float64) race.Spread {
	return race.Spread{Median: figure, Low: figure, High: figure}
}

func batchNames() []string {
	var names []string
	for _, n := range work.BatchSizes {
		names = append(names, work.Batch(n))
	}
	return append(names, work.LongBatch)
}

// singles are the writes of one row that a target is about.
func singles() []string { return []string{work.Update, work.Save, work.SaveWide} }

func targets() []target {
	large := batchNames()[1:] // a loop over ten rows has only twice the round trips
	loops := map[string]float64{peers.SQLite: 3, peers.PostgreSQL: 12, peers.MariaDB: 20}
	return []target{
		{"a compared Update or Save takes at most 0.90x the time of the check by hand", singles(), always(0.90), false, ofTime(peers.NameByHand)},
		{"and at most 0.90x its allocations", singles(), always(0.90), false, ofAllocs(peers.NameByHand)},
		{"and at most 1.05x the time of GORM without any check", singles(), always(1.05), false, ofTime(peers.NameGORM)},
		{"the plugin costs a model without a version nothing: 1.00x the time", []string{work.Unversioned}, always(1 + noise), false, ofTime(peers.NameGORM)},
		{"and 1.00x the allocations", []string{work.Unversioned}, always(1), false, ofAllocs(peers.NameGORM)},
		{"it costs a load of 1000 rows nothing: 1.00x the time of the same model without it", []string{work.LoadRows}, always(1 + noise), false, ofTime(peers.Bare().Name)},
		{"and 1.00x the time of a model whose version is an int64", []string{work.LoadRows}, always(1 + noise), false, ofTime(peers.NameGORM)},
		{"a batch takes at most 1.5x the time of the best single statement", batchNames(), always(1.5), false, ofBestStatement},
		{"one of 100 rows and more is 3x (SQLite), 12x (PostgreSQL), 20x (MariaDB) as fast as a loop by hand", large,
			func(database string) float64 { return loops[database] }, true, againstLoop},
		{"a refusal sends at most 2 statements, BEGIN and ROLLBACK apart", []string{work.Refused}, always(2), false, statements},
	}
}

func ofBestStatement(e *Entry) race.Spread { return e.timeRatio(peers.NameOcc, bestStatement(e)) }

// bestStatement is the fastest of the statements written by hand.
func bestStatement(e *Entry) string {
	best, least := "", math.Inf(1)
	for _, f := range e.Peers {
		if strings.HasPrefix(f.Peer, peers.SingleStatement) && f.Wrong == "" && f.median() < least {
			best, least = f.Peer, f.median()
		}
	}
	return best
}

func againstLoop(e *Entry) race.Spread { return e.timeRatio(peers.NameByHand, peers.NameOcc) }

func statements(e *Entry) race.Spread {
	f := e.of(peers.NameOcc)
	if f == nil || f.Wrong != "" {
		return race.Spread{}
	}
	return exactly(float64(f.Statements - f.Ends))
}

// judge finds the worst figure of a target on a database.
func (t target) judge(r *Results, database string) verdict {
	v := verdict{Limit: t.limit(database)}
	for _, name := range t.Works {
		for _, e := range r.find(database, name) {
			if s := t.measure(e); s != (race.Spread{}) {
				v.add(t, s, e.Work+", "+e.Setting)
			}
		}
	}
	return v
}

func (v *verdict) add(t target, s race.Spread, where string) {
	shown := math.Round(s.Median*100) / 100 // the figure that a reader sees decides
	isMet, isWorse := shown <= v.Limit, s.Median > v.Worst.Median
	if t.isFloor {
		isMet, isWorse = shown >= v.Limit, s.Median < v.Worst.Median
	}
	if !v.IsKnown || isWorse {
		v.Worst, v.Where = s, where
	}
	v.IsMet = isMet && (v.IsMet || !v.IsKnown)
	v.IsKnown = true
	v.Of++
	if !isMet {
		v.Missed++
	}
}

func (v verdict) String() string {
	switch {
	case !v.IsKnown:
		return "not measured"
	case v.IsMet:
		return fmt.Sprintf("met: %s", ratio(v.Worst.Median))
	default:
		return fmt.Sprintf("**missed: %s** in %d of %d, worst: %s", ratio(v.Worst.Median), v.Missed, v.Of, v.Where)
	}
}

const flatLimit = 1.25

// flat compares what a row costs in the largest batch with what it costs in one of 100.
func flat(r *Results, database string) verdict {
	few, many := 100, slices.Max(work.BatchSizes)
	v := verdict{Limit: flatLimit}
	inFew, inMany := r.find(database, work.Batch(few)), r.find(database, work.Batch(many))
	if len(inFew) == 0 || len(inMany) == 0 {
		return v
	}
	a, b := inFew[0].of(peers.NameOcc), inMany[0].of(peers.NameOcc)
	if a == nil || b == nil || a.Wrong != "" || b.Wrong != "" {
		return v
	}
	perRow := (b.median() / float64(many)) / (a.median() / float64(few))
	v.add(target{}, exactly(perRow), work.Batch(many))
	return v
}

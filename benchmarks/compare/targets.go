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

// crowds are the hot rows with several writers.
func crowds() []string { return []string{work.Hot(4), work.Hot(16), work.Hot(64)} }

// of gives each database a limit of its own, as its text says it.
func of(sqlite, postgres, mariadb float64) (limit func(database string) float64, text string) {
	limits := map[string]float64{peers.SQLite: sqlite, peers.PostgreSQL: postgres, peers.MariaDB: mariadb}
	text = fmt.Sprintf("%.2fx (SQLite), %.2fx (PostgreSQL), %.2fx (MariaDB)", sqlite, postgres, mariadb)
	return func(database string) float64 { return limits[database] }, text
}

func targets() []target {
	lean, leanText := of(0.50, 0.45, 0.55)
	best, bestText := of(1.30, 1.20, 1.50)
	return []target{
		{"a compared Update or Save takes at most 1.00x the time of the check by hand", singles(), always(1 + noise), false, ofTime(peers.NameByHand)},
		{"with WithLeanTransactions at most " + leanText, singles(), lean, false, leanTime},
		{"and at most 0.50x its allocations", singles(), always(0.50), false, leanAllocs},
		{"under SkipDefaultTransaction at most 1.00x the time of GORM without any check", singles(), always(1 + noise), false, withoutTransaction},
		{"the plugin costs a model without a version nothing: 1.00x the time", []string{work.Unversioned}, always(1 + noise), false, ofTime(peers.NameGORM)},
		{"and 1.00x the allocations", []string{work.Unversioned}, always(1), false, ofAllocs(peers.NameGORM)},
		{"it costs a load of 1000 rows nothing: 1.00x the time of the same model without it", []string{work.LoadRows}, always(1 + noise), false, ofTime(peers.Bare().Name)},
		{"and 1.00x the time of a model whose version is an int64", []string{work.LoadRows}, always(1 + noise), false, ofTime(peers.NameGORM)},
		{"a batch takes at most " + bestText + " the time of the best way by hand", batchNames(), best, false, ofBestByHand},
		{"one of 100 rows is 8x as fast as a loop by hand", []string{work.Batch(100)}, always(8), true, againstLoop},
		{"one of 1000 rows 15x", []string{work.Batch(1000), work.LongBatch}, always(15), true, againstLoop},
		{"4 to 64 writers of one row take, with WithAdaptiveLock, at most 1.25x the time of SELECT FOR UPDATE", crowds(), always(1.25), false, adaptive},
		{"and at most 1.05 attempts for each success", crowds(), always(1.05), false, attempts},
		{"a refusal sends at most 2 statements, BEGIN and ROLLBACK apart", []string{work.Refused}, always(2), false, statements},
	}
}

func leanTime(e *Entry) race.Spread { return e.timeRatio(peers.NameLean, peers.NameByHand) }

func leanAllocs(e *Entry) race.Spread {
	return exactly(e.allocRatio(peers.NameLean, peers.NameByHand))
}

func withoutTransaction(e *Entry) race.Spread {
	if !strings.Contains(e.Setting, "SkipDefaultTransaction") {
		return race.Spread{}
	}
	return e.timeRatio(peers.NameOcc, peers.NameGORM)
}

func ofBestByHand(e *Entry) race.Spread { return e.timeRatio(peers.NameOcc, fastest(e, isByHand)) }

// isByHand reports whether a peer is SQL by hand: a statement for this one database, or a loop over a prepared one.
func isByHand(peer string) bool { return peer == peers.NameSQL || isStatement(peer) }

func isStatement(peer string) bool { return strings.HasPrefix(peer, peers.SingleStatement) }

// fastest is the fastest of some peers.
func fastest(e *Entry, isWanted func(peer string) bool) string {
	best, least := "", math.Inf(1)
	for _, f := range e.Peers {
		if isWanted(f.Peer) && f.Wrong == "" && f.median() < least {
			best, least = f.Peer, f.median()
		}
	}
	return best
}

func againstLoop(e *Entry) race.Spread { return e.timeRatio(peers.NameByHand, peers.NameOcc) }

func adaptive(e *Entry) race.Spread { return e.timeRatio(work.Adaptive, work.LockFirst) }

func attempts(e *Entry) race.Spread {
	f := e.of(work.Adaptive)
	if f == nil || f.Wrong != "" {
		return race.Spread{}
	}
	return exactly(f.Attempts)
}

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

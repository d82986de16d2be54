// Package race times contestants on the same work: in every round each of them runs a short slice, in rotated order, so
// that whatever else the machine does meets all of them alike.
package race

import (
	"fmt"
	"runtime"
	"time"
)

// Contestant does one piece of work in its own way.
type Contestant struct {
	Name string
	// MinOps and MaxOps limit a slice; 0 does not.
	MinOps, MaxOps int
	// Concurrent work is not charged for its allocations: they cannot be told from the runtime's.
	Concurrent bool

	Prepare func(n int) error // before a slice of n operations; not timed
	Run     func(n int) error // n operations; timed
	Verify  func() error      // after a slice: have the data arrived? not timed
	// Prove has a stale write done and tells whether it was refused; nil where the work has none. It is called once,
	// before the race, and Prepare puts everything right after it.
	Prove func() error
	Close func() error
	Note  func() string // what else is to be said, asked after the race; may be nil
	// Attempts is how often the work was tried for each time that it was done, asked after the race; may be nil.
	Attempts func() float64
}

// Plan is how long to race.
type Plan struct {
	Rounds int
	Slice  time.Duration // what one contestant's turn should take; it is one operation at least
	Budget time.Duration // no new round begins after this, once there have been MinRounds
}

// MinRounds is how many rounds there are whatever they take, as far as the plan has them.
const MinRounds = 3

// Result is a contestant's figures, each per operation and one for each round.
type Result struct {
	Name     string
	Wrong    string // why it has no figures: it did not do the work
	Note     string
	Attempts float64 // 0 where nothing is tried twice
	Ops      int     // in each slice
	Time     []time.Duration
	Bytes    []float64
	Allocs   []float64
}

// Run races the contestants. One that does not do the work is Wrong and is not timed.
func Run(contestants []Contestant, plan Plan) []Result {
	results := make([]Result, len(contestants))
	for i, c := range contestants {
		results[i].Name = c.Name
		var err error
		if results[i].Ops, err = c.qualify(plan.Slice); err != nil {
			results[i].Wrong = err.Error()
		}
	}
	began := time.Now()
	for round := range plan.Rounds {
		if round >= MinRounds && time.Since(began) > plan.Budget {
			break
		}
		runRound(contestants, results, round)
	}
	for i, c := range contestants {
		if c.Note != nil && results[i].Wrong == "" {
			results[i].Note = c.Note()
		}
		if c.Attempts != nil && results[i].Wrong == "" {
			results[i].Attempts = c.Attempts()
		}
	}
	return results
}

func runRound(contestants []Contestant, results []Result, round int) {
	for _, i := range order(len(contestants), round) {
		if results[i].Wrong != "" {
			continue
		}
		if err := contestants[i].slice(&results[i]); err != nil {
			results[i] = Result{Name: results[i].Name, Wrong: err.Error()}
		}
	}
}

// order is rotated from round to round, and backwards in every second one: nobody always comes behind the same other.
func order(n, round int) []int {
	turns := make([]int, n)
	for turn := range turns {
		step := turn
		if round%2 == 1 {
			step = n - turn
		}
		turns[turn] = (round + step) % n
	}
	return turns
}

// qualify has the contestant show that it does the work, and finds how many operations fill a slice.
func (c *Contestant) qualify(slice time.Duration) (ops int, err error) {
	if c.Prove != nil {
		if err := c.Prove(); err != nil {
			return 0, err
		}
	}
	for ops = c.limit(1); ; {
		var r Result
		r.Ops = ops
		if err := c.slice(&r); err != nil {
			return 0, err
		}
		fits := int(slice / max(r.Time[0], 1))
		if fits <= 2*ops || (c.MaxOps > 0 && ops >= c.MaxOps) {
			return c.limit(max(fits, 1)), nil
		}
		ops = c.limit(min(fits, 8*ops))
	}
}

func (c *Contestant) limit(ops int) int {
	if c.MaxOps > 0 {
		ops = min(ops, c.MaxOps)
	}
	return max(ops, c.MinOps)
}

// slice is one turn. The garbage of others is collected before it.
func (c *Contestant) slice(r *Result) error {
	if err := c.Prepare(r.Ops); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	err := c.Run(r.Ops)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if err != nil {
		return err
	}
	r.Time = append(r.Time, took/time.Duration(r.Ops))
	if !c.Concurrent {
		r.Bytes = append(r.Bytes, float64(after.TotalAlloc-before.TotalAlloc)/float64(r.Ops))
		r.Allocs = append(r.Allocs, float64(after.Mallocs-before.Mallocs)/float64(r.Ops))
	}
	return c.Verify()
}

package ledger

import (
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// state is what a node has.
type state struct {
	entries  []Entry
	rows     map[string]row
	hasEnded bool
}

type row struct{ amount, version int64 }

func read(db *gorm.DB) (s state, err error) {
	var held []Account
	var cards []Card
	err = errors.Join(db.Find(&s.entries).Error, db.Find(&held).Error, db.Find(&cards).Error)
	s.rows = map[string]row{}
	for _, a := range held {
		s.rows[fmt.Sprint("account ", a.ID)] = row{a.Amount, int64(a.Version)}
	}
	for _, c := range cards {
		s.rows[fmt.Sprint("card ", c.ID)] = row{c.Amount, int64(c.Version)}
	}
	isEnd := func(e Entry) bool { return e.Attempt == marker }
	s.hasEnded = slices.ContainsFunc(s.entries, isEnd)
	s.entries = slices.DeleteFunc(s.entries, isEnd)
	return s, err
}

// ErrBehind says that a node does not have the last row yet.
var ErrBehind = errors.New("the node does not have the last row yet")

// Found is what a node shows of the attempts of unknown outcome, and the anomalies.
type Found struct {
	Applied, NotApplied int // of those of unknown outcome
	Anomalies           []string
}

// Check holds a node against what writers were told.
func (l *Ledger) Check(db *gorm.DB) (f Found, err error) {
	s, err := read(db)
	if err != nil {
		return f, err
	}
	if !s.hasEnded {
		return f, ErrBehind
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checkOutcomes(s, &f)
	checkRows(s, &f)
	return f, nil
}

func (f *Found) anomaly(format string, args ...any) {
	f.Anomalies = append(f.Anomalies, fmt.Sprintf(format, args...))
}

// checkOutcomes compares what writers were told with the ledger.
func (l *Ledger) checkOutcomes(s state, f *Found) {
	there := map[string]bool{}
	for _, e := range s.entries {
		there[e.Attempt] = true
		if _, isKnown := l.outcomes[e.Attempt]; !isKnown {
			f.anomaly("attempt %s is in the ledger, and nobody was told of it", e.Attempt)
		}
	}
	for attempt, outcome := range l.outcomes {
		switch {
		case outcome == Acknowledged && !there[attempt]:
			f.anomaly("attempt %s was acknowledged and is not there", attempt)
		case outcome == Failed && there[attempt]:
			f.anomaly("attempt %s failed and is there", attempt)
		case outcome == Unknown && there[attempt]:
			f.Applied++
		case outcome == Unknown:
			f.NotApplied++
		}
	}
}

// checkRows compares each row with its entries: one for each version, and their sum.
func checkRows(s state, f *Found) {
	sums, versions := map[string]int64{}, map[string][]Entry{}
	for _, e := range s.entries {
		sums[e.Row] += e.Adds
		versions[e.Row] = append(versions[e.Row], e)
	}
	for name, r := range s.rows {
		if sums[name] != r.amount {
			f.anomaly("%s holds %d, and its entries add up to %d", name, r.amount, sums[name])
		}
		if n := int64(len(versions[name])); r.version != 1+n {
			f.anomaly("%s is at version %d, and was written %d times", name, r.version, n)
		}
		slices.SortFunc(versions[name], func(a, b Entry) int { return int(a.Version - b.Version) })
		for i, e := range versions[name] {
			if e.Version != int64(i)+2 {
				f.anomaly("%s: version %d by %s (%s) where version %d is expected", name, e.Version, e.Attempt, e.Path, i+2)
				break
			}
		}
	}
}

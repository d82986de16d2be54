// Package work is what the peers are compared on.
package work

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/rows"
)

// Work is one thing that peers do.
type Work struct {
	Name     string
	Baseline string // the peer that the others are divided by
	Settings []peers.Setting
	Slow     bool // left out of a quick run
	// Rounds multiplies those of the plan, where two peers are to be equal; 0 is 1.
	Rounds int
	// Peers are those that try; one that has no way to do it is left out.
	Peers  func(server string) []peers.Peer
	enlist func(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error)
}

// Enlist has a peer get ready. The contestant is nil where the peer has no way to do this.
func (w Work) Enlist(peer peers.Peer, place *Place, setting peers.Setting) (*race.Contestant, error) {
	c, err := w.enlist(peer, place, setting)
	if errors.Is(err, peers.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", w.Name, peer.Name, err)
	}
	c.Name = peer.Name
	return c, nil
}

var (
	defaults     = peers.Setting{}
	prepared     = peers.Setting{PrepareStmt: true}
	lean         = peers.Setting{PrepareStmt: true, SkipDefaultTransaction: true}
	bareDefaults = peers.Setting{SkipDefaultTransaction: true}

	onAndOff = []peers.Setting{defaults, prepared}
	alone    = []peers.Setting{defaults, prepared, bareDefaults, lean}
)

func everybody(string) []peers.Peer { return peers.All() }

// ofOneRow are those that write a row, occ in both of its ways.
func ofOneRow(string) []peers.Peer { return append(peers.All(), peers.Lean()) }

// gormAndOcc are for what should cost nothing: GORM with the plugin and without.
func gormAndOcc(string) []peers.Peer {
	return slices.DeleteFunc(peers.All(), func(p peers.Peer) bool {
		return p.Name != peers.NameGORM && p.Name != peers.NameOcc
	})
}

func loaders(string) []peers.Peer { return append(peers.All(), peers.Bare()) }

func batches(server string) []peers.Peer {
	return append(peers.All(), peers.SingleStatements(server)...)
}

// The names of the work that targets refer to.
const (
	Update      = "Update of one column"
	Save        = "Save of 5 columns"
	SaveWide    = "Save of 30 columns"
	Delete      = "Delete"
	Refused     = "refused Update"
	Criteria    = "update of 100 rows by condition"
	LoadRows    = "load of 1000 rows"
	Unversioned = "Update of a model without a version"
)

// BatchSizes are how many loaded rows are saved at once.
var BatchSizes = []int{10, 100, 1000, 10000}

// Batch is the name of the Save of n loaded rows.
func Batch(n int) string { return fmt.Sprintf("Save of %d loaded rows", n) }

// LongBatch is the name of the Save whose strings have GORM's default type.
const LongBatch = "Save of 1000 loaded rows, default strings"

// All is everything that peers are compared on, in the order of the report.
func All() []Work {
	all := []Work{
		single(Update, rows.OfItem, alone, updateOne),
		single(Save, rows.OfItem, alone, saveOne),
		single(SaveWide, rows.OfWide, onAndOff, saveOne),
		{Name: Delete, Baseline: peers.NameByHand, Settings: onAndOff, Peers: ofOneRow, enlist: enlistDelete},
		{Name: Refused, Baseline: peers.NameByHand, Settings: onAndOff, Peers: ofOneRow, enlist: enlistRefused},
	}
	for _, n := range BatchSizes {
		all = append(all, batch(Batch(n), rows.OfItem, n))
	}
	return append(all,
		batch(LongBatch, rows.OfLong, 1000),
		Work{Name: Criteria, Baseline: peers.NameByHand, Settings: onAndOff, Peers: everybody, enlist: enlistCriteria},
		Work{Name: LoadRows, Baseline: peers.NameGORM, Settings: onAndOff, Peers: loaders, enlist: enlistLoad},
		Work{Name: Unversioned, Baseline: peers.NameGORM, Settings: alone, Peers: gormAndOcc, Rounds: 5, enlist: enlistUnversioned},
		hot(1), hot(4), hot(16), hot(64),
	)
}

package work_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorm-occ/occ/benchmarks/peers"
	"github.com/gorm-occ/occ/benchmarks/race"
	"github.com/gorm-occ/occ/benchmarks/rows"
	"github.com/gorm-occ/occ/benchmarks/work"
	"github.com/gorm-occ/occ/internal/testdb"
)

// eachServer runs a test on every database that there is.
func eachServer(t *testing.T, test func(t *testing.T, server string)) {
	t.Helper()
	for _, d := range testdb.Own() {
		if slices.Contains(peers.Servers(), d.Name) {
			t.Run(d.Name, func(t *testing.T) { test(t, d.Name) })
		}
	}
}

// newPlace makes a place, or skips the test where the server is not there and need not be.
func newPlace(t *testing.T, server string) *work.Place {
	t.Helper()
	place, err := work.NewPlace(server)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, place.Close()) })
	return place
}

// isWrong is what is known of peers that lose writes: a stale Save of optimisticlock inserts over the row, it does not
// compare a Delete or a batch; GORM alone refuses nothing, and sends more parameters than SQLite takes.
func isWrong(server, peer, name string) bool {
	switch peer {
	case "optimisticlock":
		return name != work.Update && name != work.Refused && name != work.Criteria && name != work.LoadRows
	case peers.NameGORM:
		return name == work.Refused || (server == peers.SQLite && name == work.Batch(10000))
	default:
		return false
	}
}

func TestEveryPeerDoesItsWorkOrIsShownAsWrong(t *testing.T) {
	eachServer(t, func(t *testing.T, server string) {
		t.Parallel()
		place := newPlace(t, server)
		for _, w := range work.All() {
			for _, setting := range w.Settings {
				if !testdb.IsLong() && (w.Slow || setting != w.Settings[0]) {
					continue
				}
				t.Run(w.Name+"/"+setting.String(), func(t *testing.T) {
					for _, peer := range w.Peers(server) {
						requireRight(t, w, peer, place, setting)
					}
				})
			}
		}
	})
}

func requireRight(t *testing.T, w work.Work, peer peers.Peer, place *work.Place, setting peers.Setting) {
	t.Helper()
	wrong, isThere := once(t, w, peer, place, setting)
	if !isThere {
		return
	}
	if isWrong(place.Server, peer.Name, w.Name) {
		require.NotEmpty(t, wrong, "%s should lose a write", peer.Name)
	} else {
		require.Empty(t, wrong, peer.Name)
	}
}

// once has a peer do a piece of work in one round.
func once(t *testing.T, w work.Work, peer peers.Peer, place *work.Place, setting peers.Setting) (wrong string, isThere bool) {
	t.Helper()
	c, err := w.Enlist(peer, place, setting)
	require.NoError(t, err)
	if c == nil {
		return "", false
	}
	results := race.Run([]race.Contestant{*c}, race.Plan{Rounds: 1})
	require.NoError(t, c.Close())
	return results[0].Wrong, true
}

// saboteur is occ but for what it does not do.
type saboteur struct {
	peers.Session
	update      func(s peers.Session, i int, write int64) error
	saveAll     func(s peers.Session, write int64) error
	updateWhere func(s peers.Session, first, last, write int64) error
}

func (s saboteur) UpdateOne(i int, write int64) error { return s.update(s.Session, i, write) }
func (s saboteur) SaveAll(write int64) error          { return s.saveAll(s.Session, write) }

func (s saboteur) UpdateWhere(first, last, write int64) error {
	return s.updateWhere(s.Session, first, last, write)
}

var saboteurs = []struct {
	name string
	work string
	base string
	saboteur
}{
	{"it writes nothing", work.Update, peers.NameOcc, saboteur{
		update: func(peers.Session, int, int64) error { return nil }}},
	{"it writes another value", work.Update, peers.NameOcc, saboteur{
		update: func(s peers.Session, i int, write int64) error { return s.UpdateOne(i, write+1) }}},
	{"it says that a write was refused", work.Update, peers.NameOcc, saboteur{
		update: func(peers.Session, int, int64) error { return peers.ErrStale }}},
	{"it does not compare", work.Update, peers.NameGORM, saboteur{
		update: func(s peers.Session, i int, write int64) error { return s.UpdateOne(i, write) }}},
	{"it refuses without a word", work.Update, peers.NameOcc, saboteur{
		update: func(s peers.Session, i int, write int64) error {
			if err := s.UpdateOne(i, write); !errors.Is(err, peers.ErrStale) {
				return err
			}
			return nil
		}}},
	{"it overwrites, and says that it was refused", work.Refused, peers.NameGORM, saboteur{
		update: func(s peers.Session, i int, write int64) error {
			return errors.Join(s.UpdateOne(i, write), peers.ErrStale)
		}}},
	{"it writes the rows of a batch that are not stale", work.Batch(10), peers.NameOcc, saboteur{
		saveAll: func(s peers.Session, write int64) error {
			var errs []error
			for i := range s.Held() {
				errs = append(errs, s.SaveOne(i, write))
			}
			return errors.Join(errs...)
		}}},
	{"it forgets the last row of a batch", work.Batch(10), peers.NameOcc, saboteur{
		saveAll: func(s peers.Session, write int64) error {
			for i := range s.Held() - 1 {
				if err := s.SaveOne(i, write); err != nil {
					return err
				}
			}
			return nil
		}}},
	{"it writes rows that the condition leaves out", work.Criteria, peers.NameOcc, saboteur{
		updateWhere: func(s peers.Session, first, last, write int64) error {
			return s.UpdateWhere(first, last+1, write)
		}}},
}

func TestASabotagedPeerIsShownAsWrong(t *testing.T) {
	place := newPlace(t, peers.SQLite)
	for _, tt := range saboteurs {
		t.Run(tt.name, func(t *testing.T) {
			peer := peers.Peer{Name: "saboteur", Compares: true}
			peer.Open = func(c peers.Conn, shape rows.Shape) (peers.Session, error) {
				s := tt.saboteur
				var err error
				s.Session, err = peerNamed(t, tt.base).Open(c, shape)
				return s, err
			}

			wrong, isThere := once(t, workNamed(t, tt.work), peer, place, peers.Setting{})

			require.True(t, isThere)
			require.NotEmpty(t, wrong)
		})
	}
}

func peerNamed(t *testing.T, name string) peers.Peer {
	t.Helper()
	for _, p := range peers.All() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("there is no peer %q", name)
	return peers.Peer{}
}

func workNamed(t *testing.T, name string) work.Work {
	t.Helper()
	for _, w := range work.All() {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("there is no work %q", name)
	return work.Work{}
}

//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
)

// cutter breaks connections in COMMIT once it is armed, and has something happen before the client learns of that.
type cutter struct {
	armed     atomic.Bool
	afterward bool // the server has carried COMMIT out
	happens   func() error
	failed    error
}

func (c *cutter) wrap(conn net.Conn) net.Conn { return &cutConn{conn, c} }

type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c *cutConn) Write(p []byte) (int, error) {
	if !bytes.Contains(bytes.ToLower(p), []byte("commit")) || !c.cutter.armed.Swap(false) {
		return c.Conn.Write(p)
	}
	var err error
	if c.cutter.afterward {
		_, err = c.Conn.Write(p)
		_, e := c.Conn.Read(make([]byte, 1024)) // the answer
		err = errors.Join(err, e)
	}
	err = errors.Join(err, c.Conn.Close())
	if c.cutter.happens != nil {
		err = errors.Join(err, c.cutter.happens())
	}
	c.cutter.failed = err
	return 0, io.ErrClosedPipe
}

// TestACommitWithoutAnAnswer loses the answer to a COMMIT and has something happen to the servers before Retry can ask.
func TestACommitWithoutAnAnswer(t *testing.T) {
	p := postgresCluster(t)
	failover := func() error {
		return errors.Join(p.CatchUp(context.Background()), p.Promote(context.Background()))
	}
	rejoin := func() error { return p.Rejoin(context.Background()) }
	crash := func() error { return p.Restart(context.Background()) }
	crashAndGoOn := func() error {
		ctx := context.Background()
		numbers := []string{"CREATE TABLE numbers (id bigint)"}
		for range 5 {
			numbers = append(numbers, "INSERT INTO numbers VALUES (1)") // each takes the next number of a transaction
		}
		return errors.Join(crash(), p.writers.exec(ctx, maintenance, append(numbers, "DROP TABLE numbers")...))
	}
	for _, tt := range []struct {
		name             string
		happens, mends   func() error
		arrives, isKnown bool
		viaBouncer       bool
	}{
		{name: "it did not arrive", isKnown: true},
		{name: "it was carried out", arrives: true, isKnown: true},
		{name: "it did not arrive, through PgBouncer", isKnown: true, viaBouncer: true},
		{name: "it was carried out, through PgBouncer", arrives: true, isKnown: true, viaBouncer: true},
		{name: "it did not arrive, and the server crashed", happens: crash, isKnown: true},
		{name: "it did not arrive, the server crashed, and others have its number", happens: crashAndGoOn},
		{name: "it was carried out, and the server crashed", happens: crash, arrives: true},
		{name: "it did not arrive, and the standby was promoted", happens: failover, mends: rejoin},
		{name: "it was carried out, and the standby was promoted", happens: failover, mends: rejoin, arrives: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, name := p.writers, database(t, p.writers)
			if tt.viaBouncer {
				var err error
				e, err = p.Bounce(t.Context(), "max_prepared_statements = 200")
				require.NoError(t, err)
			}
			c := cutter{afterward: tt.arrives, happens: tt.happens}
			db := open(t, e, Options{Database: name, Wrap: c.wrap})
			purse, runs := Purse{Amount: 10}, 0
			require.NoError(t, db.Create(&purse).Error)
			var mine Purse

			err := occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
				c.armed.Store(runs == 0)
				runs++
				mine = storedPurse(t, tx, purse.ID)
				return tx.Model(&mine).Update("amount", mine.Amount+1).Error
			}, occ.WithCommitCheck())

			require.NoError(t, c.failed)
			if tt.mends != nil {
				defer func() { require.NoError(t, tt.mends()) }()
			}
			stored := storedPurse(t, db, purse.ID)
			switch {
			case tt.isKnown && tt.arrives:
				require.NoError(t, err)
				require.Equal(t, []any{1, Purse{purse.ID, 11, 2}, stored}, []any{runs, stored, mine}, "once, and taken for committed")
			case tt.isKnown:
				require.NoError(t, err)
				require.Equal(t, []any{2, Purse{purse.ID, 11, 2}, stored}, []any{runs, stored, mine}, "run again")
			default:
				require.Error(t, err)
				require.NotErrorIs(t, err, occ.ErrStaleData)
				require.Equal(t, []int{1, 1}, []int{runs, attemptsOf(err)}, "not run again: nobody knows")
				require.EqualValues(t, 1, mine.Version, "as if it had not been written")
				want := Purse{purse.ID, 10, 1}
				if tt.arrives {
					want = Purse{purse.ID, 11, 2}
					require.ErrorIs(t, db.Model(&mine).Update("amount", 11).Error, occ.ErrStaleData)
				}
				require.Equal(t, want, storedPurse(t, db, purse.ID))
			}
		})
	}
}

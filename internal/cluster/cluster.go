//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gorm-occ/occ/internal/host"
)

// Cluster is a set of servers that have the same rows, and what can happen to them. What happens is over when its method
// returns, and all servers are part of the cluster again; where ctx ends before, it is over the sooner.
type Cluster interface {
	Writers() []*Endpoint // where rows can be written
	Readers() []*Endpoint // each node that has the rows
	Kill(ctx context.Context, random *rand.Rand) error
	Stop(ctx context.Context, random *rand.Rand) error
	Partition(ctx context.Context, random *rand.Rand) error
	Failover(ctx context.Context, random *rand.Rand) error
	Close() error
}

// ErrNoFailover says that there is no primary that another node could take the place of.
var ErrNoFailover = errors.New("every node takes writes: there is no failover")

// Start starts a cluster of a kind.
func Start(ctx context.Context, kind string) (Cluster, error) {
	h, err := host.New("")
	if err != nil {
		return nil, err
	}
	switch kind {
	case "galera":
		return StartGalera(ctx, h)
	case "group":
		return StartGroup(ctx, h, false)
	case "postgres":
		return StartPostgres(ctx, h, true)
	case "pgbouncer":
		p, err := StartPostgres(ctx, h, true)
		if err != nil {
			return nil, err
		}
		e, err := p.Bounce(ctx, "max_prepared_statements = 200\ndefault_pool_size = 10")
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		return Bounced{p, e}, nil
	}
	return nil, fmt.Errorf("no cluster is called %q", kind)
}

// healTimeout bounds how long a cluster may take to be whole again.
const healTimeout = 2 * time.Minute

// during breaks something, leaves it broken for a while, and heals it, also where ctx has ended meanwhile.
func during(ctx context.Context, while time.Duration, breaks, heals func(ctx context.Context) error) error {
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), while+healTimeout)
	defer cancel()
	err := breaks(whole)
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return errors.Join(err, heals(whole))
}

func seconds(random *rand.Rand, least, most int) time.Duration {
	return time.Duration(1000*least+random.IntN(1000*(most-least)+1)) * time.Millisecond
}

func endpoints(dialect string, nodes []*Node) (all []*Endpoint) {
	for _, n := range nodes {
		all = append(all, n.endpoint(dialect))
	}
	return all
}

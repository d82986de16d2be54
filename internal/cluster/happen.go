//go:build linux

package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
)

// Writers are all three nodes.
func (g *Galera) Writers() []*Endpoint { return endpoints("mysql", g.nodes) }

// Readers are all three nodes.
func (g *Galera) Readers() []*Endpoint { return endpoints("mysql", g.nodes) }

// Kill has a node crash and come back.
func (g *Galera) Kill(ctx context.Context, random *rand.Rand) error {
	n := g.nodes[random.IntN(len(g.nodes))]
	return during(ctx, seconds(random, 1, 4),
		func(context.Context) error { return n.kill() },
		func(ctx context.Context) error { return g.serve(ctx, n, false) })
}

// Stop freezes a node: at first the others wait for it, then they go on without it.
func (g *Galera) Stop(ctx context.Context, random *rand.Rand) error {
	n := g.nodes[random.IntN(len(g.nodes))]
	return during(ctx, seconds(random, 1, 10),
		func(context.Context) error { return n.freeze() },
		func(ctx context.Context) error {
			return errors.Join(n.thaw(), n.await(ctx, func(ctx context.Context) error { return g.isSynced(ctx, n) }))
		})
}

// Partition cuts a node off from the two others. Its clients reach it.
func (g *Galera) Partition(ctx context.Context, random *rand.Rand) error {
	n := g.nodes[random.IntN(len(g.nodes))]
	return during(ctx, seconds(random, 3, 10),
		func(ctx context.Context) error { return g.Isolate(ctx, n) },
		func(ctx context.Context) error {
			return errors.Join(g.Reunite(ctx, n), n.await(ctx, func(ctx context.Context) error { return g.isSynced(ctx, n) }))
		})
}

// Failover is none.
func (*Galera) Failover(context.Context, *rand.Rand) error { return ErrNoFailover }

// Writers are the primary, whichever that is.
func (g *Group) Writers() []*Endpoint {
	return []*Endpoint{{Name: "primary", dialect: "mysql", port: func() int { return g.Primary().Port }}}
}

// Readers are all members.
func (g *Group) Readers() []*Endpoint { return endpoints("mysql", g.nodes) }

// Kill has a member crash and come back.
func (g *Group) Kill(ctx context.Context, random *rand.Rand) error {
	return g.killOne(ctx, random, random.IntN(len(g.nodes)))
}

// Failover has the primary crash and come back as a secondary.
func (g *Group) Failover(ctx context.Context, random *rand.Rand) error {
	return g.killOne(ctx, random, slices.Index(g.nodes, g.Primary()))
}

func (g *Group) killOne(ctx context.Context, random *rand.Rand, i int) error {
	return during(ctx, seconds(random, 1, 6),
		func(ctx context.Context) error {
			if err := g.nodes[i].kill(); err != nil {
				return err
			}
			return g.findPrimary(ctx)
		},
		func(ctx context.Context) error {
			return errors.Join(g.serve(ctx, i), g.rejoin(ctx, g.nodes[i]))
		})
}

// Stop freezes a member: the others go on without it after a while.
func (g *Group) Stop(ctx context.Context, random *rand.Rand) error {
	n := g.nodes[random.IntN(len(g.nodes))]
	return during(ctx, seconds(random, 1, 12),
		func(ctx context.Context) error { return n.freeze() },
		func(ctx context.Context) error { return errors.Join(n.thaw(), g.rejoinAll(ctx)) })
}

// Partition has two members not answer, so that the third one is without a majority and gives up.
func (g *Group) Partition(ctx context.Context, random *rand.Rand) error {
	silent := slices.Clone(g.nodes)
	i := random.IntN(len(silent))
	silent = slices.Delete(silent, i, i+1)
	return during(ctx, seconds(random, 6, 12),
		func(context.Context) error { return errors.Join(silent[0].freeze(), silent[1].freeze()) },
		func(ctx context.Context) error {
			return errors.Join(silent[0].thaw(), silent[1].thaw(), g.rejoinAll(ctx))
		})
}

func (g *Group) rejoinAll(ctx context.Context) (err error) {
	for _, n := range g.nodes {
		err = errors.Join(err, g.rejoin(ctx, n))
	}
	return errors.Join(err, g.findPrimary(ctx))
}

// Writers are the primary, whichever that is.
func (p *Postgres) Writers() []*Endpoint { return []*Endpoint{p.writers} }

// Readers are the primary and the standby.
func (p *Postgres) Readers() []*Endpoint { return endpoints("postgres", p.nodes[:]) }

// Kill has the primary crash and come back.
func (p *Postgres) Kill(ctx context.Context, random *rand.Rand) error {
	return during(ctx, seconds(random, 1, 2),
		func(context.Context) error { return p.Primary().kill() },
		func(ctx context.Context) error {
			return errors.Join(p.serve(ctx, p.Primary()), p.Standby().await(ctx, p.isStreaming))
		})
}

// Stop freezes the primary.
func (p *Postgres) Stop(ctx context.Context, random *rand.Rand) error {
	return during(ctx, seconds(random, 1, 8),
		func(context.Context) error { return p.Primary().freeze() },
		func(ctx context.Context) error {
			return errors.Join(p.Primary().thaw(), p.Standby().await(ctx, p.isStreaming))
		})
}

// Partition cuts the clients off from the primary.
func (p *Postgres) Partition(ctx context.Context, random *rand.Rand) error {
	return cut(ctx, random, p.writers)
}

func cut(ctx context.Context, random *rand.Rand, e *Endpoint) error {
	return during(ctx, seconds(random, 0, 3),
		func(context.Context) error { e.Cut(); return nil },
		func(context.Context) error { e.Mend(); return nil })
}

// Failover kills the primary, promotes the standby, and makes the old primary a standby of the new one.
func (p *Postgres) Failover(ctx context.Context, random *rand.Rand) error {
	return during(ctx, seconds(random, 0, 2), p.Promote, p.Rejoin)
}

// Bounced is PostgreSQL behind PgBouncer.
type Bounced struct {
	*Postgres
	endpoint *Endpoint
}

// Writers are PgBouncer.
func (b Bounced) Writers() []*Endpoint { return []*Endpoint{b.endpoint} }

// Kill has PgBouncer crash and come back, or the primary.
func (b Bounced) Kill(ctx context.Context, random *rand.Rand) error {
	if random.IntN(2) == 0 {
		return b.Postgres.Kill(ctx, random)
	}
	front := b.bouncers[0]
	return during(ctx, seconds(random, 0, 2), func(context.Context) error { return front.node.kill() }, front.start)
}

// Stop freezes PgBouncer.
func (b Bounced) Stop(ctx context.Context, random *rand.Rand) error {
	front := b.bouncers[0]
	return during(ctx, seconds(random, 1, 8),
		func(context.Context) error { return front.node.freeze() },
		func(context.Context) error { return front.node.thaw() })
}

// Partition cuts the clients off from PgBouncer.
func (b Bounced) Partition(ctx context.Context, random *rand.Rand) error {
	return cut(ctx, random, b.endpoint)
}

//go:build linux

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gorm-occ/occ/internal/host"
)

// bouncer is PgBouncer in transaction mode, in front of the primary.
type bouncer struct {
	node     *Node
	cluster  *Postgres
	endpoint *Endpoint
	settings string
}

// Bounce starts a PgBouncer in front of the primary, and says where it is. Settings are lines of its configuration, beside
// those that it takes to run.
func (p *Postgres) Bounce(ctx context.Context, settings string) (*Endpoint, error) {
	port, err := host.FreePort()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprint("pgbouncer", len(p.bouncers)+1)
	n := &Node{Name: name, Port: port, run: p.run, user: host.Nobody, dir: filepath.Join(p.run.dir, name)}
	b := &bouncer{node: n, cluster: p, endpoint: n.endpoint("postgres"), settings: settings}
	if err := p.run.makeDir(n.dir, n.user); err != nil {
		return nil, err
	}
	p.bouncers = append(p.bouncers, b)
	return b.endpoint, b.start(ctx)
}

func (b *bouncer) file() string { return filepath.Join(b.node.dir, "pgbouncer.ini") }

func (b *bouncer) configure() error {
	text := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
admin_users = postgres
pool_mode = transaction
server_login_retry = 1
%s
`, b.cluster.Primary().Port, b.node.Port, b.settings)
	return os.WriteFile(b.node.run.outside(b.file()), []byte(text), 0o644)
}

func (b *bouncer) start(ctx context.Context) error {
	if err := b.configure(); err != nil {
		return err
	}
	if err := b.node.start([]string{"/usr/sbin/pgbouncer", b.file()}); err != nil {
		return err
	}
	return b.node.await(ctx, func(ctx context.Context) error {
		var one int
		return b.endpoint.query(ctx, maintenance, "SELECT 1", &one)
	})
}

// follow has it serve the primary of now.
func (b *bouncer) follow(ctx context.Context) error {
	if err := b.node.kill(); err != nil {
		return err
	}
	return b.start(ctx)
}

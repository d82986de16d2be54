//go:build linux

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/host"
)

// TestMain ends the clusters that tests have shared.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(tests{m},
		// GORM's cache of prepared statements, with PrepareStmt, has a goroutine that nothing ends.
		goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"),
	)
}

type tests struct{ m *testing.M }

func (r tests) Run() int {
	code := r.m.Run()
	for _, c := range started.clusters {
		if err := c.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing a cluster:", err)
			code = max(code, 1)
		}
	}
	return code
}

var started struct {
	sync.Mutex
	clusters []interface{ Close() error }
}

// shared starts a cluster once for all tests that want it.
func shared[C interface{ Close() error }](name string, start func(context.Context, host.Host) (C, error)) func(t *testing.T) C {
	once := sync.OnceValues(func() (c C, err error) {
		h, err := host.New("")
		if err != nil {
			return c, err
		}
		if c, err = start(context.Background(), h); err == nil {
			started.Lock()
			defer started.Unlock()
			started.clusters = append(started.clusters, c)
		}
		return c, err
	})
	return func(t *testing.T) C {
		t.Helper()
		if !slices.Contains(strings.Split(os.Getenv("TEST_CLUSTERS"), ","), name) {
			t.Skipf("TEST_CLUSTERS does not name %s; see docs/testing.md", name)
		}
		c, err := once()
		require.NoError(t, err)
		return c
	}
}

var (
	postgresCluster = shared("postgres", func(ctx context.Context, h host.Host) (*Postgres, error) { return StartPostgres(ctx, h, false) })
)

// Purse is what the tests write.
type Purse struct {
	ID     uint
	Amount int
	occ.Version
}

// open opens a gorm.DB with the plugin at an endpoint.
func open(t *testing.T, e *Endpoint, o Options, plugins ...gorm.Plugin) *gorm.DB {
	t.Helper()
	return openAs(t, e, o, &gorm.Config{Logger: logger.Discard}, plugins...)
}

func openAs(t *testing.T, e *Endpoint, o Options, c *gorm.Config, plugins ...gorm.Plugin) *gorm.DB {
	t.Helper()
	pool, dialector, err := e.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	db, err := gorm.Open(dialector, c)
	require.NoError(t, err)
	for _, p := range append(plugins, occ.New()) {
		require.NoError(t, db.Use(p))
	}
	return db
}

// database makes an empty database on the cluster with a table of purses.
func database(t *testing.T, e *Endpoint) (name string) {
	t.Helper()
	name = "t_" + strings.ToLower(rand.Text())
	maintain := ""
	if e.dialect == "postgres" {
		maintain = maintenance
	}
	require.NoError(t, e.exec(t.Context(), maintain, "CREATE DATABASE "+name))
	db := open(t, e, Options{Database: name})
	require.NoError(t, db.AutoMigrate(&Purse{}))
	return name
}

func storedPurse(t *testing.T, db *gorm.DB, id uint) (p Purse) {
	t.Helper()
	require.NoError(t, db.First(&p, id).Error)
	return p
}

func increment(tx *gorm.DB, id uint) error {
	var p Purse
	if err := tx.First(&p, id).Error; err != nil {
		return err
	}
	p.Amount++
	return tx.Save(&p).Error
}

func attemptsOf(err error) int {
	var gaveUp *occ.RetryError
	if !errors.As(err, &gaveUp) {
		return 0
	}
	return gaveUp.Attempts
}

// hook collects the errors after which Retry goes on.
func hook(errs *[]error) func(int, error, time.Duration) {
	return func(_ int, err error, _ time.Duration) { *errs = append(*errs, err) }
}

// waitFor waits until a row is at a node.
func waitFor(t *testing.T, db *gorm.DB, p Purse) Purse {
	t.Helper()
	var stored Purse
	require.Eventually(t, func() bool {
		stored = Purse{}
		return db.Take(&stored, p.ID).Error == nil && stored.Version == p.Version
	}, 20*time.Second, 10*time.Millisecond)
	return stored
}

//go:build linux

package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
)

var galeraCluster = shared("galera", StartGalera)

// TestGaleraConflictAtCommit has two nodes write a row, each in a transaction that the other does not see.
func TestGaleraConflictAtCommit(t *testing.T) {
	g := galeraCluster(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	name := database(t, first)
	a, b := open(t, first, Options{Database: name}), open(t, second, Options{Database: name})
	purse := Purse{Amount: 10}
	require.NoError(t, a.Create(&purse).Error)
	waitFor(t, b, purse)

	runs := 0
	var errs []error
	require.NoError(t, occ.Retry(t.Context(), a, func(tx *gorm.DB) error {
		runs++
		if err := increment(tx, purse.ID); err != nil {
			return err
		}
		if runs == 1 { // commits at the other node, where nothing is locked
			return increment(b, purse.ID)
		}
		return nil
	}, occ.WithRetryHook(hook(&errs))))
	require.Equal(t, 2, runs)
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "1213")
	require.EqualValues(t, 1, a.Plugins["occ"].(*occ.Plugin).Stats()["purses"].Retried, "counted")
	require.Equal(t, Purse{purse.ID, 12, 3}, storedPurse(t, a, purse.ID))
}

// TestGaleraReadsThatWait reads at one node right after each write at another.
func TestGaleraReadsThatWait(t *testing.T) {
	g := galeraCluster(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	name := database(t, first)
	waits := func(c *mysql.Config) { c.Params = map[string]string{"wsrep_sync_wait": "1"} }
	a, b := open(t, first, Options{Database: name, MySQL: waits}), open(t, second, Options{Database: name, MySQL: waits})
	purse := Purse{Amount: 10}
	require.NoError(t, a.Create(&purse).Error)

	for range 100 {
		require.NoError(t, increment(a, purse.ID))
		require.NoError(t, increment(b, purse.ID), "what was read is not stale")
	}

	require.Equal(t, Purse{purse.ID, 210, 201}, storedPurse(t, b, purse.ID))
}

// TestGaleraTellsOfEveryRollback has transactions write two rows while another node writes the first of them. Each is there as a
// whole or not at all, whatever they read in between: a node that has rolled one back can answer its queries nevertheless.
func TestGaleraTellsOfEveryRollback(t *testing.T) {
	g := galeraCluster(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	find := func(tx *gorm.DB, id uint) error { return tx.First(&Purse{}, id).Error }
	begins := map[string]func(*gorm.DB, func(*gorm.DB) error) error{
		"gorm.DB.Transaction": func(db *gorm.DB, fc func(*gorm.DB) error) error { return db.Transaction(fc) },
		"occ.Transaction":     func(db *gorm.DB, fc func(*gorm.DB) error) error { return occ.Transaction(db, fc) },
	}
	for name, c := range map[string]struct {
		begin  string
		change func(*mysql.Config)
		read   func(tx *gorm.DB, id uint) error
		isLast bool // the read comes after both writes
	}{
		"a query":                           {begin: "gorm.DB.Transaction", read: find},
		"a query at the end":                {begin: "gorm.DB.Transaction", read: find, isLast: true},
		"a query that locks":                {begin: "gorm.DB.Transaction", read: func(tx *gorm.DB, id uint) error { return find(tx.Clauses(clause.Locking{Strength: "UPDATE"}), id) }},
		"a query, with prepared statements": {begin: "gorm.DB.Transaction", read: func(tx *gorm.DB, id uint) error { return find(tx.Session(&gorm.Session{PrepareStmt: true}), id) }},
		"a query, with parameters in text":  {begin: "gorm.DB.Transaction", read: find, change: func(c *mysql.Config) { c.InterpolateParams = true }},
		"Scan":                              {begin: "gorm.DB.Transaction", read: scan},
		"Scan at the end":                   {begin: "occ.Transaction", read: scan, isLast: true},
		"Current":                           {begin: "occ.Transaction", read: func(tx *gorm.DB, id uint) error { _, err := occ.Current(tx, &Purse{ID: id}); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			name := database(t, first)
			a, b := open(t, first, Options{Database: name, MySQL: c.change}), open(t, second, Options{Database: name})
			contended, own := Purse{Amount: 10}, Purse{Amount: 10}
			require.NoError(t, a.Create(&contended).Error)
			require.NoError(t, a.Create(&own).Error)
			waitFor(t, b, own)
			stop := writeUntilStopped(b, contended.ID)
			failed := 0

			written := 0
			for range 400 {
				err := begins[c.begin](a, func(tx *gorm.DB) error {
					if err := tx.Exec("UPDATE purses SET amount = amount + 1000 WHERE id = ?", contended.ID).Error; err != nil {
						return err
					}
					if !c.isLast {
						if err := c.read(tx, own.ID); err != nil {
							return err
						}
					}
					if err := increment(tx, own.ID); err != nil || !c.isLast {
						return err
					}
					return c.read(tx, own.ID)
				})
				if err != nil {
					failed++
				} else {
					written++
				}
			}

			stop()
			require.NotZero(t, failed, "the other node writes the row, too")
			require.Equal(t, []int{10 + written, written}, []int{storedPurse(t, a, own.ID).Amount, storedPurse(t, a, contended.ID).Amount / 1000})
		})
	}
}

// TestGaleraTellsOfRollbacksDuringQuestions has the plugin ask about a table in a transaction, while another node writes a row of
// it. What the question says of the transaction must not be lost: the write behind it would be committed by itself.
func TestGaleraTellsOfRollbacksDuringQuestions(t *testing.T) {
	g := galeraCluster(t)
	first, second := g.nodes[0].endpoint("mysql"), g.nodes[1].endpoint("mysql")
	for name, write := range map[string]func(tx *gorm.DB, own []*Purse) error{
		"the type of the version's column": func(tx *gorm.DB, own []*Purse) error {
			return tx.Model(&Purse{}).Where("id = ?", own[0].ID).Update("amount", own[0].Amount).Error
		},
		"the indexes of the table": func(tx *gorm.DB, own []*Purse) error { return tx.Save(own).Error },
	} {
		t.Run(name, func(t *testing.T) {
			name := database(t, first)
			inText := func(c *mysql.Config) { c.InterpolateParams = true }
			a, b := open(t, first, Options{Database: name, MySQL: inText}), open(t, second, Options{Database: name})
			contended, own := Purse{Amount: 10}, []*Purse{{}, {}}
			require.NoError(t, a.Create(&contended).Error)
			require.NoError(t, a.Create(own).Error)
			waitFor(t, b, *own[1])
			pool, err := a.DB()
			require.NoError(t, err)
			stop := writeUntilStopped(b, contended.ID)
			failed, written := 0, 0

			for range 400 {
				fresh, err := gorm.Open(gormmysql.New(gormmysql.Config{Conn: pool}), &gorm.Config{Logger: logger.Discard})
				require.NoError(t, err)
				require.NoError(t, fresh.Use(occ.New()))
				err = occ.Transaction(fresh, func(tx *gorm.DB) error {
					if err := tx.Exec("UPDATE purses SET amount = amount + 1000 WHERE id = ?", contended.ID).Error; err != nil {
						return err
					}
					for _, purse := range own {
						purse.Amount = written + 1
					}
					return write(tx, own)
				})
				if err != nil {
					failed++
				} else {
					written++
				}
			}

			stop()
			require.NotZero(t, failed, "the other node writes the row, too")
			require.Equal(t, []int{written, written}, []int{storedPurse(t, a, own[0].ID).Amount, storedPurse(t, a, contended.ID).Amount / 1000})
		})
	}
}

func scan(tx *gorm.DB, id uint) error {
	var amount int
	return tx.Raw("SELECT amount FROM purses WHERE id = ?", id).Scan(&amount).Error
}

// writeUntilStopped writes a row again and again, past the plugin.
func writeUntilStopped(db *gorm.DB, id uint) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for ctx.Err() == nil {
				db.Exec("UPDATE purses SET version = version + 1 WHERE id = ?", id)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// cutOffPurse waits, once it was written, until its node is cut off from the cluster.
type cutOffPurse struct {
	Purse
	written func() `gorm:"-"`
	err     error  `gorm:"-"` // of the hook
}

func (*cutOffPurse) TableName() string { return "purses" }

func (p *cutOffPurse) AfterUpdate(*gorm.DB) error { p.written(); return p.err }

// TestGaleraLeavesNoTransactionOpen ends transactions at a node that has been cut off meanwhile, and refuses to end them. The next
// BEGIN on the connection would commit what was open.
func TestGaleraLeavesNoTransactionOpen(t *testing.T) {
	g := galeraCluster(t)
	node, name := g.nodes[2], database(t, g.nodes[0].endpoint("mysql"))
	isCutOff, isRetrying, isBack, isRetried := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	var written, ended sync.WaitGroup
	type result struct {
		db    *gorm.DB
		purse *cutOffPurse
		err   error
	}
	save := func(tx *gorm.DB, p *cutOffPurse) error { p.Amount++; return tx.Save(p).Error }
	begin := func(run func(func()), hookErr error, write func(*gorm.DB, *cutOffPurse) error) *result {
		r := &result{db: open(t, node.endpoint("mysql"), Options{Database: name})}
		pool, err := r.db.DB()
		require.NoError(t, err)
		pool.SetMaxOpenConns(1)
		once := sync.OnceFunc(func() { written.Done(); <-isCutOff })
		r.purse = &cutOffPurse{written: once, err: hookErr}
		require.Eventually(t, func() bool { return r.db.Create(r.purse).Error == nil }, 20*time.Second, 10*time.Millisecond)
		written.Add(1)
		run(func() { r.err = write(r.db, r.purse) })
		return r
	}
	failed := map[string]*result{
		"occ.Transaction that fails": begin(ended.Go, nil, func(db *gorm.DB, p *cutOffPurse) error {
			return occ.Transaction(db, func(tx *gorm.DB) error { return errors.Join(save(tx, p), errBoom) })
		}),
		"occ.Transaction that commits": begin(ended.Go, nil, func(db *gorm.DB, p *cutOffPurse) error {
			return occ.Transaction(db, func(tx *gorm.DB) error { return save(tx, p) })
		}),
		"a write whose hook fails": begin(ended.Go, errBoom, save),
		"a write that commits":     begin(ended.Go, nil, save),
	}
	retry := func(write func()) { go func() { defer close(isRetried); write() }() }
	retried := begin(retry, nil, func(db *gorm.DB, p *cutOffPurse) error {
		runs := 0
		return occ.Retry(t.Context(), db, func(tx *gorm.DB) error {
			if runs++; runs > 1 {
				return increment(tx, p.ID)
			}
			return errors.Join(save(tx, p), tx.First(&Purse{}, p.ID).Error)
		}, occ.WithRetryHook(func(int, error, time.Duration) { close(isRetrying); <-isBack }))
	})

	written.Wait()
	require.NoError(t, g.cutOff(t.Context(), node))
	close(isCutOff)
	ended.Wait()
	<-isRetrying
	require.NoError(t, g.reunite(t.Context(), node))
	close(isBack)
	<-isRetried

	for name, r := range failed {
		require.Error(t, r.err, name)
		require.EqualValues(t, 1, r.purse.Version, "%s: memory follows the row", name)
		require.NoError(t, r.db.Transaction(func(*gorm.DB) error { return nil }), "%s: begins on the same connection", name)
		require.Equal(t, Purse{r.purse.ID, 0, 1}, storedPurse(t, r.db, r.purse.ID), name)
	}
	require.NoError(t, retried.err)
	require.Equal(t, Purse{retried.purse.ID, 1, 2}, storedPurse(t, retried.db, retried.purse.ID), "once")
}

// cutOff cuts a node off, and waits until it has noticed.
func (g *Galera) cutOff(ctx context.Context, n *Node) error {
	if err := g.Isolate(ctx, n); err != nil {
		return err
	}
	return n.await(ctx, func(ctx context.Context) error {
		if g.isSynced(ctx, n) == nil {
			return errors.New("the node has not noticed yet")
		}
		return nil
	})
}

// reunite ends what Isolate began, and waits until the node is part of the cluster.
func (g *Galera) reunite(ctx context.Context, n *Node) error {
	if err := g.Reunite(ctx, n); err != nil {
		return err
	}
	return n.await(ctx, func(ctx context.Context) error { return g.isSynced(ctx, n) })
}

var errBoom = errors.New("boom")

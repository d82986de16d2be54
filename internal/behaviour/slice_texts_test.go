package behaviour_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// mostInSlice is how many rows the slices of these tests have at most.
const mostInSlice = 50

// sliceCalls are the calls that write or compare the rows of a slice.
var sliceCalls = map[string]func(db *gorm.DB, products []Product) error{
	"Save":   func(db *gorm.DB, products []Product) error { return db.Save(&products).Error },
	"Update": func(db *gorm.DB, products []Product) error { return db.Model(&products).Update("price", 70).Error },
	"Delete": func(db *gorm.DB, products []Product) error { return db.Delete(&products).Error },
	"Touch":  func(db *gorm.DB, products []Product) error { return occ.Touch(db, products) },
	"Verify": func(db *gorm.DB, products []Product) error { return occ.Verify(db, products) },
}

// createOfSize stores n products, of which no slice has the same version or price in all rows.
func createOfSize(t *testing.T, db *gorm.DB, n int) []Product {
	products := make([]Product, n)
	for i := range products {
		products[i] = Product{Name: fmt.Sprint("product ", i), Price: i, Version: occ.Version(2 + i%mostInSlice)}
	}
	require.NoError(t, db.CreateInBatches(&products, mostInSlice).Error)
	return products
}

func TestSlicesLeaveTheCacheOfPreparedStatementsAlone(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, call := range sliceCalls {
		behaviours = append(behaviours, Behaviour{name + " of any size has a text for one row and none for more", func(t *testing.T, db *gorm.DB) {
			prepared := Reopen(t, db, gorm.Config{PrepareStmt: true}, occ.New())
			cache := prepared.ConnPool.(*gorm.PreparedStmtDB)
			products := createOfSize(t, db, mostInSlice*(mostInSlice+1)/2)
			before := len(cache.Stmts.Keys())

			for n := 1; n <= mostInSlice; n++ {
				part := slices.Clone(products[:n])
				require.NoError(t, call(prepared, part))
				products = products[n:]
			}

			require.LessOrEqual(t, len(cache.Stmts.Keys()), before+1, cache.Stmts.Keys())
		}})
	}
	Run(t, testdb.All(), behaviours, &Product{})
}

// textPool keeps the texts that it and its transactions are given.
type (
	textPool struct{ textConn }
	textTx   struct{ textConn }
	textConn struct {
		gorm.ConnPool
		texts *sentTexts
	}
	sentTexts struct {
		mu   sync.Mutex
		seen map[string]bool
	}
)

func (t *sentTexts) add(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[text] = true
}

// take returns the texts since it was last called, but for those of savepoints.
func (t *sentTexts) take() (taken []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for text := range t.seen {
		if !strings.Contains(text, "SAVEPOINT") {
			taken = append(taken, text)
		}
	}
	clear(t.seen)
	return taken
}

func (c textConn) PrepareContext(ctx context.Context, text string) (*sql.Stmt, error) {
	c.texts.add(text)
	return c.ConnPool.PrepareContext(ctx, text)
}

func (c textConn) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	c.texts.add(text)
	return c.ConnPool.ExecContext(ctx, text, args...)
}

func (c textConn) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	c.texts.add(text)
	return c.ConnPool.QueryContext(ctx, text, args...)
}

func (c *textPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := c.ConnPool.(gorm.TxBeginner).BeginTx(ctx, opts)
	return &textTx{textConn{tx, c.texts}}, err
}

func (c *textTx) Commit() error { return c.ConnPool.(gorm.TxCommitter).Commit() }

func (c *textTx) Rollback() error { return c.ConnPool.(gorm.TxCommitter).Rollback() }

// withTexts opens the database of db again, with a pool that keeps the texts.
func withTexts(t *testing.T, db *gorm.DB) (*gorm.DB, *sentTexts) {
	again, kept := Reopen(t, db, gorm.Config{}, occ.New()), &sentTexts{seen: map[string]bool{}}
	again.ConnPool = &textPool{textConn{again.ConnPool, kept}}
	again.Statement.ConnPool = again.ConnPool
	return again, kept
}

func TestTextsOfSlices(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, call := range sliceCalls {
		for _, isCallers := range []bool{false, true} {
			where := ""
			if isCallers {
				where = " in the caller's transaction"
			}
			behaviours = append(behaviours, Behaviour{name + where + " has one text for all sizes", func(t *testing.T, db *gorm.DB) {
				again, kept := withTexts(t, db)
				products := createOfSize(t, db, 2+mostInSlice*(mostInSlice+1)/2)
				require.NoError(t, call(again, products[:2])) // asks for the types of the columns
				products = products[2:]
				kept.take()

				for n := 2; n <= mostInSlice; n++ {
					part := slices.Clone(products[:n])
					if isCallers {
						require.NoError(t, again.Transaction(func(tx *gorm.DB) error { return call(tx, part) }))
					} else {
						require.NoError(t, call(again, part))
					}
					products = products[n:]
				}

				require.Len(t, kept.take(), 1)
			}})
		}
	}
	Run(t, testdb.Of("sqlite", "postgres"), behaviours, &Product{})
}

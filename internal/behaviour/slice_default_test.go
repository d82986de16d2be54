package behaviour_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
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

// sliceCallsThatWrite are the calls of sliceCalls that write.
func sliceCallsThatWrite() map[string]func(db *gorm.DB, products []Product) error {
	writes := map[string]func(db *gorm.DB, products []Product) error{}
	for name, call := range sliceCalls {
		if name != "Verify" {
			writes[name] = call
		}
	}
	return writes
}

// driverCalls are the calls to a driver: the names of those that have no text, else the text.
type driverCalls struct {
	mu   sync.Mutex
	made []string
}

func (d *driverCalls) around(call testdb.Call, do func() error) error {
	d.mu.Lock()
	d.made = append(d.made, cmp.Or(call.Query, call.Name))
	d.mu.Unlock()
	return do()
}

// take returns the calls since it was last called.
func (d *driverCalls) take() (made []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	made, d.made = d.made, nil
	return made
}

func hasSavepoint(sent []string) bool {
	return slices.ContainsFunc(sent, func(sql string) bool { return strings.Contains(sql, "SAVEPOINT") })
}

func TestSlicesInDefaultTransactionsNeedNoSavepoint(t *testing.T) {
	t.Parallel()
	for i, database := range testdb.All() {
		for name, write := range sliceCallsThatWrite() {
			t.Run(database.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				var calls driverCalls
				db := Open(t, testdb.Intercepted(calls.around)[i], []any{&Product{}})
				products := createSeveral(t, db, 8)
				require.NoError(t, write(db, slices.Clone(products[:2]))) // asks for the types of the columns
				mine, stale := slices.Clone(products[2:5]), slices.Clone(products[4:])
				calls.take()

				require.NoError(t, write(db, mine))

				require.False(t, hasSavepoint(calls.take()))
				for _, p := range mine {
					if name == "Delete" {
						RequireNoRow[Product](t, db, p.ID)
					} else {
						require.Equal(t, p, Reload[Product](t, db, p.ID))
						require.Equal(t, occ.Version(2), p.Version)
					}
				}
				calls.take()

				row := Stale(t, write(db, stale))

				require.Equal(t, products[4].ID, row.PrimaryKey["id"])
				sent := calls.take()
				require.False(t, hasSavepoint(sent))
				require.Equal(t, "rollback", sent[len(sent)-1])
				require.Equal(t, products[5], Reload[Product](t, db, products[5].ID))
				require.Equal(t, occ.Version(1), stale[1].Version)
			})
		}
	}
}

func TestSlicesInDefaultTransactions(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for name, write := range sliceCallsThatWrite() {
		behaviours = append(behaviours, Behaviour{name + " writes none where one is stale, and says which", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 4)
			theirs := Reload[Product](t, db, products[2].ID)
			require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
			mine := slices.Clone(products)

			row := Stale(t, write(db, mine))

			require.Equal(t, occ.StaleRow{
				Index: 2, PrimaryKey: map[string]any{"id": theirs.ID}, Expected: occ.Version(1), Actual: occ.Version(2), Reason: occ.ReasonChanged,
			}, row)
			for i, p := range products {
				require.Equal(t, occ.Version(1), mine[i].Version)
				if i != 2 {
					require.Equal(t, p, Reload[Product](t, db, p.ID))
				}
			}
			require.Equal(t, theirs, Reload[Product](t, db, theirs.ID))
			mine[2] = theirs
			require.NoError(t, write(db, mine), "the next call has a transaction of its own")
		}}, Behaviour{name + " is an error, and writes nothing, where no transaction can be begun again", func(t *testing.T, db *gorm.DB) {
			again := Reopen(t, db, gorm.Config{}, occ.New())
			pool := &oncePool{ConnPool: again.ConnPool}
			again.ConnPool, again.Statement.ConnPool = pool, pool
			products := createSeveral(t, db, 4)
			theirs := Reload[Product](t, db, products[1].ID)
			require.NoError(t, db.Model(&theirs).Update("price", 30).Error)
			mine := slices.Clone(products)

			require.ErrorIs(t, write(again, mine), errNoMore)

			for _, p := range mine {
				require.Equal(t, occ.Version(1), p.Version)
			}
			require.Equal(t, theirs, Reload[Product](t, db, theirs.ID))
			require.Equal(t, products[3], Reload[Product](t, db, products[3].ID))
			require.NoError(t, db.Model(&theirs).Update("price", 31).Error, "no lock is left")
		}})
	}
	Run(t, testdb.All(), behaviours, &Product{})
}

var errNoMore = errors.New("no more transactions")

// oncePool begins one transaction.
type oncePool struct {
	gorm.ConnPool
	begun bool
}

func (p *oncePool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	if p.begun {
		return nil, errNoMore
	}
	p.begun = true
	return p.ConnPool.(gorm.TxBeginner).BeginTx(ctx, opts)
}

// TestRacedSlicesInDefaultTransactions has writers race for the same rows: a batch is written as a whole or not at all.
func TestRacedSlicesInDefaultTransactions(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"all rows of a batch are written, or none", func(t *testing.T, db *gorm.DB) {
			raceForRows(t, db, 40, func(mine *[]Product) error { return db.Save(mine).Error })
		}},
		{"all rows of a batch are deleted, or none", func(t *testing.T, db *gorm.DB) {
			const rounds, size = 20, 4
			for round := range rounds {
				products := createSeveral(t, db, size)
				var running sync.WaitGroup
				errs := make([]error, 2)
				running.Go(func() { errs[0] = db.Delete(slices.Clone(products)).Error })
				running.Go(func() {
					one := products[round%size]
					errs[1] = db.Model(&one).Update("price", 70).Error
				})
				running.Wait()

				var left int64
				require.NoError(t, db.Model(&Product{}).Count(&left).Error)
				if errs[0] == nil {
					require.Zero(t, left)
				} else {
					require.EqualValues(t, size, left, fmt.Sprint(errs))
				}
				require.NoError(t, db.Where("1 = 1").Delete(&Product{}).Error)
			}
		}},
	}, &Product{})
}

// raceForRows has four writers load the same rows and save them, in either order, and wants each batch to be written as a whole
// or not at all.
func raceForRows(t *testing.T, db *gorm.DB, calls int, save func(mine *[]Product) error) {
	t.Helper()
	products := createSeveral(t, db, 6)
	var wrote [4]int
	var running sync.WaitGroup
	for n := range wrote {
		running.Go(func() {
			for i := range calls {
				var mine []Product
				if db.Order("id").Find(&mine).Error != nil {
					continue
				}
				if (i+n)%2 == 1 {
					slices.Reverse(mine)
				}
				for k := range mine {
					mine[k].Price++
				}
				if save(&mine) == nil {
					wrote[n]++
				}
			}
		})
	}
	running.Wait()

	sum := wrote[0] + wrote[1] + wrote[2] + wrote[3]
	require.Positive(t, sum)
	for _, p := range products {
		got := Reload[Product](t, db, p.ID)
		require.Equal(t, p.Price+sum, got.Price)
		require.Equal(t, p.Version+occ.Version(sum), got.Version)
	}
}

// sealed has a hook that writes in the transaction of the call.
type sealed struct {
	ID    uint
	Price int
	occ.Version
}

func (*sealed) BeforeUpdate(tx *gorm.DB) error {
	return tx.Session(&gorm.Session{NewDB: true}).Create(&Bare{Name: "hook"}).Error
}

func TestSlicesShortOfConditionsInDefaultTransactions(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"the rows for which the conditions hold are written", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Model(&products[1]).Update("price", 500).Error)

			res := db.Model(&products).Where("price < ?", 400).Update("name", "cheap")

			require.NoError(t, res.Error)
			require.EqualValues(t, 2, res.RowsAffected)
			for i, name := range []string{"cheap", "", "cheap"} {
				stored := Reload[Product](t, db, products[i].ID)
				require.Equal(t, stored.Version, products[i].Version)
				if name != "" {
					require.Equal(t, name, stored.Name)
				} else {
					require.NotEqual(t, "cheap", stored.Name)
				}
			}
		}},
		{"what a hook has written before them stays", func(t *testing.T, db *gorm.DB) {
			rows := []sealed{{Price: 1}, {Price: 500}, {Price: 2}}
			require.NoError(t, db.Create(&rows).Error)

			require.NoError(t, db.Model(&rows).Where("price < ?", 400).Update("price", 7).Error)

			var hooks int64
			require.NoError(t, db.Model(&Bare{}).Count(&hooks).Error)
			require.EqualValues(t, len(rows), hooks)
			require.Equal(t, 7, Reload[sealed](t, db, rows[2].ID).Price)
			require.Equal(t, 500, Reload[sealed](t, db, rows[1].ID).Price)
		}},
	}, &Product{}, &sealed{}, &Bare{})
}

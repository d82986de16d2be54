package behaviour_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// inTurns has n goroutines start together, and gives back what they returned.
func inTurns(n int, do func(i int) error) error {
	start, errs := make(chan struct{}), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	all.Wait()
	return errors.Join(errs...)
}

// rereading reads and writes until the write is not refused.
func rereading(db *gorm.DB, id uint, write func(p *Product) error) error {
	for {
		var p Product
		if err := db.First(&p, id).Error; err != nil {
			return err
		}
		if err := write(&p); !errors.Is(err, occ.ErrStaleData) {
			return err
		}
	}
}

func TestConcurrentWrites(t *testing.T) {
	t.Parallel()
	const sessions, each = 4, 10
	increments := map[string]func(db *gorm.DB, p *Product) error{
		"Update": func(db *gorm.DB, p *Product) error { return db.Model(p).Update("price", p.Price+1).Error },
		"Save":   func(db *gorm.DB, p *Product) error { p.Price++; return db.Save(p).Error },
		"UpdateColumn": func(db *gorm.DB, p *Product) error {
			return db.Model(p).UpdateColumn("price", p.Price+1).Error
		},
		"Transaction": func(db *gorm.DB, p *Product) error {
			return db.Transaction(func(tx *gorm.DB) error { return tx.Model(p).Update("price", p.Price+1).Error })
		},
	}
	var behaviours []Behaviour
	for name, increment := range increments {
		behaviours = append(behaviours, Behaviour{name + " loses no update", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)

			err := inTurns(sessions, func(int) error {
				var errs error
				for range each {
					errs = errors.Join(errs, rereading(db, p.ID, func(p *Product) error { return increment(db, p) }))
				}
				return errs
			})

			require.NoError(t, err)
			require.Equal(t, Product{ID: p.ID, Name: "pen", Price: 10 + sessions*each, Version: 1 + sessions*each}, Reload[Product](t, db, p.ID))
		}})
	}
	behaviours = append(behaviours,
		Behaviour{"of copies at one version exactly one write succeeds", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)
			copies := [sessions]Product{}
			var mu sync.Mutex
			written, refused := []int{}, 0

			err := inTurns(sessions, func(i int) error {
				copies[i] = p
				err := db.Model(&copies[i]).Update("price", 100+i).Error
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, occ.ErrStaleData) {
					refused++
					return nil
				}
				written = append(written, 100+i)
				return err
			})

			require.NoError(t, err)
			require.Equal(t, sessions-1, refused)
			require.Len(t, written, 1)
			require.Equal(t, Product{ID: p.ID, Name: "pen", Price: written[0], Version: 2}, Reload[Product](t, db, p.ID))
		}},
		Behaviour{"writes by condition bump every row, whoever comes first", func(t *testing.T, db *gorm.DB) {
			p := Create(t, db)

			err := inTurns(sessions, func(int) error {
				return db.Model(&Product{}).Where("id = ?", p.ID).Update("price", gorm.Expr("price + 1")).Error
			})

			require.NoError(t, err)
			require.Equal(t, Product{ID: p.ID, Name: "pen", Price: 10 + sessions, Version: 1 + sessions}, Reload[Product](t, db, p.ID))
		}},
	)
	Run(t, Everywhere(), behaviours, &Product{})
}

func TestConcurrentWritesOfGraphs(t *testing.T) {
	t.Parallel()
	const sessions, each = 4, 5
	// retrying has every session do the same until it has succeeded, as often as each says.
	retrying := func(t *testing.T, db *gorm.DB, do func(tx *gorm.DB) error) {
		t.Helper()
		require.NoError(t, inTurns(sessions, func(int) error {
			var errs error
			for range each {
				errs = errors.Join(errs, occ.Retry(t.Context(), db, do, occ.WithMaxAttempts(1000), AtOnce()))
			}
			return errs
		}))
	}
	Run(t, testdb.All(), []Behaviour{
		{"each new child advances the parent once", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db)

			retrying(t, db, func(tx *gorm.DB) error { return tx.Create(&Line{CartID: &cart.ID}).Error })

			require.Equal(t, 1+sessions*each, CartVersion(t, db, cart.ID))
		}},
		{"saves of a graph write all parts or none, and lose no update", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1}, Line{Pieces: 1})

			retrying(t, db, func(tx *gorm.DB) error {
				var c Cart
				if err := tx.Preload("Lines").First(&c, cart.ID).Error; err != nil {
					return err
				}
				c.Owner += "n"
				for i := range c.Lines {
					c.Lines[i].Pieces++
				}
				return tx.Session(&gorm.Session{FullSaveAssociations: true}).Save(&c).Error
			})

			const writes = sessions * each
			require.Equal(t, Cart{ID: cart.ID, Owner: "ann" + strings.Repeat("n", writes), Version: 1 + writes}, Reload[Cart](t, db, cart.ID))
			for _, line := range cart.Lines {
				require.Equal(t, Line{ID: line.ID, CartID: &cart.ID, Pieces: 1 + writes, Version: 1 + writes}, Reload[Line](t, db, line.ID))
			}
		}},
	}, &Cart{}, &Line{})
}

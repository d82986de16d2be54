package peers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/plugin/optimisticlock"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// product is the model of the comparison in README, with a version of each sort.
type product[V any] struct {
	ID      uint
	Stock   int
	Version V
}

func (product[V]) TableName() string { return "products" }

// contender writes as its users do.
type contender[V any] struct {
	db      *gorm.DB
	version func(V) int64
	update  func(db *gorm.DB, m *product[V]) *gorm.DB // of the stock, to 7
	save    func(db *gorm.DB, m *product[V]) *gorm.DB
	delete  func(db *gorm.DB, m *product[V]) *gorm.DB
}

// TestTheComparisonInTheReadmeIsTrue has every line of README's table happen.
func TestTheComparisonInTheReadmeIsTrue(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	columns := [][]string{withOcc(t), withOptimisticLock(t), withChecksByHand(t)}
	for i, call := range []string{
		"a stale `Update`", "a stale `Save`", "a stale `Delete`", "`Save(&slice)` with a stale row", "an `Update` of a model that was never loaded",
		"the model after an `Update`", "the model after a stale `Update`",
	} {
		line := []string{"| " + call}
		for _, column := range columns {
			line = append(line, column[i])
		}
		row := strings.Join(line, " | ") + " |"
		require.True(t, strings.Contains(string(page), row+"\n"), "README has no line: %s", row)
	}
}

func withOcc(t *testing.T) []string {
	db := open(t)
	require.NoError(t, db.Use(occ.New()))
	return outcomes(t, contender[occ.Version]{db, func(v occ.Version) int64 { return int64(v) }, updateModel[occ.Version], saveModel[occ.Version], deleteModel[occ.Version]})
}

func withOptimisticLock(t *testing.T) []string {
	number := func(v optimisticlock.Version) int64 { return v.Int64 }
	return outcomes(t, contender[optimisticlock.Version]{open(t), number,
		updateModel[optimisticlock.Version], saveModel[optimisticlock.Version], deleteModel[optimisticlock.Version]})
}

func withChecksByHand(t *testing.T) []string {
	checked := func(db *gorm.DB, m *product[int64]) *gorm.DB { return db.Where("version = ?", m.Version) }
	return outcomes(t, contender[int64]{open(t), func(v int64) int64 { return v },
		func(db *gorm.DB, m *product[int64]) *gorm.DB {
			return checked(db, m).Model(m).Updates(map[string]any{"stock": 7, "version": m.Version + 1})
		},
		func(db *gorm.DB, m *product[int64]) *gorm.DB {
			db = checked(db, m)
			m.Version++
			return db.Save(m)
		},
		func(db *gorm.DB, m *product[int64]) *gorm.DB { return checked(db, m).Delete(m) },
	})
}

func updateModel[V any](db *gorm.DB, m *product[V]) *gorm.DB { return db.Model(m).Update("stock", 7) }
func saveModel[V any](db *gorm.DB, m *product[V]) *gorm.DB   { return db.Save(m) }
func deleteModel[V any](db *gorm.DB, m *product[V]) *gorm.DB { return db.Delete(m) }

func open(t *testing.T) *gorm.DB {
	t.Helper()
	db := testdb.One(t, "sqlite").Open(t)
	require.NoError(t, db.Exec("CREATE TABLE products (id integer PRIMARY KEY, stock integer NOT NULL, version integer NOT NULL)").Error)
	return db
}

// stockOfOthers is what somebody else has written, which has to stay.
const stockOfOthers = 9

// outcomes are the cells of a contender's column.
func outcomes[V any](t *testing.T, c contender[V]) []string {
	t.Helper()
	fresh := func() (m product[V]) {
		require.NoError(t, c.db.Exec("DELETE FROM products").Error)
		require.NoError(t, c.db.Exec("INSERT INTO products VALUES (1, ?, 1)", stockOfOthers).Error)
		require.NoError(t, c.db.First(&m, 1).Error)
		return m
	}
	stale := func() product[V] {
		m := fresh()
		require.NoError(t, c.db.Exec("UPDATE products SET version = 2").Error)
		return m
	}
	save := stale()
	save.Stock = 7
	saved := c.result(t, c.save(c.db, &save))
	remove := stale()
	removed := c.result(t, c.delete(c.db, &remove))
	slice := []product[V]{stale()}
	slice[0].Stock = 7
	all := c.result(t, c.db.Save(&slice))
	_ = fresh()
	blind := product[V]{ID: 1}
	unloaded := c.result(t, c.update(c.db, &blind))
	mine := fresh()
	require.NoError(t, c.update(c.db, &mine).Error)
	refused := stale()
	updated := c.result(t, c.update(c.db, &refused))
	return []string{updated, saved, removed, all, unloaded, c.held(mine), c.held(refused)}
}

// result is what the caller is told of a write that must not happen, and what has become of the row.
func (c contender[V]) result(t *testing.T, tx *gorm.DB) string {
	t.Helper()
	var stocks []int
	require.NoError(t, c.db.Raw("SELECT stock FROM products").Scan(&stocks).Error)
	isThere := len(stocks) == 1
	isUntouched := isThere && stocks[0] == stockOfOthers
	switch {
	case isUntouched && tx.Error != nil:
		return "an error"
	case isUntouched && tx.RowsAffected == 0:
		return "no error, `RowsAffected` 0"
	case isThere && tx.Error == nil:
		return "overwrites the row"
	case tx.Error == nil:
		return "deletes the row"
	}
	return "the row is changed, and there is an error"
}

// held says which version a model holds that was loaded at version 1.
func (c contender[V]) held(m product[V]) string {
	if c.version(m.Version) == 1 {
		return "holds the old version"
	}
	return "holds the next version"
}

package kinds_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// TestATriggerAtTheEndOfANarrowerColumn has raw SQL write a row at the last version of a smallint, under a Go int.
func TestATriggerAtTheEndOfANarrowerColumn(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("postgres", "mariadb"), []Behaviour{{"the write fails, and the plugin's own goes on at 1", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec("CREATE TABLE checked (id bigint primary key, price int, version smallint)").Error)
		require.NoError(t, db.Exec("INSERT INTO checked VALUES (1, 10, 32766)").Error)
		require.NoError(t, occ.CreateTriggers(db, &checked[int]{}))

		require.NoError(t, db.Exec("UPDATE checked SET price = 11").Error)
		require.Error(t, db.Exec("UPDATE checked SET price = 12").Error, "out of range")

		row := Reload[checked[int]](t, db, 1)
		require.Equal(t, checked[int]{ID: 1, Price: 11, Version: 32767}, row)
		require.ErrorContains(t, occ.CheckSchema(db, &checked[int]{}), "too narrow")
		require.NoError(t, db.Model(&row).Update("price", 13).Error)
		require.Equal(t, checked[int]{ID: 1, Price: 13, Version: 1}, row)
		require.Equal(t, row, Reload[checked[int]](t, db, 1))
		require.NoError(t, db.Exec("UPDATE checked SET price = 14").Error)
		require.Equal(t, 2, Reload[checked[int]](t, db, 1).Version)
	}}})
}

package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
)

func TestTheStatementOfOneRowIsBuiltOnce(t *testing.T) {
	for name, write := range map[string]func(db *gorm.DB, m *checked) error{
		"Update": func(db *gorm.DB, m *checked) error { return db.Model(m).Update("price", 70).Error },
		"Save":   func(db *gorm.DB, m *checked) error { return db.Save(m).Error },
		"Delete": func(db *gorm.DB, m *checked) error { return db.Delete(m).Error },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, 1, occ.New())
			built := 0
			db.ClauseBuilders["WHERE"] = func(c clause.Clause, builder clause.Builder) {
				built++
				c.Build(builder)
			}

			for i := range 3 {
				m := checked{ID: int64(i + 7), Version: 1}
				require.NoError(t, write(db, &m))
			}

			require.Equal(t, 1, built)
		})
	}
}

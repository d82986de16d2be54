package occ_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// The models of docs/versions.md.
type (
	documented[V any] struct {
		ID      uint
		Price   int
		Version V `gorm:"version"`
	}
	documentedByDatabase struct {
		ID      uint
		Price   int
		Version int64 `gorm:"version:database"`
	}
	documentedXmin struct {
		ID    uint
		Price int
		occ.Xmin
	}
)

func (documented[V]) TableName() string        { return "products" }
func (documentedByDatabase) TableName() string { return "products" }
func (documentedXmin) TableName() string       { return "products" }

func TestTheDocumentedSQLIsWhatIsSent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/versions.md")
	require.NoError(t, err)
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		dry := db.Session(&gorm.Session{DryRun: true})
		row := func(m any) string { return dry.Model(m).Update("price", 12).Statement.SQL.String() }
		byCondition := func(m any) string { return dry.Model(m).Where("price < 5").Update("price", 12).Statement.SQL.String() }

		documents := []string{row(&documented[string]{ID: 7, Version: "a"})}
		if db.Name() == "postgres" {
			documents = append(documents,
				row(&documented[int64]{ID: 7, Version: 3}), byCondition(&documented[int64]{}),
				row(&documented[time.Time]{ID: 7, Version: time.Now()}), byCondition(&documented[time.Time]{}),
				row(&documentedByDatabase{ID: 7, Version: 3}), row(&documentedXmin{ID: 7, Xmin: 3}))
		}
		for _, sql := range documents {
			require.Contains(t, string(text), "\n"+WithoutSettings(sql)+"\n")
		}
	})
}

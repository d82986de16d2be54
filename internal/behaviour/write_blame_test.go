package behaviour_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Ticket says who wrote it, and when.
type Ticket struct {
	ID      uint
	Seats   int
	Version occ.Version
	Editor  string    `gorm:"column:updated_by;blame;size:40"`
	Changed time.Time `gorm:"column:updated_at;blame"`
	Signed  *string   `gorm:"blame;size:40"`
	Deleted gorm.DeletedAt
}

func TestBlame(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	theirs := func(t *testing.T, db *gorm.DB) (mine Ticket, blame map[string]any) {
		mine = Ticket{Seats: 1, Editor: "me", Changed: at}
		require.NoError(t, db.Create(&mine).Error)
		other := Reload[Ticket](t, db, mine.ID)
		require.NoError(t, db.Model(&other).Updates(map[string]any{"updated_by": "her", "updated_at": at.Add(time.Hour), "signed": "x"}).Error)
		return mine, map[string]any{"updated_by": "her", "updated_at": at.Add(time.Hour), "signed": "x"}
	}
	requireBlame := func(t *testing.T, want map[string]any, row occ.StaleRow) {
		t.Helper()
		if changed, ok := row.Blame["updated_at"].(time.Time); ok {
			row.Blame["updated_at"] = changed.UTC()
		}
		require.Equal(t, want, row.Blame)
	}
	Run(t, testdb.All(), []Behaviour{
		{"a refusal says who has written the row", func(t *testing.T, db *gorm.DB) {
			mine, blame := theirs(t, db)

			err := db.Model(&mine).Update("seats", 2).Error

			requireBlame(t, blame, Stale(t, err))
			require.NotContains(t, err.Error(), "her")
			var text strings.Builder
			slog.New(slog.NewTextHandler(&text, nil)).Warn("refused", "err", err)
			require.NotContains(t, text.String(), "her")
		}},
		{"of several rows, of each", func(t *testing.T, db *gorm.DB) {
			first, blame := theirs(t, db)
			second, _ := theirs(t, db)
			third := Ticket{Seats: 3, Changed: at}
			require.NoError(t, db.Create(&third).Error)
			for name, write := range map[string]func([]Ticket) error{
				"save":   func(all []Ticket) error { return db.Save(&all).Error },
				"update": func(all []Ticket) error { return db.Model(&all).Update("seats", 9).Error },
				"delete": func(all []Ticket) error { return db.Delete(&all).Error },
				"touch":  func(all []Ticket) error { return occ.Touch(db, &all) },
				"verify": func(all []Ticket) error { return occ.Verify(db, &all) },
			} {
				err := write([]Ticket{first, third, second})

				var refused *occ.StaleDataError
				require.ErrorAs(t, err, &refused, name)
				require.Len(t, refused.Rows, 2, name)
				for _, row := range refused.Rows {
					requireBlame(t, blame, row)
				}
			}
		}},
		{"of a row that is soft-deleted too, and none of one that is gone", func(t *testing.T, db *gorm.DB) {
			mine, blame := theirs(t, db)
			now := Reload[Ticket](t, db, mine.ID)
			require.NoError(t, db.Delete(&now).Error)

			row := Stale(t, db.Model(&mine).Update("seats", 2).Error)

			require.Equal(t, occ.ReasonDeleted, row.Reason)
			requireBlame(t, blame, row)
			require.NoError(t, db.Unscoped().Delete(&now).Error)
			require.Nil(t, Stale(t, db.Model(&mine).Update("seats", 2).Error).Blame)
		}},
		{"NULL is nil", func(t *testing.T, db *gorm.DB) {
			mine := Ticket{Seats: 1, Changed: at}
			require.NoError(t, db.Create(&mine).Error)

			row := Stale(t, db.Model(&mine).Clauses(occ.Expect(7)).Update("seats", 2).Error)

			requireBlame(t, map[string]any{"updated_by": "", "updated_at": at, "signed": nil}, row)
		}},
		{"and none where no column is tagged", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&Product{}))
			mine, _ := Pair(t, db)
			require.Nil(t, Stale(t, db.Model(&mine).Update("price", 70).Error).Blame)
		}},
	}, &Ticket{})
}

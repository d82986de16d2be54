package behaviour_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

type (
	trayBox struct {
		Room   int `gorm:"primaryKey;autoIncrement:false"`
		Number int `gorm:"primaryKey;autoIncrement:false"`
		occ.Version
	}
	trayItem struct { // without a version
		ID        uint
		BoxRoom   *int
		BoxNumber *int
		Box       *trayBox `gorm:"touch;foreignKey:BoxRoom,BoxNumber;references:Room,Number"`
		Name      string
	}
	tray struct {
		ID uint
		occ.Version
	}
	trayLine struct {
		ID     uint
		TrayID uint
		Tray   *tray `gorm:"touch"`
		Count  int
		occ.Version
	}
	trayForm struct { // another type on the table of trayLine
		ID     uint
		TrayID uint
		Count  int
	}
)

// TestParentsOfWhatIsNoModel writes children in every form that a payload can have, and by every name of the foreign key.
func TestParentsOfWhatIsNoModel(t *testing.T) {
	t.Parallel()
	traysAt := func(t *testing.T, db *gorm.DB, want ...int) {
		t.Helper()
		var at []int
		require.NoError(t, db.Model(&tray{}).Order("id").Pluck("version", &at).Error)
		require.Equal(t, want, at)
	}
	two := func(t *testing.T, db *gorm.DB) trayLine {
		t.Helper()
		require.NoError(t, db.Create(&[]tray{{ID: 1}, {ID: 2}}).Error)
		line := trayLine{ID: 1, TrayID: 1}
		require.NoError(t, db.Create(&line).Error)
		traysAt(t, db, 2, 1)
		return line
	}
	moving := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"tray_id"})}
	Run(t, testdb.All(), []Behaviour{
		{"a key of which a part is zero", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Create(&[]trayBox{{Room: 0, Number: 5}, {Room: 1, Number: 5}}).Error)
			zero, one, five := 0, 1, 5
			items := []trayItem{{ID: 1, BoxRoom: &one, BoxNumber: &five}, {ID: 2, BoxRoom: &zero, BoxNumber: &five}, {ID: 3, BoxRoom: &one}}
			require.NoError(t, db.Create(&items).Error)
			require.NoError(t, db.Model(&items[0]).Update("name", "x").Error)
			require.NoError(t, db.Model(&items[1]).Update("name", "x").Error)
			require.NoError(t, db.Model(&items[2]).Update("name", "x").Error)
			var boxes []trayBox
			require.NoError(t, db.Order("room").Find(&boxes).Error)
			require.Equal(t, []occ.Version{3, 3}, []occ.Version{boxes[0].Version, boxes[1].Version})
		}},
		{"a Create of another type's struct", func(t *testing.T, db *gorm.DB) {
			two(t, db)
			require.NoError(t, db.Table("tray_lines").Create(&trayForm{ID: 2, TrayID: 1}).Error)
			traysAt(t, db, 3, 1)
			require.NoError(t, db.Table("tray_lines").Create(&[]trayForm{{ID: 3, TrayID: 2}, {ID: 4, TrayID: 1}}).Error)
			traysAt(t, db, 4, 2)
		}},
		{"an upsert of another type's struct", func(t *testing.T, db *gorm.DB) {
			two(t, db)
			require.NoError(t, db.Table("tray_lines").Clauses(moving).Create(&trayForm{ID: 1, TrayID: 2}).Error)
			require.EqualValues(t, 2, Reload[trayLine](t, db, 1).TrayID)
			traysAt(t, db, 3, 2)
		}},
		{"an upsert of a map", func(t *testing.T, db *gorm.DB) {
			two(t, db)
			require.NoError(t, db.Model(&trayLine{}).Clauses(moving).Create(map[string]any{"id": 1, "tray_id": 2}).Error)
			require.EqualValues(t, 2, Reload[trayLine](t, db, 1).TrayID)
			traysAt(t, db, 3, 2)
		}},
	}, &trayBox{}, &trayItem{}, &tray{}, &trayLine{})
	Run(t, Except("postgres", testdb.All()), []Behaviour{ // where a column's name may have other letters
		{"a map with the foreign key in other letters", func(t *testing.T, db *gorm.DB) {
			line := two(t, db)
			require.NoError(t, db.Model(&line).Updates(map[string]any{"TRAY_ID": 2}).Error)
			require.EqualValues(t, 2, Reload[trayLine](t, db, 1).TrayID)
			traysAt(t, db, 3, 2)
		}},
	}, &tray{}, &trayLine{})
}

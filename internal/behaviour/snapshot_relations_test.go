package behaviour_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Warehouse, Rack, Tray and Badge are related in every way, and have snapshots.
type Warehouse struct {
	ID        uint
	Name      string
	UpdatedAt time.Time
	Racks     []Rack
	Main      *Tray `gorm:"foreignKey:WarehouseID"`
	occ.Snapshot
}

type Rack struct {
	ID          uint
	Name        string
	WarehouseID *uint
	Warehouse   *Warehouse
	Badges      []*Badge `gorm:"many2many:rack_badges"`
	occ.Snapshot
}

type Tray struct {
	ID          uint
	Name        string
	WarehouseID uint
	Warehouse   Warehouse
	occ.Snapshot
}

type Badge struct {
	ID   uint
	Name string
	occ.Snapshot
}

func createWarehouse(t *testing.T, db *gorm.DB) Warehouse {
	warehouse := Warehouse{
		Name:  "d",
		Racks: []Rack{{Name: "r1", Badges: []*Badge{{Name: "b"}}}, {Name: "r2"}},
		Main:  &Tray{Name: "t"},
	}
	require.NoError(t, db.Create(&warehouse).Error)
	return warehouse
}

func TestSnapshotOfRelations(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a graph that was created can be written", func(t *testing.T, db *gorm.DB) {
			warehouse := createWarehouse(t, db)
			for i, model := range []any{&warehouse, &warehouse.Racks[0], &warehouse.Racks[1], warehouse.Main, warehouse.Racks[0].Badges[0]} {
				require.NoError(t, db.Model(model).Update("name", "x").Error, i)
			}
		}},
		{"Preload and Joins load snapshots", func(t *testing.T, db *gorm.DB) {
			created := createWarehouse(t, db)
			var warehouse Warehouse
			require.NoError(t, db.Preload("Racks.Badges").Preload("Main").First(&warehouse).Error)
			require.Equal(t, created.Snapshot, warehouse.Snapshot)
			require.Equal(t, created.Racks[0].Snapshot, warehouse.Racks[0].Snapshot)
			require.Equal(t, created.Racks[0].Badges[0].Snapshot, warehouse.Racks[0].Badges[0].Snapshot)
			require.Equal(t, created.Main.Snapshot, warehouse.Main.Snapshot)

			var trays []Tray
			require.NoError(t, db.Joins("Warehouse").Joins("Warehouse.Main").Find(&trays).Error)
			require.Equal(t, created.Snapshot, trays[0].Warehouse.Snapshot)
			require.Equal(t, created.Main.Snapshot, trays[0].Snapshot)
			require.Equal(t, created.Main.Snapshot, trays[0].Warehouse.Main.Snapshot)
			require.NoError(t, db.Model(&trays[0].Warehouse).Update("name", "y").Error)

			var racks []Rack
			require.NoError(t, db.Create(&Rack{Name: "loose"}).Error)
			require.NoError(t, db.Joins("Warehouse", db.Omit("name")).Order("racks.id").Find(&racks).Error)
			require.Nil(t, racks[2].Warehouse)
			require.NotZero(t, racks[2].Snapshot)
			require.ErrorIs(t, db.Model(racks[0].Warehouse).Update("name", "z").Error, occ.ErrVersionMissing)
			require.NoError(t, db.InnerJoins("Warehouse").Order("racks.id").Find(&racks).Error)
			require.NoError(t, db.Model(racks[0].Warehouse).Update("name", "z").Error)

			var found []Rack
			require.NoError(t, db.Model(&created).Association("Racks").Find(&found))
			require.NoError(t, db.Save(&found).Error)
		}},
		{"stale associations are refused with their owner", func(t *testing.T, db *gorm.DB) {
			warehouse := createWarehouse(t, db)
			require.NoError(t, db.Model(&Rack{}).Where("name = 'r1'").Update("name", "theirs").Error)
			full := db.Session(&gorm.Session{FullSaveAssociations: true})
			warehouse.Name, warehouse.Racks[0].Name = "mine", "mine"

			require.ErrorIs(t, full.Save(&warehouse).Error, occ.ErrStaleData)
			require.Equal(t, "d", Reload[Warehouse](t, db, warehouse.ID).Name)
			require.Equal(t, "theirs", Reload[Rack](t, db, warehouse.Racks[0].ID).Name)

			warehouse.Racks[0] = Reload[Rack](t, db, warehouse.Racks[0].ID)
			warehouse.Racks[0].Name = "mine"
			require.NoError(t, full.Save(&warehouse).Error)
			require.NoError(t, full.Save(&warehouse).Error)
			require.Equal(t, "mine", Reload[Rack](t, db, warehouse.Racks[0].ID).Name)
		}},
		{"saving an owner neither writes nor compares what is linked already", func(t *testing.T, db *gorm.DB) {
			warehouse := createWarehouse(t, db)
			require.NoError(t, db.Model(&Rack{}).Where("1 = 1").Update("name", "theirs").Error)
			warehouse.Name = "mine"
			require.NoError(t, db.Save(&warehouse).Error)
			require.Equal(t, "theirs", Reload[Rack](t, db, warehouse.Racks[0].ID).Name)
		}},
		{"two sessions can add to one owner", func(t *testing.T, db *gorm.DB) {
			mine := createWarehouse(t, db)
			theirs := Reload[Warehouse](t, db, mine.ID)
			require.NoError(t, db.Model(&theirs).Association("Racks").Append(&Rack{Name: "r3"}))
			require.NoError(t, db.Model(&mine).Association("Racks").Append(&Rack{Name: "r4"}))
			require.NoError(t, db.Model(&mine).Update("name", "x").Error)
			require.ErrorIs(t, db.Model(&theirs).Update("name", "y").Error, occ.ErrStaleData)
			require.NoError(t, db.Model(&mine.Racks[0]).Association("Badges").Append(&Badge{Name: "c"}))
			require.NoError(t, db.Model(&mine.Racks[0]).Association("Badges").Clear())
			require.NoError(t, db.Model(&mine).Association("Racks").Clear())
		}},
		{"a child that somebody else has moved is not pulled back", func(t *testing.T, db *gorm.DB) {
			mine, other := createWarehouse(t, db), createWarehouse(t, db)
			moved := mine.Racks[0]
			require.NoError(t, db.Model(&moved).Update("warehouse_id", other.ID).Error)
			mine.Name = "mine"
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
			require.Equal(t, other.ID, *Reload[Rack](t, db, moved.ID).WarehouseID)
			require.Equal(t, "d", Reload[Warehouse](t, db, mine.ID).Name)
		}},
		{"with its dependants, a stale owner is not deleted", func(t *testing.T, db *gorm.DB) {
			mine := createWarehouse(t, db)
			require.NoError(t, db.Model(&Warehouse{}).Where("1 = 1").Update("name", "theirs").Error)
			require.ErrorIs(t, db.Select("Main").Delete(&mine).Error, occ.ErrStaleData)
			require.NotZero(t, Reload[Tray](t, db, mine.Main.ID))
		}},
	}, &Warehouse{}, &Rack{}, &Tray{}, &Badge{})
}

// Counted has a version and a snapshot: the version is compared.
type Counted struct {
	ID   uint
	Name string
	Size int
	occ.Version
	occ.Snapshot
}

// Portrait has columns of many kinds.
type Portrait struct {
	ID      uint
	Name    string
	Size    float32
	At      *time.Time
	Bytes   []byte
	Labels  map[string]int `gorm:"serializer:json"`
	Deleted gorm.DeletedAt
	Nick    *string
	occ.Snapshot
}

func TestSnapshotIsTheBaseOfAMerge(t *testing.T) {
	t.Parallel()
	at, nick := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), "n"
	Run(t, testdb.All(), []Behaviour{
		{"Rebase without a base", func(t *testing.T, db *gorm.DB) {
			mine := Portrait{Name: "a", Size: 0.1, At: &at, Bytes: []byte{1, 0}, Labels: map[string]int{"x": 1}}
			require.NoError(t, db.Create(&mine).Error)
			mine = Reload[Portrait](t, db, mine.ID)
			theirs := Reload[Portrait](t, db, mine.ID)
			theirs.Name, theirs.Labels["y"], theirs.Nick = "theirs", 2, &nick
			require.NoError(t, db.Save(&theirs).Error)

			mine.Size, mine.Bytes[1], mine.At = 3, 7, nil
			require.ErrorIs(t, db.Save(&mine).Error, occ.ErrStaleData)
			require.NoError(t, occ.Rebase(db, nil, &mine))

			row := Reload[Portrait](t, db, mine.ID)
			require.Equal(t, row, mine)
			require.Equal(t, "theirs", row.Name)
			require.Equal(t, map[string]int{"x": 1, "y": 2}, row.Labels)
			require.Equal(t, "n", *row.Nick)
			require.EqualValues(t, 3, row.Size)
			require.Equal(t, []byte{1, 7}, row.Bytes)
			require.Nil(t, row.At)

			theirs = row
			require.NoError(t, db.Model(&theirs).Update("name", "again").Error)
			mine.Name, mine.Labels["x"] = "mine", 5
			err := occ.Rebase(db, nil, &mine)
			var conflict *occ.MergeConflictError
			require.ErrorAs(t, err, &conflict)
			require.Len(t, conflict.Fields, 1)
			require.Equal(t, occ.FieldConflict{Field: "Name", Column: "name", Base: "theirs", Mine: "mine", Theirs: "again"}, conflict.Fields[0])
		}},
		{"Merge without a base", func(t *testing.T, db *gorm.DB) {
			mine := Counted{Name: "a", Size: 1}
			require.NoError(t, db.Create(&mine).Error)
			_, _, err := occ.Merge(db, nil, &mine, &mine)
			require.ErrorContains(t, err, "mine holds no snapshot")
			mine = Reload[Counted](t, db, mine.ID)
			require.NoError(t, db.Model(&mine).Update("size", 2).Error)
			theirs := Reload[Counted](t, db, mine.ID)
			require.Equal(t, theirs, mine)
			require.NoError(t, db.Model(&theirs).Update("name", "theirs").Error)
			mine.Size = 5

			merged, conflicts, err := occ.Merge(db, nil, &mine, &theirs)
			require.NoError(t, err)
			require.Empty(t, conflicts)
			require.Equal(t, "theirs", merged.Name)
			require.Equal(t, 5, merged.Size)
			require.NoError(t, db.Save(merged).Error)
		}},
		{"with a version, that is what is compared", func(t *testing.T, db *gorm.DB) {
			c := Counted{Name: "a"}
			require.NoError(t, db.Create(&c).Error)
			before := Reload[Counted](t, db, c.ID)
			c = before
			require.NoError(t, db.Exec("UPDATE counteds SET name = 'b'").Error)
			boom := errors.New("boom")
			require.ErrorIs(t, occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Save(&c).Error)
				require.NoError(t, tx.Save(&[]*Counted{&c}).Error)
				return boom
			}), boom)
			require.Equal(t, before, c)
			require.NoError(t, db.Clauses(occ.Expect(1)).Model(&c).Update("name", "c").Error)
		}},
	}, &Counted{}, &Portrait{})
}

func TestSnapshotUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"no update is lost", func(t *testing.T, db *gorm.DB) {
			c := CreateCasket(t, db)
			const writers, rounds = 4, 10
			var all sync.WaitGroup
			errs := make([]error, writers)
			for i := range writers {
				all.Go(func() {
					for n := range rounds {
						errs[i] = errors.Join(errs[i], occ.Retry(context.Background(), db, func(tx *gorm.DB) error {
							var mine Casket
							if err := tx.First(&mine, c.ID).Error; err != nil {
								return err
							}
							mine.Weight++
							switch n % 3 {
							case 0:
								return tx.Save(&mine).Error
							case 1:
								return tx.Save(&[]*Casket{&mine}).Error
							}
							return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&mine).Error
						}, occ.WithMaxAttempts(1000)))
					}
				})
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			require.Equal(t, 1+writers*rounds, Reload[Casket](t, db, c.ID).Weight)
		}},
	}, &Casket{})
}

// Numbered has a key that may not be assigned to.
type Numbered struct {
	ID   int64
	Name string
	Gone gorm.DeletedAt
	occ.Snapshot
}

func TestSnapshotOfGeneratedKey(t *testing.T) {
	t.Parallel()
	db := Open(t, testdb.One(t, "postgres"), nil)
	require.NoError(t, db.Exec("CREATE TABLE numbereds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, gone timestamptz)").Error)
	all := []Numbered{{Name: "a"}, {Name: "b"}}
	require.NoError(t, db.Create(&all).Error)

	all[0].Name = "c"
	require.NoError(t, db.Save(&all).Error)
	require.NoError(t, db.Save(&all[0]).Error)
	require.NoError(t, db.Delete(&all).Error)
	require.Equal(t, "c", Reload[Numbered](t, db, all[0].ID).Name)
}

type (
	twoSnapshots struct {
		ID uint
		occ.Snapshot
		CasketBase
	}
	pointedSnapshot struct {
		ID uint
		*occ.Snapshot
	}
	hiddenSnapshot struct {
		ID   uint
		Snap occ.Snapshot `gorm:"-"`
	}
	wrongSnapshot struct {
		ID           uint
		occ.Snapshot `gorm:"snapshot:nosuch"`
	}
	freeToken struct {
		ID    uint
		Views int `gorm:"token;unversioned"`
		occ.Snapshot
	}
	touchedSnapshot struct {
		ID       uint
		CasketID uint
		Casket   Casket `gorm:"touch"`
		occ.Snapshot
	}
)

func TestSnapshotDeclaredWrongly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		model any
		text  string
	}{
		{&twoSnapshots{}, "model twoSnapshots: it embeds two Snapshots"},
		{&pointedSnapshot{}, "model pointedSnapshot: field Snapshot: embed occ.Snapshot itself"},
		{&hiddenSnapshot{}, "model hiddenSnapshot: field Snap: embed occ.Snapshot itself"},
		{&wrongSnapshot{}, `model wrongSnapshot: field Snapshot: there is no mode called "nosuch"`},
		{&freeToken{}, "model freeToken: field Views: it is tagged token and unversioned"},
		{&touchedSnapshot{}, "model touchedSnapshot, field Casket: touch needs a version, and Casket has none"},
	} {
		db := Open(t, testdb.One(t, "sqlite"), nil)
		if _, isJoin := tt.model.(*twoSnapshots); !isJoin { // which is fine to read into
			require.ErrorContains(t, db.First(tt.model).Error, tt.text)
		}
		for _, use := range []func() error{
			func() error { return db.Create(tt.model).Error },
			func() error { return db.Where("id = 1").Delete(tt.model).Error },
		} {
			require.ErrorContains(t, use(), tt.text)
		}
	}
}

func TestAStructThatEmbedsTwoSnapshotsIsReadInto(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"with the columns of both", func(t *testing.T, db *gorm.DB) {
			c := CreateCasket(t, db)
			var both twoSnapshots

			found := db.Unscoped().Table("caskets").Where("id = ?", c.ID).Find(&both)

			require.NoError(t, found.Error)
			require.EqualValues(t, 1, found.RowsAffected)
			require.ErrorContains(t, db.Table("caskets").Save(&both).Error, "two Snapshots")
			require.Equal(t, c.Label, Reload[Casket](t, db, c.ID).Label)
		}},
	}, &Casket{})
}

// dirtyItem is compared by the columns that a write changes.
type dirtyItem struct {
	ID           uint
	Name         string
	Price        int
	occ.Snapshot `gorm:"snapshot:dirty"`
}

// TestDirtyColumnsByOtherNames writes a column that somebody else has written, by each name that the database takes for it.
func TestDirtyColumnsByOtherNames(t *testing.T) {
	t.Parallel()
	var behaviours []Behaviour
	for _, name := range []string{"price", "Price", "PRICE", "`price`", "dirty_items.price"} {
		behaviours = append(behaviours, Behaviour{name, func(t *testing.T, db *gorm.DB) {
			mine := dirtyItem{Name: "a", Price: 1}
			require.NoError(t, db.Create(&mine).Error)
			theirs := Reload[dirtyItem](t, db, mine.ID)
			require.NoError(t, db.Model(&theirs).Update("price", 50).Error)
			require.Error(t, db.Model(&mine).Updates(map[string]any{name: 2, "name": "b"}).Error)
			stored := Reload[dirtyItem](t, db, mine.ID)
			require.Equal(t, []any{"a", 50}, []any{stored.Name, stored.Price})
			if err := db.Model(&stored).Updates(map[string]any{name: 2}).Error; err == nil { // not all databases take each name
				require.Equal(t, 2, Reload[dirtyItem](t, db, mine.ID).Price)
				require.NoError(t, db.Model(&stored).Update("price", 3).Error)
			}
		}})
	}
	Run(t, testdb.All(), behaviours, &dirtyItem{})
}

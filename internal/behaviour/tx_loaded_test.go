package behaviour_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Shed and Tool are what transactions load after they have written.
type Shed struct {
	ID    uint
	Name  string
	Tools []Tool
	occ.Version
}

type Tool struct {
	ID     uint
	ShedID uint
	Shed   *Shed
	Name   string
	occ.Version
}

// toolLoads are ways to load a tool. Each returns the model that was loaded.
var toolLoads = map[string]func(tx *gorm.DB, id uint, loaded *Tool) (*Tool, error){
	"First again": func(tx *gorm.DB, id uint, loaded *Tool) (*Tool, error) { return loaded, tx.First(loaded, id).Error },
	"First": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) {
		var tool Tool
		return &tool, tx.First(&tool, id).Error
	},
	"Find of a slice": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) {
		var tools []Tool
		err := tx.Where("id = ?", id).Find(&tools).Error
		return &tools[0], err
	},
	"Find of pointers": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) {
		var tools []*Tool
		err := tx.Where("id = ?", id).Find(&tools).Error
		return tools[0], err
	},
	"gorm.G": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) {
		tools, err := gorm.G[*Tool](tx).Where("id = ?", id).Find(tx.Statement.Context)
		return tools[0], err
	},
	"Raw and Find": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) {
		var tool Tool
		return &tool, tx.Raw("SELECT * FROM tools WHERE id = ?", id).Find(&tool).Error
	},
	"Preload": func(tx *gorm.DB, _ uint, _ *Tool) (*Tool, error) {
		var shed Shed
		err := tx.Preload("Tools").First(&shed).Error
		return &shed.Tools[0], err
	},
	"Current": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) { return occ.Current(tx, &Tool{ID: id}) },
	"FirstOrCreate": func(tx *gorm.DB, id uint, _ *Tool) (*Tool, error) {
		var tool Tool
		return &tool, tx.Where(Tool{ID: id}).FirstOrCreate(&tool).Error
	},
}

// toolWrites are ways to write a tool in the transaction before.
var toolWrites = map[string]func(tx *gorm.DB, tool *Tool) error{
	"Update":          func(tx *gorm.DB, tool *Tool) error { return tx.Model(tool).Update("name", "rolled back").Error },
	"Save of a slice": func(tx *gorm.DB, tool *Tool) error { return tx.Save([]*Tool{tool}).Error },
	"Touch":           func(tx *gorm.DB, tool *Tool) error { return occ.Touch(tx, tool) },
	"upsert": func(tx *gorm.DB, tool *Tool) error {
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(tool).Error
	},
	"Update by key": func(tx *gorm.DB, tool *Tool) error {
		return tx.Clauses(occ.Expect(1)).Model(&Tool{ID: tool.ID}).Update("name", "rolled back").Error
	},
	"Update of rows": func(tx *gorm.DB, tool *Tool) error {
		return tx.Model(&Tool{}).Where("id = ?", tool.ID).Update("name", "rolled back").Error
	},
	"Update of a map": func(tx *gorm.DB, tool *Tool) error {
		return tx.Table("tools").Where("id = ?", tool.ID).Updates(map[string]any{"name": "rolled back"}).Error
	},
	"a nested success": func(tx *gorm.DB, tool *Tool) error {
		return occ.Transaction(tx, func(tx *gorm.DB) error { return tx.Save(tool).Error })
	},
}

// TestLoadedInARolledBackTransaction: the version that a query gives a model is one that the transaction has written. After the
// rollback somebody else writes the same version, with other values.
func TestLoadedInARolledBackTransaction(t *testing.T) {
	t.Parallel()
	var all, some []Behaviour // some have each write and each load once, with the plainest of the others
	for writing, write := range toolWrites {
		for loading, load := range toolLoads {
			all = append(all, Behaviour{writing + ", " + loading, func(t *testing.T, db *gorm.DB) {
				shed := Shed{Tools: []Tool{{Name: "hammer"}}}
				require.NoError(t, db.Create(&shed).Error)
				id := shed.Tools[0].ID
				require.NoError(t, db.Table("tools").Where("id = 0").Updates(map[string]any{"name": "none"}).Error)
				mine := Reload[Tool](t, db, id)
				loaded := &mine
				err := occ.Transaction(db, func(tx *gorm.DB) (err error) {
					require.NoError(t, write(tx, &shed.Tools[0]))
					loaded, err = load(tx, id, loaded)
					require.NoError(t, err)
					require.EqualValues(t, 2, loaded.Version)
					return ErrBoom
				})
				require.ErrorIs(t, err, ErrBoom)
				theirs := Reload[Tool](t, db, id)
				require.NoError(t, db.Model(&theirs).Update("name", "theirs").Error)

				err = db.Model(loaded).Update("name", "mine").Error

				require.ErrorIs(t, err, occ.ErrStaleData)
				require.Equal(t, Tool{ID: id, ShedID: shed.ID, Name: "theirs", Version: 2}, Reload[Tool](t, db, id))
				want := occ.Version(0)
				if loaded == &mine {
					want = 1
				}
				require.Equal(t, want, loaded.Version, "what it was before")
			}})
			if writing == "Update" || loading == "First" {
				some = append(some, all[len(all)-1])
			}
		}
	}
	Run(t, Products(testdb.All(), "sqlite"), all, &Shed{}, &Tool{})
	Run(t, Except("sqlite", testdb.All()), some, &Shed{}, &Tool{})
}

// TestLoadedAndNotWrittenInATransaction: a rollback leaves the versions of rows that the transaction has not written, or had
// written before the savepoint.
func TestLoadedAndNotWrittenInATransaction(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"rows that were only read", func(t *testing.T, db *gorm.DB) {
			shed := Shed{Tools: []Tool{{Name: "hammer"}, {Name: "saw"}}}
			require.NoError(t, db.Create(&shed).Error)
			var other Tool
			require.ErrorIs(t, occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&shed.Tools[0]).Update("name", "rolled back").Error)
				require.NoError(t, tx.First(&other, shed.Tools[1].ID).Error)
				return ErrBoom
			}), ErrBoom)

			require.NoError(t, db.Model(&other).Update("name", "axe").Error)
			require.Equal(t, Tool{ID: other.ID, ShedID: shed.ID, Name: "axe", Version: 2}, Reload[Tool](t, db, other.ID))
		}},
		{"a transaction that is committed", func(t *testing.T, db *gorm.DB) {
			shed := Shed{Tools: []Tool{{Name: "hammer"}}}
			require.NoError(t, db.Create(&shed).Error)
			var loaded Tool
			require.NoError(t, occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&shed.Tools[0]).Update("name", "axe").Error)
				return tx.First(&loaded, shed.Tools[0].ID).Error
			}))

			require.NoError(t, db.Model(&loaded).Update("name", "saw").Error)
			require.EqualValues(t, 3, loaded.Version)
		}},
		{"a row that was written before the savepoint", loadedInAnInnerTransaction(func(tx *gorm.DB, tool *Tool) error {
			return tx.Model(tool).Update("name", "axe").Error
		})},
		{"a row that conditions have named before the savepoint", loadedInAnInnerTransaction(func(tx *gorm.DB, tool *Tool) error {
			return tx.Model(&Tool{}).Where("id = ?", tool.ID).Update("name", "axe").Error
		})},
		{"a row that is loaded after a write by condition was rolled back", func(t *testing.T, db *gorm.DB) {
			shed := Shed{Tools: []Tool{{Name: "hammer"}}}
			require.NoError(t, db.Create(&shed).Error)
			var loaded Tool
			require.ErrorIs(t, occ.Transaction(db, func(tx *gorm.DB) error {
				require.ErrorIs(t, occ.Transaction(tx, func(tx *gorm.DB) error {
					require.NoError(t, tx.Model(&Tool{}).Where("id = ?", shed.Tools[0].ID).Update("name", "axe").Error)
					return ErrBoom
				}), ErrBoom)
				require.NoError(t, tx.First(&loaded, shed.Tools[0].ID).Error)
				return ErrBoom
			}), ErrBoom)
			require.EqualValues(t, 1, loaded.Version)
		}},
		{"a parent and a child that a join loads", func(t *testing.T, db *gorm.DB) {
			shed := Shed{Name: "old", Tools: []Tool{{Name: "hammer"}}}
			require.NoError(t, db.Create(&shed).Error)
			var loaded Tool
			require.ErrorIs(t, occ.Transaction(db, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&shed).Update("name", "rolled back").Error)
				require.NoError(t, tx.Joins("Shed").First(&loaded, shed.Tools[0].ID).Error)
				require.EqualValues(t, 2, loaded.Shed.Version)
				return ErrBoom
			}), ErrBoom)
			require.EqualValues(t, 1, loaded.Version)
			require.Zero(t, loaded.Shed.Version)
			require.ErrorIs(t, db.Model(loaded.Shed).Update("name", "mine").Error, occ.ErrVersionMissing)
			require.Equal(t, "old", Reload[Shed](t, db, shed.ID).Name)
		}},
	}, &Shed{}, &Tool{})
}

// loadedInAnInnerTransaction loads a tool that write has written in an inner transaction, which writes another one and is rolled back.
func loadedInAnInnerTransaction(write func(tx *gorm.DB, tool *Tool) error) func(t *testing.T, db *gorm.DB) {
	return func(t *testing.T, db *gorm.DB) {
		shed := Shed{Tools: []Tool{{Name: "hammer"}, {Name: "saw"}}}
		require.NoError(t, db.Create(&shed).Error)
		var loaded Tool
		require.NoError(t, occ.Transaction(db, func(tx *gorm.DB) error {
			require.NoError(t, write(tx, &shed.Tools[0]))
			require.ErrorIs(t, occ.Transaction(tx, func(tx *gorm.DB) error {
				require.NoError(t, tx.Model(&shed.Tools[1]).Update("name", "rolled back").Error)
				require.NoError(t, tx.First(&loaded, shed.Tools[0].ID).Error)
				return ErrBoom
			}), ErrBoom)
			return tx.Model(&loaded).Update("name", "kept").Error
		}))
		require.Equal(t, Tool{ID: loaded.ID, ShedID: shed.ID, Name: "kept", Version: 3}, Reload[Tool](t, db, loaded.ID))
	}
}

// lossesAfterRollbacks load a tool, the only one, in a transaction that has written it and is rolled back.
var lossesAfterRollbacks = map[string]func(tx *gorm.DB, written *Tool) (*Tool, error){
	"loaded in an inner transaction that is rolled back first": func(tx *gorm.DB, written *Tool) (*Tool, error) {
		var loaded Tool
		err := tx.Model(written).Update("name", "rolled back").Error
		_ = occ.Transaction(tx, func(tx *gorm.DB) error {
			err = errors.Join(err, tx.First(&loaded, written.ID).Error)
			return ErrBoom
		})
		return &loaded, err
	},
	"written and loaded after an inner transaction that was rolled back": func(tx *gorm.DB, written *Tool) (*Tool, error) {
		var before, loaded Tool
		err := occ.Transaction(tx, func(tx *gorm.DB) error {
			other := Tool{Name: "other"}
			return errors.Join(tx.Create(&other).Error, tx.First(&before, other.ID).Error, ErrBoom)
		})
		if !errors.Is(err, ErrBoom) {
			return nil, err
		}
		return &loaded, errors.Join(tx.Model(written).Update("name", "rolled back").Error, tx.First(&loaded, written.ID).Error)
	},
	"returned by an Update": func(tx *gorm.DB, written *Tool) (*Tool, error) {
		var loaded []Tool
		err := tx.Model(&loaded).Clauses(clause.Returning{}).Where("id = ?", written.ID).Update("name", "rolled back").Error
		return &loaded[0], err
	},
	"returned by an Update into one model": func(tx *gorm.DB, written *Tool) (*Tool, error) {
		var loaded Tool
		return &loaded, tx.Model(&loaded).Clauses(clause.Returning{}).Where("id = ?", written.ID).Update("name", "rolled back").Error
	},
	"preloaded into an embedded struct": func(tx *gorm.DB, written *Tool) (*Tool, error) {
		var court Court
		err := errors.Join(tx.Model(written).Update("name", "rolled back").Error, tx.Preload("Inside.Tools").First(&court).Error)
		return &court.Inside.Tools[0], err
	},
	"preloaded with all associations": func(tx *gorm.DB, written *Tool) (*Tool, error) {
		var court Court
		err := errors.Join(tx.Model(written).Update("name", "rolled back").Error, tx.Preload(clause.Associations).Preload("Inside.Tools").First(&court).Error)
		return &court.Inside.Tools[0], err
	},
}

// Court is a table of sheds, with its tools in a struct that is embedded.
type Court struct {
	ID     uint
	Inside Inside `gorm:"embedded"`
}

type Inside struct {
	Tools []Tool `gorm:"foreignKey:ShedID"`
}

func (Court) TableName() string { return "sheds" }

func TestNoLossAfterARollback(t *testing.T) {
	t.Parallel()
	for name, load := range lossesAfterRollbacks {
		databases := testdb.All()
		if strings.HasPrefix(name, "returned") {
			databases = Products(databases, "sqlite", "postgres")
		}
		Run(t, databases, []Behaviour{{name, func(t *testing.T, db *gorm.DB) {
			shed := Shed{Tools: []Tool{{Name: "hammer"}}}
			require.NoError(t, db.Create(&shed).Error)
			id := shed.Tools[0].ID
			var loaded *Tool
			require.ErrorIs(t, occ.Transaction(db, func(tx *gorm.DB) (err error) {
				loaded, err = load(tx, &shed.Tools[0])
				require.NoError(t, err)
				require.EqualValues(t, 2, loaded.Version)
				return ErrBoom
			}), ErrBoom)
			theirs := Reload[Tool](t, db, id)
			require.NoError(t, db.Model(&theirs).Update("name", "theirs").Error)

			err := db.Model(loaded).Update("name", "mine").Error

			require.ErrorIs(t, err, occ.ErrStaleData)
			require.Zero(t, loaded.Version)
			require.Equal(t, Tool{ID: id, ShedID: shed.ID, Name: "theirs", Version: 2}, Reload[Tool](t, db, id))
		}}}, &Shed{}, &Tool{})
	}
}

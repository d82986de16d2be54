package behaviour_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/plugin/soft_delete"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

type flaggedItem struct {
	ID        uint
	Name      string
	IsDeleted soft_delete.DeletedAt `gorm:"softDelete:flag,DeletedAtField:DeletedAt"`
	DeletedAt time.Time
	occ.Version
}

type sliceOwner struct {
	ID    uint
	Name  string
	Parts []slicePart `gorm:"foreignKey:OwnerID"`
	occ.Version
}

type slicePart struct {
	ID      uint
	OwnerID uint
	Name    string
	Owner   *sliceOwner
	occ.Version
}

// volume has columns of every sort that can be long.
type volume struct {
	ID      uint
	Bytes   []byte
	Named   volumeText
	Pointer *string
	Maybe   sql.NullString
	Pages   []string `gorm:"serializer:json"`
	occ.Version
}

type volumeText []byte

func TestLargeSlices(t *testing.T) {
	t.Parallel()
	Run(t, append(testdb.All(), Only("mariadb clientFoundRows")...), []Behaviour{
		{"12,000 rows are saved, changed and deleted, all or none", func(t *testing.T, db *gorm.DB) {
			const n = 12_000
			products := make([]Product, n)
			for i := range products {
				products[i].Price = i
			}
			require.NoError(t, db.CreateInBatches(&products, 5000).Error)
			for i := range products {
				products[i].Name = fmt.Sprint("product ", i)
			}
			changePrice(t, db, products[n-2])
			require.Equal(t, n-2, Stale(t, db.Save(&products).Error).Index)
			var written int64
			require.NoError(t, db.Model(&Product{}).Where("name <> ''").Count(&written).Error)
			require.Zero(t, written)
			products[n-2].Version = 2

			res := db.Save(&products)

			require.NoError(t, res.Error)
			require.EqualValues(t, n, res.RowsAffected)
			require.Equal(t, products, all[Product](t, db))
			require.NoError(t, db.Model(&products).Update("price", gorm.Expr("price + 1")).Error)
			changePrice(t, db, products[n-1])
			require.Equal(t, n-1, Stale(t, db.Delete(&products).Error).Index)
			require.Len(t, all[Product](t, db), n)
			products[n-1].Version++
			require.NoError(t, db.Delete(&products).Error)
			require.Empty(t, all[Product](t, db))
			products = make([]Product, n)
			res = db.Save(&products)
			require.NoError(t, res.Error)
			require.EqualValues(t, n, res.RowsAffected)
			require.Equal(t, products, all[Product](t, db))
		}},
		{"rows that are more than a packet, whatever their columns are of", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&volume{}))
			volumes := make([]volume, 20)
			require.NoError(t, db.Create(&volumes).Error)
			page := strings.Repeat("x", 1<<12)
			if db.Name() == "mysql" {
				page = strings.Repeat("x", 1<<20) // 20 of them are more than it takes
			}
			for column, write := range map[string]func(*volume){
				"bytes":   func(v *volume) { v.Bytes = []byte(page) },
				"named":   func(v *volume) { v.Named = volumeText(page) },
				"pointer": func(v *volume) { v.Pointer = &page },
				"maybe":   func(v *volume) { v.Maybe = sql.NullString{String: page, Valid: true} },
				"pages":   func(v *volume) { v.Pages = []string{page} },
			} {
				for i := range volumes {
					write(&volumes[i])
				}
				require.NoError(t, db.Select(column).Save(&volumes).Error, column)
				require.Equal(t, volumes, all[volume](t, db), column)
				require.NoError(t, db.Model(&volumes).Update(column, nil).Error)
				volumes = all[volume](t, db)
			}
		}},
	}, &Product{})
}

// statements is a logger that keeps what was sent.
type statements struct {
	logger.Interface
	sent []string
}

func (s *statements) LogMode(logger.LogLevel) logger.Interface { return s }

func (s *statements) Trace(_ context.Context, _ time.Time, fc func() (string, int64), _ error) {
	sql, _ := fc()
	s.sent = append(s.sent, sql)
}

func TestStatementsOfASlice(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"are one INSERT and one UPDATE, and all of them are logged", func(t *testing.T, db *gorm.DB) {
			products := append(createSeveral(t, db, 3), Product{Name: "new"})
			log := &statements{Interface: logger.Discard}
			require.NoError(t, db.Session(&gorm.Session{Logger: log}).Save(&products).Error)
			require.Len(t, log.sent, 2)
			require.Contains(t, log.sent[0], "UPDATE ")
			require.Contains(t, log.sent[1], "INSERT INTO ")
			log.sent = nil
			require.NoError(t, db.Session(&gorm.Session{Logger: log}).Model(&products).Update("name", "x").Error)
			require.Len(t, log.sent, 1)
		}},
		{"are as many for bytes as for text of the same length", func(t *testing.T, db *gorm.DB) {
			type document struct {
				ID   uint
				Text string
				Data []byte
				occ.Version
			}
			require.NoError(t, db.AutoMigrate(&document{}))
			documents := make([]document, 30)
			require.NoError(t, db.Create(&documents).Error)
			for i := range documents {
				documents[i].Text, documents[i].Data = strings.Repeat("x", 5000), bytes.Repeat([]byte{byte(i)}, 5000)
			}
			sent := map[string]int{}
			for _, column := range []string{"text", "data"} {
				log := &statements{Interface: logger.Discard}
				require.NoError(t, db.Session(&gorm.Session{Logger: log}).Select(column).Save(&documents).Error)
				sent[column] = len(log.sent)
			}
			require.Equal(t, sent["text"], sent["data"])
			require.Equal(t, documents, all[document](t, db))
		}},
		{"count as one checked call", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			require.NoError(t, db.Save(&products).Error)
			require.NoError(t, db.Model(&products).Update("name", "x").Error)
			require.NoError(t, db.Model(&products).Clauses(occ.Unchecked()).Update("name", "x").Error)
			changePrice(t, db, products[0])
			require.Error(t, db.Delete(&products).Error)
			stats := db.Plugins["occ"].(*occ.Plugin).Stats()["products"]
			require.Equal(t, occ.TableStats{Checked: 3, Refused: 1, Blind: 1}, stats)
		}},
	}, &Product{})
}

func TestSlicesUnderOtherPlugins(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"soft_delete marks every row and writes its next version", func(t *testing.T, db *gorm.DB) {
			items := []flaggedItem{{Name: "a"}, {Name: "b"}, {Name: "c"}}
			require.NoError(t, db.Create(&items).Error)
			change := db.Model(&items[1]).Update("name", "B")
			require.NoError(t, change.Error)

			res := db.Delete(&items)

			require.NoError(t, res.Error)
			require.EqualValues(t, 3, res.RowsAffected)
			stored := all[flaggedItem](t, db)
			for i := range stored {
				require.Equal(t, stored[i].Version, items[i].Version)
				require.EqualValues(t, 1, items[i].IsDeleted)
				require.EqualValues(t, 1, stored[i].IsDeleted)
				require.False(t, items[i].DeletedAt.IsZero())
			}
			require.Equal(t, occ.Version(3), items[1].Version)
			require.Equal(t, occ.ReasonDeleted, staleRows(t, db.Model(&items).Update("name", "x").Error)[2].Reason)
			require.NoError(t, db.Unscoped().Model(&items).Update("name", "x").Error)
			require.NoError(t, db.Unscoped().Delete(&items).Error)
			require.Empty(t, all[flaggedItem](t, db))
		}},
		{"associations are saved with their owners", func(t *testing.T, db *gorm.DB) {
			owners := []sliceOwner{{Name: "a", Parts: []slicePart{{Name: "1"}, {Name: "2"}}}, {Name: "b", Parts: []slicePart{{Name: "3"}}}}
			require.NoError(t, db.Save(&owners).Error)
			require.NotZero(t, owners[1].Parts[0].OwnerID)
			owners = append(owners, sliceOwner{Name: "c", Parts: []slicePart{{Name: "4"}}})
			owners[0].Name = "A"
			require.NoError(t, db.Save(&owners).Error)
			require.Equal(t, occ.Version(2), owners[0].Version)
			require.Equal(t, occ.Version(1), owners[2].Version)
			require.Equal(t, owners[2].ID, owners[2].Parts[0].OwnerID)
			var parts []slicePart
			require.NoError(t, db.Order("id").Find(&parts).Error)
			require.Len(t, parts, 4)
			children := []slicePart{{Name: "5", Owner: &sliceOwner{Name: "d"}}, parts[0]}
			children[1].Owner = &sliceOwner{Name: "e"}
			require.NoError(t, db.Save(&children).Error)
			require.NotZero(t, children[1].OwnerID)
			require.Equal(t, children[1].Owner.ID, Reload[slicePart](t, db, children[1].ID).OwnerID)
			require.Equal(t, occ.Version(2), children[1].Version)
		}},
	}, &flaggedItem{}, &sliceOwner{}, &slicePart{})
	Run(t, Except("SkipDefaultTransaction", Everywhere()), []Behaviour{
		{"CreateInBatches that fails leaves the versions as they were", func(t *testing.T, db *gorm.DB) {
			products := []Product{{ID: 1}, {ID: 2, Version: 7}, {ID: 3}, {ID: 1}}
			require.Error(t, db.CreateInBatches(&products, 2).Error)
			require.Equal(t, []int{0, 7, 0, 0}, versions(products))
			require.Error(t, db.Create(&products).Error)
			require.Equal(t, []int{0, 7, 0, 0}, versions(products))
			items := []*hookedItem{{Name: "a"}, {Name: "b"}, {Name: "c", Failing: true}}
			require.ErrorIs(t, db.CreateInBatches(&items, 1).Error, errItemHook)
			require.Equal(t, []occ.Version{0, 0, 0}, []occ.Version{items[0].Version, items[1].Version, items[2].Version})
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.CreateInBatches(items[:2], 1).Error)
				items[2].ID = 0
				require.ErrorIs(t, tx.CreateInBatches([]*hookedItem{{}, items[2]}, 1).Error, errItemHook)
				return nil
			}))
			require.Equal(t, []occ.Version{1, 1, 0}, []occ.Version{items[0].Version, items[1].Version, items[2].Version})
			require.Len(t, all[hookedItem](t, db), 2)
			require.NoError(t, db.CreateInBatches(products[:3], 2).Error)
			require.Equal(t, []int{1, 7, 1}, versions(all[Product](t, db)))
		}},
	}, &Product{}, &hookedItem{})
}

// ballot is counted by the hook of each that is created.
type (
	ballot struct {
		ID    uint   `gorm:"primaryKey;autoIncrement:false"`
		Tally *tally `gorm:"-"`
		occ.Version
	}
	tally struct {
		ID    uint
		Count int
		occ.Version
	}
)

func (b *ballot) AfterCreate(tx *gorm.DB) error {
	return tx.Model(b.Tally).Update("count", gorm.Expr("count + 1")).Error
}

func TestCreateInBatchesUndoesWhatHooksWrote(t *testing.T) {
	t.Parallel()
	ballots := func(counted *tally, ids ...uint) (ballots []ballot) {
		for _, id := range ids {
			ballots = append(ballots, ballot{ID: id, Tally: counted})
		}
		return ballots
	}
	agrees := func(t *testing.T, db *gorm.DB, counted tally) {
		t.Helper()
		require.Equal(t, Reload[tally](t, db, counted.ID).Version, counted.Version)
		require.NoError(t, db.Model(&counted).Update("count", 0).Error)
	}
	Run(t, Everywhere(), []Behaviour{
		{"where a later batch fails", func(t *testing.T, db *gorm.DB) {
			counted := tally{}
			require.NoError(t, db.Create(&counted).Error)
			batch := ballots(&counted, 1, 2, 3, 1)
			require.Error(t, db.CreateInBatches(&batch, 2).Error)
			agrees(t, db, counted)
		}},
		{"where a later hook of the same batch fails", func(t *testing.T, db *gorm.DB) {
			counted, stale := tally{}, tally{}
			require.NoError(t, db.Create(&counted).Error)
			require.NoError(t, db.Create(&stale).Error)
			stale.Version = 7
			batch := append(ballots(&counted, 1, 2, 3), ballots(&stale, 4)...)
			require.ErrorIs(t, db.CreateInBatches(&batch, 2).Error, occ.ErrStaleData)
			agrees(t, db, counted)
		}},
		{"and not where all batches are created", func(t *testing.T, db *gorm.DB) {
			counted := tally{}
			require.NoError(t, db.Create(&counted).Error)
			batch := ballots(&counted, 1, 2, 3, 4, 5)
			require.NoError(t, db.CreateInBatches(&batch, 2).Error)
			require.EqualValues(t, 6, counted.Version)
			agrees(t, db, counted)
		}},
	}, &ballot{}, &tally{})
	Run(t, Except("SkipDefaultTransaction", Everywhere()), []Behaviour{ // with it, the batch has no savepoint
		{"where the caller's transaction goes on", func(t *testing.T, db *gorm.DB) {
			counted := tally{}
			require.NoError(t, db.Create(&counted).Error)
			require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
				batch := ballots(&counted, 1, 2, 3, 1)
				require.Error(t, tx.CreateInBatches(&batch, 2).Error)
				batch = ballots(&counted, 5, 6, 7)
				return tx.CreateInBatches(&batch, 2).Error
			}))
			agrees(t, db, counted)
		}},
	}, &ballot{}, &tally{})
}

func TestConflictsThatTheDatabaseReports(t *testing.T) {
	t.Parallel()
	Run(t, testdb.Of("postgres"), []Behaviour{
		{"are refusals of all rows, and the transaction stays usable", func(t *testing.T, db *gorm.DB) {
			products := createSeveral(t, db, 3)
			for name, write := range sliceWrites {
				require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
					current := all[Product](t, tx)
					changePrice(t, db, current[1])
					err := write(tx, &current).Error
					rows := staleRows(t, err)
					require.Len(t, rows, len(current), name)
					require.Equal(t, occ.ReasonUnknown, rows[1].Reason)
					var refused *occ.StaleDataError
					require.ErrorAs(t, err, &refused)
					require.Error(t, refused.Err)
					return tx.Create(&Product{Name: "still usable"}).Error
				}, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}))
			}
			require.Len(t, all[Product](t, db), len(products)+len(sliceWrites))
		}},
	}, &Product{})
}

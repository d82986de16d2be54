package occ_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestTouchTag(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"saving root and parts together bumps the root once", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1}, Line{Pieces: 2})
			cart.Owner = "bob"
			cart.Lines[0].Pieces = 5
			require.NoError(t, db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&cart).Error)
			require.EqualValues(t, 2, cart.Version)
			require.Equal(t, 2, CartVersion(t, db, cart.ID))
			require.Equal(t, 5, Reload[Line](t, db, cart.Lines[0].ID).Pieces)
		}},
		{"creating, updating and deleting a part bumps its root once a statement", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db)
			line := Line{CartID: &cart.ID, Pieces: 1}
			require.NoError(t, db.Create(&line).Error)
			require.Equal(t, 2, CartVersion(t, db, cart.ID))
			more := []Line{{CartID: &cart.ID}, {CartID: &cart.ID}}
			require.NoError(t, db.Create(&more).Error)
			require.Equal(t, 3, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Model(&line).Update("pieces", 2).Error)
			require.Equal(t, 4, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Model(&Line{}).Where("pieces < 9").Update("pieces", 9).Error)
			require.Equal(t, 5, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Model(&line).Update("seen", 9).Error)
			require.Equal(t, 5, CartVersion(t, db, cart.ID))
			line = Reload[Line](t, db, line.ID)
			require.NoError(t, db.Save(&line).Error)
			require.Equal(t, 6, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Delete(&line).Error)
			require.Equal(t, 7, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Where("cart_id = ?", cart.ID).Delete(&Line{}).Error)
			require.Equal(t, 8, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Where("cart_id = ?", cart.ID).Delete(&Line{}).Error)
			require.Equal(t, 8, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Model(&Line{}).Create(map[string]any{"cart_id": cart.ID, "pieces": 4}).Error)
			require.Equal(t, 9, CartVersion(t, db, cart.ID))
		}},
		{"moving a part bumps both roots", func(t *testing.T, db *gorm.DB) {
			from, to := CreateCart(t, db, Line{Pieces: 1}), CreateCart(t, db)
			line := from.Lines[0]
			require.NoError(t, db.Model(&line).Update("cart_id", to.ID).Error)
			require.Equal(t, 2, CartVersion(t, db, from.ID))
			require.Equal(t, 2, CartVersion(t, db, to.ID))
			require.NoError(t, db.Model(&Line{}).Where("cart_id = ?", to.ID).Update("cart_id", from.ID).Error)
			require.Equal(t, 3, CartVersion(t, db, from.ID))
			require.Equal(t, 3, CartVersion(t, db, to.ID))
			require.NoError(t, db.Model(&Line{}).Where("1 = 1").Update("cart_id", nil).Error)
			require.Equal(t, 4, CartVersion(t, db, from.ID))
			require.Equal(t, 3, CartVersion(t, db, to.ID))
		}},
		{"a loaded root is compared first, and learns its version", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1})
			line := Reload[Line](t, db, cart.Lines[0].ID)
			line.Cart = &Cart{}
			require.NoError(t, db.First(line.Cart, cart.ID).Error)
			require.NoError(t, db.Model(&line).Omit("Cart").Update("pieces", 2).Error)
			require.EqualValues(t, 2, line.Cart.Version)
			require.EqualValues(t, 2, line.Version)
			require.NoError(t, db.Model(&Cart{}).Where("id = ?", cart.ID).Update("owner", "eve").Error)
			stored := Reload[Line](t, db, line.ID)

			err := db.Model(&line).Omit("Cart").Update("pieces", 3).Error
			gone := db.Omit("Cart").Delete(&line).Error
			added := db.Omit("Cart").Create(&Line{Cart: line.Cart, CartID: &cart.ID}).Error

			require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
			require.ErrorIs(t, gone, occ.ErrStaleData)
			require.ErrorIs(t, added, occ.ErrStaleData)
			require.EqualValues(t, 2, line.Version)
			require.EqualValues(t, 2, line.Cart.Version)
			require.Equal(t, stored, Reload[Line](t, db, line.ID))
			require.Equal(t, 3, CartVersion(t, db, cart.ID))
		}},
		{"a part without a version bumps its root", func(t *testing.T, db *gorm.DB) {
			cart, other := CreateCart(t, db), CreateCart(t, db)
			remark := Remark{CartID: cart.ID, Text: "a"}
			require.NoError(t, db.Omit("Cart").Create(&remark).Error)
			require.Equal(t, 2, CartVersion(t, db, cart.ID))
			require.NoError(t, db.Model(&remark).Updates(map[string]any{"text": "b", "cart_id": other.ID}).Error)
			require.Equal(t, 3, CartVersion(t, db, cart.ID))
			require.Equal(t, 2, CartVersion(t, db, other.ID))
			require.NoError(t, db.Delete(&Remark{ID: remark.ID}).Error)
			require.Equal(t, 3, CartVersion(t, db, other.ID))
		}},
		{"a part without a version that is written through its table bumps its root", func(t *testing.T, db *gorm.DB) {
			type remarkText struct {
				ID     uint
				CartID uint
				Text   string
			}
			cart, other := CreateCart(t, db), CreateCart(t, db)
			table := func() *gorm.DB { return db.Table("remarks") }
			first := Remark{CartID: cart.ID, Text: "a"}
			require.NoError(t, db.Omit("Cart").Create(&first).Error)
			require.Equal(t, 2, CartVersion(t, db, cart.ID))

			require.NoError(t, table().Where("id = ?", first.ID).Updates(map[string]any{"text": "b"}).Error)
			require.Equal(t, 3, CartVersion(t, db, cart.ID))
			require.NoError(t, table().Where("id = ?", first.ID).UpdateColumn("text", "c").Error)
			require.Equal(t, 4, CartVersion(t, db, cart.ID))
			require.NoError(t, table().Updates(&remarkText{ID: first.ID, Text: "d"}).Error)
			require.Equal(t, 5, CartVersion(t, db, cart.ID))
			require.NoError(t, table().Create(map[string]any{"text": "e", "cart_id": cart.ID}).Error)
			require.Equal(t, 6, CartVersion(t, db, cart.ID))
			require.NoError(t, table().Create(&remarkText{CartID: cart.ID, Text: "e"}).Error)
			require.Equal(t, 7, CartVersion(t, db, cart.ID))
			require.NoError(t, table().Create([]map[string]any{{"text": "e", "cart_id": cart.ID}, {"text": "e", "cart_id": other.ID}}).Error)
			require.Equal(t, 8, CartVersion(t, db, cart.ID))
			require.Equal(t, 2, CartVersion(t, db, other.ID))
			require.NoError(t, table().Save(&remarkText{ID: first.ID, CartID: other.ID, Text: "f"}).Error)
			require.Equal(t, 9, CartVersion(t, db, cart.ID))
			require.Equal(t, 3, CartVersion(t, db, other.ID))
			require.NoError(t, table().Where("text = ?", "e").Delete(&remarkText{}).Error)
			require.Equal(t, 10, CartVersion(t, db, cart.ID))
			require.Equal(t, 4, CartVersion(t, db, other.ID))
			require.NoError(t, table().Where("text = ?", "f").Delete(nil).Error)
			require.Equal(t, 10, CartVersion(t, db, cart.ID))
			require.Equal(t, 5, CartVersion(t, db, other.ID))
		}},
		{"deleting the root with its parts does not touch it", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1})
			require.NoError(t, db.Select("Lines").Delete(&cart).Error)
			require.ErrorIs(t, db.First(&Cart{}, cart.ID).Error, gorm.ErrRecordNotFound)
		}},
	}, &Cart{}, &Line{}, &Remark{})
}

// NumberedRemark is another model of the table of Remark.
type NumberedRemark struct {
	ID     uint
	CartID uint
	Text   string
	occ.Version
}

func (NumberedRemark) TableName() string { return "remarks" }

func TestATableOfTwoModelsIsThatOfTheVersionedOne(t *testing.T) {
	Run(t, testdb.All(), []Behaviour{{"whichever was written first", func(t *testing.T, db *gorm.DB) {
		remark := Remark{CartID: CreateCart(t, db).ID}
		require.NoError(t, db.Omit("Cart").Create(&remark).Error)
		numbered := NumberedRemark{CartID: remark.CartID}
		require.NoError(t, db.Create(&numbered).Error)

		require.NoError(t, db.Table("remarks").Where("id = ?", numbered.ID).Updates(map[string]any{"text": "b"}).Error)

		require.EqualValues(t, 2, Reload[NumberedRemark](t, db, numbered.ID).Version)
	}}}, &Cart{}, &Remark{}, &NumberedRemark{})
}

func TestTouchTagWhereSavesMoveParts(t *testing.T) {
	versions := func(t *testing.T, db *gorm.DB, carts ...Cart) (v []int) {
		for _, cart := range carts {
			v = append(v, CartVersion(t, db, cart.ID))
		}
		return v
	}
	Run(t, Everywhere(), []Behaviour{
		{"saving a slice that moves parts bumps both roots, and those of new parts", func(t *testing.T, db *gorm.DB) {
			a, b, c, d := CreateCart(t, db, Line{Pieces: 1}, Line{Pieces: 2}), CreateCart(t, db), CreateCart(t, db), CreateCart(t, db)
			lines := []Line{a.Lines[0], a.Lines[1], {CartID: &c.ID, Pieces: 3}}
			lines[0].CartID = &b.ID

			require.NoError(t, db.Save(&lines).Error)

			require.Equal(t, []int{2, 2, 2, 1}, versions(t, db, a, b, c, d))
			require.EqualValues(t, b.ID, *Reload[Line](t, db, lines[0].ID).CartID)
		}},
		{"saving a slice of pointers that moves one part alone bumps both roots", func(t *testing.T, db *gorm.DB) {
			a, b := CreateCart(t, db, Line{Pieces: 1}), CreateCart(t, db)
			a.Lines[0].CartID = &b.ID

			require.NoError(t, db.Save([]*Line{&a.Lines[0]}).Error)

			require.Equal(t, []int{2, 2}, versions(t, db, a, b))
		}},
		{"taking parts of a slice away from their root bumps it", func(t *testing.T, db *gorm.DB) {
			a := CreateCart(t, db, Line{Pieces: 1}, Line{})
			a.Lines[0].CartID, a.Lines[1].CartID = nil, nil

			require.NoError(t, db.Save(&a.Lines).Error)

			require.Equal(t, []int{2}, versions(t, db, a))
		}},
		{"Save of a part that moves bumps both roots, of a new one its root", func(t *testing.T, db *gorm.DB) {
			a, b := CreateCart(t, db, Line{Pieces: 1}), CreateCart(t, db)
			line := Reload[Line](t, db, a.Lines[0].ID)
			line.CartID = &b.ID
			require.NoError(t, db.Save(&line).Error)
			require.Equal(t, []int{2, 2}, versions(t, db, a, b))

			require.NoError(t, db.Save(&Line{CartID: &b.ID}).Error)
			require.NoError(t, db.Save(&Line{ID: 900, CartID: &b.ID}).Error)
			require.Equal(t, []int{2, 4}, versions(t, db, a, b))
			require.NoError(t, db.Save(&[]Line{{ID: 901, CartID: &a.ID}, {CartID: &b.ID}}).Error)
			require.Equal(t, []int{3, 5}, versions(t, db, a, b))
			b = Reload[Cart](t, db, b.ID)
			require.NoError(t, db.Save(&Line{ID: 990, Cart: &b}).Error)
			require.Equal(t, []int{3, 6}, versions(t, db, a, b))
			require.EqualValues(t, 6, b.Version)
		}},
		{"parts without a version that are saved bump the roots before and after", func(t *testing.T, db *gorm.DB) {
			a, b := CreateCart(t, db), CreateCart(t, db)
			remarks := []Remark{{CartID: a.ID}, {CartID: a.ID}}
			require.NoError(t, db.Omit("Cart").Create(&remarks).Error)
			require.Equal(t, []int{2, 1}, versions(t, db, a, b))
			remarks[1].CartID = b.ID
			remarks = append(remarks, Remark{ID: 77, CartID: b.ID})
			require.NoError(t, db.Omit("Cart").Save(&remarks).Error)
			require.Equal(t, []int{3, 2}, versions(t, db, a, b))
			remarks[0].CartID = b.ID
			require.NoError(t, db.Omit("Cart").Save(&remarks[0]).Error)
			require.Equal(t, []int{4, 3}, versions(t, db, a, b))
			require.NoError(t, db.Omit("Cart").Save(&Remark{ID: 99, CartID: b.ID}).Error)
			require.Equal(t, []int{4, 4}, versions(t, db, a, b))
		}},
		{"FullSaveAssociations of a root that takes over a part bumps both roots once", func(t *testing.T, db *gorm.DB) {
			a, b := CreateCart(t, db, Line{Pieces: 1}), CreateCart(t, db)
			b.Lines = []Line{a.Lines[0], {Pieces: 4}}

			require.NoError(t, db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&b).Error)

			require.Equal(t, []int{2, 2}, versions(t, db, a, b))
			require.EqualValues(t, 2, b.Version)
			c := CreateCart(t, db)
			c.Lines = []Line{b.Lines[1]}
			require.NoError(t, db.Save(&c).Error)
			require.Equal(t, []int{2, 3, 2}, versions(t, db, a, b, c))
			d := Cart{Lines: []Line{c.Lines[0]}}
			require.NoError(t, db.Session(&gorm.Session{FullSaveAssociations: true}).Create(&d).Error)
			require.Equal(t, []int{2, 3, 3, 1}, versions(t, db, a, b, c, d))
		}},
		{"a part saved with the root that it moves to bumps both once", func(t *testing.T, db *gorm.DB) {
			a, b := CreateCart(t, db, Line{Pieces: 1}), CreateCart(t, db)
			line := a.Lines[0]
			line.Cart, line.CartID = &b, &b.ID
			require.NoError(t, db.Session(&gorm.Session{FullSaveAssociations: true}).Save(&line).Error)
			require.Equal(t, []int{2, 2}, versions(t, db, a, b))
			require.EqualValues(t, 2, b.Version)
		}},
		{"an upsert that moves parts bumps both roots", func(t *testing.T, db *gorm.DB) {
			a, b := CreateCart(t, db, Line{Pieces: 1}, Line{}), CreateCart(t, db)
			lines := []Line{a.Lines[0], {ID: a.Lines[1].ID}}
			lines[0].CartID, lines[1].CartID = &b.ID, &b.ID
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&lines).Error)
			require.Equal(t, []int{2, 2}, versions(t, db, a, b))
		}},
	}, &Cart{}, &Line{}, &Remark{})
}

func TestTouch(t *testing.T) {
	Run(t, Everywhere(), []Behaviour{
		{"touch writes the next version and nothing else", func(t *testing.T, db *gorm.DB) {
			p, note := Create(t, db), Note{Text: "a"}
			require.NoError(t, db.Create(&note).Error)
			before := Reload[Note](t, db, note.ID)

			require.NoError(t, occ.Touch(db, &p, &note))

			require.EqualValues(t, 2, p.Version)
			require.Equal(t, p, Reload[Product](t, db, p.ID))
			before.Version = 2
			require.EqualValues(t, 2, note.Version)
			require.Equal(t, before, Reload[Note](t, db, note.ID))
			require.NoError(t, occ.Verify(db, &p, &note))
			require.NoError(t, db.Save(&p).Error)
		}},
		{"touch of several rows is all or none, and names each by its position", func(t *testing.T, db *gorm.DB) {
			a, b := Create(t, db), Create(t, db)
			note := Note{Text: "a"}
			require.NoError(t, db.Create(&note).Error)
			mine, _ := Pair(t, db)

			for name, do := range map[string]func(*gorm.DB, ...any) error{"touch": occ.Touch, "verify": occ.Verify} {
				err := do(db, &note, []*Product{&a}, &[]Product{b}, &mine)

				row := Stale(t, err)
				require.Equal(t, 3, row.Index, name)
				require.Equal(t, occ.ReasonChanged, row.Reason)
				require.EqualValues(t, 1, a.Version)
				require.EqualValues(t, 1, note.Version)
				require.EqualValues(t, 1, Reload[Note](t, db, note.ID).Version)
				require.EqualValues(t, 1, Reload[Product](t, db, a.ID).Version)
			}
			require.NoError(t, occ.Touch(db, []*Product{&a, &b}))
			require.EqualValues(t, 2, a.Version)
			require.EqualValues(t, 2, Reload[Product](t, db, b.ID).Version)
		}},
		{"what cannot be touched is an error that says what it is", func(t *testing.T, db *gorm.DB) {
			type Plain struct{ ID uint }
			for _, bad := range []any{nil, (*Product)(nil), []*Product{nil}, Product{ID: 1}, 7, &Plain{ID: 1}, &Product{}, &[]Product{{}}} {
				require.Error(t, occ.Touch(db, bad))
				require.Error(t, occ.Verify(db, bad))
			}
			require.ErrorContains(t, occ.Touch(db, &Plain{ID: 1}), "Plain")
			stock := StampedStock{SKU: "a"}
			require.NoError(t, errors.Join(db.AutoMigrate(&stock), occ.CreateTriggers(db, &stock), db.Create(&stock).Error))
			require.ErrorContains(t, occ.Touch(db, &stock), "StampedStock, field Version")
			require.EqualValues(t, 1, stock.Version)
			require.EqualValues(t, 1, Reload[StampedStock](t, db, stock.ID).Version)
			p := Create(t, db)
			require.ErrorIs(t, occ.Touch(db, &Product{ID: p.ID}), occ.ErrVersionMissing)
			require.ErrorIs(t, occ.Verify(db, &Product{ID: p.ID}), occ.ErrVersionMissing)
			require.NoError(t, occ.Touch(db))
			require.NoError(t, occ.Touch(db, []Product{}))
		}},
	}, &Product{}, &Note{})
}

func TestModelsThatAreMetAtTheSameTime(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"a part touches its root, whoever has GORM parse which of the two first", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db)
			for round := range 10 {
				fresh, err := gorm.Open(db.Dialector, &gorm.Config{Logger: logger.Discard})
				require.NoError(t, err)
				require.NoError(t, fresh.Use(occ.New()))
				begin, errs := make(chan struct{}), make(chan error, 4)
				for i := range cap(errs) {
					go func() {
						<-begin
						if i%2 == 0 {
							errs <- fresh.Create(&Line{CartID: &cart.ID}).Error
						} else {
							errs <- fresh.First(&Cart{}, cart.ID).Error
						}
					}()
				}
				close(begin)
				for range cap(errs) {
					require.NoError(t, <-errs)
				}
				require.Equal(t, 1+2*(round+1), CartVersion(t, db, cart.ID))
			}
		}},
	}, &Cart{}, &Line{})
}

// TestTouchingManyParents has children of more parents than a statement takes parameters.
func TestTouchingManyParents(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"touches all of them once", func(t *testing.T, db *gorm.DB) {
		n := map[string]int{"sqlite": 33000, "postgres": 66000, "mysql": 66000}[db.Name()]
		insertNumbered(t, db, "carts (id, owner, version)", "%d, 'ann', 1", n)
		insertNumbered(t, db, "remarks (id, cart_id, text)", "%[1]d, %[1]d, 'old'", n)

		require.NoError(t, db.Model(&Remark{}).Where("text = ?", "old").Update("text", "new").Error)

		var touched int64
		require.NoError(t, db.Model(&Cart{}).Where("version = 2").Count(&touched).Error)
		require.EqualValues(t, n, touched)
	}}}, &Cart{}, &Line{}, &Remark{})
}

// insertNumbered inserts rows by text, which no limit on parameters holds for.
func insertNumbered(t *testing.T, db *gorm.DB, into, values string, n int) {
	t.Helper()
	const rows = 10000
	for from := 1; from <= n; from += rows {
		var sql strings.Builder
		fmt.Fprintf(&sql, "INSERT INTO %s VALUES ", into)
		for i := from; i < min(from+rows, n+1); i++ {
			if i > from {
				sql.WriteByte(',')
			}
			fmt.Fprintf(&sql, "("+values+")", i)
		}
		require.NoError(t, db.Exec(sql.String()).Error)
	}
}

// TestWorkOfTouching compares what a Create of many parents with a child each allocates with that of a few. It is not parallel, for it
// counts the allocations of the whole program.
func TestWorkOfTouching(t *testing.T) {
	for _, d := range testdb.All() {
		t.Run(d.Name, func(t *testing.T) {
			db := Open(t, d, []any{&Cart{}, &Line{}, &Remark{}})
			mallocs := func(n int) uint64 {
				carts := make([]Cart, n)
				for i := range carts {
					carts[i].Lines = []Line{{Pieces: i}}
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				tx, recorded := Record(db)
				require.NoError(t, tx.Session(&gorm.Session{CreateBatchSize: 500}).Create(&carts).Error)
				runtime.ReadMemStats(&after)
				require.LessOrEqual(t, len(recorded.Sent("")), 10*(n/500+1))
				require.EqualValues(t, 1, carts[n-1].Version)
				require.EqualValues(t, 1, carts[n-1].Lines[0].Version)
				return after.Mallocs - before.Mallocs
			}
			mallocs(10)
			few, many := mallocs(500), mallocs(4000)

			require.Less(t, float64(many)/float64(few), 12.0, "%d and %d allocations: 8 times the rows are 8 times the work", few, many)
		})
	}
}

// TestVerifyForThoseWhoOnlyRead has sessions that must not lock anything.
func TestVerifyForThoseWhoOnlyRead(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"in a read-only session", func(t *testing.T, db *gorm.DB) {
		cart := CreateCart(t, db)
		behind := cart
		behind.Version = 9
		begin := map[string]string{
			"sqlite": "PRAGMA query_only = 1", "postgres": "SET default_transaction_read_only = on", "mysql": "SET SESSION TRANSACTION READ ONLY",
		}[db.Name()]
		end := map[string]string{
			"sqlite": "PRAGMA query_only = 0", "postgres": "SET default_transaction_read_only = off", "mysql": "SET SESSION TRANSACTION READ WRITE",
		}[db.Name()]
		require.NoError(t, db.Connection(func(conn *gorm.DB) error {
			conn = conn.Session(&gorm.Session{})
			require.NoError(t, conn.Exec(begin).Error)
			defer conn.Exec(end)
			require.Error(t, conn.Create(&Cart{}).Error)

			require.NoError(t, occ.Verify(conn, &cart))
			require.Equal(t, occ.ReasonAhead, Stale(t, occ.Verify(conn, &behind)).Reason)
			return nil
		}))
	}}}, &Cart{}, &Line{}, &Remark{})
	Run(t, testdb.Of("postgres"), []Behaviour{{"with a role that may only SELECT", func(t *testing.T, db *gorm.DB) {
		cart := CreateCart(t, db)
		role := fmt.Sprintf("occ_reader_%d", time.Now().UnixNano())
		require.NoError(t, db.Exec("CREATE ROLE "+role).Error)
		defer func() {
			require.NoError(t, db.Exec("DROP OWNED BY "+role).Error)
			require.NoError(t, db.Exec("DROP ROLE "+role).Error)
		}()
		var schema string
		require.NoError(t, db.Raw("SELECT current_schema()").Scan(&schema).Error)
		require.NoError(t, db.Exec("GRANT USAGE ON SCHEMA "+schema+" TO "+role).Error)
		require.NoError(t, db.Exec("GRANT SELECT ON carts TO "+role).Error)
		require.NoError(t, db.Connection(func(conn *gorm.DB) error {
			conn = conn.Session(&gorm.Session{})
			require.NoError(t, conn.Exec("SET ROLE "+role).Error)
			defer conn.Exec("RESET ROLE")
			require.Error(t, conn.Model(&cart).Update("owner", "bob").Error)

			return occ.Verify(conn, &cart)
		}))
	}}}, &Cart{}, &Line{}, &Remark{})
}

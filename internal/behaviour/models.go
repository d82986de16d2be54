package behaviour

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Bare is a Product without a version.
type Bare struct {
	ID    uint
	Name  string
	Price int
}

// RequireProducts wants these products to be stored, and no others.
func RequireProducts(t testing.TB, db *gorm.DB, want ...Product) {
	t.Helper()
	var stored []Product
	require.NoError(t, db.Session(&gorm.Session{NewDB: true}).Order("id").Find(&stored).Error)
	for i := range want {
		if want[i].ID == 0 && i < len(stored) {
			want[i].ID = stored[i].ID // of a map or a model by value, which do not learn it
		}
	}
	require.ElementsMatch(t, want, stored)
}

// Plain has no version.
type Plain struct {
	ID    uint
	Name  string
	Price int
}

// Draft's hooks are told to fail, and keep the versions that they see.
type Draft struct {
	ID      uint
	Text    string
	Version occ.Version
	Before  occ.Version `gorm:"-"`
	After   occ.Version `gorm:"-"`
	Fail    string
	Early   func(tx *gorm.DB) error `gorm:"-"`
	Nested  func(tx *gorm.DB) error `gorm:"-"`
}

// ErrHook is what a draft's hook fails with.
var ErrHook = errors.New("the hook failed")

func (d *Draft) hook(name string, tx *gorm.DB) error {
	if d.Fail == name {
		return ErrHook
	}
	if d.Fail == "panic in "+name {
		panic(ErrHook)
	}
	if d.Early != nil && name == "BeforeUpdate" {
		return d.Early(tx)
	}
	if d.Nested != nil && name == "AfterUpdate" {
		return d.Nested(tx)
	}
	return nil
}

func (d *Draft) BeforeSave(tx *gorm.DB) error { d.Before = d.Version; return d.hook("BeforeSave", tx) }

func (d *Draft) BeforeUpdate(tx *gorm.DB) error { return d.hook("BeforeUpdate", tx) }

func (d *Draft) AfterUpdate(tx *gorm.DB) error { return d.hook("AfterUpdate", tx) }

func (d *Draft) AfterCreate(tx *gorm.DB) error { return d.hook("AfterCreate", tx) }

func (d *Draft) AfterSave(tx *gorm.DB) error { d.After = d.Version; return d.hook("AfterSave", tx) }

func (d *Draft) BeforeDelete(tx *gorm.DB) error {
	d.Before = d.Version
	return d.hook("BeforeDelete", tx)
}

func (d *Draft) AfterDelete(tx *gorm.DB) error { d.After = d.Version; return d.hook("AfterDelete", tx) }

// NewDraft stores a draft.
func NewDraft(t testing.TB, db *gorm.DB) Draft {
	t.Helper()
	d := Draft{Text: "a"}
	require.NoError(t, db.Create(&d).Error)
	require.Equal(t, occ.Version(1), d.After)
	return d
}

// RequireDraft checks the columns of a draft's row.
func RequireDraft(t testing.TB, db *gorm.DB, d Draft, text string, version occ.Version) {
	t.Helper()
	require.Equal(t, Draft{ID: d.ID, Text: text, Version: version}, Reload[Draft](t, db, d.ID))
}

// Only are the databases that are like one of the names, each with a configuration or in the usual one.
func Only(names ...string) []testdb.Database {
	databases := append(testdb.All(), testdb.Configurations()...)
	return slices.DeleteFunc(databases, func(d testdb.Database) bool { return !slices.Contains(names, d.Kind()) })
}

// Noon is an instant of no meaning.
var Noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// Shelf and Book have no version; a book has hooks and a soft delete.
type Shelf struct {
	ID    uint
	Name  string
	Books []Book
}

// Book belongs to a shelf.
type Book struct {
	ID        uint
	ShelfID   uint
	Title     string
	UpdatedAt time.Time
	DeletedAt gorm.DeletedAt
}

func (b *Book) BeforeSave(*gorm.DB) error { b.Title = strings.TrimSpace(b.Title); return nil }

// AtOnce has Retry wait for nothing.
func AtOnce() occ.RetryOption {
	return occ.WithBackOff(func() backoff.BackOff { return &backoff.ZeroBackOff{} })
}

// Never is a transaction that must not begin.
func Never(*gorm.DB) error { panic("not to be run") }

// Seat has a key of two parts, either of which may be zero.
type Seat struct {
	Room    int `gorm:"primaryKey;autoIncrement:false"`
	Number  int `gorm:"primaryKey;autoIncrement:false"`
	Guest   string
	Version occ.Version
}

// Casket has no version column.
type Casket struct {
	ID     uint
	Label  string
	Weight int
	Note   *string
	occ.Snapshot
}

// CasketBase is embedded.
type CasketBase struct {
	ID uint
	occ.Snapshot
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt gorm.DeletedAt
}

// CreateCasket stores a casket.
func CreateCasket(t *testing.T, db *gorm.DB) Casket {
	c := Casket{Label: "a", Weight: 1}
	require.NoError(t, db.Create(&c).Error)
	return c
}

// PriceTag is part of a product's columns, without the version.
type PriceTag struct {
	ID    uint
	Price int
}

// Cart is the root of the aggregate that its lines belong to.
type Cart struct {
	ID    uint
	Owner string
	Lines []Line
	occ.Version
}

// Line touches its cart and has a version of its own.
type Line struct {
	ID     uint
	CartID *uint
	Cart   *Cart `gorm:"touch"`
	Pieces int
	Seen   int `gorm:"unversioned"`
	occ.Version
}

// Remark touches its cart and has no version.
type Remark struct {
	ID     uint
	CartID uint
	Cart   Cart `gorm:"touch"`
	Text   string
}

// CartVersion is the version of a cart's row.
func CartVersion(t *testing.T, db *gorm.DB, id uint) int {
	return int(Reload[Cart](t, db, id).Version)
}

// CreateCart stores a cart with lines.
func CreateCart(t *testing.T, db *gorm.DB, lines ...Line) Cart {
	cart := Cart{Owner: "ann", Lines: lines}
	require.NoError(t, db.Create(&cart).Error)
	require.Equal(t, 1, CartVersion(t, db, cart.ID))
	return cart
}

// ErrBoom is an error of the application's own.
var ErrBoom = errors.New("boom")

// Call is one of GORM's ways to set the price of a product to 70.
type Call struct {
	Name string
	Do   func(db *gorm.DB, p *Product) *gorm.DB
}

// PriceUpdates are all the ways.
func PriceUpdates() []Call { return slices.Concat(updatesByPayload(), updatesBySetting()) }

// updatesByPayload differ in the method and what it is given.
func updatesByPayload() []Call {
	return []Call{
		{Name: "Update", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).Update("price", 70) }},
		{Name: "Update by field name", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).Update("Price", 70) }},
		{Name: "Update with an expression", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Update("price", gorm.Expr("price * 0 + ?", 70))
		}},
		{Name: "Updates of a map", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Updates(map[string]any{"price": 70})
		}},
		{Name: "Updates of a struct", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).Updates(Product{Price: 70}) }},
		{Name: "Updates of a pointer", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).Updates(&Product{Price: 70}) }},
		{Name: "Updates of the model itself", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.Updates(p) }},
		{Name: "Updates of another type", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Updates(struct{ Price int }{70})
		}},
		{Name: "UpdateColumn", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(p).UpdateColumn("price", 70) }},
		{Name: "UpdateColumns of a map", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).UpdateColumns(map[string]any{"price": 70})
		}},
		{Name: "UpdateColumns of a struct", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).UpdateColumns(Product{Price: 70})
		}},
		{Name: "UpdateColumns of the model itself", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.UpdateColumns(p) }},
		{Name: "Select and Updates of a map", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Select("price").Updates(map[string]any{"price": 70, "name": "pencil"})
		}},
		{Name: "Select and Updates of a struct", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Select("Price").Updates(Product{Price: 70, Name: "pencil"})
		}},
		{Name: "Omit and Updates", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Omit("name", "version").Updates(Product{Price: 70, Name: "pencil"})
		}},
		{Name: "Select(*) and Updates", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.Select("*").Updates(p) }},
		{Name: "Save", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.Save(p) }},
		{Name: "Save of a pointer to a pointer", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.Save(&p) }},
		{Name: "Select and Save", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.Select("price").Save(p) }},
		{Name: "Omit and Save", Do: func(db *gorm.DB, p *Product) *gorm.DB { p.Price = 70; return db.Omit("name").Save(p) }},
	}
}

// updatesBySetting differ in what is set on the session or the statement.
func updatesBySetting() []Call {
	return []Call{
		{Name: "hooks skipped", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Session(&gorm.Session{SkipHooks: true}).Model(p).Update("price", 70)
		}},
		{Name: "a pointer to a pointer", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Model(&p).Update("price", 70) }},
		{Name: "clause.Set", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			set := clause.Set{{Column: clause.Column{Name: "price"}, Value: 70}}
			return db.Model(p).Clauses(set).Updates(map[string]any{})
		}},
		{Name: "conditions of the caller's", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(p).Where("price > 0").Or("name = ?", "pen").Update("price", 70)
		}},
		{Name: "a table name", Do: func(db *gorm.DB, p *Product) *gorm.DB { return db.Table("products").Model(p).Update("price", 70) }},
		{Name: "prepared", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Session(&gorm.Session{PrepareStmt: true}).Model(p).Update("price", 70)
		}},
		{Name: "Expect", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(&Product{ID: p.ID}).Clauses(occ.Expect(p.Version)).Update("price", 70)
		}},
		{Name: "a version in the payload", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			return db.Model(&Product{ID: p.ID}).Updates(map[string]any{"price": 70, "version": p.Version})
		}},
		{Name: "FirstOrCreate with Assign", Do: func(db *gorm.DB, p *Product) *gorm.DB {
			found := db.Session(&gorm.Session{}).Where("id = ?", p.ID).Clauses(occ.Expect(p.Version))
			return found.Assign(map[string]any{"price": 70}).FirstOrCreate(&Product{})
		}},
	}
}

// StampedStock has a version that the database writes.
type StampedStock struct {
	ID       uint
	SKU      string `gorm:"size:40;uniqueIndex"`
	Quantity int
	Version  int64 `gorm:"version:database;not null;default:1"`
}

package faults_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
)

// faultHooks are all hooks of GORM's; each is a point at which a call can be struck.
type faultHooks struct{}

func (faultHooks) BeforeSave(tx *gorm.DB) error   { return faultsOf(tx).pass("BeforeSave") }
func (faultHooks) BeforeCreate(tx *gorm.DB) error { return faultsOf(tx).pass("BeforeCreate") }
func (faultHooks) BeforeUpdate(tx *gorm.DB) error { return faultsOf(tx).pass("BeforeUpdate") }
func (faultHooks) BeforeDelete(tx *gorm.DB) error { return faultsOf(tx).pass("BeforeDelete") }
func (faultHooks) AfterSave(tx *gorm.DB) error    { return faultsOf(tx).pass("AfterSave") }
func (faultHooks) AfterCreate(tx *gorm.DB) error  { return faultsOf(tx).pass("AfterCreate") }
func (faultHooks) AfterUpdate(tx *gorm.DB) error  { return faultsOf(tx).pass("AfterUpdate") }
func (faultHooks) AfterDelete(tx *gorm.DB) error  { return faultsOf(tx).pass("AfterDelete") }
func (faultHooks) AfterFind(tx *gorm.DB) error    { return faultsOf(tx).pass("AfterFind") }

// FaultShelf has associations of all sorts.
type FaultShelf struct {
	faultHooks
	ID     uint
	Label  string
	Weight int
	RoomID *uint
	Room   *FaultRoom
	Lamp   *FaultLamp
	Books  []FaultBook
	Tags   []FaultTag `gorm:"many2many:fault_shelf_tags"`
	occ.Version
}

type FaultRoom struct {
	ID     uint
	Label  string
	Weight int
	occ.Version
}

type FaultLamp struct {
	ID           uint
	FaultShelfID *uint
	Label        string
	Weight       int
	occ.Version
}

type FaultBook struct {
	faultHooks
	ID           uint
	FaultShelfID *uint
	Label        string
	Weight       int
	occ.Version
}

type FaultTag struct {
	ID     uint
	Label  string
	Weight int
	occ.Version
}

// FaultCard is soft-deleted, and has a generator's version, a Valuer that is a Scanner, and a serializer.
type FaultCard struct {
	faultHooks
	ID        uint
	Label     string
	Weight    int
	Code      faultCode
	Mark      faultMark `gorm:"type:text"`
	Version   int64     `gorm:"version:fault"`
	DeletedAt gorm.DeletedAt
}

// FaultLeaf touches its card.
type FaultLeaf struct {
	faultHooks
	ID     uint
	CardID uint
	Card   *FaultCard `gorm:"touch"`
	Label  string
	Weight int
	occ.Version
}

// FaultCopy has its snapshot as its version.
type FaultCopy struct {
	faultHooks
	ID     uint
	Label  string
	Weight int
	occ.Snapshot
}

var faultTables = []any{
	&FaultRoom{}, &FaultShelf{}, &FaultLamp{}, &FaultBook{}, &FaultTag{}, &FaultCard{}, &FaultLeaf{}, &FaultCopy{},
}

// faultCode finds the faults of its database by its text: Value and Scan have no context.
type faultCode string

var faultsByCode sync.Map

func (c faultCode) pass(point string) error {
	if f, ok := faultsByCode.Load(string(c)); ok {
		return f.(*faults).pass(point)
	}
	return nil
}

func (c faultCode) Value() (driver.Value, error) { return string(c), c.pass("Value") }

func (c *faultCode) Scan(value any) error {
	if text, ok := value.([]byte); ok {
		value = string(text)
	}
	*c = faultCode(fmt.Sprint(value))
	return c.pass("Scan")
}

// faultMark is written and read by a serializer of its own.
type faultMark string

func (m *faultMark) Scan(ctx context.Context, _ *schema.Field, _ reflect.Value, value any) error {
	if text, ok := value.([]byte); ok {
		value = string(text)
	}
	*m = faultMark(fmt.Sprint(value))
	return faultsIn(ctx).pass("serializer Scan")
}

func (m faultMark) Value(ctx context.Context, _ *schema.Field, _ reflect.Value, value any) (any, error) {
	return string(value.(faultMark)), faultsIn(ctx).pass("serializer Value")
}

// faultGenerator counts.
type faultGenerator struct{}

func (faultGenerator) Next(ctx context.Context, current any) (any, error) {
	n, _ := current.(int64)
	return n + 1, faultsIn(ctx).pass("Next")
}

// faultModels are what a call has in hand: loaded models, and new ones.
type faultModels struct {
	shelf, other, newShelf FaultShelf
	newRoom                FaultRoom
	newLamp                FaultLamp
	book, newBook          FaultBook
	tag, newTag            FaultTag
	cards                  []*FaultCard
	newCard                FaultCard
	leaf, newLeaf          FaultLeaf
	copies                 []*FaultCopy
	newCopy                FaultCopy
	base                   FaultBook
}

// seed stores the rows that every call begins with.
func (f *faults) seed(t testing.TB) {
	t.Helper()
	require.NoError(t, f.plain.Transaction(func(tx *gorm.DB) error {
		for _, table := range []string{"fault_shelf_tags", "fault_leafs", "fault_cards", "fault_books", "fault_lamps", "fault_shelves", "fault_rooms", "fault_tags", "fault_copies"} {
			if err := tx.Exec("DELETE FROM " + table).Error; err != nil {
				return err
			}
		}
		id, card := uint(1_000_001), uint(1_000_001)
		for _, rows := range []any{
			&FaultRoom{1_000_001, "room", 1, 1},
			[]*FaultShelf{{ID: 1_000_001, Label: "shelf", RoomID: &id, Version: 1}, {ID: 1_000_002, Label: "other", Version: 1}},
			&FaultLamp{1_000_001, &id, "lamp", 1, 1},
			[]*FaultBook{{ID: 1_000_001, FaultShelfID: &id, Label: "book 1", Version: 1}, {ID: 1_000_002, FaultShelfID: &id, Label: "book 2", Version: 1}, {ID: 1_000_003, Label: "book 3", Version: 1}},
			[]*FaultTag{{1_000_001, "tag 1", 1, 1}, {1_000_002, "tag 2", 1, 1}},
			[]*FaultCard{{ID: 1_000_001, Label: "card 1", Code: f.code, Version: 1}, {ID: 1_000_002, Label: "card 2", Code: f.code, Version: 1}},
			&FaultLeaf{ID: 1_000_001, CardID: card, Label: "leaf", Version: 1},
			[]*FaultCopy{{ID: 1_000_001, Label: "copy 1"}, {ID: 1_000_002, Label: "copy 2"}},
		} {
			if err := tx.Omit("Room", "Lamp", "Books", "Tags", "Card").Create(rows).Error; err != nil {
				return err
			}
		}
		if err := tx.Exec("UPDATE fault_cards SET version = 1").Error; err != nil { // which the leaf has touched
			return err
		}
		return tx.Exec("INSERT INTO fault_shelf_tags (fault_shelf_id, fault_tag_id) VALUES (1000001, 1000001)").Error
	}))
}

// load gives the models as a caller has them before the call, as if the rows of seed had been read.
func (f *faults) load(t testing.TB) *faultModels {
	t.Helper()
	room, shelf, deleted := uint(1_000_001), uint(1_000_001), gorm.DeletedAt{}
	m := &faultModels{
		newShelf: FaultShelf{Label: "new shelf"}, newRoom: FaultRoom{Label: "new room"}, newLamp: FaultLamp{Label: "new lamp"},
		newBook: FaultBook{Label: "new book"}, newTag: FaultTag{Label: "new tag"},
		newCard: FaultCard{Label: "new card", Code: f.code}, newLeaf: FaultLeaf{Label: "new leaf", CardID: 1_000_001},
		newCopy: FaultCopy{Label: "new copy"},
		shelf: FaultShelf{ID: 1_000_001, Label: "shelf", RoomID: &room, Room: &FaultRoom{1_000_001, "room", 1, 1}, Lamp: &FaultLamp{1_000_001, &shelf, "lamp", 1, 1},
			Books: []FaultBook{{ID: 1_000_001, FaultShelfID: &shelf, Label: "book 1", Version: 1}, {ID: 1_000_002, FaultShelfID: &shelf, Label: "book 2", Version: 1}},
			Tags:  []FaultTag{{1_000_001, "tag 1", 1, 1}}, Version: 1},
		other: FaultShelf{ID: 1_000_002, Label: "other", Version: 1},
		book:  FaultBook{ID: 1_000_003, Label: "book 3", Version: 1}, tag: FaultTag{1_000_002, "tag 2", 1, 1},
		cards: []*FaultCard{{faultHooks{}, 1_000_001, "card 1", 0, f.code, "", 1, deleted}, {faultHooks{}, 1_000_002, "card 2", 0, f.code, "", 1, deleted}},
		leaf:  FaultLeaf{ID: 1_000_001, CardID: 1_000_001, Label: "leaf", Version: 1},
	}
	m.base = m.book
	require.NoError(t, f.db.Order("id").Find(&m.copies).Error) // a snapshot is made by reading
	return m
}

// versions are those of the models in memory, by where they are and what their rows are called.
func (m *faultModels) versions() map[faultPlace]int64 {
	versions := map[faultPlace]int64{}
	put := func(where, label string, version occ.Version) { versions[faultPlace{where, label}] = int64(version) }
	for _, s := range []*FaultShelf{&m.shelf, &m.other, &m.newShelf} {
		put("", s.Label, s.Version)
		for _, b := range s.Books {
			put(s.Label, b.Label, b.Version)
		}
		for _, tag := range s.Tags {
			put(s.Label, tag.Label, tag.Version)
		}
		if s.Room != nil {
			put(s.Label, s.Room.Label, s.Room.Version)
		}
		if s.Lamp != nil {
			put(s.Label, s.Lamp.Label, s.Lamp.Version)
		}
	}
	put("", m.newRoom.Label, m.newRoom.Version)
	put("", m.newLamp.Label, m.newLamp.Version)
	put("", m.tag.Label, m.tag.Version)
	put("", m.newTag.Label, m.newTag.Version)
	put("", m.book.Label, m.book.Version)
	put("", m.newBook.Label, m.newBook.Version)
	put("", m.leaf.Label, m.leaf.Version)
	put("", m.newLeaf.Label, m.newLeaf.Version)
	for _, c := range append(m.cards, &m.newCard) {
		put("", c.Label, occ.Version(c.Version))
	}
	return versions
}

// faultPlace is where a model is in memory, and the label of its row.
type faultPlace struct{ Owner, Label string }

// faultRow is a row as it is stored, and what it belongs to.
type faultRow struct {
	Label   string
	Weight  int
	Version int64
	Parent  string
}

// stored are all rows by what they are called.
func (f *faults) stored(t testing.TB, db *gorm.DB) map[string]faultRow {
	t.Helper()
	var rows []faultRow
	require.NoError(t, db.Raw(`
		SELECT s.label, s.weight, s.version, coalesce(r.label, '') AS parent FROM fault_shelves s LEFT JOIN fault_rooms r ON r.id = s.room_id
		UNION ALL SELECT label, weight, version, '' FROM fault_rooms
		UNION ALL SELECT l.label, l.weight, l.version, coalesce(s.label, '') FROM fault_lamps l LEFT JOIN fault_shelves s ON s.id = l.fault_shelf_id
		UNION ALL SELECT b.label, b.weight, b.version, coalesce(s.label, '') FROM fault_books b LEFT JOIN fault_shelves s ON s.id = b.fault_shelf_id
		UNION ALL SELECT label, weight, version, '' FROM fault_tags
		UNION ALL SELECT concat(s.label, '/', t.label), 0, 0, '' FROM fault_shelf_tags st JOIN fault_shelves s ON s.id = st.fault_shelf_id JOIN fault_tags t ON t.id = st.fault_tag_id
		UNION ALL SELECT label, weight, version, CASE WHEN deleted_at IS NULL THEN '' ELSE 'deleted' END FROM fault_cards
		UNION ALL SELECT l.label, l.weight, l.version, c.label FROM fault_leafs l JOIN fault_cards c ON c.id = l.card_id
		UNION ALL SELECT label, weight, 0, '' FROM fault_copies`).Scan(&rows).Error)
	stored := map[string]faultRow{}
	for _, row := range rows {
		stored[row.Label] = row
	}
	return stored
}

package behaviour_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// Berth is unique among the seats that are taken; its version is of any kind.
type Berth[V any] struct {
	ID      uint
	Place   string `gorm:"size:40;uniqueIndex:idx_taken,where:taken"`
	Taken   bool
	Guest   string
	Version V `gorm:"version"`
}

func (Berth[V]) TableName() string { return "berths" }

var ofTaken = clause.OnConflict{
	Columns:     []clause.Column{{Name: "place"}},
	TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "taken"}}},
	DoUpdates:   clause.AssignmentColumns([]string{"guest"}),
}

func partialIndexBehaviours[V any]() []Behaviour {
	type berth = Berth[V]
	two := func(t *testing.T, db *gorm.DB) (free, taken berth) {
		free, taken = berth{Place: "a", Guest: "before"}, berth{Place: "a", Taken: true, Guest: "now"}
		require.NoError(t, db.Create(&free).Error)
		require.NoError(t, db.Create(&taken).Error)
		return free, taken
	}
	kind := fmt.Sprintf("%T: ", *new(V))
	return []Behaviour{
		{kind + "the upsert of a new model writes the row of a partial index, and no other", func(t *testing.T, db *gorm.DB) {
			free, taken := two(t, db)

			mine := berth{Place: "a", Taken: true, Guest: "mine"}
			require.NoError(t, db.Clauses(ofTaken).Create(&mine).Error)

			require.Equal(t, free, Reload[berth](t, db, free.ID))
			row := Reload[berth](t, db, taken.ID)
			require.Equal(t, "mine", row.Guest)
			require.NotEqual(t, taken.Version, row.Version)
			require.Equal(t, row, mine)
			require.ErrorIs(t, db.Model(&taken).Update("guest", "stale").Error, occ.ErrStaleData)

			other := berth{Place: "a", Guest: "another free one"}
			require.NoError(t, db.Clauses(ofTaken).Create(&other).Error)
			require.Equal(t, other, Reload[berth](t, db, other.ID))
			require.NotContains(t, []uint{free.ID, taken.ID}, other.ID)
			require.Equal(t, row, Reload[berth](t, db, taken.ID))
		}},
		{kind + "the upsert of a loaded model is compared with the row of a partial index", func(t *testing.T, db *gorm.DB) {
			free, taken := two(t, db)
			theirs := taken
			require.NoError(t, db.Model(&theirs).Update("guest", "theirs").Error)

			mine := taken
			mine.Guest = "mine"
			row := Stale(t, db.Clauses(ofTaken).Create(&mine).Error)

			require.Equal(t, occ.ReasonChanged, row.Reason)
			require.Equal(t, theirs.Version, row.Actual)
			require.Equal(t, taken.Version, mine.Version)
			require.Equal(t, theirs, Reload[berth](t, db, taken.ID))
			require.Equal(t, free, Reload[berth](t, db, free.ID))

			theirs.Guest = "again"
			require.NoError(t, db.Clauses(ofTaken).Create(&theirs).Error)
			require.Equal(t, theirs, Reload[berth](t, db, taken.ID))
			require.Error(t, db.Clauses(ofTaken).Create(&free).Error, "its row is not in the index")
			var n int64
			require.NoError(t, db.Model(&berth{}).Count(&n).Error)
			require.EqualValues(t, 2, n)
		}},
		{kind + "an expression as the conflict target is an error for what has to be compared", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.Exec("CREATE UNIQUE INDEX idx_lower ON berths (lower(place))").Error)
			first := berth{Place: "a", Taken: true, Guest: "now"}
			require.NoError(t, db.Create(&first).Error)
			conflict := clause.OnConflict{Columns: []clause.Column{{Name: "lower(place)", Raw: true}}, DoUpdates: clause.AssignmentColumns([]string{"guest"})}

			mine := first
			mine.Place, mine.Guest = "A", "mine"
			err := db.Clauses(conflict).Create(&mine).Error

			require.ErrorContains(t, err, "model Berth")
			require.ErrorContains(t, err, "OnConflict.Columns")
			require.Equal(t, first, Reload[berth](t, db, first.ID))
		}},
	}
}

func TestPartialUniqueIndexes(t *testing.T) {
	t.Parallel()
	databases := Except("mariadb", Everywhere())
	Run(t, databases, partialIndexBehaviours[int64](), &Berth[int64]{})
	Run(t, databases, partialIndexBehaviours[uuid.UUID](), &Berth[uuid.UUID]{})
	Run(t, databases, partialIndexBehaviours[string](), &Berth[string]{})
	Run(t, Except("sqlite", databases), []Behaviour{{"a constraint by name is an error for a loaded model, and serves a new one", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec("ALTER TABLE stocks ADD CONSTRAINT one_sku UNIQUE (sku)").Error)
		first := createStock(t, db, "a")
		conflict := clause.OnConflict{OnConstraint: "one_sku", DoUpdates: clause.AssignmentColumns([]string{"quantity"})}
		mine := first

		require.ErrorContains(t, db.Clauses(conflict).Create(&mine).Error, "OnConflict.Columns")
		require.Equal(t, first, Reload[Stock](t, db, first.ID))
		fresh := []Stock{{SKU: "b", Quantity: 2}, {SKU: "a", Quantity: 3}}
		require.NoError(t, db.Clauses(conflict).Create(&fresh).Error)

		require.Equal(t, Stock{ID: first.ID, SKU: "a", Quantity: 3, Version: 2}, Reload[Stock](t, db, first.ID))
		for _, stock := range fresh {
			require.Equal(t, stock, Reload[Stock](t, db, stock.ID))
		}
	}}}, &Stock{})
}

// asMySQL opens a MariaDB database as GORM's driver sees MySQL.
func asMySQL(t *testing.T, db *gorm.DB) *gorm.DB {
	config := *db.Dialector.(*mysql.Dialector).Config
	config.DisableWithReturning = true
	again, err := gorm.Open(mysql.New(config), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	require.NoError(t, again.Use(occ.New()))
	return again
}

func TestKeysWithoutReturning(t *testing.T) {
	t.Parallel()
	Run(t, Except("postgres", Except("sqlite", testdb.All())), []Behaviour{
		{"of several upserted models, each has its own row's key and version", func(t *testing.T, db *gorm.DB) {
			there, stranger := createStock(t, db, "b"), createStock(t, db, "x")
			db = asMySQL(t, db)

			all := []Stock{{SKU: "a", Quantity: 10}, {SKU: "b", Quantity: 11}, {SKU: "c", Quantity: 12}}
			require.NoError(t, db.Clauses(bySKU).Create(&all).Error)

			require.Equal(t, there.ID, all[1].ID)
			for i := range all {
				require.Equal(t, all[i], Reload[Stock](t, db, all[i].ID))
				require.NoError(t, db.Model(&all[i]).Update("quantity", 20+i).Error)
				require.Equal(t, all[i], Reload[Stock](t, db, all[i].ID))
			}
			require.Equal(t, stranger, Reload[Stock](t, db, stranger.ID))
		}},
		{"one that was updated, and one that was inserted", func(t *testing.T, db *gorm.DB) {
			there := createStock(t, db, "b")
			db = asMySQL(t, db)

			for _, one := range []Stock{{SKU: "b", Quantity: 2}, {SKU: "new", Quantity: 3}, {SKU: "b", Quantity: 4}} {
				require.NoError(t, db.Clauses(bySKU).Create(&one).Error)
				require.Equal(t, one, Reload[Stock](t, db, one.ID))
				require.Equal(t, one.SKU == "b", one.ID == there.ID)
			}
		}},
		{"without a target, models whose row cannot be told have no key", func(t *testing.T, db *gorm.DB) {
			there := createStock(t, db, "b")
			db = asMySQL(t, db)

			all := []Stock{{SKU: "a", Quantity: 10}, {SKU: "b", Quantity: 11}, {SKU: "c", Quantity: 12}}
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&all).Error)

			for _, one := range all {
				require.Zero(t, one.ID)
				require.Zero(t, one.Version)
			}
			require.Equal(t, Stock{ID: there.ID, SKU: "b", Quantity: 11, Version: 2}, Reload[Stock](t, db, there.ID))
			fresh := []Stock{{SKU: "d"}, {SKU: "e"}}
			require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&fresh).Error)
			for _, one := range fresh {
				require.Equal(t, one, Reload[Stock](t, db, one.ID))
			}
		}},
		{"loaded models by another unique key", func(t *testing.T, db *gorm.DB) {
			a, b := createStock(t, db, "a"), createStock(t, db, "b")
			db = asMySQL(t, db)
			theirs := b
			require.NoError(t, db.Model(&theirs).Update("quantity", 7).Error)

			all := []Stock{{SKU: "a", Quantity: 5, Version: 1}, {SKU: "new", Quantity: 6}, {SKU: "b", Quantity: 5, Version: 1}}
			require.Equal(t, 2, Stale(t, db.Clauses(bySKU).Create(&all).Error).Index)
			require.Equal(t, a, Reload[Stock](t, db, a.ID))
			require.Equal(t, []occ.Version{1, 0, 1}, []occ.Version{all[0].Version, all[1].Version, all[2].Version})
			all[2].Version = theirs.Version
			require.NoError(t, db.Clauses(bySKU).Create(&all).Error)

			for _, one := range all {
				require.Equal(t, one, Reload[Stock](t, db, one.ID))
			}
		}},
		{"DO NOTHING gives no model another row's key", func(t *testing.T, db *gorm.DB) {
			createStock(t, db, "b")
			db = asMySQL(t, db)

			all := []Stock{{SKU: "a", Quantity: 10}, {SKU: "b", Quantity: 11}, {SKU: "c", Quantity: 12}}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&all).Error)
			one := Stock{SKU: "b"}
			require.NoError(t, db.Clauses(clause.OnConflict{DoNothing: true}).Create(&one).Error)

			require.Equal(t, []occ.Version{1, 0, 1, 0}, []occ.Version{all[0].Version, all[1].Version, all[2].Version, one.Version})
			for _, stock := range append(all, one) {
				if stock.ID != 0 {
					require.Equal(t, stock.SKU, Reload[Stock](t, db, stock.ID).SKU)
				}
			}
		}},
	}, &Stock{})
	Run(t, Except("postgres", Except("sqlite", testdb.All())), []Behaviour{
		{"versions of the database belong to the models' own rows", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &StampedStock{}))
			there := StampedStock{SKU: "b", Quantity: 1}
			require.NoError(t, db.Create(&there).Error)
			db = asMySQL(t, db)

			all := []StampedStock{{SKU: "a", Quantity: 10}, {SKU: "b", Quantity: 11}, {SKU: "c", Quantity: 12}}
			require.NoError(t, db.Clauses(bySKU).Create(&all).Error)

			require.Equal(t, there.ID, all[1].ID)
			for _, one := range all {
				require.Equal(t, one, Reload[StampedStock](t, db, one.ID))
			}
		}},
		{"an upsert that changes nothing of the row teaches its version", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, occ.CreateTriggers(db, &StampedStock{}))
			there := StampedStock{SKU: "b", Quantity: 1}
			require.NoError(t, db.Create(&there).Error)
			db = asMySQL(t, db)

			again := StampedStock{SKU: "b", Quantity: 1}
			require.NoError(t, db.Clauses(bySKU).Create(&again).Error)

			require.Equal(t, there, again)
			require.Equal(t, there, Reload[StampedStock](t, db, there.ID))
		}},
	}, &StampedStock{})
}

// Caption is what upserts write in place of models.
type Caption struct {
	Code  string
	Title string
}

// Shelfmark has a version of any kind and a natural key.
type Shelfmark[V any] struct {
	Code    string `gorm:"size:20;primaryKey"`
	Title   string
	Version V `gorm:"version"`
}

func (Shelfmark[V]) TableName() string { return "shelfmarks" }

var byCode = clause.OnConflict{Columns: []clause.Column{{Name: "code"}}, DoUpdates: clause.AssignmentColumns([]string{"title"})}

func payloadBehaviours[V any]() []Behaviour {
	type mark = Shelfmark[V]
	kind := fmt.Sprintf("%T: ", *new(V))
	var behaviours []Behaviour
	for name, upsert := range map[string]func(db *gorm.DB) error{
		"a map": func(db *gorm.DB) error {
			values := map[string]any{"code": "b", "title": "new"}
			return errorsOf(db.Model(&mark{}).Create(values), db.Model(&mark{}).Create(map[string]any{"Code": "a", "Title": "mine"}))
		},
		"a slice of maps": func(db *gorm.DB) error {
			return db.Model(&mark{}).Create(&[]map[string]any{{"code": "b", "title": "new"}, {"code": "a", "title": "mine"}}).Error
		},
		"a slice of another type": func(db *gorm.DB) error {
			return db.Table("shelfmarks").Create(&[]Caption{{"b", "new"}, {"a", "mine"}}).Error
		},
		"another type": func(db *gorm.DB) error {
			return errorsOf(db.Table("shelfmarks").Create(&Caption{"b", "new"}), db.Table("shelfmarks").Create(&Caption{"a", "mine"}))
		},
	} {
		behaviours = append(behaviours, Behaviour{kind + "an upsert of " + name + " gives the row that is there its next version", func(t *testing.T, db *gorm.DB) {
			first := mark{Code: "a", Title: "first"}
			require.NoError(t, db.Create(&first).Error)

			require.NoError(t, upsert(db.Clauses(byCode).Session(&gorm.Session{})))

			row := Shelfmark[V]{}
			require.NoError(t, db.Take(&row, "code = ?", "a").Error)
			require.Equal(t, "mine", row.Title)
			require.NotEqual(t, first.Version, row.Version)
			fresh := mark{}
			require.NoError(t, db.Take(&fresh, "code = ?", "b").Error)
			require.Equal(t, "new", fresh.Title)
			require.ErrorIs(t, db.Model(&first).Update("title", "stale").Error, occ.ErrStaleData)
			require.NoError(t, db.Model(&row).Update("title", "next").Error)
		}})
	}
	return append(behaviours, Behaviour{kind + "an upsert of a map is compared with what Expect was given", func(t *testing.T, db *gorm.DB) {
		first := mark{Code: "a", Title: "first"}
		require.NoError(t, db.Create(&first).Error)
		theirs := first
		require.NoError(t, db.Model(&theirs).Update("title", "theirs").Error)

		err := db.Model(&mark{}).Clauses(byCode, occ.Expect(first.Version)).Create(map[string]any{"code": "a", "title": "mine"}).Error
		require.Equal(t, occ.ReasonChanged, Stale(t, err).Reason)
		err = db.Model(&mark{}).Clauses(byCode, occ.Expect(first.Version)).Create(map[string]any{"code": "gone", "title": "mine"}).Error
		require.Equal(t, occ.ReasonDeleted, Stale(t, err).Reason)

		require.NoError(t, db.Model(&mark{}).Clauses(byCode, occ.Expect(theirs.Version)).Create(map[string]any{"code": "a", "title": "mine"}).Error)
		row := mark{}
		require.NoError(t, db.Take(&row, "code = ?", "a").Error)
		require.Equal(t, "mine", row.Title)
		require.NotEqual(t, theirs.Version, row.Version)
	}})
}

func errorsOf(results ...*gorm.DB) error {
	for _, result := range results {
		if result.Error != nil {
			return result.Error
		}
	}
	return nil
}

func TestUpsertOfPayloads(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), payloadBehaviours[int64](), &Shelfmark[int64]{})
	Run(t, testdb.All(), payloadBehaviours[time.Time](), &Shelfmark[time.Time]{})
	Run(t, testdb.All(), payloadBehaviours[uuid.UUID](), &Shelfmark[uuid.UUID]{})
}

// Score has columns with defaults, and some that an INSERT leaves out.
type Score struct {
	ID      uint
	Name    string `gorm:"size:40;uniqueIndex"`
	Count   int
	Grade   int    `gorm:"default:7"`
	Origin  string `gorm:"size:40;default:('house')"`
	Changed string `gorm:"<-:update"`
	occ.Version
}

func TestLoadedModelsAreUpsertedAsNewOnes(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{
		{"expressions are the database's own, and mean the row that is there", func(t *testing.T, db *gorm.DB) {
			first := Score{Name: "a", Count: 5, Grade: 1, Origin: "x"}
			require.NoError(t, db.Create(&first).Error)
			greatest := map[string]string{"mysql": "GREATEST(`count`, VALUES(`count`))", "sqlite": "max(count, excluded.count)", "postgres": "GREATEST(scores.count, excluded.count)"}[db.Name()]
			conflict := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.Assignments(map[string]any{"count": gorm.Expr(greatest)})}

			for i, count := range []int{3, 9} {
				first.Count = count
				require.NoError(t, db.Clauses(conflict).Create(&first).Error)
				require.EqualValues(t, 2+i, first.Version)
				row := Reload[Score](t, db, first.ID)
				require.Equal(t, max(5, count), row.Count)
				require.Equal(t, first.Version, row.Version)
			}
			byKey := conflict
			byKey.Columns = []clause.Column{{Name: "id"}}
			first.Count = 11
			require.NoError(t, db.Clauses(byKey).Create(&first).Error)
			require.Equal(t, first, Reload[Score](t, db, first.ID))
			first.Version = 2
			require.ErrorIs(t, db.Clauses(byKey).Create(&first).Error, occ.ErrStaleData)
			require.EqualValues(t, 4, Reload[Score](t, db, first.ID).Version)
		}},
		{"UpdateAll writes the columns that it writes of a new model", func(t *testing.T, db *gorm.DB) {
			rows := map[bool]Score{}
			for _, isLoaded := range []bool{false, true} {
				one := Score{Name: fmt.Sprint(isLoaded), Count: 5, Grade: 1, Origin: "theirs"}
				require.NoError(t, db.Create(&one).Error)
				again := Score{ID: one.ID, Name: one.Name, Count: 6, Origin: "mine", Changed: "mine"}
				if isLoaded {
					again.Version = one.Version
				}

				require.NoError(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&again).Error)

				row := Reload[Score](t, db, one.ID)
				require.EqualValues(t, 2, again.Version)
				require.Equal(t, row.Grade, again.Grade)
				row.ID, row.Name = 0, ""
				rows[isLoaded] = row
			}
			require.Equal(t, rows[false], rows[true])
		}},
		{"AssignmentColumns store the default in place of a zero", func(t *testing.T, db *gorm.DB) {
			for _, column := range []string{"id", "name"} {
				one := Score{Name: column, Count: 5, Grade: 1, Origin: "theirs"}
				require.NoError(t, db.Create(&one).Error)
				one.Grade, one.Origin = 0, ""
				conflict := clause.OnConflict{Columns: []clause.Column{{Name: column}}, DoUpdates: clause.AssignmentColumns([]string{"grade", "origin"})}

				require.NoError(t, db.Clauses(conflict).Create(&one).Error)

				row := Reload[Score](t, db, one.ID)
				require.Equal(t, Score{ID: one.ID, Name: column, Count: 5, Grade: 7, Origin: "house", Version: 2}, row)
				require.EqualValues(t, 2, one.Version)
			}
		}},
		{"a model whose conflict columns are another row's is an error", func(t *testing.T, db *gorm.DB) {
			a, b := Score{Name: "a"}, Score{Name: "b", Count: 4}
			require.NoError(t, db.Create(&a).Error)
			require.NoError(t, db.Create(&b).Error)
			stored := Reload[Score](t, db, b.ID)
			a.Name, a.Count = "b", 5
			conflict := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"count"})}

			err := db.Clauses(conflict).Create(&a).Error

			require.ErrorContains(t, err, "another primary key")
			require.EqualValues(t, 1, a.Version)
			require.Equal(t, stored, Reload[Score](t, db, b.ID))
		}},
	}, &Score{})
}

// Drawer is touched by what is put into it.
type Drawer struct {
	ID uint
	occ.Version
}

// Spoon has a natural key beside its own.
type Spoon struct {
	ID       uint
	Name     string `gorm:"size:40;uniqueIndex"`
	DrawerID uint
	Drawer   *Drawer `gorm:"touch"`
	occ.Version
}

func TestAnUpsertThatMovesAChildTouchesBothParents(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"by another unique key", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Create(&[]Drawer{{ID: 1}, {ID: 2}}).Error)
		require.NoError(t, db.Create(&Spoon{Name: "a", DrawerID: 1}).Error)
		before := []occ.Version{Reload[Drawer](t, db, 1).Version, Reload[Drawer](t, db, 2).Version}

		moved := Spoon{Name: "a", DrawerID: 2}
		conflict := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"drawer_id"})}
		require.NoError(t, db.Clauses(conflict).Create(&moved).Error)

		require.EqualValues(t, 2, Reload[Spoon](t, db, moved.ID).DrawerID)
		require.Equal(t, before[0]+1, Reload[Drawer](t, db, 1).Version)
		require.Equal(t, before[1]+1, Reload[Drawer](t, db, 2).Version)
	}}}, &Drawer{}, &Spoon{})
}

func TestKeysThatDifferOnlyByCollation(t *testing.T) {
	t.Parallel()
	Run(t, Except("postgres", testdb.All()), []Behaviour{{"no model of a slice holds another row's key", func(t *testing.T, db *gorm.DB) {
		if db.Name() == "sqlite" {
			require.NoError(t, db.Exec("DROP INDEX idx_stocks_sku").Error)
			require.NoError(t, db.Exec("CREATE UNIQUE INDEX idx_stocks_sku ON stocks (sku COLLATE NOCASE)").Error)
		}
		createStock(t, db, "x")
		there := createStock(t, db, "b")
		sku := clause.Column{Name: "sku"}
		conflict := clause.OnConflict{Columns: []clause.Column{sku}, DoUpdates: clause.AssignmentColumns([]string{"quantity"})}
		if db.Name() == "sqlite" {
			conflict.Columns = []clause.Column{{Name: "sku COLLATE NOCASE", Raw: true}}
		}

		all := []Stock{{SKU: "c", Quantity: 1}, {SKU: "C", Quantity: 2}, {SKU: "B", Quantity: 3}, {SKU: "d", Quantity: 4}}
		require.NoError(t, db.Clauses(conflict).Create(&all).Error)

		require.Equal(t, 3, Reload[Stock](t, db, there.ID).Quantity)
		for _, one := range all {
			if one.ID == 0 {
				require.Zero(t, one.Version)
				continue
			}
			row := Reload[Stock](t, db, one.ID)
			require.True(t, strings.EqualFold(one.SKU, row.SKU))
			require.Equal(t, row.Version, one.Version)
		}
	}}}, &Stock{})
}

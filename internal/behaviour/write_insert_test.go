package behaviour_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

func TestInsertsThatSkipOrReplace(t *testing.T) {
	t.Parallel()
	modifier := map[string]string{"mysql": "IGNORE", "sqlite": "OR IGNORE"}
	Run(t, Except("postgres", Everywhere()), []Behaviour{
		{"a model that INSERT IGNORE skips holds no version and no key, and cannot overwrite the row", func(t *testing.T, db *gorm.DB) {
			createStock(t, db, "x")
			there := createStock(t, db, "b")
			ignore := db.Clauses(clause.Insert{Modifier: modifier[db.Name()]}).Session(&gorm.Session{})

			all := []Stock{{SKU: "a", Quantity: 5}, {SKU: "b", Quantity: 6}, {SKU: "c", Quantity: 7}}
			result := ignore.Create(&all)
			one, keyed := Stock{SKU: "b", Quantity: 8}, Stock{ID: there.ID, SKU: "other"}
			require.NoError(t, ignore.Create(&one).Error)
			require.NoError(t, ignore.Create(&keyed).Error)

			require.NoError(t, result.Error)
			require.EqualValues(t, 2, result.RowsAffected)
			require.Equal(t, []occ.Version{1, 0, 1}, []occ.Version{all[0].Version, all[1].Version, all[2].Version})
			require.Equal(t, all[0], Reload[Stock](t, db, all[0].ID))
			require.Equal(t, all[2], Reload[Stock](t, db, all[2].ID))
			require.Equal(t, []uint{0, 0, there.ID}, []uint{all[1].ID, one.ID, keyed.ID})
			require.Zero(t, one.Version)
			require.ErrorIs(t, db.Save(&keyed).Error, occ.ErrStaleData)
			require.Equal(t, there, Reload[Stock](t, db, there.ID))
		}},
	}, &Stock{})
	Run(t, Except("postgres", Except("mariadb", Everywhere())), []Behaviour{
		{"INSERT OR REPLACE is an error", func(t *testing.T, db *gorm.DB) {
			mine := createStock(t, db, "a")
			theirs := mine
			require.NoError(t, db.Model(&theirs).Update("quantity", 7).Error)

			for _, stock := range []Stock{mine, {ID: mine.ID, SKU: "a"}} {
				err := db.Clauses(clause.Insert{Modifier: "OR REPLACE"}).Create(&stock).Error
				require.ErrorContains(t, err, "model Stock")
			}

			require.Equal(t, theirs, Reload[Stock](t, db, mine.ID))
		}},
	}, &Stock{})
}

func TestUpdatesThatSkipOrReplace(t *testing.T) {
	t.Parallel()
	writes := map[string]func(db *gorm.DB, stock *Stock) error{
		"Update": func(db *gorm.DB, stock *Stock) error { return db.Model(stock).Update("sku", "a").Error },
		"Update that is unchecked": func(db *gorm.DB, stock *Stock) error {
			return db.Clauses(occ.Unchecked()).Model(stock).Update("sku", "a").Error
		},
		"Update of a slice": func(db *gorm.DB, stock *Stock) error { return db.Model(&[]*Stock{stock}).Update("sku", "a").Error },
		"Save":              func(db *gorm.DB, stock *Stock) error { return db.Save(stock).Error },
		"Save of a slice":   func(db *gorm.DB, stock *Stock) error { return db.Save([]*Stock{stock, {SKU: "c"}}).Error },
		"an upsert of a loaded one": func(db *gorm.DB, stock *Stock) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(stock).Error
		},
		"Expect and a condition": func(db *gorm.DB, stock *Stock) error {
			return db.Model(&Stock{}).Clauses(occ.Expect(1)).Where("id = ?", stock.ID).Update("sku", "a").Error
		},
	}
	refused := map[string][]string{"sqlite": {"OR REPLACE", "or ignore"}, "mysql": {"IGNORE", "LOW_PRIORITY IGNORE"}}
	var behaviours []Behaviour
	for name, write := range writes {
		behaviours = append(behaviours, Behaviour{name + ": an error that names the model", func(t *testing.T, db *gorm.DB) {
			a, b := createStock(t, db, "a"), createStock(t, db, "b")

			for _, modifier := range refused[db.Name()] {
				moved := b
				moved.SKU = "a"
				err := write(db.Clauses(clause.Update{Modifier: modifier}).Session(&gorm.Session{}), &moved)

				require.Error(t, err)
				require.NotErrorIs(t, err, occ.ErrStaleData)
				if !strings.HasPrefix(name, "an upsert") && name != "Save of a slice" { // whose statements have no words of the caller's
					require.ErrorContains(t, err, "model Stock")
					require.ErrorContains(t, err, modifier)
				}
				require.Equal(t, b.Version, moved.Version)
			}

			require.Equal(t, []Stock{a, b}, []Stock{Reload[Stock](t, db, a.ID), Reload[Stock](t, db, b.ID)})
		}})
	}
	Run(t, Except("postgres", Everywhere()), append(behaviours,
		Behaviour{"by condition, rows that are skipped keep their version", func(t *testing.T, db *gorm.DB) {
			a, b := createStock(t, db, "a"), createStock(t, db, "b")
			ignore := clause.Update{Modifier: refused[db.Name()][1]}

			res := db.Clauses(ignore).Model(&Stock{}).Where("id = ?", b.ID).Update("sku", "a")

			require.NoError(t, res.Error)
			require.Equal(t, []Stock{a, b}, []Stock{Reload[Stock](t, db, a.ID), Reload[Stock](t, db, b.ID)})
		}},
		Behaviour{"other words are sent as they are", func(t *testing.T, db *gorm.DB) {
			b := createStock(t, db, "b")
			words := map[string]string{"sqlite": "OR FAIL", "mysql": "LOW_PRIORITY"}[db.Name()]

			require.NoError(t, db.Clauses(clause.Update{Modifier: words}).Model(&b).Update("sku", "a").Error)

			require.Equal(t, b, Reload[Stock](t, db, b.ID))
		}},
	), &Stock{})
	Run(t, Except("postgres", Except("mariadb", Everywhere())), []Behaviour{
		{"UPDATE OR REPLACE by condition is an error", func(t *testing.T, db *gorm.DB) {
			a, b := createStock(t, db, "a"), createStock(t, db, "b")
			replace := clause.Update{Modifier: "OR REPLACE"}

			err := db.Clauses(replace).Model(&Stock{}).Where("id = ?", b.ID).Update("sku", "a").Error

			require.ErrorContains(t, err, "model Stock")
			require.Equal(t, []Stock{a, b}, []Stock{Reload[Stock](t, db, a.ID), Reload[Stock](t, db, b.ID)})
		}},
	}, &Stock{})
}

func TestDeletesThatSkip(t *testing.T) {
	t.Parallel()
	Run(t, Products(Everywhere(), "mariadb", "mysql"), []Behaviour{
		{"DELETE IGNORE of models is an error", func(t *testing.T, db *gorm.DB) {
			cart := CreateCart(t, db, Line{Pieces: 1})
			ignore := db.Clauses(clause.Delete{Modifier: "IGNORE"}).Session(&gorm.Session{})

			for _, err := range []error{ignore.Delete(&cart).Error, ignore.Delete(&[]Cart{cart}).Error} {
				require.ErrorContains(t, err, "model Cart")
				require.NotErrorIs(t, err, occ.ErrStaleData)
			}
			require.NoError(t, ignore.Where("id = ?", cart.ID).Delete(&Cart{}).Error)

			require.Equal(t, 1, CartVersion(t, db, cart.ID))
		}},
	}, &Cart{}, &Line{})
}

func TestExpectOnACreate(t *testing.T) {
	t.Parallel()
	Run(t, testdb.All(), []Behaviour{{"without an update ON CONFLICT it is an error", func(t *testing.T, db *gorm.DB) {
		first := createStock(t, db, "a")
		again := Stock{SKU: "b"}
		for _, tx := range []*gorm.DB{db.Clauses(occ.Expect(1)), db.Clauses(occ.Expect(1), clause.OnConflict{DoNothing: true})} {
			require.ErrorContains(t, tx.Create(&again).Error, "model Stock")
			require.Equal(t, Stock{SKU: "b"}, again)
		}
		require.Error(t, db.Model(&Stock{}).Clauses(occ.Expect(1)).Create(map[string]any{"sku": "c"}).Error)

		var rows []Stock
		require.NoError(t, db.Find(&rows).Error)
		require.Equal(t, []Stock{first}, rows)
	}}}, &Stock{})
}

func TestANewModelThatATriggerLeavesOut(t *testing.T) {
	t.Parallel()
	Run(t, Except("mariadb", testdb.All()), []Behaviour{{"is refused for a reason that is not known", func(t *testing.T, db *gorm.DB) {
		swallow := []string{"CREATE TRIGGER swallow BEFORE INSERT ON products BEGIN SELECT RAISE(IGNORE); END"}
		if db.Name() == "postgres" {
			swallow = []string{"CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
				"CREATE TRIGGER swallow BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION swallow()"}
		}
		for _, statement := range swallow {
			require.NoError(t, db.Exec(statement).Error)
		}

		mine := Product{ID: 7, Name: "pen"}
		require.Equal(t, occ.ReasonUnknown, Stale(t, db.Save(&mine).Error).Reason)

		require.Zero(t, mine.Version)
		RequireNoRow[Product](t, db, 7)
	}}}, &Product{})
}

// Limb is deleted by the database with the one that it is part of.
type Limb struct {
	ID      uint
	TrunkID *uint
	Trunk   *Limb `gorm:"constraint:OnDelete:CASCADE"`
	occ.Version
}

func TestADeleteThatTheDatabaseCascades(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{{"deletes a slice of rows that refer to each other, and compares it", func(t *testing.T, db *gorm.DB) {
		if db.Name() == "sqlite" {
			require.NoError(t, db.Exec("PRAGMA foreign_keys = ON").Error)
			pool, err := db.DB()
			require.NoError(t, err)
			pool.SetMaxOpenConns(1)
			require.NoError(t, db.Exec("PRAGMA foreign_keys = ON").Error)
		}
		trunk := uint(1)
		all := []Limb{{ID: 1}, {ID: 2, TrunkID: &trunk}, {ID: 3, TrunkID: &trunk}}
		require.NoError(t, db.Create(&all).Error)
		theirs := all[2]
		require.NoError(t, occ.Touch(db, &theirs))

		require.Equal(t, 2, Stale(t, db.Delete(&all).Error).Index)
		var n int64
		require.NoError(t, db.Model(&Limb{}).Count(&n).Error)
		require.EqualValues(t, 3, n)
		all[2] = theirs
		require.NoError(t, db.Delete(&all).Error)

		require.NoError(t, db.Model(&Limb{}).Count(&n).Error)
		require.Zero(t, n)
	}}}, &Limb{})
}

// Hamper has items without a primary key, and parcels whose key is spelled in more than one way.
type Hamper struct {
	ID      uint
	Note    string
	Entries []Entry
	Packets []Packet
	occ.Version
}

// Entry has a unique index in place of a primary key.
type Entry struct {
	Name     string `gorm:"size:40;uniqueIndex"`
	HamperID uint
	occ.Version
}

// Packet has a key that the database compares in its own way.
type Packet struct {
	Code     string `gorm:"primaryKey"`
	HamperID uint
	occ.Version
}

func TestChildrenWithoutAPrimaryKey(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{{"each holds the version of its own row", func(t *testing.T, db *gorm.DB) {
		basket := Hamper{ID: 1, Entries: []Entry{{Name: "a", Version: 3}, {Name: "b"}, {Name: "c", Version: 9}}}
		require.NoError(t, db.Create(&basket).Error)
		check := func(versions ...occ.Version) {
			for i, version := range versions {
				row := Entry{}
				require.NoError(t, db.Take(&row, "name = ?", basket.Entries[i].Name).Error)
				require.Equal(t, Entry{Name: row.Name, HamperID: 1, Version: version}, row)
				require.Equal(t, row, basket.Entries[i])
			}
		}
		check(3, 1, 9)

		basket.Note = "again"
		basket.Entries = append(basket.Entries, Entry{Name: "d"})
		require.NoError(t, db.Save(&basket).Error)

		check(3, 1, 9, 1)
	}}}, &Hamper{}, &Entry{}, &Packet{})
}

func TestKeysOfChildrenAreComparedByTheDatabase(t *testing.T) {
	t.Parallel()
	column := map[string]string{"mysql": "varchar(40)", "postgres": "uuid", "sqlite": "text COLLATE NOCASE"}
	Run(t, Everywhere(), []Behaviour{{"a child whose key is spelled otherwise is linked already", func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Exec("CREATE TABLE packets (code "+column[db.Name()]+" PRIMARY KEY, hamper_id bigint, version bigint)").Error)
		require.NoError(t, db.AutoMigrate(&Hamper{}))
		id := uuid.New()
		stored := id.String()
		require.NoError(t, db.Create(&Hamper{ID: 1}).Error)
		require.NoError(t, db.Create(&Packet{Code: stored, HamperID: 1}).Error)

		for _, version := range []occ.Version{0, 1} {
			basket := Reload[Hamper](t, db, 1)
			basket.Packets = []Packet{{Code: strings.ToUpper(stored), Version: version}}
			require.NoError(t, db.Save(&basket).Error)

			row := Packet{}
			require.NoError(t, db.Take(&row, "code = ?", stored).Error)
			require.Equal(t, Packet{Code: stored, HamperID: 1, Version: 1}, row)
			require.Equal(t, version, basket.Packets[0].Version)
		}
	}}}, &Entry{})
}

package kinds_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	. "github.com/gorm-occ/occ/internal/behaviour"
	"github.com/gorm-occ/occ/internal/testdb"
)

// part is a model of several tables of one shape.
type part struct {
	ID      uint
	Price   int
	Version occ.Version
}

func (part) TableName() string { return "p1" }

// grown is part with a column more, and shrunk with one less.
type (
	grown struct {
		ID      uint
		Price   int
		Stock   int
		Version occ.Version
	}
	shrunk struct {
		ID      uint
		Stock   int
		Version occ.Version
	}
	elsewhere struct {
		ID       uint
		Price    int
		Made     int `gorm:"-:migration"`
		Computed int `gorm:"->;-:migration"`
		Version  occ.Version
	}
	derived struct {
		ID      uint
		Price   int
		Double  int `gorm:"->;type:integer GENERATED ALWAYS AS (price * 2) STORED"`
		Note    *string
		Version occ.Version
	}
)

func (grown) TableName() string     { return "p1" }
func (shrunk) TableName() string    { return "p1" }
func (elsewhere) TableName() string { return "p1" }

// tenant makes a schema beside the test's own, with a table, and gives its name.
func tenant(t *testing.T, db *gorm.DB) string {
	t.Helper()
	var own, name string
	switch db.Name() {
	case "postgres":
		require.NoError(t, db.Raw("SELECT current_schema()").Scan(&own).Error)
		name = own + "_tenant"
		require.NoError(t, db.Exec("CREATE SCHEMA "+name).Error)
		t.Cleanup(func() { require.NoError(t, db.Exec("DROP SCHEMA "+name+" CASCADE").Error) })
	default:
		require.NoError(t, db.Raw("SELECT database()").Scan(&own).Error)
		name = own + "_tenant"
		require.NoError(t, db.Exec("CREATE DATABASE "+name).Error)
		t.Cleanup(func() { require.NoError(t, db.Exec("DROP DATABASE "+name).Error) })
	}
	return name
}

func version(t *testing.T, db *gorm.DB, table string) (versions []int) {
	t.Helper()
	require.NoError(t, db.Raw("SELECT version FROM "+table+" ORDER BY id").Scan(&versions).Error)
	return versions
}

func TestTriggersOfTablesInOtherSchemas(t *testing.T) {
	t.Parallel()
	for _, database := range Except("sqlite", Everywhere()) {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&part{}})
			other := tenant(t, db)
			require.NoError(t, db.Table(other+".p1").Migrator().CreateTable(&part{}))
			for _, table := range []string{"p1", other + ".p1"} {
				require.NoError(t, db.Exec("INSERT INTO "+table+" (id, price, version) VALUES (1, 1, 1)").Error)
			}
			change := func(price int) (own, others []int) {
				require.NoError(t, db.Exec("UPDATE p1 SET price = ?", price).Error)
				require.NoError(t, db.Exec("UPDATE "+other+".p1 SET price = ?", price).Error)
				return version(t, db, "p1"), version(t, db, other+".p1")
			}

			require.NoError(t, occ.CreateTriggers(db.Table(other+".p1"), &part{}))
			own, others := change(2)
			require.Equal(t, []int{1}, own, "the trigger is on the table that was named")
			require.Equal(t, []int{2}, others)
			require.NoError(t, occ.CheckSchema(db.Table(other+".p1"), &part{}))

			require.NoError(t, occ.CreateTriggers(db, &part{}))
			require.NoError(t, occ.DropTriggers(db.Table(other+".p1"), &part{}))
			own, others = change(3)
			require.Equal(t, []int{2}, own)
			require.Equal(t, []int{2}, others)
		})
	}
}

func TestTriggersOfAnAttachedDatabase(t *testing.T) {
	t.Parallel()
	for _, database := range Only("sqlite", "sqlite PrepareStmt") {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&part{}})
			require.NoError(t, db.Connection(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec("ATTACH DATABASE ':memory:' AS tenant").Error)
				require.NoError(t, tx.Exec("CREATE TABLE tenant.p1 (id integer primary key, price integer, version integer NOT NULL DEFAULT 1)").Error)
				require.NoError(t, tx.Exec("INSERT INTO tenant.p1 (id, price) VALUES (1, 1)").Error)
				require.NoError(t, tx.Exec("INSERT INTO main.p1 (id, price) VALUES (1, 1)").Error)

				require.NoError(t, occ.CreateTriggers(tx.Table("tenant.p1"), &part{}))
				require.NoError(t, occ.CreateTriggers(tx.Table("tenant.p1"), &part{}))

				require.NoError(t, occ.CheckSchema(tx.Table("tenant.p1"), &part{}))
				require.NoError(t, tx.Exec("UPDATE tenant.p1 SET price = 2").Error)
				require.NoError(t, tx.Exec("UPDATE main.p1 SET price = 2").Error)
				require.Equal(t, []int{2}, version(t, tx, "tenant.p1"))
				require.Equal(t, []int{1}, version(t, tx, "main.p1"))
				return nil
			}))
		})
	}
}

func TestTriggersAndNamesOfTables(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Use(occ.New()))
		require.NoError(t, db.AutoMigrate(&part{}))
		for _, table := range []*gorm.DB{db.Table("p1 AS p"), db.Table("p1 p"), db.Table("(?) AS p", db.Model(&part{})), db.Table("p1, p2")} {
			for _, call := range []func(*gorm.DB, ...any) error{occ.CreateTriggers, occ.DropTriggers, occ.CheckSchema} {
				require.ErrorContains(t, call(table, &part{}), "is no name of a table")
			}
		}
		quoted := db.Table(db.Statement.Quote("p1") + " ")
		require.NoError(t, occ.CreateTriggers(quoted, &part{}))
		require.NoError(t, occ.CheckSchema(db, &part{}))
	})
}

func TestTriggersAndLaterSchemas(t *testing.T) {
	t.Parallel()
	Run(t, Everywhere(), []Behaviour{
		{"a column that is made elsewhere counts, what is no column does not", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&elsewhere{}))
			require.ErrorContains(t, occ.CreateTriggers(db, &elsewhere{}), `model elsewhere, field Made: table`)
			require.NoError(t, db.Exec("ALTER TABLE p1 ADD COLUMN made integer").Error)
			require.NoError(t, occ.CreateTriggers(db, &elsewhere{}))
			require.NoError(t, db.Exec("INSERT INTO p1 (id, price, version) VALUES (1, 1, 1)").Error)

			require.NoError(t, db.Exec("UPDATE p1 SET made = 5").Error)

			require.Equal(t, []int{2}, version(t, db, "p1"))
		}},
		{"a column that the database computes counts only where it changes", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&derived{}))
			require.NoError(t, occ.CreateTriggers(db, &derived{}))
			require.NoError(t, db.Exec("INSERT INTO deriveds (id, price, note, version) VALUES (1, 1, 'a', 1)").Error)

			require.NoError(t, db.Exec("UPDATE deriveds SET price = price").Error)
			require.Equal(t, []int{1}, version(t, db, "deriveds"))
			require.NoError(t, db.Exec("UPDATE deriveds SET price = 2").Error)
			require.Equal(t, []int{2}, version(t, db, "deriveds"))
			require.NoError(t, db.Exec("UPDATE deriveds SET note = NULL").Error)
			require.Equal(t, []int{3}, version(t, db, "deriveds"))
		}},
		{"a renamed table has one trigger, under its new name", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&part{}))
			require.NoError(t, occ.CreateTriggers(db, &part{}))
			require.NoError(t, db.Exec("INSERT INTO p1 (id, price, version) VALUES (1, 1, 1)").Error)
			require.NoError(t, db.Migrator().RenameTable("p1", "p2"))
			require.ErrorContains(t, occ.CheckSchema(db.Table("p2"), &part{}), "does not fit")

			require.NoError(t, occ.CreateTriggers(db.Table("p2"), &part{}))

			require.NoError(t, db.Exec("UPDATE p2 SET price = 2").Error)
			require.Equal(t, []int{2}, version(t, db, "p2"))
			require.NoError(t, occ.CheckSchema(db.Table("p2"), &part{}))
			require.NoError(t, db.AutoMigrate(&grown{}))
			require.NoError(t, occ.CreateTriggers(db, &grown{}), "a new table of the old name")
			require.NoError(t, occ.CheckSchema(db, &grown{}))
			require.NoError(t, db.Exec("UPDATE p2 SET price = 3").Error)
			require.Equal(t, []int{3}, version(t, db, "p2"))
			require.NoError(t, occ.DropTriggers(db.Table("p2"), &part{}))
			require.NoError(t, occ.DropTriggers(db, &grown{}))
			require.Empty(t, leftBehind(t, db))
		}},
		{"a new table of a name that a trigger elsewhere has", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&part{}))
			require.NoError(t, occ.CreateTriggers(db, &part{}))
			require.NoError(t, db.Migrator().RenameTable("p1", "p2"))
			require.NoError(t, db.AutoMigrate(&grown{}))
			require.ErrorContains(t, occ.CreateTriggers(db, &grown{}), "p2")
			require.NoError(t, db.Exec("INSERT INTO p2 (id, price, version) VALUES (1, 1, 1)").Error)
			require.NoError(t, db.Exec("UPDATE p2 SET price = 2").Error)
			require.Equal(t, []int{2}, version(t, db, "p2"), "the other table's is left alone")

			require.NoError(t, occ.CreateTriggers(db, &grown{}, &moved{}), "both in one call, in any order")

			require.NoError(t, occ.CheckSchema(db, &grown{}, &moved{}))
		}},
		{"a dropped column: said by CheckSchema, mended by CreateTriggers", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&grown{}))
			require.NoError(t, occ.CreateTriggers(db, &grown{}))
			require.NoError(t, db.Exec("INSERT INTO p1 (id, price, stock, version) VALUES (1, 1, 1, 1)").Error)
			if db.Name() == "sqlite" {
				require.NoError(t, occ.DropTriggers(db, &grown{}), "SQLite does not drop a column that a trigger names")
			}
			require.NoError(t, db.Exec("ALTER TABLE p1 DROP COLUMN price").Error)
			if db.Name() != "sqlite" {
				require.ErrorContains(t, occ.CheckSchema(db, &grown{}), `no column "price"`)
				require.ErrorContains(t, occ.CheckSchema(db, &shrunk{}), "does not fit")
			}
			require.ErrorContains(t, occ.CreateTriggers(db, &grown{}), `field Price: table`)

			require.NoError(t, occ.CreateTriggers(db, &shrunk{}))

			require.NoError(t, db.Exec("UPDATE p1 SET stock = 2").Error)
			require.Equal(t, []int{2}, version(t, db, "p1"))
			require.NoError(t, occ.CheckSchema(db, &shrunk{}))
		}},
		{"a model that has grown", func(t *testing.T, db *gorm.DB) {
			require.NoError(t, db.AutoMigrate(&part{}))
			require.NoError(t, occ.CreateTriggers(db, &part{}))
			require.NoError(t, db.AutoMigrate(&grown{}))
			require.NoError(t, db.Exec("INSERT INTO p1 (id, price, stock, version) VALUES (1, 1, 1, 1)").Error)
			err := occ.CheckSchema(db, &grown{})
			require.ErrorContains(t, err, "does not fit")

			for _, statement := range mending(t, err) {
				execUnprepared(t, db, statement)
			}

			require.NoError(t, occ.CheckSchema(db, &grown{}))
			require.NoError(t, db.Exec("UPDATE p1 SET stock = 2").Error)
			require.Equal(t, []int{2}, version(t, db, "p1"))
		}},
	})
}

// moved is part under its table's new name.
type moved struct {
	ID      uint
	Price   int
	Version occ.Version
}

func (moved) TableName() string { return "p2" }

// mending are the statements that CheckSchema names; the lines of a function's body are indented as they are.
func mending(t *testing.T, err error) (statements []string) {
	t.Helper()
	for _, part := range strings.Split(err.Error(), "\n\t")[1:] {
		if n := len(statements); n > 0 && strings.Count(statements[n-1], "$occ$") == 1 {
			statements[n-1] += "\n\t" + part
		} else {
			statements = append(statements, part)
		}
	}
	for i := range statements {
		statements[i] = strings.TrimSuffix(statements[i], ";")
	}
	require.NotEmpty(t, statements)
	return statements
}

// leftBehind are the plugin's triggers and functions in the test's schema.
func leftBehind(t *testing.T, db *gorm.DB) (names []string) {
	t.Helper()
	query := map[string]string{
		"sqlite":   "SELECT name FROM sqlite_master WHERE type = 'trigger'",
		"postgres": "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
		"mysql":    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = database()",
	}[db.Name()]
	require.NoError(t, db.Raw(query).Scan(&names).Error)
	return names
}

func TestTriggersThatInstancesCreateAtOnce(t *testing.T) {
	t.Parallel()
	for _, database := range append(testdb.All(), Only("postgres PrepareStmt", "mariadb PrepareStmt")...) {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			db := Open(t, database, []any{&Product{}, &orderLine{}, &unkeyed{}})
			errs := make([]error, 8)
			var instances sync.WaitGroup
			for i := range errs {
				instances.Go(func() {
					for range 3 {
						if errs[i] = occ.CreateTriggers(db, &Product{}, &orderLine{}, &unkeyed{}); errs[i] != nil {
							return
						}
					}
				})
			}
			instances.Wait()

			require.Equal(t, make([]error, len(errs)), errs)
			require.NoError(t, occ.CheckSchema(db, &Product{}, &orderLine{}, &unkeyed{}))
		})
	}
}

func TestTriggerSQL(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		_, _, err := occ.TriggerSQL(db, &Product{})
		require.ErrorContains(t, err, "not registered")
		require.NoError(t, db.Use(occ.New()))
		counted, trips := CountRoundTrips(t, db)
		up, down, err := occ.TriggerSQL(counted, &Product{}, &orderLine{})
		require.NoError(t, err)
		require.Empty(t, trips.Take(), "nothing is sent")
		require.NoError(t, db.AutoMigrate(&Product{}, &orderLine{}))

		for range 2 {
			for _, statement := range up {
				require.False(t, strings.HasSuffix(strings.TrimSpace(statement), ";"))
				require.NoError(t, db.Exec(statement).Error)
			}
		}

		require.NoError(t, occ.CheckSchema(db, &Product{}, &orderLine{}))
		counted, trips = CountRoundTrips(t, db)
		require.NoError(t, occ.CreateTriggers(counted, &Product{}, &orderLine{}))
		require.False(t, slices.ContainsFunc(trips.Take(), func(sql string) bool {
			return strings.HasPrefix(sql, "CREATE") || strings.HasPrefix(sql, "DROP")
		}), "what CreateTriggers would run is there")
		p := Create(t, db)
		require.NoError(t, db.Exec("UPDATE products SET price = 77").Error)
		require.EqualValues(t, 2, Reload[Product](t, db, p.ID).Version)
		for range 2 {
			for _, statement := range down {
				require.NoError(t, db.Exec(statement).Error)
			}
		}
		require.Empty(t, leftBehind(t, db))
		_, _, err = occ.TriggerSQL(db, &PriceTag{})
		require.ErrorContains(t, err, "no version")
	})
}

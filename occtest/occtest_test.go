package occtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occtest"
)

type Product struct {
	ID      uint
	Name    string `gorm:"size:100"`
	Version occ.Version
}

// Label has no version column.
type Label struct {
	ID   uint
	Name string `gorm:"size:100"`
	occ.Snapshot
}

type Note struct {
	ID   uint
	Text string `gorm:"size:100"`
}

// recorder keeps what a test of an application would be told.
type recorder struct {
	testing.TB
	name    string
	said    []string
	cleanup []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Name() string {
	if r.name != "" {
		return r.name
	}
	return r.TB.Name()
}

// end is the end of the recorded test.
func (r *recorder) end() {
	for len(r.cleanup) > 0 {
		last := len(r.cleanup) - 1
		f := r.cleanup[last]
		r.cleanup = r.cleanup[:last]
		f()
	}
}

// each runs f on every database, with the usual pool and with one connection.
func each(t *testing.T, f func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for _, d := range testdb.All() {
		for _, connections := range []int{8, 1} {
			t.Run(fmt.Sprintf("%s/%d connections", d.Name, connections), func(t *testing.T) {
				t.Parallel()
				db := d.Open(t)
				require.NoError(t, db.Use(occ.New()))
				require.NoError(t, db.AutoMigrate(&Product{}, &Label{}, &Note{}))
				pool, err := db.DB()
				require.NoError(t, err)
				pool.SetMaxOpenConns(connections)
				f(t, db)
			})
		}
	}
}

type edit = func(db *gorm.DB, id uint) error

// loaded is an edit of a product that was loaded.
func loaded(write func(db *gorm.DB, p *Product) error) edit {
	return func(db *gorm.DB, id uint) error {
		var p Product
		if err := db.First(&p, id).Error; err != nil {
			return err
		}
		p.Name = "mine"
		return write(db, &p)
	}
}

func save(db *gorm.DB, p *Product) error { return db.Save(p).Error }

var errOther = errors.New("other")

var refusing = map[string]struct {
	edit edit
	said string // empty: passes
}{
	"save":            {edit: loaded(save)},
	"update":          {edit: loaded(func(db *gorm.DB, p *Product) error { return db.Model(p).Update("name", "mine").Error })},
	"delete":          {edit: loaded(func(db *gorm.DB, p *Product) error { return db.Delete(p).Error })},
	"a slice":         {edit: loaded(func(db *gorm.DB, p *Product) error { return db.Save(&[]*Product{p}).Error })},
	"a wrapped error": {edit: loaded(func(db *gorm.DB, p *Product) error { return fmt.Errorf("rename: %w", save(db, p)) })},
	"a transaction": {edit: func(db *gorm.DB, id uint) error {
		return db.Transaction(func(tx *gorm.DB) error { return loaded(save)(tx, id) })
	}},
	"occ.Transaction": {edit: func(db *gorm.DB, id uint) error {
		return occ.Transaction(db, func(tx *gorm.DB) error { return loaded(save)(tx, id) })
	}},
	"a swallowed error": {said: "returned nil", edit: loaded(func(db *gorm.DB, p *Product) error { _ = save(db, p); return nil })},
	"another error":     {said: "not the one wanted", edit: loaded(func(db *gorm.DB, p *Product) error { _ = save(db, p); return errOther })},
	"Unchecked":         {said: "overwritten", edit: loaded(func(db *gorm.DB, p *Product) error { return save(db.Clauses(occ.Unchecked()), p) })},
	"by condition": {said: "overwritten", edit: func(db *gorm.DB, id uint) error {
		return db.Model(&Product{}).Where("id = ?", id).Update("name", "mine").Error
	}},
	"raw SQL": {said: "did not write", edit: func(db *gorm.DB, id uint) error {
		return db.Exec("UPDATE products SET name = 'mine' WHERE id = ?", id).Error
	}},
	"no write":                       {said: "did not write", edit: func(*gorm.DB, uint) error { return nil }},
	"an own refusal without a write": {said: "did not write", edit: func(*gorm.DB, uint) error { return occ.ErrStaleData }},
	"a model that was never loaded":  {said: "not the one wanted", edit: func(db *gorm.DB, id uint) error { return save(db, &Product{ID: id, Name: "mine"}) }},
	"reload and overwrite": {said: "overwritten", edit: func(db *gorm.DB, id uint) error {
		if err := loaded(save)(db, id); !errors.Is(err, occ.ErrStaleData) {
			return err
		}
		return loaded(save)(db, id)
	}},
	"overwritten, and a conflict reported": {said: "overwritten", edit: func(db *gorm.DB, id uint) error {
		err := loaded(save)(db, id)
		return errors.Join(err, loaded(save)(db, id))
	}},
}

func TestRefusesStale(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		for name, c := range refusing {
			p := Product{Name: "old"}
			require.NoError(t, db.Create(&p).Error)
			r := &recorder{TB: t}
			occtest.RefusesStale[Product](r, db, p.ID, func(ctx context.Context) error { return c.edit(db.WithContext(ctx), p.ID) })
			r.end()
			requireSaid(t, r, name, c.said)
			require.NoError(t, loaded(save)(db, p.ID), "%s: something stays registered", name)
		}
	})
}

func requireSaid(t *testing.T, r *recorder, name, said string) {
	t.Helper()
	if said == "" {
		require.Empty(t, r.said, name)
		return
	}
	require.Len(t, r.said, 1, name)
	require.Contains(t, r.said[0], said, name)
}

func TestRefusesStaleTakesAnErrorOfTheApplication(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		p := Product{Name: "old"}
		require.NoError(t, db.Create(&p).Error)

		occtest.RefusesStale[Product](t, db, p.ID, func(ctx context.Context) error {
			_ = loaded(save)(db.WithContext(ctx), p.ID)
			return errOther
		}, func(err error) bool { return errors.Is(err, errOther) })

		l := Label{Name: "old"}
		require.NoError(t, db.Create(&l).Error)
		occtest.RefusesStale[Label](t, db, l.ID, func(ctx context.Context) error {
			var mine Label
			require.NoError(t, db.First(&mine, l.ID).Error)
			return db.Model(&mine).Update("name", "mine").Error
		})
	})
}

func TestSurvivesStale(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		isMine := func(p Product) error {
			if p.Name != "mine" {
				return errOther
			}
			return nil
		}
		for name, c := range map[string]struct {
			edit edit
			said string
		}{
			"Retry": {edit: func(db *gorm.DB, id uint) error {
				return occ.Retry(context.Background(), db, func(tx *gorm.DB) error { return loaded(save)(tx, id) })
			}},
			"refused":   {said: "did not survive", edit: loaded(save)},
			"swallowed": {said: "did not write", edit: loaded(func(db *gorm.DB, p *Product) error { _ = save(db, p); return nil })},
			"gone":      {said: "is gone", edit: func(db *gorm.DB, id uint) error { return db.Delete(&Product{}, id).Error }},
			"another value": {said: "as it is stored", edit: func(db *gorm.DB, id uint) error {
				return db.Model(&Product{}).Where("id = ?", id).Update("name", "other").Error
			}},
		} {
			p := Product{Name: "old"}
			require.NoError(t, db.Create(&p).Error)
			r := &recorder{TB: t}
			occtest.SurvivesStale(r, db, p.ID, func(ctx context.Context) error { return c.edit(db.WithContext(ctx), p.ID) }, isMine)
			r.end()
			requireSaid(t, r, name, c.said)
		}
	})
}

func TestOvertake(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		p := Product{Name: "old"}
		require.NoError(t, db.Create(&p).Error)
		o := occtest.Overtake(t, db, func(p *Product) { p.Name = "theirs" })
		require.NoError(t, db.Create(&Product{Name: "new"}).Error)
		require.NoError(t, db.Session(&gorm.Session{DryRun: true}).Model(&p).Update("name", "dry").Error)
		require.False(t, o.Happened())

		err := loaded(save)(db, p.ID)

		require.ErrorIs(t, err, occ.ErrStaleData)
		require.True(t, o.Happened())
		var stored Product
		require.NoError(t, db.First(&stored, p.ID).Error)
		require.Equal(t, Product{ID: p.ID, Name: "theirs", Version: stored.Version}, stored)
		require.NoError(t, loaded(save)(db, p.ID), "once")
	})
}

func TestTwoTestsWithOneDBAreToldSo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		a, b, sub := &recorder{TB: t, name: "TestA"}, &recorder{TB: t, name: "TestB"}, &recorder{TB: t, name: "TestA/sub"}
		occtest.Overtake[Product](a, db, nil)

		occtest.Overtake[Product](sub, db, nil)
		o := occtest.Overtake[Product](b, db, nil)

		require.Empty(t, a.said)
		require.Empty(t, sub.said)
		requireSaid(t, b, "parallel", "TestA uses this gorm.DB at the same time")
		require.False(t, o.Happened())
		sub.end()
		a.end()
		last := &recorder{TB: t, name: "TestC"}
		occtest.NoRawWrites(last, db, &Product{})
		require.Empty(t, last.said)
		last.end()
	})
}

func TestVersioned(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		occtest.Versioned(t, db, []any{&Product{}, Label{}, &Note{}}, Note{})
		r := &recorder{TB: t}
		occtest.Versioned(r, db, []any{&Product{}, &Note{}, 7})
		require.Len(t, r.said, 2)
		require.Contains(t, r.said[0], "Note are not compared")
		require.Contains(t, r.said[1], "got int")
	})
}

func TestNoRawWrites(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		p := Product{Name: "old"}
		require.NoError(t, db.Create(&p).Error)
		r := &recorder{TB: t}
		occtest.NoRawWrites(r, db, &Product{})
		require.NoError(t, db.Save(&[]*Product{&p}).Error)
		require.NoError(t, occ.Touch(db, &p))
		require.NoError(t, db.Raw("SELECT name FROM products WHERE name <> 'update products'").Scan(new([]string)).Error)
		require.NoError(t, db.Exec("UPDATE notes SET text = 'products' WHERE id IN (SELECT id FROM products)").Error)
		require.NoError(t, db.Exec("/* update products */ DELETE FROM notes").Error)
		require.Empty(t, r.said)
		for i, sql := range []string{
			"UPDATE products SET name = 'a'", "-- a comment\ninsert into products (name, version) values ('b', 1)", "DELETE FROM Products WHERE id = 0",
		} {
			_ = db.Exec(sql)
			require.Len(t, r.said, i+1, sql)
			require.Contains(t, r.said[i], "raw SQL writes table products of Product")
		}
		_ = db.Raw("UPDATE products SET name = 'c'").Scan(new([]string))
		require.Len(t, r.said, 4)
		r.end()
		require.NoError(t, db.Exec("UPDATE products SET name = 'd'").Error)
		require.Len(t, r.said, 4)
	})
}

// Mistyped has a version that no kind serves, Twice has two.
type (
	Mistyped struct {
		ID      uint
		Version bool `gorm:"version"`
	}
	Twice struct {
		ID     uint
		First  occ.Version
		Second occ.Version
	}
)

func TestVersionedTakesModelsInAnyForm(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		product, none := &Product{}, (*Product)(nil)
		occtest.Versioned(t, db, []any{Product{}, product, &product, none, Label{}})
		occtest.Versioned(t, db, nil)
		occtest.Versioned(t, db, nil, &Note{})
		occtest.Versioned(t, db, []any{&Note{}, &Note{}}, (*Note)(nil))
		for _, tt := range []struct {
			model any
			said  string
		}{
			{Note{}, "Note are not compared"}, {&Mistyped{}, "field Version"}, {&Twice{}, "two version fields"},
			{nil, "got <nil>"}, {[]Product{}, "got []occtest_test.Product"}, {"products", "got string"},
		} {
			r := &recorder{TB: t}
			occtest.Versioned(r, db, []any{&Product{}, tt.model}, nil, 7, "products")
			require.Len(t, r.said, 1, "%T", tt.model)
			require.Contains(t, r.said[0], tt.said)
		}
	})
}

func TestADatabaseThatIsNilIsSaid(t *testing.T) {
	t.Parallel()
	edit := func(context.Context) error { panic("not to be run") }
	for name, call := range map[string]func(t testing.TB, db *gorm.DB){
		"Handler":       func(t testing.TB, db *gorm.DB) { occtest.Handler[Product](t, db, nil, occtest.HandlerCase{}) },
		"NoRawWrites":   func(t testing.TB, db *gorm.DB) { occtest.NoRawWrites(t, db, &Product{}) },
		"RefusesStale":  func(t testing.TB, db *gorm.DB) { occtest.RefusesStale[Product](t, db, 1, edit) },
		"SurvivesStale": func(t testing.TB, db *gorm.DB) { occtest.SurvivesStale[Product](t, db, 1, edit, nil) },
		"Versioned":     func(t testing.TB, db *gorm.DB) { occtest.Versioned(t, db, []any{&Product{}}) },
		"Overtake":      func(t testing.TB, db *gorm.DB) { occtest.Overtake[Product](t, db, nil) },
	} {
		r := &recorder{TB: t}
		call(r, nil)
		requireSaid(t, r, name, "db is no database")
	}
}

func TestVersionedFailsWithoutThePlugin(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *gorm.DB) {
		r := &recorder{TB: t}
		occtest.Versioned(r, db, []any{&Product{}, &Label{}})
		require.Len(t, r.said, 2)
		require.Contains(t, r.said[0], "db.Use(occ.New())")
		require.Contains(t, r.said[1], "db.Use(occ.New())")
	})
}

// rawSQL are statements, some of which a database does not know; it is told what it has been sent.
var rawSQL = map[string]bool{ // whether it writes products
	`UPDATE "products" SET name = 'a'`:                                                 true,
	"UPDATE `main`.`products` SET name = 'a'":                                          true,
	"UPDATE [dbo].[products] SET name = 'a'":                                           true,
	"update only PRODUCTS set name = 'a'":                                              true,
	"UPDATE/* a comment */products SET name = 'a'":                                     true,
	"SELECT 1; UPDATE products SET name = 'a'":                                         true,
	"WITH n AS (SELECT 1) UPDATE products SET name = 'a'":                              true,
	"WITH d AS (DELETE FROM products RETURNING 1) SELECT 1":                            true,
	"REPLACE INTO products (id) VALUES (1)":                                            true,
	"INSERT OR REPLACE INTO products (id) VALUES (1)":                                  true,
	"INSERT IGNORE INTO products (id) VALUES (1)":                                      true,
	"DELETE LOW_PRIORITY QUICK FROM products":                                          true,
	"TRUNCATE TABLE products":                                                          true,
	"MERGE INTO products USING notes ON 1 = 1 WHEN MATCHED THEN UPDATE SET name = 'a'": true,
	"INSERT INTO products (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'a'":   true,

	"SELECT name FROM products FOR UPDATE":                                        false,
	"SELECT 'it''s; UPDATE products'":                                             false,
	"SELECT 1 -- ; UPDATE products":                                               false,
	`UPDATE notes SET text = 'x' WHERE "text" = 'UPDATE products'`:                false,
	"UPDATE notes SET text = (SELECT max(name) FROM products)":                    false,
	"INSERT INTO notes (text) SELECT name FROM products":                          false,
	"DELETE FROM notes WHERE id IN (SELECT id FROM products)":                     false,
	"UPDATE products_of_old SET name = 'a'":                                       false,
	"UPDATE products.notes SET text = 'a'":                                        false,
	"CREATE INDEX products_update ON products (name)":                             false,
	"MERGE INTO notes USING products ON 1 = 1 WHEN MATCHED THEN DELETE":           false,
	"INSERT INTO notes (id) VALUES (1) ON DUPLICATE KEY UPDATE text = 'products'": false,
}

func TestNoRawWritesReadsSQL(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		r := &recorder{TB: t}
		occtest.NoRawWrites(r, db, &Product{})
		for sql, writes := range rawSQL {
			r.said = nil
			_ = db.Exec(sql)
			require.Equal(t, writes, len(r.said) == 1, "%s: %v", sql, r.said)
		}
		r.end()
	})
}

func TestNoRawWritesSeesEveryWayOfRawSQL(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		require.NoError(t, db.Create(&[]Product{{Name: "old"}, {Name: "old"}}).Error)
		r := &recorder{TB: t}
		occtest.NoRawWrites(r, db, &Product{})
		const sql = "DELETE FROM products WHERE id = ?"
		for i, call := range []func(){
			func() { require.NoError(t, db.Exec(sql, 99).Error) },
			func() { require.NoError(t, db.WithContext(t.Context()).Exec(sql, 99).Error) },
			func() { require.NoError(t, db.Transaction(func(tx *gorm.DB) error { return tx.Exec(sql, 99).Error })) },
			func() { _ = gorm.G[Product](db).Exec(t.Context(), sql, 99) },
			func() { _ = db.Raw(sql, 99).Row().Scan(new(int)) },
		} {
			call()
			require.Len(t, r.said, i+1)
			require.Contains(t, r.said[i], "raw SQL writes table products of Product")
		}
		require.NoError(t, occ.CreateTriggers(db, &Product{}))
		require.NoError(t, occ.DropTriggers(db, &Product{}))
		require.NoError(t, db.AutoMigrate(&Product{}))
		require.NoError(t, db.Where("id > 0").Delete(&Product{}).Error)
		require.Len(t, r.said, 5, "what GORM and occ write is theirs")
		r.end()
		occtest.NoRawWrites(r, db, 7)
		require.Len(t, r.said, 6, "what is no model")
	})
}

// resource is a handler of /products/{id}, with a mistake to be found.
func resource(db *gorm.DB, id uint, mistake string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p Product
		if db.First(&p, id).Error != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		text, _ := occ.VersionText(db, &p)
		given := strings.Trim(r.Header.Get("If-Match"), `"`)
		switch {
		case r.Method == http.MethodGet && mistake != "no tag":
			w.Header().Set("ETag", `"`+text+`"`)
		case r.Method == http.MethodGet:
		case given == "" && mistake != "no 428":
			w.WriteHeader(http.StatusPreconditionRequired)
		case mistake == "overwrites" || given == "":
			_ = db.Clauses(occ.Unchecked()).Model(&p).Update("name", "mine")
		case given != text && mistake != "no 412":
			w.WriteHeader(http.StatusPreconditionFailed)
		case mistake == "no write" || given != text:
		default:
			body, _ := io.ReadAll(r.Body)
			_ = db.Model(&p).Update("name", string(body))
		}
	})
}

func TestHandler(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *gorm.DB) {
		for mistake, said := range map[string]string{
			"": "", "no tag": "want a strong one", "no 428": "wrote the row", "no 412": "answered 200, want 412", "overwrites": "wrote the row", "no write": "did not write the row",
		} {
			p := Product{Name: "old"}
			require.NoError(t, db.Create(&p).Error)
			r := &recorder{TB: t}
			occtest.Handler[Product](r, db, resource(db, p.ID, mistake), occtest.HandlerCase{
				Key: p.ID, Get: httptest.NewRequest(http.MethodGet, "/products/1", nil), Write: httptest.NewRequest(http.MethodPut, "/products/1", nil),
				Body: func() io.Reader { return strings.NewReader("mine") },
			})
			requireSaid(t, r, mistake, said)
		}
	})
}

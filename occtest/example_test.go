package occtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occhttp"
	"github.com/gorm-occ/occ/occtest"
)

// ProductStore is the code under test.
type ProductStore struct{ db *gorm.DB }

// Rename loads a product, and writes its name.
func (s ProductStore) Rename(ctx context.Context, id uint, name string) error {
	var p Product
	if err := s.db.WithContext(ctx).First(&p, id).Error; err != nil {
		return err
	}
	return s.db.WithContext(ctx).Model(&p).Update("name", name).Error
}

// exampleT stands for the *testing.T of a test.
type exampleT struct{ *recorder }

func (exampleT) Context() context.Context { return context.Background() }

// opened is a database with the plugin and a product.
func opened(name string) (db *gorm.DB, p Product, t exampleT, end func()) {
	db, remove := testdb.Example()
	p = Product{Name: "old"}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Product{}), db.Create(&p).Error); err != nil {
		log.Fatal(err)
	}
	t = exampleT{&recorder{name: name}}
	return db, p, t, func() { t.end(); remove() }
}

func ExampleRefusesStale() {
	db, p, t, end := opened("ExampleRefusesStale")
	defer end()
	products := ProductStore{db}

	occtest.RefusesStale[Product](t, db, p.ID, func(ctx context.Context) error {
		return products.Rename(ctx, p.ID, "mine")
	})
	fmt.Println("failed:", t.said)
	// Output: failed: []
}

func ExampleSurvivesStale() {
	db, p, t, end := opened("ExampleSurvivesStale")
	defer end()

	occtest.SurvivesStale(t, db, p.ID, func(ctx context.Context) error {
		return occ.Retry(ctx, db, func(tx *gorm.DB) error { return ProductStore{tx}.Rename(ctx, p.ID, "mine") })
	}, func(stored Product) error {
		if stored.Name != "mine" {
			return fmt.Errorf("the name is %q", stored.Name)
		}
		return nil
	})
	fmt.Println("failed:", t.said)
	// Output: failed: []
}

func ExampleVersioned() {
	db, _, t, end := opened("ExampleVersioned")
	defer end()

	occtest.Versioned(t, db, []any{&Product{}, &Note{}}, &Note{}) // every model but notes has a version
	fmt.Println("failed:", t.said)
	// Output: failed: []
}

func ExampleNoRawWrites() {
	db, _, t, end := opened("ExampleNoRawWrites")
	defer end()

	occtest.NoRawWrites(t, db, &Product{})
	db.Exec("UPDATE products SET name = 'raw'")
	fmt.Println("failed:", len(t.said) > 0)
	// Output: failed: true
}

func ExampleOvertake() {
	db, p, t, end := opened("ExampleOvertake")
	defer end()

	o := occtest.Overtake(t, db, func(p *Product) { p.Name = "theirs" })
	err := db.Model(&p).Update("name", "mine").Error

	fmt.Println(o.Happened(), err)
	// Output: true occ: stale data: update of "products" refused: row id=1 changed: expected version 1, found 2
}

func ExampleHandler() {
	db, p, t, end := opened("ExampleHandler")
	defer end()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		var p Product
		err := db.First(&p, r.PathValue("id")).Error
		tag, _ := occhttp.TagOf(db, &p)
		if err == nil && !occhttp.NotModified(w, r, tag) {
			fmt.Fprint(w, p.Name)
		}
	})
	mux.HandleFunc("PUT /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		name, _ := io.ReadAll(r.Body)
		err := db.Model(&Product{}).Clauses(occhttp.IfMatch(r)).Where("id = ?", r.PathValue("id")).Update("name", string(name)).Error
		if problem := occhttp.ProblemOf(r, err); problem != nil {
			problem.ServeHTTP(w, r)
		}
	})

	occtest.Handler[Product](t, db, mux, occtest.HandlerCase{
		Key: p.ID, Get: httptest.NewRequest(http.MethodGet, "/products/1", nil), Write: httptest.NewRequest(http.MethodPut, "/products/1", nil),
		Body: func() io.Reader { return strings.NewReader("mine") },
	})
	fmt.Println("failed:", t.said)
	// Output: failed: []
}

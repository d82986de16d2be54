package occform_test

import (
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/testdb"
	"github.com/gorm-occ/occ/occform"
)

type Product struct {
	ID      uint
	Title   string
	Price   int
	Version occ.Version
}

var productForm = template.Must(template.New("form").Parse(`<form method="post">{{.Hidden}}
<label>Title <input name="Title" value="{{.Product.Title}}"></label>
<label>Price <input name="Price" type="number" value="{{.Product.Price}}"></label>
<button>Save</button></form>`))

// showProduct renders the form. What Hidden returns goes into it, for the fields that it shows.
func showProduct(db *gorm.DB, id uint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		product := Product{}
		err := db.First(&product, id).Error
		if err != nil {
			http.Error(w, "no such product", http.StatusNotFound)
			return
		}
		hidden, err := occform.Hidden(db, &product, "Title", "Price") // {{.Hidden}} in the <form>
		if err == nil {
			err = productForm.Execute(w, map[string]any{"Product": product, "Hidden": hidden})
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// saveProduct writes what the person has changed, or shows what somebody else has.
func saveProduct(db *gorm.DB, id uint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page := occform.Page{Title: "Product", Action: r.URL.Path}
		edit, err := occform.Parse[Product](db, r, "Title", "Price") // the inputs have the same names
		if invalid := (*occform.InputError)(nil); errors.As(err, &invalid) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = invalid.Conflict.Render(w, page) // what was typed, and what is wrong with it
			return
		}
		if err != nil {
			http.Error(w, "this is not the form", http.StatusBadRequest)
			return
		}
		conflict, err := edit.Save(db, &Product{ID: id})
		switch {
		case conflict != nil:
			w.WriteHeader(http.StatusConflict)
			_ = conflict.Render(w, page) // it was, yours, theirs
		case err != nil:
			http.Error(w, "try again", http.StatusInternalServerError)
		default:
			http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		}
	}
}

// Two people have one form open: different fields are merged, the same field is shown to the second.
func Example() {
	db, remove := testdb.Example()
	defer remove()
	product := Product{Title: "Lamp", Price: 30}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Product{}), db.Create(&product).Error); err != nil {
		log.Fatal(err)
	}
	page := httptest.NewRecorder()
	showProduct(db, product.ID)(page, httptest.NewRequest(http.MethodGet, "/", nil))
	hidden := template.HTML(page.Body.String()) // both have this page open

	save := func(title, price string) {
		request := post(hidden, url.Values{"Title": {title}, "Price": {price}})
		edit, err := occform.Parse[Product](db, request, "Title", "Price")
		if err != nil {
			fmt.Println(err)
			return
		}
		stored := Product{ID: product.ID}
		conflict, err := edit.Save(db, &stored)
		switch {
		case conflict != nil:
			field := conflict.Fields[0]
			fmt.Printf("%s: it was %v, yours %v, theirs %v\n", field.Label, field.Base, field.Mine, field.Theirs)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println("saved:", stored.Title, stored.Price)
		}
	}
	save("Desk lamp", "30")
	save("Lamp", "35")
	save("Table lamp", "30")
	save("Lamp", "cheap")
	// Output:
	// saved: Desk lamp 30
	// saved: Desk lamp 35
	// Title: it was Lamp, yours Table lamp, theirs Desk lamp
	// occform: model Product: field Price is not a whole number
}

// The second of two people who change the title is shown both.
func ExampleConflict_Render() {
	db, remove := testdb.Example()
	defer remove()
	product := Product{Title: "Lamp", Price: 30}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Product{}), db.Create(&product).Error); err != nil {
		log.Fatal(err)
	}
	page := httptest.NewRecorder()
	showProduct(db, product.ID)(page, httptest.NewRequest(http.MethodGet, "/products/1", nil))

	for _, title := range []string{"Desk lamp", "Table lamp"} {
		answer := httptest.NewRecorder()
		saveProduct(db, product.ID)(answer, post(template.HTML(page.Body.String()), url.Values{"Title": {title}, "Price": {"30"}}))
		fmt.Println(answer.Code, strings.Contains(answer.Body.String(), "Desk lamp"))
	}
	// Output:
	// 303 false
	// 409 true
}

// Hidden and Parse take the version and the values that were shown through the client.
func ExampleParse() {
	db, remove := testdb.Example()
	defer remove()
	product := Product{Title: "Lamp", Price: 30}
	if err := errors.Join(db.Use(occ.New()), db.AutoMigrate(&Product{}), db.Create(&product).Error); err != nil {
		log.Fatal(err)
	}

	hidden, err := occform.Hidden(db, &product, "Title", "Price")
	fmt.Println(err)
	sent := post(hidden, url.Values{"Title": {"Desk lamp"}, "Price": {"30"}})
	edit, err := occform.Parse[Product](db, sent, "Title", "Price")
	fmt.Println(edit.Base.Title, "became", edit.Mine.Title, err)
	// Output:
	// <nil>
	// Lamp became Desk lamp <nil>
}

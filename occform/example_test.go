package occform_test

import (
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

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
		hidden, _ := occform.Hidden(db, &product, "Title", "Price")
		if err == nil {
			err = productForm.Execute(w, map[string]any{"Product": product, "Hidden": hidden})
		}
		if err != nil {
			http.Error(w, "the product cannot be shown", http.StatusInternalServerError)
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

package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occform"
	"github.com/gorm-occ/occ/occhttp"
)

//go:embed pages.html
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"actions": func() map[string]string { return actions }}).ParseFS(files, "pages.html"))

// actions are what else can happen while the forms are open, by path.
var actions = map[string]string{"/third": "A third one writes the title", "/delete": "Delete the article", "/restore": "Put it back"}

// server serves the one article.
type server struct {
	db   *gorm.DB
	sent *record
}

func newServer(path string) (*server, error) {
	s := &server{sent: &record{}}
	var err error
	s.db, err = openDatabase(path, s.sent)
	return s, err
}

func (s *server) close() error {
	pool, err := s.db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

var editors = []string{"Ann", "Ben"}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, "both", editors) })
	mux.HandleFunc("GET /edit/{editor}", s.asEditor(s.show))
	mux.HandleFunc("POST /edit/{editor}", s.asEditor(s.save))
	mux.HandleFunc("POST /third", s.third)
	mux.HandleFunc("POST /delete", s.remove)
	mux.HandleFunc("POST /restore", s.restore)
	mux.HandleFunc("GET /sql", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, "sql", s.sent.newestFirst()) })
	mux.HandleFunc("GET /article.json", s.asJSON)
	mux.HandleFunc("PUT /article.json", s.putJSON)
	return http.NewCrossOriginProtection().Handler(mux)
}

// asEditor lets only the editors in: a real application asks its session who it is.
func (s *server) asEditor(next func(w http.ResponseWriter, r *http.Request, db *gorm.DB, editor string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		editor := r.PathValue("editor")
		if !slices.Contains(editors, editor) {
			http.NotFound(w, r)
			return
		}
		next(w, r, s.db.WithContext(by(r.Context(), editor)), editor)
	}
}

// formPage is what the template of the form shows.
type formPage struct {
	Article  Article
	Hidden   template.HTML
	ETag     occhttp.Tag
	Statuses []Status
	Said     string
}

// show is the form, with the version and the values that it shows.
func (s *server) show(w http.ResponseWriter, r *http.Request, db *gorm.DB, editor string) {
	page := formPage{Statuses: statuses, Said: saidOf(r.URL.Query())}
	err := db.First(&page.Article, 1).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		write(w, http.StatusNotFound, "page", layout{editor, "<p id=\"said\" role=\"status\">The article has been deleted.</p>"})
		return
	}
	if err == nil {
		page.Hidden, err = occform.Hidden(db, &page.Article, fields...)
	}
	if err == nil {
		page.ETag, err = occhttp.TagOf(db, &page.Article)
	}
	var content bytes.Buffer
	if err == nil {
		err = pages.ExecuteTemplate(&content, "form", page)
	}
	if err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusOK, "page", layout{editor, template.HTML(content.String())})
}

// saidOf is what an editor is told after a save.
func saidOf(query url.Values) string {
	switch query.Get("saved") {
	case "":
		return ""
	case "merged":
		return "Saved, and merged with what somebody else has saved since you opened the form."
	}
	return "Saved."
}

// save writes what the editor has changed, or shows what is in its way.
func (s *server) save(w http.ResponseWriter, r *http.Request, db *gorm.DB, editor string) {
	page := occform.Page{Title: editor, Action: r.URL.Path, Wrap: pages.Lookup("page")}
	edit, err := occform.Parse[Article](db, r, fields...)
	invalid := (*occform.InputError)(nil)
	switch {
	case errors.As(err, &invalid):
		show(w, http.StatusUnprocessableEntity, invalid.Conflict, page)
		return
	case err != nil:
		http.Error(w, "this is not the form of the article", http.StatusBadRequest)
		return
	}
	stored := Article{ID: 1}
	conflict, err := edit.Save(db, &stored)
	switch {
	case conflict != nil:
		show(w, http.StatusConflict, conflict, page)
	case errors.Is(err, gorm.ErrInvalidValue):
		http.Error(w, "the status is none of those to choose from", http.StatusUnprocessableEntity)
	case err != nil:
		fail(w, err)
	case stored.Version > edit.Base.Version+1:
		http.Redirect(w, r, r.URL.Path+"?saved=merged", http.StatusSeeOther)
	default:
		http.Redirect(w, r, r.URL.Path+"?saved=alone", http.StatusSeeOther)
	}
}

// show renders a conflict.
func show(w http.ResponseWriter, status int, conflict *occform.Conflict, page occform.Page) {
	var body bytes.Buffer
	if err := conflict.Render(&body, page); err != nil {
		fail(w, err)
		return
	}
	send(w, status, &body)
}

// third is somebody else who writes while the forms are open.
func (s *server) third(w http.ResponseWriter, r *http.Request) {
	db := s.db.WithContext(by(r.Context(), "Carol"))
	s.change(w, r, func(tx *gorm.DB, article *Article) error {
		return tx.Model(article).Updates(map[string]any{"title": "Carol's chair " + strconv.Itoa(int(article.Version)), "updated_by": "Carol"}).Error
	}, db)
}

func (s *server) remove(w http.ResponseWriter, r *http.Request) {
	s.change(w, r, func(tx *gorm.DB, article *Article) error { return tx.Delete(article).Error }, s.db.WithContext(by(r.Context(), "Carol")))
}

// change has somebody load the article and write it.
func (s *server) change(w http.ResponseWriter, r *http.Request, change func(tx *gorm.DB, article *Article) error, db *gorm.DB) {
	err := occ.Retry(r.Context(), db, func(tx *gorm.DB) error {
		article := Article{}
		if err := tx.First(&article, 1).Error; err != nil {
			return err
		}
		return change(tx, &article)
	})
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		fail(w, err)
		return
	}
	http.Redirect(w, r, "/sql", http.StatusSeeOther)
}

func (s *server) restore(w http.ResponseWriter, r *http.Request) {
	if err := restore(s.db.WithContext(by(r.Context(), "Carol"))); err != nil {
		fail(w, err)
		return
	}
	http.Redirect(w, r, "/sql", http.StatusSeeOther)
}

// asJSON is the article with its version as entity tag: 304 for a client that has it already.
func (s *server) asJSON(w http.ResponseWriter, r *http.Request) {
	article := Article{}
	err := s.db.WithContext(r.Context()).First(&article, 1).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		http.NotFound(w, r)
		return
	}
	var tag occhttp.Tag
	if err == nil {
		tag, err = occhttp.TagOf(s.db, &article)
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	if occhttp.NotModified(w, r, tag) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(article); err != nil {
		log.Println(err)
	}
}

// putJSON writes title and price of the version that If-Match names.
func (s *server) putJSON(w http.ResponseWriter, r *http.Request) {
	article := Article{}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&article); err != nil {
		http.Error(w, "the body is no article", http.StatusBadRequest)
		return
	}
	change := Article{ID: 1, Title: article.Title, Price: article.Price, UpdatedBy: "curl"}
	db := s.db.WithContext(by(r.Context(), "curl")).Clauses(occhttp.IfMatch(r))
	err := db.Select("Title", "Price", "UpdatedBy").Updates(&change).Error
	if problem := occhttp.ProblemOf(r, err); problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// layout is what the page is made of, as occform gives it to a page of the application's own.
type layout struct {
	Title   string
	Content template.HTML
}

func write(w http.ResponseWriter, status int, page string, data any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, page, data); err != nil {
		fail(w, err)
		return
	}
	send(w, status, &body)
}

// send has no page kept by the browser: the back button shows the row as it is.
func send(w http.ResponseWriter, status int, body *bytes.Buffer) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := body.WriteTo(w); err != nil {
		log.Println(err)
	}
}

func fail(w http.ResponseWriter, err error) {
	log.Println(err)
	http.Error(w, "this did not work, and nothing was saved", http.StatusInternalServerError)
}

package frameworks

import (
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/gorm-occ/occ/occhttp"
)

// Chi serves the notes by chi. Its handlers are those of net/http, with whose ServeMux this looks the same.
func Chi(n Notes) http.Handler {
	router := chi.NewRouter()
	router.Get("/notes/{id}", func(w http.ResponseWriter, r *http.Request) {
		note, tag, err := n.load(r.Context(), chi.URLParam(r, "id"))
		switch {
		case err != nil:
			problem(r, err).ServeHTTP(w, r)
		case !occhttp.NotModified(w, r, tag):
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(note)
		}
	})
	router.Put("/notes/{id}", func(w http.ResponseWriter, r *http.Request) {
		var edit Edit
		if json.NewDecoder(r.Body).Decode(&edit) != nil {
			malformed.ServeHTTP(w, r)
			return
		}
		tag, err := n.replace(r, chi.URLParam(r, "id"), edit)
		if err != nil {
			problem(r, err).ServeHTTP(w, r)
			return
		}
		w.Header().Set("ETag", tag.String())
		w.WriteHeader(http.StatusNoContent)
	})
	router.Delete("/notes/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := n.remove(r, chi.URLParam(r, "id")); err != nil {
			problem(r, err).ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return router
}

package frameworks

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gorm-occ/occ/occhttp"
)

// OfNote is the input of every operation; huma fills no embedded struct that is not exported. Its resolver keeps the request: huma's own header fields would split If-Match at each
// comma, and tags may have some.
type OfNote struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" doc:"the ETag of the GET that was edited"`
	request *http.Request
}

// Resolve is called by huma.
func (in *OfNote) Resolve(c huma.Context) []error {
	in.request, _ = humago.Unwrap(c)
	return nil
}

type replacing struct {
	OfNote
	Body Edit
}

type replaced struct {
	ETag string `header:"ETag"`
}

// refusal is a problem as an error of huma's.
type refusal struct{ *occhttp.Problem }

func (p refusal) Error() string           { return p.Title }
func (p refusal) GetStatus() int          { return p.Status }
func (refusal) ContentType(string) string { return "application/problem+json" }
func (refusal) GetHeaders() http.Header   { return http.Header{"Cache-Control": {"no-store"}} }

// refused is what huma answers an error with.
func refused(r *http.Request, err error) error {
	if p := problem(r, err); p != nil {
		return refusal{p}
	}
	return err
}

// Huma serves the notes by huma.
func Huma(n Notes) http.Handler {
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("Notes", "1"))
	huma.Get(api, "/notes/{id}", func(ctx context.Context, in *OfNote) (*huma.StreamResponse, error) {
		note, tag, err := n.load(ctx, in.ID)
		if err != nil {
			return nil, refused(in.request, err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			if r, w := humago.Unwrap(c); !occhttp.NotModified(w, r, tag) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(note)
			}
		}}, nil
	})
	huma.Put(api, "/notes/{id}", func(_ context.Context, in *replacing) (*replaced, error) {
		tag, err := n.replace(in.request, in.ID, in.Body)
		if err != nil {
			return nil, refused(in.request, err)
		}
		return &replaced{ETag: tag.String()}, nil
	})
	huma.Delete(api, "/notes/{id}", func(_ context.Context, in *OfNote) (*struct{}, error) {
		if err := n.remove(in.request, in.ID); err != nil {
			return nil, refused(in.request, err)
		}
		return nil, nil
	})
	return mux
}

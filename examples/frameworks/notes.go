package frameworks

import (
	"context"
	"errors"
	"net/http"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/occhttp"
)

// Note is what clients read and edit.
type Note struct {
	ID          uint   `json:"id"`
	Text        string `json:"text"`
	occ.Version `json:"-"`
}

// Edit is the body of a PUT.
type Edit struct {
	Text string `json:"text"`
}

// Notes are the notes in a database that has the plugin.
type Notes struct {
	db   *gorm.DB
	opts []occhttp.Option
}

// NewNotes serves the notes of a database. The options are those of If-Match.
func NewNotes(db *gorm.DB, opts ...occhttp.Option) Notes { return Notes{db, opts} }

func (n Notes) load(ctx context.Context, id string) (note Note, tag occhttp.Tag, err error) {
	if err = n.db.WithContext(ctx).First(&note, "id = ?", id).Error; err == nil {
		tag, err = occhttp.TagOf(n.db, &note)
	}
	return note, tag, err
}

// replace writes a note, if it is still at the version that the request names, and returns the tag of the next one.
func (n Notes) replace(r *http.Request, id string, edit Edit) (occhttp.Tag, error) {
	note := Note{Text: edit.Text}
	err := n.db.WithContext(r.Context()).Clauses(occhttp.IfMatch(r, n.opts...)).Model(&note).Where("id = ?", id).Select("Text").Updates(&note).Error
	if err != nil {
		return "", err
	}
	return occhttp.TagOf(n.db, &note)
}

func (n Notes) remove(r *http.Request, id string) error {
	return n.db.WithContext(r.Context()).Clauses(occhttp.IfMatch(r, n.opts...)).Where("id = ?", id).Delete(&Note{}).Error
}

// problem is the answer to an error. Nil is a plain 500, see [occhttp.Problem.ServeHTTP].
func problem(r *http.Request, err error) *occhttp.Problem {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return &occhttp.Problem{Title: "Not found", Status: http.StatusNotFound}
	}
	return occhttp.ProblemOf(r, err)
}

// malformed is the answer to a body that is no [Edit].
var malformed = &occhttp.Problem{Title: "Malformed body", Status: http.StatusBadRequest}

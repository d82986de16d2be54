package occtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// HandlerCase says how [Handler] drives an HTTP handler.
type HandlerCase struct {
	Key   any              // the primary key of the row that the resource is made of
	Get   *http.Request    // answers 2xx with an ETag
	Write *http.Request    // PUT, PATCH or DELETE; If-Match is set for it
	Body  func() io.Reader // the body of Write, made anew for each request; nil: none
}

// Handler drives h with conditional requests, as RFC 9110 has them, for the row of T with the key, and fails the test unless
//   - Get answers 2xx with a strong ETag,
//   - Write with that tag, after somebody else has written the row, answers 412,
//   - Write without If-Match answers 428 (RFC 6585),
//   - neither of them writes anything,
//   - Get then answers another ETag, and Write with this one answers 2xx and writes the row.
//
// The requests are cloned, so they can be used again. db is where the row is looked at and the other one writes; nothing is
// registered with it.
func Handler[T any](t testing.TB, db *gorm.DB, h http.Handler, c HandlerCase) {
	t.Helper()
	s, err := schemaOf[T](db)
	if err == nil {
		err = c.drive(db, h, s, func(model any) { apply(alter[T](s), model.(*T)) })
	}
	if err != nil {
		t.Errorf("occtest: %v", err)
	}
}

// drive returns what is the first to go wrong.
func (c HandlerCase) drive(db *gorm.DB, h http.Handler, s *schema.Schema, change func(model any)) error {
	if c.Key == nil || c.Get == nil || c.Write == nil || h == nil {
		return errors.New("handler and HandlerCase's Key, Get and Write are needed")
	}
	old, err := c.tag(h)
	if err != nil {
		return err
	}
	o := &Overtaking{}
	if err := c.overtake(db, s, o, change); err != nil {
		return fmt.Errorf("the other writer of %s %v: %w", s.Name, c.Key, err)
	}
	if err := c.refuses(db, h, s, o.after, old, http.StatusPreconditionFailed, "after somebody else's write with the ETag of before"); err != nil {
		return err
	}
	if err := c.refuses(db, h, s, o.after, "", http.StatusPreconditionRequired, "without If-Match"); err != nil {
		return err
	}
	return c.accepts(db, h, s, o.after, old)
}

func (c HandlerCase) overtake(db *gorm.DB, s *schema.Schema, o *Overtaking, change func(model any)) error {
	model := reflect.New(s.ModelType).Interface()
	if err := other(db).Clauses(clause.Where{Exprs: keyConditions(s, c.Key)}).Take(model).Error; err != nil {
		return err
	}
	return o.write(other(db), s, model, func() { change(model) })
}

// refuses wants the status for a write with the tag, and the row as it was.
func (c HandlerCase) refuses(db *gorm.DB, h http.Handler, s *schema.Schema, want row, tag string, status int, when string) error {
	answer, err := c.write(h, tag)
	if err != nil {
		return err
	}
	stored, err := load(db, s, c.Key)
	switch {
	case err != nil:
		return err
	case !stored.equals(want):
		return fmt.Errorf("%s %s %s wrote the row (status %d)", c.Write.Method, c.Write.URL, when, answer.Code)
	case answer.Code != status:
		return fmt.Errorf("%s %s %s answered %d, want %d", c.Write.Method, c.Write.URL, when, answer.Code, status)
	}
	return nil
}

// accepts wants a write with the current tag to be done.
func (c HandlerCase) accepts(db *gorm.DB, h http.Handler, s *schema.Schema, before row, old string) error {
	tag, err := c.tag(h)
	if err != nil {
		return err
	}
	if tag == old {
		return fmt.Errorf("GET %s answered ETag %s before and after somebody else's write", c.Get.URL, tag)
	}
	answer, err := c.write(h, tag)
	if err != nil {
		return err
	}
	if !isSuccess(answer.Code) {
		return fmt.Errorf("%s %s with the current ETag %s answered %d, want 2xx", c.Write.Method, c.Write.URL, tag, answer.Code)
	}
	stored, err := load(db, s, c.Key)
	if err == nil && stored.equals(before) {
		err = fmt.Errorf("%s %s with the current ETag answered %d and did not write the row", c.Write.Method, c.Write.URL, answer.Code)
	}
	return err
}

// tag is the ETag that Get answers.
func (c HandlerCase) tag(h http.Handler) (string, error) {
	r := unconditional(c.Get)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	tag := w.Header().Get("ETag")
	switch {
	case !isSuccess(w.Code):
		return "", fmt.Errorf("GET %s answered %d, want 2xx", r.URL, w.Code)
	case len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"':
		return "", fmt.Errorf("GET %s answered ETag %q, want a strong one in quotes", r.URL, tag)
	}
	return tag, nil
}

// write sends Write with If-Match, without where the tag is empty.
func (c HandlerCase) write(h http.Handler, tag string) (*httptest.ResponseRecorder, error) {
	r := unconditional(c.Write)
	if tag != "" {
		r.Header.Set("If-Match", tag)
	}
	if c.Body != nil {
		body, err := io.ReadAll(c.Body())
		if err != nil {
			return nil, fmt.Errorf("read HandlerCase.Body: %w", err)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, nil
}

// unconditional is a copy of the request without conditional headers and body.
func unconditional(r *http.Request) *http.Request {
	r = r.Clone(context.WithoutCancel(r.Context()))
	r.Body, r.ContentLength = http.NoBody, 0
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		r.Header.Del(name)
	}
	return r
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

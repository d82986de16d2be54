package occhttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/conflict"
)

// ErrPreconditionRequired reports that a request has no If-Match, so that nothing says which version its writer has seen; or
// If-Match: * where [RefuseAny] is given. Nothing was written. [ProblemOf] makes 428 of it (RFC 6585, section 3).
var ErrPreconditionRequired = errors.New("occhttp: precondition required")

// ErrMalformedTag reports that If-Match is neither * nor a list of entity tags, or that a text is no [Tag]. Nothing was
// written. [ProblemOf] makes 400 of it.
var ErrMalformedTag = errors.New("occhttp: malformed entity tag")

// ErrWeakTag reports that the tags of If-Match are all weak, and [AcceptWeak] is not given. If-Match compares strongly, so a
// weak tag matches nothing (RFC 9110, section 13.1.1). Nothing was written. [ProblemOf] makes 412 of it.
var ErrWeakTag = errors.New("occhttp: weak entity tag")

// Option changes what [IfMatch] and [Check] take for the version of a client.
type Option func(*options)

type options struct{ acceptsWeak, refusesAny bool }

// AcceptWeak takes what a proxy that compresses answers has made of a strong tag: W/"7" (nginx), "7-gzip" (Apache) and
// "7--gzip" (Jetty) stand for "7". So do the names br, deflate and zstd. Without it a weak tag is [ErrWeakTag], and
// "7-gzip" is at no row. It is safe for tags of [TagOf], whose rows have one state for each version; it is not for tags that
// were weak when the application sent them. A tag with such an end stands for itself too, so several texts are compared.
func AcceptWeak() Option { return func(o *options) { o.acceptsWeak = true } }

// RefuseAny takes If-Match: * for no If-Match. It says that the row has to be there, not which version was edited, so two
// who send it overwrite each other. Without the option * writes whichever version the row has.
func RefuseAny() Option { return func(o *options) { o.refusesAny = true } }

// IfMatch returns a clause that compares the row with the If-Match field of a request, in the statement that writes it:
//
//	db.Clauses(occhttp.IfMatch(r)).Select("Place", "Time").Updates(&meeting)
//
// Nothing has to be loaded before. It is [occ.ExpectText] of the field's tags, and works wherever that does: in Updates,
// Save, Delete, reads into one model and, given to it as an option, gorm.G. Its cost is that of ExpectText, so one tag is
// one statement; several, and *, may read the row first, under a lock. Variants are ignored, see [Tag.Variant]. The version in
// the model or in the payload is not compared and never stored.
//
// The row has to be at one of the strong tags, else the statement's error is [*occ.StaleDataError], as for any stale write.
// Where the field is missing or empty the error is [ErrPreconditionRequired], where it is no list of tags
// [ErrMalformedTag], where all its tags are weak [ErrWeakTag]: nothing is sent then. [ProblemOf] makes an answer of each.
func IfMatch(r *http.Request, opts ...Option) clause.Expression {
	wanted, err := ifMatch(r, opts)
	if err != nil {
		return refused{err}
	}
	return occ.ExpectText(wanted.texts()...)
}

// refused is the clause of a request that names no version to compare with. It has the statement fail.
type refused struct{ err error }

// ModifyStatement gives the statement its error, so that GORM sends nothing.
func (c refused) ModifyStatement(stmt *gorm.Statement) { _ = stmt.AddError(c.err) }

// Build writes nothing.
func (refused) Build(clause.Builder) {}

// Check compares the If-Match field of a request with the tag of what the handler has loaded: for handlers that load, change
// and save, and for resources of several rows. It returns nil where current is one of the tags. Variants are ignored on both
// sides, and * matches whatever was loaded.
//
// A tag that does not match is an error that matches [occ.ErrStaleData]; the others are those of [IfMatch]. Check sends no
// SQL. [occ.Retry] does not run its function again for it. The row can still be written between Check and Save, so the save must be a compared one of the model that current
// is from.
func Check(r *http.Request, current Tag, opts ...Option) error {
	wanted, err := ifMatch(r, opts)
	switch {
	case err != nil:
		return err
	case wanted.any, current != "" && slices.Contains(wanted.versions, current.version()):
		return nil
	}
	return &mismatch{current}
}

// mismatch is the error of a Check that found another version.
type mismatch struct{ current Tag }

func (e *mismatch) Error() string {
	if e.current == "" {
		return "occhttp: stale data: If-Match names a version, and the resource has none"
	}
	return fmt.Sprintf("occhttp: stale data: the resource is at %s, which If-Match does not name", e.current)
}

// Is matches [occ.ErrStaleData]. [occ.Retry] is told that the client would be asking for the same version again.
func (e *mismatch) Is(target error) bool {
	return target == occ.ErrStaleData || target == conflict.ErrFinal
}

// As gives the tag for [Problem].
func (e *mismatch) As(target any) bool {
	current, ok := target.(*conflict.Current)
	if ok {
		*current = conflict.Current(e.current)
	}
	return ok && e.current != ""
}

// precondition is what an If-Match field asks for.
type precondition struct {
	any      bool
	versions []Tag // without variants
}

var errNoRequest = errors.New("occhttp: there is no request to compare with: it is nil")

func ifMatch(r *http.Request, opts []Option) (wanted precondition, err error) {
	var o options
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if r == nil {
		return wanted, errNoRequest
	}
	list, ok := parseTags(r.Header.Values("If-Match"))
	switch {
	case !ok:
		return wanted, fmt.Errorf("%w: If-Match is neither * nor a list of tags in quotes", ErrMalformedTag)
	case list.any && o.refusesAny:
		return wanted, fmt.Errorf("%w: If-Match: * does not say which version was edited", ErrPreconditionRequired)
	case !list.any && len(list.tags) == 0:
		return wanted, fmt.Errorf("%w: the request has no If-Match", ErrPreconditionRequired)
	}
	for _, tag := range list.tags {
		wanted.add(tag, o)
	}
	if !list.any && len(wanted.versions) == 0 {
		return wanted, fmt.Errorf("%w: If-Match has weak tags alone", ErrWeakTag)
	}
	wanted.any = list.any
	return wanted, nil
}

// add adds the versions that a tag stands for: none for a weak one that is not accepted.
func (p *precondition) add(tag entityTag, o options) {
	if tag.weak && !o.acceptsWeak {
		return
	}
	version := tag.opaque.version()
	p.versions = append(p.versions, version)
	if plain, ok := withoutCoding(version); ok && o.acceptsWeak {
		p.versions = append(p.versions, plain)
	}
}

// withoutCoding returns a tag without the end that a proxy has added for a content coding.
func withoutCoding(tag Tag) (plain Tag, ok bool) {
	for _, coding := range []string{"gzip", "br", "deflate", "zstd"} {
		if cut, ok := strings.CutSuffix(string(tag), "-"+coding); ok {
			return Tag(strings.TrimSuffix(cut, "-")), true
		}
	}
	return "", false
}

// texts returns the versions for occ.ExpectText. A tag "*" is no wildcard, so its text becomes one that no version has.
func (p precondition) texts() []string {
	if p.any {
		return []string{occ.AnyVersion}
	}
	texts := make([]string, len(p.versions))
	for i, version := range p.versions {
		texts[i] = string(version)
		if texts[i] == occ.AnyVersion {
			texts[i] = version.String()
		}
	}
	return texts
}

// NotModified sets the ETag of the answer, and answers the request itself where its conditions ask for that. It reports
// whether it has; the handler then returns. Call it before the body is written:
//
//	if occhttp.NotModified(w, r, tag) {
//		return
//	}
//
// The order is that of RFC 9110, section 13.2.2. An If-Match that does not name t, compared strongly, is 412, and one that is
// no list of tags is 400. Then an If-None-Match that names t, compared weakly, is 304 for GET and HEAD and 412 for other
// methods. Variants count. An If-None-Match that is no list is ignored. * matches, since the handler has a representation.
// The empty Tag sets no ETag and matches no other.
func NotModified(w http.ResponseWriter, r *http.Request, t Tag) bool {
	if t != "" {
		w.Header().Set("ETag", t.String())
	}
	if r == nil {
		return false
	}
	if lines := r.Header.Values("If-Match"); len(lines) > 0 {
		list, ok := parseTags(lines)
		switch {
		case !ok:
			ProblemOf(r, ErrMalformedTag).ServeHTTP(w, r)
			return true
		case !list.names(t, false):
			ProblemOf(r, &mismatch{t}).ServeHTTP(w, r)
			return true
		}
	}
	list, ok := parseTags(r.Header.Values("If-None-Match"))
	switch {
	case !ok || !list.names(t, true):
		return false
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Length")
		w.WriteHeader(http.StatusNotModified)
	case list.any:
		exists(t).ServeHTTP(w, r)
	default:
		ProblemOf(r, &mismatch{t}).ServeHTTP(w, r)
	}
	return true
}

// names reports whether the list names the tag.
func (l tagList) names(t Tag, weakly bool) bool {
	return l.any || t != "" && slices.ContainsFunc(l.tags, func(tag entityTag) bool {
		return (weakly || !tag.weak) && tag.opaque.String() == t.String()
	})
}

// Require answers PUT, PATCH and DELETE requests that have no If-Match with 428, and passes all others on to next. A PUT with
// If-None-Match: *, which only creates, is passed on too. If-Match is not compared: the handlers do that. One that is no list
// of tags is 400 at once.
func Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := require(r); err != nil {
			ProblemOf(r, err).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func require(r *http.Request) error {
	switch r.Method {
	case http.MethodPut:
		if createsOnly(r) {
			return nil
		}
	case http.MethodPatch, http.MethodDelete:
	default:
		return nil
	}
	_, err := ifMatch(r, []Option{AcceptWeak()})
	return err
}

// createsOnly reports whether the request is to create what is not there yet.
func createsOnly(r *http.Request) bool {
	if r == nil {
		return false
	}
	list, ok := parseTags(r.Header.Values("If-None-Match"))
	return ok && list.any
}

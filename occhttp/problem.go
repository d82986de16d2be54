package occhttp

import (
	"encoding/json"
	"errors"
	"net/http"

	"gorm.io/gorm"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/conflict"
	"github.com/gorm-occ/occ/internal/dialect"
)

// Problem is an answer to a request that was refused, as RFC 9457 has it: application/problem+json. It is an [http.Handler].
// It holds no SQL, no table and no key. Empty members are left out of the JSON; the names are type, title, status, detail,
// instance, reason, fields and current.
type Problem struct {
	Type     string          `json:"type,omitempty"`     // urn:occ:stale and its like; empty means about:blank
	Title    string          `json:"title,omitempty"`    // of the type, the same for all its problems
	Status   int             `json:"status,omitempty"`   // the status of the answer; 0 is 500
	Detail   string          `json:"detail,omitempty"`   // what the client can do
	Instance string          `json:"instance,omitempty"` // for the application to set: a URI of this problem
	Reason   occ.Reason      `json:"reason,omitempty"`   // why the row was refused, where that is known
	Fields   []string        `json:"fields,omitempty"`   // of a merge conflict: the fields' names in Go
	Current  *Representation `json:"current,omitempty"`  // what the resource is now, see With
}

// Representation is the state of a resource in the body of a [Problem].
type Representation struct {
	ETag  Tag `json:"etag"`
	Value any `json:"value,omitempty"`
}

// ProblemOf returns the answer to a request whose write ended with err; nil for nil and for errors that are not about
// versions, which the handler answers itself. It reads the conditional headers of r, If-Match and If-None-Match, and sends
// no SQL. It finds err however deep it is wrapped.
//
//   - [ErrPreconditionRequired], and [occ.ErrVersionMissing] without a conditional header: 428, urn:occ:precondition-required
//   - [ErrMalformedTag]: 400, urn:occ:malformed-precondition
//   - [ErrWeakTag]: 412, urn:occ:weak-tag
//   - [occ.ErrStaleData]: urn:occ:stale, 412 where the request has a conditional header, else 409
//   - [occ.ReasonDeleted] for all rows that were refused: 404, urn:occ:deleted
//   - with If-None-Match: *, [gorm.ErrDuplicatedKey], also as the driver has it, and [occ.ErrVersionMissing]: 412,
//     urn:occ:exists
//   - [*occ.MergeConflictError]: 409, urn:occ:merge-conflict, with the names of the fields
//   - [*occ.RetryError] on a conflict, deadlock or lock timeout: 503 with Retry-After: 1, urn:occ:busy; but one on a refusal
//     is urn:occ:stale as above where the request has a conditional header, which no further try can fulfil
//
// Current has the tag that the row is at in a 412 or 409, where the error knows it: after every refusal that has read its one
// row, whatever the kind of version, after a merge conflict and after [Check]. It does not where nothing was read (a weak
// tag, a duplicate key), or the row could not be. [Problem.With] sets it, and shows the row; it has to where a resource is
// made of several rows, whose tag a refusal of one of them does not know.
func ProblemOf(r *http.Request, err error) *Problem {
	unresolved := (*occ.MergeConflictError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrMalformedTag):
		return malformed()
	case errors.Is(err, ErrWeakTag):
		return weakTag()
	case errors.Is(err, ErrPreconditionRequired):
		return preconditionRequired("")
	case errors.As(err, &unresolved):
		return mergeConflict(unresolved).at(currentIn(err))
	case createsOnly(r) && (isDuplicate(err) || errors.Is(err, occ.ErrVersionMissing)):
		return exists(currentIn(err))
	case errors.Is(err, occ.ErrStaleData):
		return refusal(r, err)
	case isRetryError(err) && dialect.IsTransient(err):
		return busy()
	}
	return nil
}

// isDuplicate reports whether there is a row with the key; GORM does not translate the errors of every driver.
func isDuplicate(err error) bool {
	return errors.Is(err, gorm.ErrDuplicatedKey) || dialect.IsDuplicateKey(err)
}

func isRetryError(err error) bool {
	return errors.As(err, new(*occ.RetryError))
}

// isConditional reports whether the request has a header that says which version it is about.
func isConditional(r *http.Request) bool {
	return r != nil && len(r.Header.Values("If-Match"))+len(r.Header.Values("If-None-Match")) > 0
}

// refusal is the problem of an error that matches occ.ErrStaleData.
func refusal(r *http.Request, err error) *Problem {
	refused := (*occ.StaleDataError)(nil)
	_ = errors.As(err, &refused)
	switch {
	case isGone(refused):
		return deleted()
	case !isConditional(r) && errors.Is(err, occ.ErrVersionMissing):
		return preconditionRequired(occ.ReasonMissing)
	case !isConditional(r) && isRetryError(err):
		return busy()
	}
	p := stale(isConditional(r))
	p.Reason = reasonOf(refused)
	return p.at(currentIn(err))
}

func isGone(refused *occ.StaleDataError) bool {
	if refused == nil {
		return false
	}
	for _, row := range refused.Rows {
		if row.Reason != occ.ReasonDeleted {
			return false
		}
	}
	return len(refused.Rows) > 0
}

// reasonOf returns the reason of the first row that is there.
func reasonOf(refused *occ.StaleDataError) occ.Reason {
	if refused == nil {
		return occ.ReasonChanged
	}
	for _, row := range refused.Rows {
		if row.Reason != occ.ReasonDeleted {
			return row.Reason
		}
	}
	return occ.ReasonUnknown
}

// currentIn returns the tag of the version that the row has, as an error knows it; "" where it does not.
func currentIn(err error) Tag {
	var current conflict.Current
	_ = errors.As(err, &current)
	return Tag(current)
}

// at is the problem with the tag of the version that the row has, if it is known.
func (p *Problem) at(t Tag) *Problem {
	if t == "" {
		return p
	}
	return p.With(t, nil)
}

func malformed() *Problem {
	return &Problem{
		Type: "urn:occ:malformed-precondition", Title: "Malformed precondition", Status: http.StatusBadRequest,
		Detail: `If-Match has to be * or a list of entity tags in double quotes. Send the ETag of a GET back as it was.`,
	}
}

func weakTag() *Problem {
	return &Problem{
		Type: "urn:occ:weak-tag", Title: "Weak entity tag", Status: http.StatusPreconditionFailed,
		Detail: "If-Match compares strongly, and a tag that begins with W/ matches nothing. A compressing proxy between client and server " +
			"has weakened the ETag: have it leave ETags alone, or the server accept weak tags.",
	}
}

func preconditionRequired(reason occ.Reason) *Problem {
	return &Problem{
		Type: "urn:occ:precondition-required", Title: "Precondition required", Status: http.StatusPreconditionRequired, Reason: reason,
		Detail: "The request has to say which version it is based on. Send an If-Match header with the value of the ETag header of the GET " +
			"that was edited.",
	}
}

func stale(isConditional bool) *Problem {
	p := &Problem{
		Type: "urn:occ:stale", Title: "Stale data", Status: http.StatusConflict,
		Detail: "The resource has been changed since it was read. Nothing was written. GET it again, then decide anew.",
	}
	if isConditional {
		p.Status = http.StatusPreconditionFailed
	}
	return p
}

func deleted() *Problem {
	return &Problem{
		Type: "urn:occ:deleted", Title: "Deleted", Status: http.StatusNotFound, Reason: occ.ReasonDeleted,
		Detail: "The resource does not exist, or not any more. Nothing was written.",
	}
}

func exists(current Tag) *Problem {
	p := &Problem{
		Type: "urn:occ:exists", Title: "Exists already", Status: http.StatusPreconditionFailed,
		Detail: "If-None-Match: * asks for a new resource, and there is one. Nothing was written. GET it to change it.",
	}
	return p.at(current)
}

func mergeConflict(unresolved *occ.MergeConflictError) *Problem {
	p := &Problem{
		Type: "urn:occ:merge-conflict", Title: "Merge conflict", Status: http.StatusConflict, Reason: occ.ReasonChanged,
		Detail: "The fields have been changed to other values since the resource was read. Nothing was written. Decide which values stay.",
	}
	for _, field := range unresolved.Fields {
		p.Fields = append(p.Fields, field.Field)
	}
	return p
}

func busy() *Problem {
	return &Problem{
		Type: "urn:occ:busy", Title: "Busy", Status: http.StatusServiceUnavailable,
		Detail: "Others were writing the same data all the time. Nothing was written. Send the request again.",
	}
}

// With returns the problem with the current representation of the resource, for a handler that wants to show it: the tag to
// send next, and a value that json.Marshal takes; nil is none. It is for the handler to judge whether this client may see the
// value. The problem itself is left as it is. With of nil is nil.
func (p *Problem) With(t Tag, value any) *Problem {
	if p == nil {
		return nil
	}
	shown := *p
	shown.Current = &Representation{ETag: t, Value: value}
	return &shown
}

// ServeHTTP answers with the problem. It removes the ETag header and others that are about another body: generic clients
// store every ETag they see, and would overwrite what they have not read. The answer is not to be cached (no-store). A value
// that json.Marshal refuses is left out. A nil problem is a plain 500, for errors that are not about versions.
func (p *Problem) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if p == nil {
		p = &Problem{}
	}
	answer := *p
	if answer.Status == 0 {
		answer.Status = http.StatusInternalServerError
	}
	if answer.Type == "" && answer.Title == "" {
		answer.Title = http.StatusText(answer.Status)
	}
	header := w.Header()
	for _, name := range []string{"ETag", "Last-Modified", "Content-Length", "Content-Encoding"} {
		header.Del(name)
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if answer.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(append(answer.json(), '\n')) // the client has gone, where it fails
}

func (p *Problem) json() []byte {
	body, err := json.Marshal(p)
	if err == nil || p.Current == nil {
		return body
	}
	bare := *p
	bare.Current = &Representation{ETag: p.Current.ETag}
	body, _ = json.Marshal(&bare) // strings and numbers
	return body
}

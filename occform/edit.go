package occform

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
)

// ErrMalformed reports that a request did not come from a form of this package: the hidden input of [Hidden] is missing,
// belongs to other fields, or was damaged on the way. Nothing was read or written. A handler answers 400. A missing input also
// matches [occ.ErrVersionMissing].
var ErrMalformed = errors.New("occform: malformed form")

const (
	hiddenName = "occ-shown"
	maxMemory  = 10 << 20 // of a multipart form, in bytes, as for other forms in net/http
)

// shown is what the hidden input carries.
type shown struct {
	Version string             `json:"version"`
	Values  map[string]*string `json:"values"` // by column; nil is NULL
}

// Hidden returns the hidden input that goes into the form of a model: its version, as [occ.VersionText] has it, and the
// values of the named fields that the form shows. The model is a struct or a pointer to one, as it was loaded. It sends no
// SQL, is safe for concurrent use, and what it returns is escaped.
//
// An unknown field, one that no form may edit and a model without a version are errors that name model and field.
func Hidden(db *gorm.DB, model any, fields ...string) (template.HTML, error) {
	version, err := occ.VersionText(db, model)
	if err != nil {
		return "", err
	}
	rv := reflect.Indirect(reflect.ValueOf(model))
	f, err := formOf(db, reflect.New(rv.Type()).Interface(), fields)
	if err != nil {
		return "", err
	}
	return f.hidden(version, rv)
}

// hidden is the hidden input for a model.
func (f *form) hidden(version string, model reflect.Value) (template.HTML, error) {
	carried := shown{Version: version, Values: map[string]*string{}}
	for _, in := range f.inputs {
		carried.Values[in.field.DBName] = nil
		if text, ok := textOf(in.of(f.ctx, model)); ok {
			carried.Values[in.field.DBName] = &text
		}
	}
	encoded, err := json.Marshal(carried)
	if err != nil {
		return "", fmt.Errorf("occform: model %s: %w", f.schema.Name, err)
	}
	return hiddenInput(hiddenName, string(encoded)), nil
}

func hiddenInput(name, value string) template.HTML {
	return template.HTML(`<input type="hidden" name="` + template.HTMLEscapeString(name) + `" value="` + template.HTMLEscapeString(value) + `">`)
}

// Edit is what a person made of the values that a form showed. Base and Mine hold the named fields and, where its type can be
// read from text, the version; all other fields are zero, the primary key too. The program may change Mine before [Edit.Save].
//
// An Edit that the program puts together itself, as &Edit[T]{Base: ..., Mine: ...}, is about all fields that a form may edit.
type Edit[T any] struct {
	Base *T // what the person was shown
	Mine *T // what they made of it

	form    *form
	hidden  template.HTML
	invalid *InputError
}

// Parse reads the form of a request: the base from the hidden input of [Hidden], and the named fields from their inputs. Only
// the body counts, not the query of the address. To limit its size, wrap it in [http.MaxBytesReader]. It sends no SQL.
//
// The error is
//   - [*InputError] if inputs do not parse. Then there is an Edit as well, whose Save returns the same error;
//   - [ErrMalformed] if the hidden input is missing or was damaged;
//   - an error that names model and field if a field is unknown or no form may edit it;
//   - that of [http.Request.ParseForm] if the body cannot be read.
func Parse[T any](db *gorm.DB, r *http.Request, fields ...string) (*Edit[T], error) {
	if _, err := occ.VersionText(db, new(T)); err != nil {
		return nil, err
	}
	f, err := formOf(db, new(T), fields)
	if err != nil {
		return nil, err
	}
	if err := parseBody(r); err != nil {
		return nil, fmt.Errorf("occform: the form of model %s: %w", f.schema.Name, err)
	}
	carried, err := f.carried(r)
	if err != nil {
		return nil, err
	}
	e := &Edit[T]{Base: new(T), Mine: new(T), form: f, hidden: hiddenInput(hiddenName, r.PostForm.Get(hiddenName))}
	if err := f.readBase(carried, reflect.ValueOf(e.Base).Elem()); err != nil {
		return nil, err
	}
	setVersion(db, f, carried.Version, e.Base, e.Mine)
	e.invalid = f.readMine(r, e.hidden, reflect.ValueOf(e.Base).Elem(), reflect.ValueOf(e.Mine).Elem())
	if e.invalid != nil {
		return e, e.invalid
	}
	return e, nil
}

func parseBody(r *http.Request) error {
	if r == nil {
		return errors.New("the request is nil")
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		return r.ParseMultipartForm(maxMemory)
	}
	return r.ParseForm()
}

func (f *form) carried(r *http.Request) (*shown, error) {
	text := r.PostForm.Get(hiddenName)
	if text == "" {
		return nil, fmt.Errorf("%w: model %s: no input %q: put what Hidden returns into the form: %w", ErrMalformed, f.schema.Name, hiddenName, occ.ErrVersionMissing)
	}
	carried := new(shown)
	if err := json.Unmarshal([]byte(text), carried); err != nil {
		return nil, fmt.Errorf("%w: model %s: input %q: %w", ErrMalformed, f.schema.Name, hiddenName, err)
	}
	return carried, nil
}

func (f *form) readBase(carried *shown, base reflect.Value) error {
	for _, in := range f.inputs {
		text, ok := carried.Values[in.field.DBName]
		if !ok {
			return fmt.Errorf("%w: model %s, field %s: the form did not show it: name the same fields in Hidden and Parse", ErrMalformed, f.schema.Name, in.field.Name)
		}
		if text == nil {
			continue
		}
		value, err := parseText(in.field.FieldType, *text, reflect.Value{})
		if err != nil {
			return fmt.Errorf("%w: model %s, field %s: what was shown %w", ErrMalformed, f.schema.Name, in.field.Name, err)
		}
		if *text == "" {
			value = emptyOf(in.field)
		}
		in.set(f.ctx, base, value)
	}
	return nil
}

// emptyOf is the empty value of a field that is not NULL.
func emptyOf(field *schema.Field) reflect.Value {
	value := reflect.New(field.FieldType).Elem()
	switch {
	case value.Kind() == reflect.Pointer:
		value.Set(reflect.New(field.FieldType.Elem()))
	case isNullStruct(value.Type()):
		value.Field(1).SetBool(true)
	}
	return value
}

// readMine reads the inputs; those that do not parse keep the base in mine, and are in the error.
func (f *form) readMine(r *http.Request, hidden template.HTML, base, mine reflect.Value) *InputError {
	var failed []*FieldError
	for i, in := range f.inputs {
		was := in.of(f.ctx, base)
		value, err := f.readInput(r, in, was)
		if err != nil {
			failed = append(failed, err)
			value = was
		}
		f.inputs[i].isUnset = !value.IsValid()
		in.set(f.ctx, mine, value)
	}
	if failed == nil {
		return nil
	}
	return &InputError{Model: f.schema.Name, Fields: failed, Conflict: f.unread(hidden, base, mine, failed)}
}

func (f *form) readInput(r *http.Request, in input, was reflect.Value) (reflect.Value, *FieldError) {
	text, isSent := f.sent(r, in)
	typ := in.field.FieldType
	if !isSent {
		shown, _ := textOf(was)
		if in.field.IndirectFieldType.Kind() != reflect.Bool && !isNullBool(typ) || shown != "true" {
			return was, nil
		}
		text = "false"
	}
	if !was.IsValid() && isBlank(typ, text) {
		return was, nil
	}
	value, err := parseInput(typ, text, was)
	if err != nil {
		return value, &FieldError{Name: pathOf(in.field), Column: in.field.DBName, Label: in.label(), Text: text, Err: err}
	}
	return value, nil
}

// isBlank reports whether an input sends what a browser sends of one that shows NULL: nothing, or of a box that is not ticked
// the "false" before it.
func isBlank(typ reflect.Type, text string) bool {
	on, err := parseBool(text)
	return text == "" || typ.Kind() == reflect.Bool && err == nil && !on
}

func isNullBool(typ reflect.Type) bool {
	return isNullStruct(typ) && typ.Field(0).Type.Kind() == reflect.Bool
}

// sent is what the browser sent for an input: the last value under the name that the program uses, the column or the
// field's name in Go.
func (f *form) sent(r *http.Request, in input) (text string, ok bool) {
	for _, name := range []string{in.name, in.field.DBName, pathOf(in.field)} {
		if values := r.PostForm[name]; len(values) > 0 {
			return values[len(values)-1], true
		}
	}
	return "", false
}

// setVersion gives the models the version, if it is of a type whose text can be read; the zero value stays otherwise.
func setVersion[T any](db *gorm.DB, f *form, text string, models ...*T) {
	for _, field := range f.schema.Fields {
		if field.DBName == "" || refusalOf(field) != "the version" || !isSupported(field.FieldType) {
			continue
		}
		value, err := parseText(field.FieldType, text, reflect.Value{})
		if err != nil {
			return
		}
		for _, model := range models {
			rv := reflect.ValueOf(model).Elem()
			field.ReflectValueOf(f.ctx, rv).Set(value)
			if read, err := occ.VersionText(db, model); err != nil || read != text {
				field.ReflectValueOf(f.ctx, rv).SetZero()
			}
		}
	}
}

// InputError reports that inputs of a form do not parse. Nothing was written. Conflict shows the form again, with what was
// typed and the error beside the input: it has no Reason, and in the fields that failed Mine is a [*FieldError]. A handler
// answers 422 with it. Match it with [errors.As].
type InputError struct {
	Model    string
	Fields   []*FieldError // in the order they were named; at least one
	Conflict *Conflict
}

// Error names the model and the fields. It does not hold what was typed.
func (e *InputError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, field := range e.Fields {
		texts[i] = field.Error()
	}
	return fmt.Sprintf("occform: model %s: %s", e.Model, strings.Join(texts, "; "))
}

// Unwrap returns the errors of the fields.
func (e *InputError) Unwrap() []error {
	errs := make([]error, len(e.Fields))
	for i, field := range e.Fields {
		errs[i] = field
	}
	return errs
}

// FieldError is an input that does not parse.
type FieldError struct {
	Name   string // as in Go: Place, Address.City
	Column string
	Label  string
	Text   string // as it was typed
	Err    error  // what is wrong, for the person: "is not a whole number"
}

// Error is one line: the field and what is wrong. It does not hold what was typed.
func (e *FieldError) Error() string {
	if foreign := (*textError)(nil); errors.As(e.Err, &foreign) {
		return fmt.Sprintf("field %s %s", e.Name, cannotBeRead)
	}
	return fmt.Sprintf("field %s %v", e.Name, e.Err)
}

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

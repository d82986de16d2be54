package kind

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Random is the kind of version that is a random UUID: text in a string, or 16 bytes. Columns hold it as text, as bytes
// or in a uuid type of the database. Strings need not be UUIDs to be compared.
type Random struct {
	holder
	Form    dialect.UUIDForm
	dialect dialect.Dialect
	pads    bool // the column is read with blanks behind shorter text
}

var uuidType = reflect.TypeFor[uuid.UUID]()

func (k *Kinds) randomOf(version *Field) (Kind, error) {
	if random, serves := k.newRandom(version); serves {
		return random, nil
	}
	return nil, nil
}

func (k *Kinds) newRandom(version *Field) (Random, bool) {
	r := Random{holder: holderOf(version.FieldType), dialect: *k.Dialect}
	isBytes := r.core.ConvertibleTo(uuidType) && r.core.Kind() == reflect.Array
	if r.core.Kind() != reflect.String && !isBytes {
		return Random{}, false
	}
	columnType := k.ColumnType(version.Field)
	r.Form, r.pads = k.Dialect.UUIDFormOf(columnType), k.Dialect.PadsText(columnType)
	if isBytes {
		version.BindInsert = !r.bindsItself()
		if !reflect.PointerTo(r.core).Implements(reflect.TypeFor[sql.Scanner]()) {
			readByKind(version, r.fromColumn)
		}
	}
	return r, true
}

// bindsItself reports whether the type's own Value gives what the column holds.
func (r Random) bindsItself() bool {
	valuer, ok := reflect.New(r.core).Elem().Interface().(driver.Valuer)
	if !ok {
		return false
	}
	value, err := valuer.Value()
	_, isText := value.(string)
	return err == nil && isText == (r.Form != dialect.UUIDBytes)
}

func (r Random) Next(context.Context, any) (any, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, err
	}
	return r.holdID(id), nil
}

func (r Random) holdID(id uuid.UUID) any {
	if r.core.Kind() == reflect.String {
		return r.holdText(id.String())
	}
	return r.hold(reflect.ValueOf(id).Convert(r.core))
}

func (r Random) holdText(text string) any {
	return r.hold(reflect.ValueOf(text).Convert(r.core))
}

// textIn is the text in a version that is a string or bytes.
func textIn(version any) (string, bool) {
	rv := open(version)
	switch {
	case !rv.IsValid():
		return "", false
	case rv.Kind() == reflect.String:
		return rv.String(), true
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8:
		return string(rv.Bytes()), true
	}
	return "", false
}

// idIn is the UUID in a version of 16 bytes.
func idIn(version any) (uuid.UUID, bool) {
	if id, ok := version.(uuid.UUID); ok {
		return id, true
	}
	rv := open(version)
	if !rv.IsValid() || rv.Kind() != reflect.Array || !rv.CanConvert(uuidType) {
		return uuid.UUID{}, false
	}
	return rv.Convert(uuidType).Interface().(uuid.UUID), true
}

func (r Random) Convert(version any) (any, error) {
	if id, ok := idIn(version); ok {
		return r.holdID(id), nil
	}
	text, ok := textIn(version)
	switch {
	case !ok:
		return nil, fmt.Errorf("%T does not fit %s", version, r.typ)
	case r.core.Kind() != reflect.String:
		return r.fromColumn(text)
	case r.Form == dialect.UUIDNative && text != "" && uuid.Validate(text) != nil:
		return nil, fmt.Errorf("%q is not a UUID, which the column needs", text)
	}
	return r.holdText(text), nil
}

// fromColumn takes a UUID in the forms that drivers read it in; nil is NULL.
func (r Random) fromColumn(value any) (any, error) {
	if value == nil {
		return reflect.Zero(r.typ).Interface(), nil
	}
	if id, ok := idIn(value); ok {
		return r.holdID(id), nil
	}
	text, _ := textIn(value)
	if id, err := uuid.FromBytes([]byte(text)); err == nil {
		return r.holdID(id), nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q does not fit %s: %w", text, r.typ, err)
	}
	return r.holdID(id), nil
}

func (r Random) IsZero(version any) bool {
	rv := open(version)
	return !rv.IsValid() || rv.IsZero()
}

func (r Random) NextInSQL(clause.Column) clause.Expression {
	next := r.dialect.RandomUUID(r.Form)
	if next == "" {
		return nil
	}
	return clause.Expr{SQL: next}
}

func (r Random) Bind(version any) any {
	if text, ok := textIn(version); ok {
		return text
	}
	id, ok := idIn(version)
	switch {
	case !ok:
		return nil
	case r.Form == dialect.UUIDBytes:
		return id[:]
	}
	return id.String()
}

// Stored is what a uuid column makes of text: lower case, with dashes.
func (r Random) Stored(version any) any {
	text, ok := textIn(version)
	if !ok || r.Form != dialect.UUIDNative {
		return version
	}
	if id, err := uuid.Parse(text); err == nil {
		return r.holdText(id.String())
	}
	return version
}

func (r Random) Equals(column clause.Column, value any) clause.Expression {
	if r.Form == dialect.UUIDText {
		return r.dialect.SameText(column, value)
	}
	return clause.Eq{Column: column, Value: value}
}

// ZeroInSQL is nil for uuid columns that cannot hold a string's zero value.
func (r Random) ZeroInSQL() any {
	switch {
	case r.core.Kind() != reflect.String:
		return r.Bind(reflect.Zero(r.core).Interface())
	case r.Form == dialect.UUIDText:
		return ""
	}
	return nil
}

func (r Random) IsSame(a, b any) bool {
	s, okA := r.Bind(r.Stored(a)).(string)
	t, okB := r.Bind(r.Stored(b)).(string)
	if okA && okB {
		return s == t || r.pads && strings.TrimRight(s, " ") == strings.TrimRight(t, " ") || r.Form == dialect.UUIDNative && strings.EqualFold(s, t)
	}
	i, okA := idIn(a)
	j, okB := idIn(b)
	return okA && okB && i == j
}

func (r Random) IsAhead(_, _ any) bool { return false }

// Format writes a UUID in lower case with dashes, and other text as it is, escaped.
func (r Random) Format(version any) (string, bool) {
	if text, ok := textIn(r.Stored(version)); ok {
		return escape(text), true
	}
	id, ok := idIn(version)
	return id.String(), ok
}

func (r Random) Parse(text string) (any, bool) {
	text, err := unescape(text)
	switch {
	case err != nil:
		return nil, false
	case r.core.Kind() != reflect.String || r.Form == dialect.UUIDNative:
		id, err := uuid.Parse(text)
		return r.holdID(id), err == nil
	}
	return r.holdText(text), r.dialect.TakesText(text)
}

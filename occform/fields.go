package occform

import (
	"context"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ"
	"github.com/gorm-occ/occ/internal/registration"
)

// input is a field that the program named, under the name of its input.
type input struct {
	name    string
	field   *schema.Field
	isUnset bool // the form showed the NULL of an embedded struct that is nil, and nothing was entered
}

// form is a model and the fields of it that a form edits.
type form struct {
	ctx    context.Context
	schema *schema.Schema
	inputs []input
}

// formOf looks the names up in the schema of a model.
func formOf(db *gorm.DB, model any, names []string) (*form, error) {
	if err := registration.NeedDatabase(db); err != nil {
		return nil, err
	}
	stmt := &gorm.Statement{DB: db}
	if err := stmt.Parse(model); err != nil {
		return nil, fmt.Errorf("occform: %T is no model: pass a pointer to a struct: %w", model, err)
	}
	f := &form{ctx: db.Statement.Context, schema: stmt.Schema}
	seen := map[string]bool{}
	for _, name := range names {
		field, err := f.lookUp(name)
		if err != nil {
			return nil, err
		}
		if !seen[field.DBName] {
			seen[field.DBName] = true
			f.inputs = append(f.inputs, input{name: name, field: field})
		}
	}
	return f, nil
}

// everyField is the form of an Edit that the program has put together itself.
func everyField(db *gorm.DB, model any) (*form, error) {
	f, err := formOf(db, model, nil)
	if err != nil {
		return nil, err
	}
	for _, field := range f.schema.Fields {
		if field.DBName != "" && refusalOf(field) == "" {
			f.inputs = append(f.inputs, input{name: pathOf(field), field: field})
		}
	}
	return f, nil
}

// lookUp finds a field by its path in Go, its column or its name, in this order.
func (f *form) lookUp(name string) (*schema.Field, error) {
	field := f.schema.LookUpField(name)
	for _, candidate := range f.schema.Fields {
		if candidate.DBName != "" && pathOf(candidate) == name {
			field = candidate
		}
	}
	if field == nil || field.DBName == "" {
		return nil, fmt.Errorf("occform: model %s has no field %q: name a field of the struct or its column: %w", f.schema.Name, name, gorm.ErrInvalidField)
	}
	if why := refusalOf(field); why != "" {
		return nil, fmt.Errorf("occform: model %s, field %s: %s cannot be edited in a form: %w", f.schema.Name, field.Name, why, gorm.ErrInvalidField)
	}
	return field, nil
}

// refusalOf says what a field is that no form may edit; "" for all others.
func refusalOf(field *schema.Field) string {
	_, isVersion := field.TagSettings["VERSION"]
	_, isUnversioned := field.TagSettings["UNVERSIONED"]
	typ := field.IndirectFieldType
	switch {
	case field.PrimaryKey:
		return "a primary key"
	case isVersion, typ == reflect.TypeFor[occ.Version](), typ == reflect.TypeFor[occ.Xmin](), typ == reflect.TypeFor[occ.Snapshot]():
		return "the version"
	case isUnversioned:
		return "an unversioned column"
	case field.AutoCreateTime != 0, field.AutoUpdateTime != 0:
		return "an automatic timestamp"
	case !field.Updatable, !field.Readable:
		return "a column that GORM does not read and update"
	case field.Serializer != nil, !isSupported(field.FieldType):
		return "a value of type " + field.FieldType.String()
	}
	return ""
}

// isSupported reports whether values of a type can be read from text.
func isSupported(typ reflect.Type) bool {
	if isNullStruct(typ) {
		return isSupported(typ.Field(0).Type)
	}
	if typ == timeType || isText(typ) {
		return true
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return isSupported(typ.Elem())
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// isText reports whether a type says itself how it is written as text.
func isText(typ reflect.Type) bool {
	return typ.Kind() != reflect.Pointer && typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) &&
		reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// isNullStruct reports whether a type has the shape of sql.NullString and sql.Null.
func isNullStruct(typ reflect.Type) bool {
	return typ.Kind() == reflect.Struct && typ.NumField() == 2 && typ.Field(0).IsExported() &&
		typ.Field(1).Name == "Valid" && typ.Field(1).Type.Kind() == reflect.Bool
}

func pathOf(field *schema.Field) string { return strings.Join(field.EmbeddedBindNames, ".") }

// of returns the field's value in a model; not valid where it is in an embedded struct that is nil.
func (in input) of(ctx context.Context, model reflect.Value) reflect.Value {
	value, _ := in.field.ValueOf(ctx, model)
	return reflect.ValueOf(value)
}

// entered returns the field's value in what the person made of the form; not valid where NULL was shown and stayed. Another
// field of the struct may have been entered, in which this one is zero then.
func (in input) entered(ctx context.Context, mine reflect.Value) reflect.Value {
	value := in.of(ctx, mine)
	if in.isUnset && value.IsValid() && value.IsZero() {
		return reflect.Value{}
	}
	return value
}

// set gives the field a value; one that is not valid leaves the model as it is.
func (in input) set(ctx context.Context, model, value reflect.Value) {
	if value.IsValid() {
		in.field.ReflectValueOf(ctx, model).Set(value)
	}
}

// label is the field's comment, or its name in words: "Unit price" of UnitPrice.
func (in input) label() string {
	if in.field.Comment != "" {
		return in.field.Comment
	}
	var words strings.Builder
	runes := []rune(in.field.Name)
	for i, r := range runes {
		isStart := i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(runes[i-1])
		if isStart {
			words.WriteByte(' ')
		}
		isAbbreviation := i+1 < len(runes) && unicode.IsUpper(runes[i+1]) || i > 0 && unicode.IsUpper(runes[i-1])
		if isStart && !isAbbreviation {
			r = unicode.ToLower(r)
		}
		words.WriteRune(r)
	}
	return words.String()
}

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"reflect"
	"slices"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/kind"
)

// Holder is the type that models embed to keep an image, and the ways to the image in it.
type Holder struct {
	Typ reflect.Type
	Get func(field reflect.Value) *Image
	Set func(field reflect.Value, image *Image)
	Of  func(value any) (*Image, bool)
}

// Image is a row as it was read, by the columns of its model's plan. It is never changed: copies of models share it.
type Image struct {
	Columns []string // the plan's
	Types   []string // what the database calls their types
	Values  []any    // as the driver gave them; notLoaded where the query did not ask for the column
	Key     []any    // the primary key as the model held it
}

// NotLoaded stands for a column that a query left out.
type NotLoaded struct{}

func (i *Image) Has(column int) bool {
	return i.Values[column] != NotLoaded{}
}

// Plan is how models of one schema are compared with their snapshots.
type Plan struct {
	holder   Holder
	path     []int // to the Snapshot in the model; the index of an embedded pointer is as positive as any
	Fields   []*schema.Field
	Columns  []string
	Compared []int // what a write compares, of columns
	IsDirty  bool  // compare the columns that are written
	Keys     []*schema.Field
	Dialect  *dialect.Dialect
}

const (
	snapshotTag   = "SNAPSHOT"
	snapshotDirty = "dirty"
	tokenTag      = "TOKEN"
)

// Find looks for an embedded Snapshot; nil if there is none.
func Find(s *schema.Schema, holder Holder) (*Plan, error) {
	found, err := holder.in(s.ModelType, nil)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if len(found) > 1 {
		return nil, ErrTwoSnapshots
	}
	plan := &Plan{holder: holder, path: found[0].Index, Keys: s.PrimaryFields}
	switch mode := schema.ParseTagSetting(found[0].Tag.Get("gorm"), ";")[snapshotTag]; mode {
	case "", snapshotTag:
	case snapshotDirty:
		plan.IsDirty = true
	default:
		return nil, fmt.Errorf("field Snapshot: there is no mode called %q: tag it snapshot:dirty, or not at all", mode)
	}
	return plan, plan.choose(s)
}

// ErrTwoSnapshots is an error of writes alone: a struct that embeds two models, to read a join into, is fine.
var ErrTwoSnapshots = errors.New("it embeds two Snapshots: keep one")

// in finds the fields of the holder's type, in embedded structs too.
func (h Holder) in(t reflect.Type, path []int) (found []reflect.StructField, err error) {
	for i := range t.NumField() {
		field := t.Field(i)
		if !ast.IsExported(field.Name) {
			continue
		}
		field.Index = append(slices.Clone(path), i)
		_, tagged := schema.ParseTagSetting(field.Tag.Get("gorm"), ";")["EMBEDDED"]
		isEmbedded, typ := field.Anonymous || tagged, field.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ == h.Typ && (!isEmbedded || typ != field.Type):
			return nil, fmt.Errorf("field %s: embed occ.Snapshot itself, without a name or a pointer", field.Name)
		case typ == h.Typ:
			found = append(found, field)
		case isEmbedded && typ.Kind() == reflect.Struct:
			deeper, err := h.in(typ, field.Index)
			if err != nil {
				return nil, err
			}
			found = append(found, deeper...)
		}
	}
	return found, nil
}

// choose finds the columns that a snapshot holds, those that a model both loads and writes, and the ones to be compared.
func (p *Plan) choose(s *schema.Schema) error {
	var tokens, all []int
	for _, name := range s.DBNames {
		field := s.FieldsByDBName[name]
		if field.PrimaryKey || !field.Readable || !field.Creatable && !field.Updatable {
			continue
		}
		column := len(p.Columns)
		p.Fields, p.Columns = append(p.Fields, field), append(p.Columns, name)
		_, isToken := field.TagSettings[tokenTag]
		switch {
		case isToken && kind.IsUnversioned(field):
			return fmt.Errorf("field %s: it is tagged token and unversioned: keep one", field.Name)
		case isToken:
			tokens = append(tokens, column)
		case field.AutoUpdateTime == 0 && !kind.IsUnversioned(field):
			all = append(all, column)
		}
	}
	p.Compared = all
	if len(tokens) > 0 {
		p.Compared, p.IsDirty = tokens, false
	}
	return nil
}

// IsToken reports whether the column is compared by name, so that writing it counts even if it is a timestamp.
func IsToken(field *schema.Field) bool {
	_, tagged := field.TagSettings[tokenTag]
	return tagged
}

// Field is the plan in the place of a version: it has a name, but no column.
func (p *Plan) VersionField(s *schema.Schema) *kind.Field {
	typ := p.holder.Typ
	field := &schema.Field{Name: typ.Name(), FieldType: typ, IndirectFieldType: typ, Schema: s}
	field.ValueOf = func(_ context.Context, model reflect.Value) (any, bool) {
		image := p.Of(model)
		return image, image == nil
	}
	put := func(model reflect.Value, version any) {
		image, _ := version.(*Image)
		p.Put(model, image)
	}
	return &kind.Field{Field: field, Kind: snapshotKind{p}, ByDatabase: true, PutImage: put}
}

// Of returns the image in a model; nil where there is none, or its values are not of this model's columns.
func (p *Plan) Of(model reflect.Value) *Image {
	field, ok := p.fieldIn(reflect.Indirect(model), false)
	if !ok {
		return nil
	}
	image := p.holder.Get(field)
	if image != nil && !slices.Equal(image.Columns, p.Columns) {
		return nil
	}
	return image
}

// Put replaces the image of a model in memory; a model that was passed by value is left as it is.
func (p *Plan) Put(model reflect.Value, image *Image) {
	if field, ok := p.fieldIn(model, image != nil); ok && field.CanSet() {
		p.holder.Set(field, image)
	}
}

// fieldIn goes to the Snapshot in a model, past embedded pointers; with create, through those that are nil.
func (p *Plan) fieldIn(model reflect.Value, create bool) (reflect.Value, bool) {
	for _, i := range p.path {
		if model.Kind() == reflect.Pointer {
			if model.IsNil() {
				if !create || !model.CanSet() {
					return reflect.Value{}, false
				}
				model.Set(reflect.New(model.Type().Elem()))
			}
			model = model.Elem()
		}
		model = model.Field(i)
	}
	return model, true
}

func (p *Plan) KeyOf(ctx context.Context, model reflect.Value) []any {
	key := make([]any, len(p.Keys))
	for i, field := range p.Keys {
		key[i], _ = field.ValueOf(ctx, model)
	}
	return key
}

func (p *Plan) IndexOf(column string) int { return slices.Index(p.Columns, column) }

// snapshotKind is the kind of a version that is none: nothing of it is written.
type snapshotKind struct{ plan *Plan }

var errNoVersion = errors.New("the model has a Snapshot, which holds values, no version")

func (k snapshotKind) Convert(version any) (any, error) {
	if image, ok := version.(*Image); ok {
		return image, nil
	}
	if image, ok := k.plan.holder.Of(version); ok {
		return image, nil
	}
	return nil, errNoVersion
}

func (snapshotKind) IsZero(version any) bool {
	image, _ := version.(*Image)
	return image == nil
}

func (snapshotKind) Next(_ context.Context, current any) (any, error) { return current, nil }

func (snapshotKind) NextInSQL(clause.Column) clause.Expression { return nil }

func (snapshotKind) Bind(version any) any { return version }

func (snapshotKind) Stored(version any) any { return version }

func (snapshotKind) Equals(clause.Column, any) clause.Expression { return nil }

func (snapshotKind) IsSame(a, b any) bool { return reflect.DeepEqual(a, b) }

func (snapshotKind) ZeroInSQL() any { return nil }

func (snapshotKind) IsAhead(any, any) bool { return false }

// Format gives the digest of the compared columns.
func (k snapshotKind) Format(version any) (string, bool) {
	image, ok := version.(*Image)
	return k.plan.digest(image), ok
}

// Parse gives none: a digest does not tell what it is of.
func (snapshotKind) Parse(string) (any, bool) { return nil, false }

package occ

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Snapshot is for models whose table can have no version column: the plugin keeps the column values that a model was
// loaded with, and a write compares the row with them. Embed it; there is nothing to migrate:
//
//	type Product struct {
//		ID    uint
//		Name  string
//		Price int
//		occ.Snapshot
//	}
//
// An update or delete compares all columns, NULL with NULL and text byte for byte, except those that GORM keeps by itself
// (`autoUpdateTime`) or that are tagged `gorm:"unversioned"`. Tags choose less:
//
//   - `gorm:"snapshot:dirty"` on the embedded field compares the columns that the write sets, and a delete all of them, so
//     that writes of different columns do not get into each other's way;
//   - `gorm:"token"` on columns compares those alone, whatever is written. It may name an automatic timestamp, too.
//
// The values are the driver's, of GORM's own queries: Find, First, Take, Last, FindInBatches, Preload, Joins, gorm.G, as far
// as these certainly load columns as they are stored. A model that was loaded otherwise (Scan, ScanRows, Raw, an expression in
// Select, a JSON body), or without the columns to compare, is refused with [ErrVersionMissing]. After a write the snapshot is
// the row as written, so rounding, defaults and triggers are no conflict: PostgreSQL returns it with the UPDATE, elsewhere,
// and after an INSERT, a SELECT before the transaction ends reads it. Several rows of one call are locked, read and compared
// before they are written. A value that SQL does not find again, such as a time that SQLite holds in another form than the
// driver's, is looked at once more under a lock, instead of being refused or not compared.
//
// Like a version a snapshot is copied with the model, and a copy is independent: what it holds is never changed, only
// replaced. The zero value is a model that was never loaded. A snapshot adds nothing to JSON; it takes as much memory as the
// row. There is nothing to [Expect] or to [Touch], while [ExpectText] takes its digest; the Expected and Actual of a [StaleRow] are Snapshots, and a model that is
// given the latter is as if it were loaded now.
//
// In a model that also has a version, the version is what is compared. The snapshot is then the base of [Merge] alone, and
// is empty after an insert or a write of several rows, until the model is loaded again.
type Snapshot struct {
	// GORM is what GORM sees of the type: it has writes fail where the plugin is not registered. It holds nothing.
	GORM snapshotClauses `gorm:"-" json:"-" xml:"-" yaml:"-" bson:"-"`

	image *rowImage
}

// snapshotClauses has no column. GORM asks its type for clauses all the same.
type snapshotClauses struct{}

var snapshotClausesType = reflect.TypeFor[snapshotClauses]()

// CreateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (snapshotClauses) CreateClauses(field *schema.Field) []clause.Interface {
	return snapshotClausesOf(field)
}

// UpdateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (snapshotClauses) UpdateClauses(field *schema.Field) []clause.Interface {
	return snapshotClausesOf(field)
}

// DeleteClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (snapshotClauses) DeleteClauses(field *schema.Field) []clause.Interface {
	return snapshotClausesOf(field)
}

func snapshotClausesOf(field *schema.Field) []clause.Interface {
	if field.FieldType != snapshotClausesType {
		return nil
	}
	return []clause.Interface{unregistered{model: field.Schema.Name, field: "Snapshot"}}
}

// snapshots is how the engine, which handles images, gets at the Snapshots of models.
var snapshots = imageHolder{
	typ: reflect.TypeFor[Snapshot](),
	get: func(field reflect.Value) *rowImage { return field.Interface().(Snapshot).image },
	set: func(field reflect.Value, image *rowImage) { field.Set(reflect.ValueOf(Snapshot{image: image})) },
	of: func(value any) (*rowImage, bool) {
		snapshot, ok := value.(Snapshot)
		return snapshot.image, ok
	},
}

// inPublic returns a version as users see it: an image as the Snapshot that holds it.
func inPublic(version any) any {
	if image, ok := version.(*rowImage); ok {
		return Snapshot{image: image}
	}
	return version
}

// imageHolder is the type that models embed to keep an image, and the ways to the image in it.
type imageHolder struct {
	typ reflect.Type
	get func(field reflect.Value) *rowImage
	set func(field reflect.Value, image *rowImage)
	of  func(value any) (*rowImage, bool)
}

// rowImage is a row as it was read, by the columns of its model's plan. It is never changed: copies of models share it.
type rowImage struct {
	columns []string // the plan's
	types   []string // what the database calls their types
	values  []any    // as the driver gave them; notLoaded where the query did not ask for the column
	key     []any    // the primary key as the model held it
}

// notLoaded stands for a column that a query left out.
type notLoaded struct{}

func (i *rowImage) has(column int) bool {
	return i.values[column] != notLoaded{}
}

// snapshotPlan is how models of one schema are compared with their snapshots.
type snapshotPlan struct {
	holder   imageHolder
	path     []int // to the Snapshot in the model; the index of an embedded pointer is as positive as any
	fields   []*schema.Field
	columns  []string
	compared []int // what a write compares, of columns
	isDirty  bool  // compare the columns that are written
	keys     []*schema.Field
	dialect  *dialect.Dialect
}

const (
	snapshotTag   = "SNAPSHOT"
	snapshotDirty = "dirty"
	tokenTag      = "TOKEN"
)

// findSnapshot looks for an embedded Snapshot; nil if there is none.
func findSnapshot(s *schema.Schema, holder imageHolder) (*snapshotPlan, error) {
	found, err := holder.in(s.ModelType, nil)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if len(found) > 1 {
		return nil, errTwoSnapshots
	}
	plan := &snapshotPlan{holder: holder, path: found[0].Index, keys: s.PrimaryFields}
	switch mode := schema.ParseTagSetting(found[0].Tag.Get("gorm"), ";")[snapshotTag]; mode {
	case "", snapshotTag:
	case snapshotDirty:
		plan.isDirty = true
	default:
		return nil, fmt.Errorf("field Snapshot: there is no mode called %q: tag it snapshot:dirty, or not at all", mode)
	}
	return plan, plan.choose(s)
}

// errTwoSnapshots is an error of writes alone: a struct that embeds two models, to read a join into, is fine.
var errTwoSnapshots = errors.New("it embeds two Snapshots: keep one")

// in finds the fields of the holder's type, in embedded structs too.
func (h imageHolder) in(t reflect.Type, path []int) (found []reflect.StructField, err error) {
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
		case typ == h.typ && (!isEmbedded || typ != field.Type):
			return nil, fmt.Errorf("field %s: embed occ.Snapshot itself, without a name or a pointer", field.Name)
		case typ == h.typ:
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
func (p *snapshotPlan) choose(s *schema.Schema) error {
	var tokens, all []int
	for _, name := range s.DBNames {
		field := s.FieldsByDBName[name]
		if field.PrimaryKey || !field.Readable || !field.Creatable && !field.Updatable {
			continue
		}
		column := len(p.columns)
		p.fields, p.columns = append(p.fields, field), append(p.columns, name)
		_, isToken := field.TagSettings[tokenTag]
		switch {
		case isToken && isUnversioned(field):
			return fmt.Errorf("field %s: it is tagged token and unversioned: keep one", field.Name)
		case isToken:
			tokens = append(tokens, column)
		case field.AutoUpdateTime == 0 && !isUnversioned(field):
			all = append(all, column)
		}
	}
	p.compared = all
	if len(tokens) > 0 {
		p.compared, p.isDirty = tokens, false
	}
	return nil
}

// isToken tells a column that is compared by name, so that writing it counts even if it is a timestamp.
func isToken(field *schema.Field) bool {
	_, tagged := field.TagSettings[tokenTag]
	return tagged
}

// versionField is the plan in the place of a version: it has a name, but no column.
func (p *snapshotPlan) versionField(s *schema.Schema) *versionField {
	typ := p.holder.typ
	field := &schema.Field{Name: typ.Name(), FieldType: typ, IndirectFieldType: typ, Schema: s}
	field.ValueOf = func(_ context.Context, model reflect.Value) (any, bool) {
		image := p.of(model)
		return image, image == nil
	}
	put := func(model reflect.Value, version any) {
		image, _ := version.(*rowImage)
		p.put(model, image)
	}
	return &versionField{Field: field, kind: snapshotKind{p}, byDatabase: true, putImage: put}
}

// of returns the image in a model; nil where there is none, or its values are not of this model's columns.
func (p *snapshotPlan) of(model reflect.Value) *rowImage {
	field, ok := p.fieldIn(reflect.Indirect(model), false)
	if !ok {
		return nil
	}
	image := p.holder.get(field)
	if image != nil && !slices.Equal(image.columns, p.columns) {
		return nil
	}
	return image
}

// put replaces the image of a model in memory; a model that was passed by value is left as it is.
func (p *snapshotPlan) put(model reflect.Value, image *rowImage) {
	if field, ok := p.fieldIn(model, image != nil); ok && field.CanSet() {
		p.holder.set(field, image)
	}
}

// fieldIn goes to the Snapshot in a model, past embedded pointers; with create, through those that are nil.
func (p *snapshotPlan) fieldIn(model reflect.Value, create bool) (reflect.Value, bool) {
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

func (p *snapshotPlan) keyOf(ctx context.Context, model reflect.Value) []any {
	key := make([]any, len(p.keys))
	for i, field := range p.keys {
		key[i], _ = field.ValueOf(ctx, model)
	}
	return key
}

func (p *snapshotPlan) indexOf(column string) int { return slices.Index(p.columns, column) }

// snapshotKind is the kind of a version that is none: nothing of it is written.
type snapshotKind struct{ plan *snapshotPlan }

var errNoVersion = errors.New("the model has a Snapshot, which holds values, no version")

func (k snapshotKind) convert(version any) (any, error) {
	if image, ok := version.(*rowImage); ok {
		return image, nil
	}
	if image, ok := k.plan.holder.of(version); ok {
		return image, nil
	}
	return nil, errNoVersion
}

func (snapshotKind) isZero(version any) bool {
	image, _ := version.(*rowImage)
	return image == nil
}

func (snapshotKind) next(_ context.Context, current any) (any, error) { return current, nil }

func (snapshotKind) nextInSQL(clause.Column) clause.Expression { return nil }

func (snapshotKind) bind(version any) any { return version }

func (snapshotKind) stored(version any) any { return version }

func (snapshotKind) equals(clause.Column, any) clause.Expression { return nil }

func (snapshotKind) isSame(a, b any) bool { return reflect.DeepEqual(a, b) }

func (snapshotKind) zeroInSQL() any { return nil }

func (snapshotKind) isAhead(any, any) bool { return false }

// format gives the digest of the compared columns.
func (k snapshotKind) format(version any) (string, bool) {
	image, ok := version.(*rowImage)
	return k.plan.digest(image), ok
}

// parse gives none: a digest does not tell what it is of.
func (snapshotKind) parse(string) (any, bool) { return nil, false }

const snapshotWaysOut = " (load the row with the columns to compare, through a query of GORM's own, before writing it; write by condition with Model(&T{}).Where(...), or skip the check with occ.Unchecked)"

// describeImage says what became of a row that was compared with its snapshot, without saying what is in it. It is no
// method: those of an embedded type become the model's.
func describeImage(row StaleRow) string {
	switch row.Reason {
	case ReasonChanged:
		return "changed since it was loaded" + changedColumns(row.Expected, row.Actual)
	case ReasonDeleted:
		return "was deleted"
	case ReasonMissing:
		return "is there, but the model was never loaded, or not with the columns to compare"
	default:
		return "is not as it was loaded"
	}
}

// changedColumns names the columns in which two snapshots differ.
func changedColumns(expected, actual any) string {
	before, _ := expected.(Snapshot)
	now, _ := actual.(Snapshot)
	if before.image == nil || now.image == nil {
		return ""
	}
	var names []string
	for i, name := range before.image.columns {
		if before.image.has(i) && i < len(now.image.values) && !reflect.DeepEqual(before.image.values[i], now.image.values[i]) {
			names = append(names, name)
		}
	}
	return ": " + strings.Join(names, ", ")
}

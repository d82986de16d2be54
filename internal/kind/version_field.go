package kind

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/value"
)

const unversionedTag = "UNVERSIONED"

// IsUnversioned reports whether changes of the column do not count: writing it alone neither compares nor advances the
// version, and writes of whole rows leave it out.
func IsUnversioned(field *schema.Field) bool {
	_, tagged := field.TagSettings[unversionedTag]
	return tagged
}

// Field is the column that holds a model's version, and the kind of version that is in it.
type Field struct {
	*schema.Field
	Kind       Kind
	boxed      any             // its column, as WriteQuoted takes it
	isPlain    bool            // versions are compared with =
	box        func(int64) any // makes a version of an integer that is a field of the model itself, for less than GORM does; else nil
	ByDatabase bool            // the database writes it: it is compared and read, never written
	BindInsert bool            // an INSERT has to be given what bind makes of the version, not the field's value
	// PutImage puts a version into a model where a Snapshot stands in for a version: there is no column. Else it is nil.
	PutImage func(model reflect.Value, version any)
}

// IsSameOrZero reports whether two versions are the same one, where NULL is as good as the zero value.
func (f *Field) IsSameOrZero(a, b any) bool {
	return f.Kind.IsZero(a) && f.Kind.IsZero(b) || f.Kind.IsSame(a, b)
}

func (f *Field) Of(ctx context.Context, model reflect.Value) any {
	if f.box != nil {
		return f.box(reflect.Indirect(model).Field(f.StructField.Index[0]).Int())
	}
	version, _ := f.ValueOf(ctx, model)
	return f.unshared(version)
}

// unshared copies what a version of a pointer type points to: GORM writes a payload into that, not into the field.
func (f *Field) unshared(version any) any {
	if f.FieldType.Kind() != reflect.Pointer || version == nil {
		return version
	}
	return value.Clone(reflect.ValueOf(version)).Interface()
}

// Put sets the version of a model in memory; a model that was passed by value is left as it is.
func (f *Field) Put(ctx context.Context, model reflect.Value, version any) {
	if !model.CanAddr() {
		return
	}
	if f.PutImage != nil {
		f.PutImage(model, version)
		return
	}
	field := f.ReflectValueOf(ctx, model)
	if version == nil {
		field.SetZero()
		return
	}
	field.Set(reflect.ValueOf(f.unshared(version)))
}

// Scanned gives a version as it came out of a query, in a value of the field's pool, as the field's type holds it.
func (f *Field) Scanned(ctx context.Context, value any) (any, error) {
	model := reflect.New(f.Schema.ModelType).Elem()
	if err := f.Set(ctx, model, value); err != nil {
		return nil, err
	}
	f.NewValuePool.Put(value)
	return f.Of(ctx, model), nil
}

// Convert names model and field in what the kind says of a version it cannot take.
func (f *Field) Convert(version any, source string) (any, error) {
	converted, err := f.Kind.Convert(version)
	if err != nil {
		return nil, fmt.Errorf("occ: model %s, field %s: %s is not valid: %w", f.Schema.Name, f.Name, source, err)
	}
	return converted, nil
}

func (f *Field) Column() clause.Column {
	return clause.Column{Table: clause.CurrentTable, Name: f.DBName}
}

// condition is a version that is no single value: it writes by itself the condition that a row is at it.
type condition interface{ Build(clause.Builder) }

// IsAt writes the condition that a row is at a version; NULL is as good as the zero value. In bound there is room for the
// version as it is sent.
func (f *Field) IsAt(builder clause.Builder, version any, bound []any) {
	if c, ok := version.(condition); ok {
		c.Build(builder)
		return
	}
	if !f.Kind.IsZero(version) {
		bound[0] = f.Kind.Bind(version)
		f.is(builder, bound)
		return
	}
	zero := f.Kind.ZeroInSQL()
	if zero != nil {
		_ = builder.WriteByte('(')
		bound[0] = zero
		f.is(builder, bound)
		_, _ = builder.WriteString(" OR ")
	}
	builder.WriteQuoted(f.boxed)
	_, _ = builder.WriteString(" IS NULL")
	if zero != nil {
		_ = builder.WriteByte(')')
	}
}

// is writes the condition that the column holds a value as it is sent.
func (f *Field) is(builder clause.Builder, bound []any) {
	if !f.isPlain {
		f.Kind.Equals(f.Column(), bound[0]).Build(builder)
		return
	}
	clauses.WriteEq(builder, f.boxed, bound)
}

// IsAtColumn is the condition that a row is at the version in a column of another table, which holds the kind's ZeroInSQL
// for the zero value. With zero, NULL is as good as that.
func (f *Field) IsAtColumn(expected clause.Column, zero bool) clause.Expression {
	same := f.Kind.Equals(f.Column(), expected)
	if !zero {
		return same
	}
	isZero := clause.Eq{Column: expected, Value: f.Kind.ZeroInSQL()}
	return clause.Or(same, clause.And(isZero, clause.Eq{Column: f.Column()}))
}

// IsCounter reports whether versions are integers that are compared with =.
func (f *Field) IsCounter() bool { return f.isPlain }

// IsAdvancedInSQL reports whether a statement can advance the version without knowing which it is.
func (f *Field) IsAdvancedInSQL() bool {
	return f.ByDatabase || f.Kind.NextInSQL(f.Column()) != nil
}

// FindVersionField looks for the version among the fields of a schema: none is fine, two are not.
func (k *Kinds) FindVersionField(s *schema.Schema) (*Field, error) {
	var found *Field
	for _, field := range s.Fields {
		if !k.isVersionField(field) {
			continue
		}
		if stored := s.FieldsByDBName[field.DBName]; stored != field {
			if stored != nil && k.isVersionField(stored) {
				continue // an outer struct declares the version of an embedded one again
			}
			return nil, notStored(field, stored)
		}
		if found != nil {
			return nil, fmt.Errorf("occ: model %s has two version fields, %s and %s: keep one", s.Name, found.Name, field.Name)
		}
		version, err := k.newVersionField(field)
		if err != nil {
			return nil, fmt.Errorf("occ: model %s, field %s: %w", s.Name, field.Name, err)
		}
		found = version
		found.boxed = found.Column()
		counter, isPlain := found.Kind.(Counter)
		if found.isPlain = isPlain; isPlain && len(found.StructField.Index) == 1 && found.StructField.Index[0] >= 0 {
			found.box = counter.box
		}
		readAsInteger(found)
	}
	return found, nil
}

// notStored says of a version field why there is no column for it.
func notStored(field, stored *schema.Field) error {
	where := fmt.Sprintf("occ: model %s, field %s", field.Schema.Name, field.Name)
	if stored == nil {
		return fmt.Errorf("%s: GORM has no column for type %s", where, field.FieldType)
	}
	return fmt.Errorf("%s: its column %q is that of field %s: give one of them another", where, field.DBName, stored.Name)
}

const versionTag = "VERSION"

func (k *Kinds) isVersionField(field *schema.Field) bool {
	if IsIgnored(field) {
		return false
	}
	_, tagged := field.TagSettings[versionTag]
	return tagged || field.IndirectFieldType == k.Types.Version || field.IndirectFieldType == k.Types.Xmin
}

// IsIgnored reports whether GORM keeps no column for the field. "-:migration" is no such tag: that column is merely made
// elsewhere.
func IsIgnored(field *schema.Field) bool {
	ignored := strings.ToLower(strings.TrimSpace(field.TagSettings["-"]))
	return ignored == "-" || ignored == "all"
}

// newVersionField finds the kind of version that a field's tag names, or that its type stands for.
func (k *Kinds) newVersionField(field *schema.Field) (*Field, error) {
	version := &Field{Field: field}
	if field.IndirectFieldType == k.Types.Xmin {
		return version, k.useXmin(version)
	}
	if field.Serializer != nil {
		return nil, errors.New("a version cannot have a serializer")
	}
	if !field.Creatable || !field.Updatable || !field.Readable {
		return nil, errors.New("a version must be readable and writable: remove the permission tag")
	}
	if field.PrimaryKey {
		return nil, errors.New("a version cannot be part of the primary key: the key names the row at all of its versions")
	}
	if _, deletes := reflect.New(field.IndirectFieldType).Interface().(schema.DeleteClausesInterface); deletes && field.IndirectFieldType != k.Types.Version {
		return nil, fmt.Errorf("a version cannot be of type %s: a row with one would count as deleted", field.FieldType)
	}
	name := field.TagSettings[versionTag]
	if name == versionTag {
		name = ""
	}
	return version, k.useKind(version, name)
}

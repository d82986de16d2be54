package kind

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/clauses"
	"github.com/gorm-occ/occ/internal/dialect"
	"github.com/gorm-occ/occ/internal/value"
)

const unversionedTag = "UNVERSIONED"

// IsUnversioned tells a column whose changes do not count: writing it alone neither compares nor bumps, and writes of
// whole rows leave it out.
func IsUnversioned(field *schema.Field) bool {
	_, tagged := field.TagSettings[unversionedTag]
	return tagged
}

// Kind is how one sort of version behaves. Versions go in and out as the version field's own type holds them.
type Kind interface {
	// convert gives a version out of a payload or Expect as the field's type holds it.
	Convert(version any) (any, error)
	// IsZero tells the version of a model that was never loaded.
	IsZero(version any) bool
	// next is the version after current, or the first one where current is nil or zero.
	Next(ctx context.Context, current any) (any, error)
	// NextInSQL is the next version as an expression over the stored one, for rows whose version is not at hand; nil
	// where SQL cannot make it, so that the rows have to be read.
	NextInSQL(column clause.Column) clause.Expression
	// bind gives a version as it is sent to the database.
	Bind(version any) any
	// stored gives a version as the column is going to give it back.
	Stored(version any) any
	// equals is the condition that a column holds a version: value is what bind gave, or a column that was filled with it.
	Equals(column clause.Column, value any) clause.Expression
	// ZeroInSQL is the zero value that a row may hold instead of NULL; nil if there is none.
	ZeroInSQL() any
	// IsSame tells whether two versions are the same one.
	IsSame(a, b any) bool
	// IsAhead tells whether a is later than b, for kinds that have an order.
	IsAhead(a, b any) bool
	// format gives a version that is not zero as text, in visible ASCII; ok is false where its type has none.
	Format(version any) (text string, ok bool)
	// parse undoes format. Of two texts for one version it may take both.
	Parse(text string) (version any, ok bool)
}

// Field is the column that holds a model's version, and the kind of version that is in it.
type Field struct {
	*schema.Field
	Kind       Kind
	boxed      any  // its column, as WriteQuoted takes it
	isPlain    bool // versions are compared with =
	ByDatabase bool // the database writes it: it is compared and read, never written
	BindInsert bool // an INSERT has to be given what bind makes of the version, not the field's value
	// PutImage puts a version into a model where a Snapshot stands in for a version: there is no column. Else it is nil.
	PutImage func(model reflect.Value, version any)
}

// IsSameOrZero reports whether two versions are the same one, where NULL is as good as the zero value.
func (f *Field) IsSameOrZero(a, b any) bool {
	return f.Kind.IsZero(a) && f.Kind.IsZero(b) || f.Kind.IsSame(a, b)
}

func (f *Field) Of(ctx context.Context, model reflect.Value) any {
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

// IsAdvancedInSQL tells a version that a statement moves on without knowing which it is.
func (f *Field) IsAdvancedInSQL() bool {
	return f.ByDatabase || f.Kind.NextInSQL(f.Column()) != nil
}

// Kinds makes the versions of fields: one for each plugin.
type Kinds struct {
	Dialect    *dialect.Dialect
	ColumnType func(*schema.Field) string // the column's type as a migration writes it
	Now        func() time.Time           // gorm.Config.NowFunc
	Generators map[string]Generator
	Types      Types
}

// Types are the types of version fields that need no tag.
type Types struct {
	Version, Xmin reflect.Type
	Box           func(int64) any // a value of the type version, made without reflection
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
		_, found.isPlain = found.Kind.(Counter)
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

// IsIgnored tells a field that GORM keeps no column for. "-:migration" is no such tag: that column is merely made elsewhere.
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

// The kinds that a tag can name.
const (
	kindCounter  = "counter"
	kindTime     = "time"
	kindUUID     = "uuid"
	kindDatabase = "database"
)

func (k *Kinds) useKind(version *Field, name string) (err error) {
	generator, generated := k.Generators[name]
	switch name {
	case "", kindCounter, kindTime, kindUUID:
		version.Kind, err = k.builtIn(version, name)
	case kindDatabase:
		version.Kind, version.ByDatabase = k.anyKind(version), true
	default:
		if !generated {
			return fmt.Errorf("there is no kind of version called %q", name)
		}
		version.Kind = Generated{Kind: k.anyKind(version), generator: generator, Name: name, typ: version.FieldType}
	}
	switch {
	case generated && isBuiltIn(name):
		return fmt.Errorf("WithGenerator(%q) would replace a kind that is there already: choose another name", name)
	case generated && generator == nil:
		return fmt.Errorf("WithGenerator(%q) was given a nil generator", name)
	}
	return err
}

func isBuiltIn(name string) bool {
	return name == "" || name == kindCounter || name == kindTime || name == kindUUID || name == kindDatabase
}

// builtIn is the kind that serves the field's type; with a name, the kind of that name only.
func (k *Kinds) builtIn(version *Field, name string) (Kind, error) {
	field := version.Field
	if counter, ok := k.newCounter(field); ok && (name == "" || name == kindCounter) {
		return counter, nil
	}
	if clock, ok := k.newClock(field); ok && (name == "" || name == kindTime) {
		if clock.column == "date" {
			return nil, errors.New("a column of type date holds no time of day: use another type")
		}
		return clock, nil
	}
	if random, ok := k.newRandom(version); ok && (name == "" || name == kindUUID) {
		return random, nil
	}
	if name != "" {
		return nil, fmt.Errorf("the kind of version %q does not serve type %s", name, field.FieldType)
	}
	return nil, fmt.Errorf("no kind of version serves type %s: use an integer type such as occ.Version, time.Time, string or uuid.UUID", field.FieldType)
}

// anyKind is how versions that others make are converted and compared: as the kind that serves the field's type does it,
// or by plain equality.
func (k *Kinds) anyKind(version *Field) Kind {
	if served, err := k.builtIn(version, ""); err == nil {
		return served
	}
	return plain{holderOf(version.FieldType)}
}

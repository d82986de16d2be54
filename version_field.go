package occ

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/gorm-occ/occ/internal/dialect"
)

// Version is the version of a row, a counter: 1 when the row is inserted, one more with every write. Embed it:
//
//	type Product struct {
//		ID    uint
//		Price int
//		occ.Version
//	}
//
// or give it a name and tags of your own. Its column is "version" unless a tag says otherwise, NOT NULL DEFAULT 1, so
// AutoMigrate adds it to a table with rows. The zero value is a version that was never loaded. Do not assign to it: the
// plugin keeps it equal to the row's.
type Version int64

// CreateClauses is called by GORM while it parses a model, the one moment before a migration at which the column can be
// given its default. Its clause has writes fail without the plugin. Embedding promotes it to the model, so it minds fields of type Version alone.
func (Version) CreateClauses(field *schema.Field) []clause.Interface {
	if field.FieldType != reflect.TypeFor[Version]() {
		return versionClauses[Version](field)
	}
	field.NotNull = true
	if !field.HasDefaultValue {
		field.HasDefaultValue, field.DefaultValue, field.DefaultValueInterface = true, "1", int64(1)
	}
	return versionClauses[Version](field)
}

// UpdateClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Version) UpdateClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Version](field)
}

// DeleteClauses is called by GORM while it parses a model. Its clause has writes fail without the plugin.
func (Version) DeleteClauses(field *schema.Field) []clause.Interface {
	return versionClauses[Version](field)
}

// versionClauses are those of a field of a version type; embedding has GORM ask for those of others too.
func versionClauses[V Version | Xmin](field *schema.Field) []clause.Interface {
	if field.IndirectFieldType != reflect.TypeFor[V]() || isIgnored(field) {
		return nil
	}
	return needPlugin(field)
}

// Generator makes the versions of a kind of the user's own; see [WithGenerator]. It must be safe for concurrent use.
type Generator interface {
	// Next returns the version after current, nil for a new row, in a type that the version field can hold. The context
	// is the statement's. An error stops the write before anything is sent.
	Next(ctx context.Context, current any) (any, error)
}

// kind is how one sort of version behaves. Versions go in and out as the version field's own type holds them.
type kind interface {
	// convert gives a version out of a payload or Expect as the field's type holds it.
	convert(version any) (any, error)
	// isZero tells the version of a model that was never loaded.
	isZero(version any) bool
	// next is the version after current, or the first one where current is nil or zero.
	next(ctx context.Context, current any) (any, error)
	// nextInSQL is the next version as an expression over the stored one, for rows whose version is not at hand; nil
	// where SQL cannot make it, so that the rows have to be read.
	nextInSQL(column clause.Column) clause.Expression
	// bind gives a version as it is sent to the database.
	bind(version any) any
	// stored gives a version as the column is going to give it back.
	stored(version any) any
	// equals is the condition that a column holds a version: value is what bind gave, or a column that was filled with it.
	equals(column clause.Column, value any) clause.Expression
	// zeroInSQL is the zero value that a row may hold instead of NULL; nil if there is none.
	zeroInSQL() any
	// isSame tells whether two versions are the same one.
	isSame(a, b any) bool
	// isAhead tells whether a is later than b, for kinds that have an order.
	isAhead(a, b any) bool
	// format gives a version that is not zero as text, in visible ASCII; ok is false where its type has none.
	format(version any) (text string, ok bool)
	// parse undoes format. Of two texts for one version it may take both.
	parse(text string) (version any, ok bool)
}

// versionField is the column that holds a model's version, and the kind of version that is in it.
type versionField struct {
	*schema.Field
	kind       kind
	boxed      any  // its column, as WriteQuoted takes it
	isPlain    bool // versions are compared with =
	byDatabase bool // the database writes it: it is compared and read, never written
	bindInsert bool // an INSERT has to be given what bind makes of the version, not the field's value
	// putImage puts a version into a model where a Snapshot stands in for a version: there is no column. Else it is nil.
	putImage func(model reflect.Value, version any)
}

// isSameOrZero reports whether two versions are the same one, where NULL is as good as the zero value.
func (f *versionField) isSameOrZero(a, b any) bool {
	return f.kind.isZero(a) && f.kind.isZero(b) || f.kind.isSame(a, b)
}

func (f *versionField) of(ctx context.Context, model reflect.Value) any {
	version, _ := f.ValueOf(ctx, model)
	return f.unshared(version)
}

// unshared copies what a version of a pointer type points to: GORM writes a payload into that, not into the field.
func (f *versionField) unshared(version any) any {
	if f.FieldType.Kind() != reflect.Pointer || version == nil {
		return version
	}
	return clone(reflect.ValueOf(version)).Interface()
}

// put sets the version of a model in memory; a model that was passed by value is left as it is.
func (f *versionField) put(ctx context.Context, model reflect.Value, version any) {
	if !model.CanAddr() {
		return
	}
	if f.putImage != nil {
		f.putImage(model, version)
		return
	}
	field := f.ReflectValueOf(ctx, model)
	if version == nil {
		field.SetZero()
		return
	}
	field.Set(reflect.ValueOf(f.unshared(version)))
}

// scanned gives a version as it came out of a query, in a value of the field's pool, as the field's type holds it.
func (f *versionField) scanned(ctx context.Context, value any) (any, error) {
	model := reflect.New(f.Schema.ModelType).Elem()
	if err := f.Set(ctx, model, value); err != nil {
		return nil, err
	}
	f.NewValuePool.Put(value)
	return f.of(ctx, model), nil
}

// convert names model and field in what the kind says of a version it cannot take.
func (f *versionField) convert(version any, source string) (any, error) {
	converted, err := f.kind.convert(version)
	if err != nil {
		return nil, fmt.Errorf("occ: model %s, field %s: %s is no version: %w", f.Schema.Name, f.Name, source, err)
	}
	return converted, nil
}

func (f *versionField) column() clause.Column {
	return clause.Column{Table: clause.CurrentTable, Name: f.DBName}
}

// condition is a version that is no single value: it writes by itself the condition that a row is at it.
type condition interface{ build(clause.Builder) }

// isAt writes the condition that a row is at a version; NULL is as good as the zero value. In bound there is room for the
// version as it is sent.
func (f *versionField) isAt(builder clause.Builder, version any, bound []any) {
	if c, ok := version.(condition); ok {
		c.build(builder)
		return
	}
	if !f.kind.isZero(version) {
		bound[0] = f.kind.bind(version)
		f.is(builder, bound)
		return
	}
	zero := f.kind.zeroInSQL()
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
func (f *versionField) is(builder clause.Builder, bound []any) {
	if !f.isPlain {
		f.kind.equals(f.column(), bound[0]).Build(builder)
		return
	}
	writeEq(builder, f.boxed, bound)
}

// isAtColumn is the condition that a row is at the version in a column of another table, which holds the kind's zeroInSQL
// for the zero value. With zero, NULL is as good as that.
func (f *versionField) isAtColumn(expected clause.Column, zero bool) clause.Expression {
	same := f.kind.equals(f.column(), expected)
	if !zero {
		return same
	}
	isZero := clause.Eq{Column: expected, Value: f.kind.zeroInSQL()}
	return clause.Or(same, clause.And(isZero, clause.Eq{Column: f.column()}))
}

// isAdvancedInSQL tells a version that a statement moves on without knowing which it is.
func (f *versionField) isAdvancedInSQL() bool {
	return f.byDatabase || f.kind.nextInSQL(f.column()) != nil
}

// kinds makes the versions of fields: one for each plugin.
type kinds struct {
	dialect    *dialect.Dialect
	columnType func(*schema.Field) string // the column's type as a migration writes it
	now        func() time.Time           // gorm.Config.NowFunc
	generators map[string]generator
	types      versionTypes
}

// versionTypes are the types of version fields that need no tag.
type versionTypes struct {
	version, xmin reflect.Type
	box           func(int64) any // a value of the type version, made without reflection
}

// findVersionField looks for the version among the fields of a schema: none is fine, two are not.
func (p *kinds) findVersionField(s *schema.Schema) (*versionField, error) {
	var found *versionField
	for _, field := range s.Fields {
		if !p.isVersionField(field) {
			continue
		}
		if stored := s.FieldsByDBName[field.DBName]; stored != field {
			if stored != nil && p.isVersionField(stored) {
				continue // an outer struct declares the version of an embedded one again
			}
			return nil, notStored(field, stored)
		}
		if found != nil {
			return nil, fmt.Errorf("occ: model %s has two version fields, %s and %s: keep one", s.Name, found.Name, field.Name)
		}
		version, err := p.newVersionField(field)
		if err != nil {
			return nil, fmt.Errorf("occ: model %s, field %s: %w", s.Name, field.Name, err)
		}
		found = version
		found.boxed = found.column()
		_, found.isPlain = found.kind.(counter)
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

func (p *kinds) isVersionField(field *schema.Field) bool {
	if isIgnored(field) {
		return false
	}
	_, tagged := field.TagSettings[versionTag]
	return tagged || field.IndirectFieldType == p.types.version || field.IndirectFieldType == p.types.xmin
}

// isIgnored tells a field that GORM keeps no column for. "-:migration" is no such tag: that column is merely made elsewhere.
func isIgnored(field *schema.Field) bool {
	ignored := strings.ToLower(strings.TrimSpace(field.TagSettings["-"]))
	return ignored == "-" || ignored == "all"
}

// newVersionField finds the kind of version that a field's tag names, or that its type stands for.
func (p *kinds) newVersionField(field *schema.Field) (*versionField, error) {
	version := &versionField{Field: field}
	if field.IndirectFieldType == p.types.xmin {
		return version, p.useXmin(version)
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
	if _, deletes := reflect.New(field.IndirectFieldType).Interface().(schema.DeleteClausesInterface); deletes && field.IndirectFieldType != p.types.version {
		return nil, fmt.Errorf("a version cannot be of type %s: a row with one would count as deleted", field.FieldType)
	}
	name := field.TagSettings[versionTag]
	if name == versionTag {
		name = ""
	}
	return version, p.useKind(version, name)
}

// The kinds that a tag can name.
const (
	kindCounter  = "counter"
	kindTime     = "time"
	kindUUID     = "uuid"
	kindDatabase = "database"
)

func (p *kinds) useKind(version *versionField, name string) (err error) {
	generator, generated := p.generators[name]
	switch name {
	case "", kindCounter, kindTime, kindUUID:
		version.kind, err = p.builtIn(version, name)
	case kindDatabase:
		version.kind, version.byDatabase = p.anyKind(version), true
	default:
		if !generated {
			return fmt.Errorf("there is no kind of version called %q", name)
		}
		version.kind = generatorKind{kind: p.anyKind(version), generator: generator, name: name, typ: version.FieldType}
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
func (p *kinds) builtIn(version *versionField, name string) (kind, error) {
	field := version.Field
	if counter, ok := p.newCounter(field); ok && (name == "" || name == kindCounter) {
		return counter, nil
	}
	if clock, ok := p.newClock(field); ok && (name == "" || name == kindTime) {
		if clock.column == "date" {
			return nil, errors.New("a column of type date holds no time of day: use another type")
		}
		return clock, nil
	}
	if random, ok := p.newRandom(version); ok && (name == "" || name == kindUUID) {
		return random, nil
	}
	if name != "" {
		return nil, fmt.Errorf("the kind of version %q does not serve type %s", name, field.FieldType)
	}
	return nil, fmt.Errorf("no kind of version serves type %s: use an integer type such as occ.Version, time.Time, string or uuid.UUID", field.FieldType)
}

// anyKind is how versions that others make are converted and compared: as the kind that serves the field's type does it,
// or by plain equality.
func (p *kinds) anyKind(version *versionField) kind {
	if served, err := p.builtIn(version, ""); err == nil {
		return served
	}
	return plain{holderOf(version.FieldType)}
}

package occvet

import (
	"go/types"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/schema"
)

const (
	occPath    = "github.com/gorm-occ/occ"
	gormPath   = "gorm.io/gorm"
	versionTag = "VERSION"
)

// column is a field of a model that GORM keeps a column for.
type column struct {
	field    *types.Var
	name     string
	settings map[string]string
	depth    int // how many embedded structs it is in
}

// model is what is known of a struct that GORM stores, from its type alone.
type model struct {
	named       *types.Named
	columns     []column
	versions    []column
	hasSnapshot bool
	touches     []column
	hidden      []*types.Var // unexported fields that hold a version: GORM does not see them
}

func (m *model) name() string { return m.named.Obj().Name() }

// version is the version's column; nil where there is none, or no single one.
func (m *model) version() *column {
	if len(m.versions) != 1 {
		return nil
	}
	return &m.versions[0]
}

// isVersioned reports whether occ compares the model's writes.
func (m *model) isVersioned() bool { return m != nil && (m.hasSnapshot || len(m.versions) > 0) }

// isKey reports whether a field of this name is part of the primary key.
func (m *model) isKey(name string) bool {
	return slices.ContainsFunc(m.keys(), func(c column) bool { return c.field.Name() == name })
}

// keys are the columns that are tagged as the primary key, or the one called id.
func (m *model) keys() []column {
	var keys []column
	for _, c := range m.columns {
		if isTrue(c.settings["PRIMARYKEY"]) || isTrue(c.settings["PRIMARY_KEY"]) {
			keys = append(keys, c)
		}
	}
	if keys != nil {
		return keys
	}
	for _, c := range m.columns {
		if c.name == "id" || c.field.Name() == "ID" {
			return []column{c}
		}
	}
	return nil
}

func isTrue(setting string) bool { return setting != "" && !strings.EqualFold(setting, "false") }

// isVersionName reports whether a column or field name in a payload is that of the version.
func (m *model) isVersionName(name string) bool {
	v := m.version()
	return v != nil && (name == v.name || name == v.field.Name())
}

// unversioned are the names of the columns that move no version.
func (m *model) unversioned() []string {
	var names []string
	for _, c := range m.columns {
		if _, tagged := c.settings["UNVERSIONED"]; tagged {
			names = append(names, c.name)
		}
	}
	return names
}

var naming = schema.NamingStrategy{IdentifierMaxLength: 64}

// modelOf reads the model that a type is, points to or is a list of; nil where that is no named struct.
func modelOf(t types.Type) *model {
	named := namedStruct(t)
	if named == nil || named.Obj().Pkg() == nil || isNamed(named, occPath, "Snapshot") {
		return nil
	}
	m := &model{named: named}
	m.addFields(named.Underlying().(*types.Struct), "", 0, map[types.Type]bool{named: true})
	m.dropShadowed()
	return m
}

// deepest is how many pointers and lists may be around a model.
const deepest = 8

// namedStruct goes through pointers, slices and arrays to the named struct behind them.
func namedStruct(t types.Type) *types.Named {
	for range deepest { // type T []T has no end
		if t == nil {
			return nil
		}
		t = types.Unalias(t)
		switch u := t.(type) {
		case *types.Pointer:
			t = u.Elem()
		case *types.Slice:
			t = u.Elem()
		case *types.Array:
			t = u.Elem()
		case *types.Named:
			if _, isStruct := u.Underlying().(*types.Struct); isStruct {
				return u
			}
			t = elementOf(u.Underlying())
		default:
			return nil
		}
	}
	return nil
}

// elementOf is the element of a list type; nil of any other type.
func elementOf(t types.Type) types.Type {
	switch u := t.(type) {
	case *types.Slice:
		return u.Elem()
	case *types.Array:
		return u.Elem()
	}
	return nil
}

func (m *model) addFields(s *types.Struct, prefix string, depth int, seen map[types.Type]bool) {
	for i := range s.NumFields() {
		field := s.Field(i)
		settings := schema.ParseTagSetting(reflect.StructTag(s.Tag(i)).Get("gorm"), ";")
		if isIgnored(settings) {
			continue
		}
		if !field.Exported() {
			m.addHidden(field, settings, seen)
			continue
		}
		m.addField(field, settings, prefix, depth, seen)
	}
}

func isIgnored(settings map[string]string) bool {
	ignored := strings.ToLower(strings.TrimSpace(settings["-"]))
	return ignored == "-" || ignored == "all"
}

// addHidden remembers a field that GORM passes over though it holds a version.
func (m *model) addHidden(field *types.Var, settings map[string]string, seen map[types.Type]bool) {
	if isVersionField(field, settings) {
		m.hidden = append(m.hidden, field)
		return
	}
	inner := embedded(field, settings)
	if !field.Embedded() || inner == nil || seen[inner] {
		return
	}
	seen[inner] = true
	within := &model{named: m.named}
	within.addFields(inner.Underlying().(*types.Struct), "", 0, seen)
	delete(seen, inner)
	if within.isVersioned() {
		m.hidden = append(m.hidden, field)
	}
}

func (m *model) addField(field *types.Var, settings map[string]string, prefix string, depth int, seen map[types.Type]bool) {
	if isNamed(deref(field.Type()), occPath, "Snapshot") {
		m.hasSnapshot = true
		return
	}
	if inner := embedded(field, settings); inner != nil && !seen[inner] {
		seen[inner] = true
		m.addFields(inner.Underlying().(*types.Struct), prefix+settings["EMBEDDEDPREFIX"], depth+1, seen)
		delete(seen, inner)
		return
	}
	c := column{field: field, name: prefix + columnName(field, settings), settings: settings, depth: depth}
	if _, touch := settings["TOUCH"]; touch {
		m.touches = append(m.touches, c)
	}
	m.columns = append(m.columns, c)
	if isVersionField(field, settings) {
		m.versions = append(m.versions, c)
	}
}

func columnName(field *types.Var, settings map[string]string) string {
	if name := settings["COLUMN"]; name != "" {
		return name
	}
	return naming.ColumnName("", field.Name())
}

// embedded is the struct whose fields GORM takes for the model's own; nil where the field is one of its own.
func embedded(field *types.Var, settings map[string]string) types.Type {
	t := types.Unalias(deref(field.Type()))
	if _, isStruct := t.Underlying().(*types.Struct); !isStruct {
		return nil
	}
	if _, tagged := settings["EMBEDDED"]; tagged {
		return t
	}
	if !field.Embedded() || isNamed(t, "time", "Time") || hasMethod(t, "Value") {
		return nil
	}
	return t
}

// isVersionField reports whether a field's tag or type makes it the version.
func isVersionField(field *types.Var, settings map[string]string) bool {
	_, tagged := settings[versionTag]
	t := deref(field.Type())
	return tagged || isNamed(t, occPath, "Version") || isNamed(t, occPath, "Xmin")
}

// dropShadowed leaves one version for each column: an outer struct may declare that of an embedded one again.
func (m *model) dropShadowed() {
	var kept []column
	for _, v := range m.versions {
		isShadowed := slices.ContainsFunc(m.columns, func(c column) bool { return c.name == v.name && c.depth < v.depth })
		if !isShadowed {
			kept = append(kept, v)
		}
	}
	m.versions = kept
}

func deref(t types.Type) types.Type {
	for {
		pointer, ok := types.Unalias(t).(*types.Pointer)
		if !ok {
			return t
		}
		t = pointer.Elem()
	}
}

// isNamed reports whether a type is the named one of a package, or an instance of it.
func isNamed(t types.Type, path, name string) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && isObject(named.Obj(), path, name)
}

func isObject(o types.Object, path, name string) bool {
	return o != nil && o.Pkg() != nil && o.Pkg().Path() == path && o.Name() == name
}

// isFunction reports whether f is a function of a package, and no method.
func isFunction(f *types.Func, path, name string) bool {
	return f != nil && f.Signature().Recv() == nil && isObject(f, path, name)
}

func hasMethod(t types.Type, name string) bool {
	o, _, _ := types.LookupFieldOrMethod(t, true, nil, name)
	_, isFunc := o.(*types.Func)
	return isFunc
}

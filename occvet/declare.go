package occvet

import (
	"fmt"
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

var declare = &analysis.Analyzer{
	Name: "declare",
	Doc: `report versions that cannot work, and //occvet:ignore without a reason

A model whose version occ cannot use fails at its first use, or, where GORM does not even see the field, is
silently not compared. Reported are

  - a version in an unexported field, or in an embedded struct whose type is unexported: GORM keeps no column for it;
  - two version fields in one model;
  - a type that no kind of version serves, or another one than the kind that the tag names;
  - a version that is part of the primary key, has a serializer, or may not be read or written by its tags;
  - gorm:"touch" on something else than a belongs-to association, or with a parent that has no version.

A comment //occvet:ignore says on a finding's line, or alone on the line above it, why the finding is none. Without a
reason it is reported itself, and ignores nothing:

	//occvet:ignore the importer runs alone
	db.Exec("UPDATE products SET stock = 0")`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runDeclare,
}

func runDeclare(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	for _, lines := range u.ignores {
		for _, found := range lines {
			if found.reason == "" {
				pass.ReportRangef(found.comment, "occvet:ignore needs a reason: //occvet:ignore why this is right")
			}
		}
	}
	if len(u.parents) == 0 {
		return nil, nil
	}
	for _, file := range pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				u.reportModel(pass, spec)
			}
			return true
		})
	}
	return nil, nil
}

func (u *unit) reportModel(pass *analysis.Pass, spec *ast.TypeSpec) {
	name, _ := u.pass.TypesInfo.Defs[spec.Name].(*types.TypeName)
	if name == nil || name.IsAlias() {
		return
	}
	if _, isStruct := name.Type().Underlying().(*types.Struct); !isStruct {
		return
	}
	m := modelOf(name.Type())
	if m == nil || len(m.keys()) == 0 {
		return // a base to be embedded, or no model
	}
	u.reportHidden(pass, spec, m)
	if len(m.versions) > 1 {
		u.report(pass, spec.Name, "%s has two version fields, %s and %s: keep one", m.name(), m.versions[0].field.Name(), m.versions[1].field.Name())
		return
	}
	if v := m.version(); v != nil {
		if fault := faultOf(*v); fault != "" {
			u.report(pass, fieldOr(spec, v.field), "field %s of %s cannot be a version: %s", v.field.Name(), m.name(), fault)
		}
	}
	for _, touch := range m.touches {
		if fault := u.touchFault(m, touch); fault != "" {
			u.report(pass, fieldOr(spec, touch.field), "field %s of %s: %s", touch.field.Name(), m.name(), fault)
		}
	}
}

// reportHidden reports versions that GORM does not see.
func (u *unit) reportHidden(pass *analysis.Pass, spec *ast.TypeSpec, m *model) {
	for _, field := range m.hidden {
		if m.isVersioned() || !within(field, spec) {
			continue
		}
		u.report(pass, fieldOr(spec, field), "field %s of %s is unexported: GORM keeps no column for the version in it, so nothing is compared", field.Name(), m.name())
	}
}

// fieldOr is a field where it is declared in the type's own text, else the type's name.
func fieldOr(spec *ast.TypeSpec, field *types.Var) analysis.Range {
	var found analysis.Range = spec.Name
	ast.Inspect(spec.Type, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && f.Pos() <= field.Pos() && field.Pos() < f.End() {
			found = f
		}
		return true
	})
	return found
}

// faultOf says why a column cannot be the version; "" where it can.
func faultOf(v column) string {
	_, hasSerializer := v.settings["SERIALIZER"]
	switch {
	case hasSerializer:
		return "a version has no serializer"
	case isTrue(v.settings["PRIMARYKEY"]) || isTrue(v.settings["PRIMARY_KEY"]):
		return "the primary key names the row at all of its versions"
	case isRestricted(v.settings):
		return "the plugin has to read and write it: remove the permission tag"
	}
	kind := strings.ToLower(v.settings[versionTag])
	if kind == strings.ToLower(versionTag) {
		kind = ""
	}
	return kindFault(kind, coreOf(v.field.Type()), v.field.Type())
}

// isRestricted reports whether a field's permission tags keep GORM from creating, updating or reading it.
func isRestricted(settings map[string]string) bool {
	write, hasWrite := settings["<-"]
	read, hasRead := settings["->"]
	if hasWrite && write != "<-" && !(strings.Contains(write, "create") && strings.Contains(write, "update")) && !strings.EqualFold(write, "true") {
		return true
	}
	return hasRead && (!hasWrite || strings.EqualFold(read, "false"))
}

// coreOf is what a type holds: through pointers, and the nullable types of database/sql.
func coreOf(t types.Type) types.Type {
	t = deref(t)
	s, isStruct := t.Underlying().(*types.Struct)
	if isStruct && s.NumFields() == 2 && s.Field(0).Exported() && s.Field(1).Name() == "Valid" && hasMethod(t, "Value") && hasMethod(t, "Scan") {
		return s.Field(0).Type()
	}
	return t
}

// kindFault says why a kind does not serve a type; kinds that are not built in may serve any, and a type parameter may be any.
func kindFault(kind string, core, t types.Type) string {
	if _, isParameter := types.Unalias(core).(*types.TypeParam); isParameter {
		return ""
	}
	serves := map[string]bool{"counter": isInteger(core), "time": isNamed(core, "time", "Time"), "uuid": isUUID(core)}
	served, isBuiltIn := serves[kind]
	switch {
	case kind == "" && !serves["counter"] && !serves["time"] && !serves["uuid"]:
		return fmt.Sprintf("no kind of version serves type %s; use an integer type such as occ.Version, time.Time, string or uuid.UUID", t)
	case isBuiltIn && !served:
		return fmt.Sprintf("the kind %q does not serve type %s", kind, t)
	}
	return ""
}

func isInteger(t types.Type) bool {
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsInteger != 0 && basic.Kind() != types.Uintptr
}

// isUUID reports whether a type is a string or an array of 16 bytes.
func isUUID(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&types.IsString != 0
	case *types.Array:
		element, ok := u.Elem().Underlying().(*types.Basic)
		return ok && u.Len() == 16 && element.Kind() == types.Byte
	}
	return false
}

// touchFault says why a write of the child cannot move its parent's version.
func (u *unit) touchFault(m *model, touch column) string {
	t := deref(touch.field.Type())
	parent := modelOf(t)
	switch {
	case elementOf(t.Underlying()) != nil || parent == nil:
		return "touch is for a belongs-to association"
	case !parent.isVersioned():
		return fmt.Sprintf("touch needs a version, and %s has none", parent.name())
	}
	return ""
}

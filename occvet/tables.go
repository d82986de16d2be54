package occvet

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// table is the table of a versioned model whose version a statement has to write.
type table struct {
	Name, Model, Column string
	Unversioned         []string // columns that move no version
}

// tables is the fact that a package declares versioned models, and has triggers made for some.
type tables struct {
	Of        []table
	Triggered []string // models that CreateTriggers is called for: the database moves their versions
	Blind     bool     // WithBlindWrites is called: models that were never loaded are written
}

// AFact marks tables as a fact.
func (*tables) AFact() {}

func (t *tables) String() string {
	var names []string
	for _, each := range t.Of {
		names = append(names, each.Name)
	}
	return "tables " + strings.Join(names, " ")
}

// collectTables finds the tables that the package and those it imports declare, without those that have triggers.
func (u *unit) collectTables() {
	own := u.ownTables()
	u.isBlind = own.Blind
	if len(own.Of)+len(own.Triggered) > 0 || own.Blind {
		u.pass.ExportPackageFact(own)
	}
	all, triggered := slices.Clone(own.Of), slices.Clone(own.Triggered)
	for _, fact := range u.pass.AllPackageFacts() {
		if of, ok := fact.Fact.(*tables); ok && fact.Package != u.pass.Pkg {
			all, triggered = append(all, of.Of...), append(triggered, of.Triggered...)
			u.isBlind = u.isBlind || of.Blind
		}
	}
	for _, t := range all {
		if !slices.Contains(triggered, t.Model) {
			u.tables = append(u.tables, t)
		}
	}
}

func (u *unit) ownTables() *tables {
	own := &tables{}
	scope := u.pass.Pkg.Scope()
	for _, name := range scope.Names() {
		declared, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || declared.IsAlias() {
			continue
		}
		named, ok := declared.Type().(*types.Named)
		if !ok || named.TypeParams().Len() > 0 {
			continue
		}
		if m := u.model(named); m != nil && m.named == named {
			own.Of = u.appendTable(own.Of, m)
		}
	}
	if u.importsOCC() {
		u.addSettings(own)
	}
	return own
}

func (u *unit) importsOCC() bool {
	return slices.ContainsFunc(u.pass.Pkg.Imports(), func(p *types.Package) bool { return p.Path() == occPath })
}

// appendTable adds the table of a model whose version SQL has to write: the database moves xmin and its own versions, and a
// snapshot is no column.
func (u *unit) appendTable(all []table, m *model) []table {
	v := m.version()
	if v == nil || v.settings[versionTag] == "database" || isNamed(deref(v.field.Type()), occPath, "Xmin") {
		return all
	}
	name := u.tableOf(m)
	if name == "" {
		return all
	}
	return append(all, table{name, typeName(m.named), v.name, m.unversioned()})
}

func typeName(named *types.Named) string {
	return named.Obj().Pkg().Path() + "." + named.Obj().Name()
}

// tableOf is what the model's TableName returns, or the name that GORM makes; "" where TableName computes it.
func (u *unit) tableOf(m *model) string {
	if !hasMethod(m.named, "TableName") {
		return naming.TableName(m.name())
	}
	for _, file := range u.pass.Files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Name.Name == "TableName" && f.Recv != nil && namedStruct(u.typeOf(f.Recv.List[0].Type)) == m.named {
				return u.constantResult(f)
			}
		}
	}
	return ""
}

// constantResult is the string that a function of one statement returns.
func (u *unit) constantResult(f *ast.FuncDecl) string {
	if f.Body == nil || len(f.Body.List) != 1 {
		return ""
	}
	returned, ok := f.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(returned.Results) != 1 {
		return ""
	}
	name, _ := u.text(returned.Results[0])
	return name
}

// addSettings looks for what the package makes of the plugin: triggers, and writes that are not compared.
func (u *unit) addSettings(own *tables) {
	for _, file := range u.pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			own.Blind = own.Blind || isFunction(u.callee(call), occPath, "WithBlindWrites")
			if isFunction(u.callee(call), occPath, "CreateTriggers") {
				own.Triggered = append(own.Triggered, u.modelsIn(call.Args)...)
			}
			return true
		})
	}
}

// modelsIn are the names of the versioned models among arguments.
func (u *unit) modelsIn(arguments []ast.Expr) (names []string) {
	for _, argument := range arguments {
		if m := u.model(u.typeOf(argument)); m != nil {
			names = append(names, typeName(m.named))
		}
	}
	return names
}

// tableNamed is the table of a versioned model; a schema before the name is left out.
func (u *unit) tableNamed(name string) *table {
	at := slices.IndexFunc(u.tables, func(t table) bool {
		_, last, qualified := strings.Cut(t.Name, ".")
		return strings.EqualFold(t.Name, name) || qualified && strings.EqualFold(last, name)
	})
	if at < 0 {
		return nil
	}
	return &u.tables[at]
}

package occvet

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// facts reads a package once for all checks, and hands on what the packages that import it have to know: the tables of
// versioned models, and the functions whose result is the outcome of a write.
var facts = &analysis.Analyzer{
	Name:       "occfacts",
	Doc:        "find versioned models and writes of them, for the checks of occvet",
	Run:        func(pass *analysis.Pass) (any, error) { return newUnit(pass), nil },
	FactTypes:  []analysis.Fact{new(tables), new(outcome)},
	ResultType: reflect.TypeFor[*unit](),
}

// unit is one package as the checks see it.
type unit struct {
	pass     *analysis.Pass
	parents  map[ast.Node]ast.Node
	models   map[*types.Named]*model
	writes   []*write
	scopes   []*scope                   // closures that run in a transaction
	bindings map[types.Object]*binding  // local variables
	tables   []table                    // of versioned models, here and in the packages that are imported
	isBlind  bool                       // the plugin lets models be written that were never loaded, here or in a package that is imported
	results  map[*types.Func]*outcome   // functions of this package that hand on the outcome of a write
	ignores  map[string]map[int]*ignore // by file and line
}

func newUnit(pass *analysis.Pass) *unit {
	u := &unit{
		pass: pass, parents: map[ast.Node]ast.Node{}, models: map[*types.Named]*model{},
		bindings: map[types.Object]*binding{}, results: map[*types.Func]*outcome{}, ignores: map[string]map[int]*ignore{},
	}
	u.collectTables()
	if !u.concernsGORM() {
		return u
	}
	for _, file := range pass.Files {
		u.addParents(file)
		u.addIgnores(file)
		u.bind(file)
	}
	u.collectCalls()
	u.collectOutcomes()
	return u
}

// concernsGORM reports whether the package can hold writes or models: most packages of a build cannot.
func (u *unit) concernsGORM() bool {
	path := u.pass.Pkg.Path()
	if path == gormPath || strings.HasPrefix(path, gormPath+"/") || u.isOCC() {
		return false
	}
	return len(u.tables) > 0 || slices.ContainsFunc(u.pass.Pkg.Imports(), func(p *types.Package) bool {
		return p.Path() == gormPath || p.Path() == occPath
	}) || u.hasFactsOfImports()
}

// isOCC reports whether the package is occ itself, whose own code is no use of it. Its tests are.
func (u *unit) isOCC() bool { return u.pass.Pkg.Path() == occPath }

// hasFactsOfImports reports whether an imported package hands on outcomes of writes.
func (u *unit) hasFactsOfImports() bool {
	return len(u.pass.AllObjectFacts()) > 0
}

func (u *unit) addParents(file *ast.File) {
	var stack []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if len(stack) > 0 {
			u.parents[n] = stack[len(stack)-1]
		}
		stack = append(stack, n)
		return true
	})
}

// parent is the node around n, parentheses left out.
func (u *unit) parent(n ast.Node) ast.Node {
	p := u.parents[n]
	for {
		paren, ok := p.(*ast.ParenExpr)
		if !ok {
			return p
		}
		p = u.parents[paren]
	}
}

// function is the innermost function around n: an *ast.FuncDecl or *ast.FuncLit, nil at package level.
func (u *unit) function(n ast.Node) ast.Node {
	for p := u.parents[n]; p != nil; p = u.parents[p] {
		switch p.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			return p
		}
	}
	return nil
}

// model reads the model of a type; nil where it has no version.
func (u *unit) model(t types.Type) *model {
	named := namedStruct(t)
	if named == nil {
		return nil
	}
	m, known := u.models[named]
	if !known {
		m = modelOf(named)
		u.models[named] = m
	}
	if !m.isVersioned() {
		return nil
	}
	return m
}

func (u *unit) typeOf(e ast.Expr) types.Type { return u.pass.TypesInfo.TypeOf(e) }

// object is the variable or function that an identifier or a qualified identifier names.
func (u *unit) object(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return u.pass.TypesInfo.ObjectOf(e)
	case *ast.SelectorExpr:
		return u.pass.TypesInfo.ObjectOf(e.Sel)
	}
	return nil
}

// callee is the function or method that is called; nil for a value of a function type.
func (u *unit) callee(call *ast.CallExpr) *types.Func {
	fun := ast.Unparen(call.Fun)
	switch instance := fun.(type) {
	case *ast.IndexExpr:
		fun = instance.X
	case *ast.IndexListExpr:
		fun = instance.X
	}
	f, _ := u.object(fun).(*types.Func)
	return f
}

// text is the value of a constant string expression.
func (u *unit) text(e ast.Expr) (string, bool) {
	value := u.pass.TypesInfo.Types[e].Value
	if value == nil || value.Kind() != constant.String {
		return "", false
	}
	return constant.StringVal(value), true
}

// isTest reports whether a position is in a test file.
func (u *unit) isTest(pos token.Pos) bool {
	return strings.HasSuffix(u.pass.Fset.Position(pos).Filename, "_test.go")
}

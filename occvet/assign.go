package occvet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

var assign = &analysis.Analyzer{
	Name: "assign",
	Doc: `report code that counts the version itself

The plugin writes the next version into the row and into the model. Code that counts too makes the
model claim a version that its row does not have, and the next write is refused:

	product.Version++                                               // reported
	product.Version = product.Version + 1                           // reported

A version in a payload says what the payload was based on. It is compared, never stored,
so the next one there is refused, and an expression cannot be compared:

	db.Model(&p).Updates(map[string]any{"stock": 8, "version": p.Version + 1})              // reported
	db.Model(&p).Update("version", gorm.Expr("version + 1"))                                // reported
	db.Table("products").Where("id = 1").Update("version", gorm.Expr("version + 1"))        // reported

Delete the counting. To move a version and nothing else, call occ.Touch.

Not reported: a version that is copied, as in product.Version = form.Version, which says what a
client has seen.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runAssign,
}

func runAssign(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	for _, file := range u.pass.Files {
		if len(u.parents) == 0 {
			break
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field := u.counted(n); field != "" {
				u.report(pass, n, "%s is counted by the plugin: delete this, or call occ.Touch to move the version alone", field)
			}
			if call, ok := n.(*ast.CallExpr); ok {
				u.reportTable(pass, call)
			}
			return true
		})
	}
	for _, w := range u.writes {
		if w.isUpdate() {
			u.reportPayload(pass, w)
		}
	}
	return nil, nil
}

// counted is the name of the version that a statement counts up or down; "" for any other node.
func (u *unit) counted(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IncDecStmt:
		return u.versionName(n.X)
	case *ast.AssignStmt:
		if len(n.Lhs) != 1 || len(n.Rhs) != 1 {
			return ""
		}
		isCount := n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN || n.Tok == token.ASSIGN && u.isSum(n.Rhs[0], n.Lhs[0])
		if isCount {
			return u.versionName(n.Lhs[0])
		}
	}
	return ""
}

// versionName is the name of the version field that an expression selects; "" where it is another one.
func (u *unit) versionName(e ast.Expr) string {
	sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	field, _ := u.object(sel).(*types.Var)
	m := u.model(u.typeOf(sel.X))
	if field == nil || m == nil || m.version() == nil || m.version().field != field {
		return ""
	}
	return m.name() + "." + field.Name()
}

// isSum reports whether an expression adds to a version, or takes from it: to the given one, if there is one.
func (u *unit) isSum(e ast.Expr, of ast.Expr) bool {
	e = ast.Unparen(e)
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 && u.pass.TypesInfo.Types[call.Fun].IsType() {
		return u.isSum(call.Args[0], of) // a conversion
	}
	sum, ok := e.(*ast.BinaryExpr)
	if !ok || sum.Op != token.ADD && sum.Op != token.SUB {
		return false
	}
	for _, side := range []ast.Expr{sum.X, sum.Y} {
		if u.versionName(side) != "" && (of == nil || u.isSame(side, of)) {
			return true
		}
	}
	return false
}

// reportPayload reports what a payload gives the version: the next one, or an expression.
func (u *unit) reportPayload(pass *analysis.Pass, w *write) {
	names, values, _ := u.pairs(w)
	for i, name := range names {
		value := values[i]
		switch {
		case !w.model.isVersionName(name):
		case u.isExpression(value):
			u.report(pass, value, "the plugin writes the next version of %s: delete this from the payload, or call occ.Touch to move the version alone", w.model.name())
		case u.isSum(value, nil):
			u.report(pass, value, "a version in the payload is compared with the row's, not stored: delete the next version of %s", w.model.name())
		}
	}
}

// reportTable reports an expression for the version in a write of a table that is named, and has a versioned model.
func (u *unit) reportTable(pass *analysis.Pass, call *ast.CallExpr) {
	f := u.callee(call)
	if !isGORM(f) || receiver(call) == nil {
		return
	}
	w := &write{call: call, method: f.Name(), args: call.Args}
	w.links, _ = u.chain(receiver(call))
	at := slices.IndexFunc(w.links, func(l link) bool { return l.name == "Table" && len(l.args) > 0 })
	if !w.isUpdate() || at < 0 || w.has("Model") {
		return
	}
	name, _ := u.text(w.links[at].args[0])
	t := u.tableNamed(name)
	names, values, _ := u.pairs(w)
	for i, name := range names {
		if t != nil && name == t.Column && u.isExpression(values[i]) {
			u.report(pass, values[i], "the plugin writes the next version of %s: delete this from the payload, or call occ.Touch to move the version alone", t.Name)
		}
	}
}

// isExpression reports whether a value is SQL, such as gorm.Expr.
func (u *unit) isExpression(e ast.Expr) bool {
	return isNamed(deref(u.typeOf(e)), gormPath+"/clause", "Expr") || isNamed(deref(u.typeOf(e)), gormPath+"/clause", "NamedExpr")
}

package occvet

import (
	"go/ast"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

var byKey = &analysis.Analyzer{
	Name: "bykey",
	Doc: `report writes that name one row in a condition and are not compared (off by default)

	db.Model(&Product{}).Where("id = ?", id).Updates(form)    // reported
	db.Delete(&Product{}, id)                                 // reported

occ takes them for writes by condition: whatever somebody else has written into the row since it was
shown is overwritten. If the write is based on what somebody has seen, say so:

	db.Model(&Product{ID: id}).Clauses(occ.Expect(form.Version)).Updates(form)

Turn it on with -bykey, or with -bykey.on beside the other checks. It is off because a write like
Update("stock", gorm.Expr("stock - 1")) is right as it is; such payloads, of expressions alone, are not reported.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Flags:    offByDefault(),
	Requires: []*analysis.Analyzer{facts},
	Run:      runByKey,
}

func runByKey(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	if !isOn(pass.Analyzer) {
		return nil, nil
	}
	for _, w := range u.writes {
		if w.isSingle() && u.handle(w) == typeOnly && !u.isGiven(w) && !u.paysVersion(w) && u.namesKey(w) && !u.paysExpressions(w) && !u.isUncounted(w) {
			u.report(pass, w.call, "this write names one %s in a condition and is not compared: say with occ.Expect what it is based on", w.model.name())
		}
	}
	return nil, nil
}

// namesKey reports whether a condition asks for a key: in text, as a number, or as a model with its key.
func (u *unit) namesKey(w *write) bool {
	for _, l := range w.links {
		if l.name == "Where" && len(l.args) > 0 && u.isKeyCondition(w.model, l.args[0]) {
			return true
		}
	}
	return w.method == "Delete" && !w.isGeneric && len(w.args) == 2 && !u.isList(w.args[1]) || w.method == "Delete" &&
		!w.isGeneric && len(w.args) > 1 && u.isKeyCondition(w.model, w.args[1])
}

func (u *unit) isList(e ast.Expr) bool {
	_, isText := u.text(e)
	return isText || elementOf(u.typeOf(e).Underlying()) != nil
}

func (u *unit) isKeyCondition(m *model, e ast.Expr) bool {
	if condition, isText := u.text(e); isText {
		return slices.ContainsFunc(m.keys(), func(c column) bool { return namesColumn(condition, c.name) }) && len(m.keys()) == 1
	}
	if address, ok := ast.Unparen(e).(*ast.UnaryExpr); ok {
		e = address.X
	}
	literal, ok := ast.Unparen(e).(*ast.CompositeLit)
	if !ok {
		return false
	}
	return slices.ContainsFunc(literal.Elts, func(e ast.Expr) bool {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		name, isText := u.text(pair.Key)
		if id, isIdent := pair.Key.(*ast.Ident); isIdent && !isText {
			return m.isKey(id.Name)
		}
		return slices.ContainsFunc(m.keys(), func(c column) bool { return strings.EqualFold(c.name, name) })
	})
}

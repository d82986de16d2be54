package occvet

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

var leftover = &analysis.Analyzer{
	Name: "leftover",
	Doc: `report checks by hand that occ has taken over

Code that compared versions itself keeps its condition, or its look at the number of rows:

	res := db.Model(&p).Where("version = ?", p.Version).Updates(...)   // reported
	res := db.Save(&p)
	if res.RowsAffected == 0 { ... }                                   // reported

On a compared write the condition says again what the plugin says, and the branch is never taken:
a stale write is an error that matches occ.ErrStaleData. Delete the condition, and read the
error instead of the number.

Not reported: writes by condition (db.Model(&Product{}).Where(...)), where the number of rows is
all there is; the number of rows of a write with conditions of the caller's own, which is 0 without an error
where they do not hold; and the number of rows in test files, which assert it.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runLeftover,
}

func runLeftover(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	for _, w := range u.writes {
		if !u.isCompared(w) || u.handle(w) == typeOnly && w.method != "Save" {
			continue
		}
		for _, l := range w.links {
			u.reportCondition(pass, w, l)
		}
		if !w.hasConditions() && len(w.clauses()) == 0 && !u.isTest(w.call.Pos()) {
			u.reportRows(pass, w)
		}
	}
	return nil, nil
}

// reportCondition reports a condition on the version, as text or as a map.
func (u *unit) reportCondition(pass *analysis.Pass, w *write, l link) {
	v := w.model.version()
	if v == nil || l.name != "Where" || len(l.args) == 0 {
		return
	}
	condition, _ := u.text(l.args[0])
	if namesColumn(condition, v.name) || u.hasKey(l.args[0], v.name) {
		u.report(pass, l.args[0], "the plugin compares the version of %s: delete this condition", w.model.name())
	}
}

// namesColumn reports whether a condition asks for a column to equal a parameter.
func namesColumn(condition, name string) bool {
	tokens := tokensOf(condition)
	for i, t := range tokens[:max(0, len(tokens)-2)] {
		if t.isWord && strings.EqualFold(t.text, name) && tokens[i+1].text == "=" && strings.ContainsAny(tokens[i+2].text[:1], "?@$") {
			return true
		}
	}
	return false
}

// hasKey reports whether a map literal has a constant key.
func (u *unit) hasKey(e ast.Expr, name string) bool {
	literal, ok := ast.Unparen(e).(*ast.CompositeLit)
	if !ok {
		return false
	}
	return slices.ContainsFunc(literal.Elts, func(e ast.Expr) bool {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		key, isText := u.text(pair.Key)
		return isText && key == name
	})
}

// reportRows reports comparisons of the number of rows with 0 or 1.
func (u *unit) reportRows(pass *analysis.Pass, w *write) {
	for _, use := range u.resultUses(w.call) {
		sel, ok := u.parent(use).(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "RowsAffected" {
			continue
		}
		comparison, ok := u.parent(sel).(*ast.BinaryExpr)
		if ok && isComparison(comparison.Op) {
			u.report(pass, comparison, "a stale write of %s is an error that matches occ.ErrStaleData: read the error instead of the number of rows", w.model.name())
		}
	}
}

func isComparison(op token.Token) bool {
	switch op {
	case token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ:
		return true
	}
	return false
}

// resultUses are the places where the *gorm.DB of a call is used: the call itself, or the variable that holds it alone.
func (u *unit) resultUses(call *ast.CallExpr) []ast.Expr {
	assignment, ok := u.parent(call).(*ast.AssignStmt)
	if !ok {
		return []ast.Expr{call}
	}
	at := slices.IndexFunc(assignment.Rhs, func(e ast.Expr) bool { return ast.Unparen(e) == call })
	if at < 0 || len(assignment.Lhs) != len(assignment.Rhs) {
		return nil
	}
	v := u.variable(assignment.Lhs[at])
	if _, isIdent := assignment.Lhs[at].(*ast.Ident); !isIdent || v == nil || !u.isLocal(v) || len(u.binding(v).values) != 1 {
		return nil
	}
	var uses []ast.Expr
	for _, use := range u.binding(v).uses {
		uses = append(uses, use)
	}
	return uses
}

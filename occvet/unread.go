package occvet

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

var unread = &analysis.Analyzer{
	Name: "unread",
	Doc: `report writes of versioned models whose error nobody reads

occ refuses a stale write with an error and leaves the row as it is. A program that
does not look at the error takes the refused write for a successful one, and what the
user has entered is gone. The same goes for a write that fails for another reason:

	db.Save(&product)                        // reported
	res := db.Model(&product).Update("stock", 8)
	log.Print(res.RowsAffected)              // reported: res.Error is never read

Read it:

	if err := db.Save(&product).Error; err != nil {
		return err
	}

Reported are Create, Save, FirstOrCreate, the Updates and Deletes of *gorm.DB and of gorm.G,
Append and Replace of versioned rows in association mode, occ.Touch, Verify, Rebase,
Retry and Transaction, db.Transaction whose closure returns the error of such a write,
and calls of functions, in this package or an imported one, that return it. Also in go
and defer statements.

Not reported: an error that is thrown away on purpose, with _ = or n, _ := (see swallow);
calls through an interface or a variable of a function type; a *gorm.DB that is handed
on, stored, or used for another call.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runUnread,
}

func runUnread(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	for _, s := range u.sources() {
		if !u.isUnread(s.call) {
			continue
		}
		if s.write == nil {
			u.report(pass, s.call, "the error of this call is never read: it tells whether a write was refused (%s)", s.what)
			continue
		}
		u.report(pass, s.call, "the error of this write of %s is never read: a write that is refused or fails looks like a successful one", s.what)
	}
	return nil, nil
}

// isUnread reports whether nothing looks at the error of a call: a *gorm.DB has it in a field, other results end with it.
func (u *unit) isUnread(e ast.Expr) bool {
	switch p := u.parent(e).(type) {
	case *ast.ExprStmt, *ast.GoStmt, *ast.DeferStmt:
		return true
	case *ast.SelectorExpr:
		return isDB(u.typeOf(e)) && p.Sel.Name == "RowsAffected"
	case *ast.AssignStmt:
		return isDB(u.typeOf(e)) && u.isUnreadIn(p.Lhs, p.Rhs, e)
	case *ast.ValueSpec:
		names := make([]ast.Expr, len(p.Names))
		for i, name := range p.Names {
			names[i] = name
		}
		return isDB(u.typeOf(e)) && u.isUnreadIn(names, p.Values, e)
	}
	return false
}

// isUnreadIn reports whether the variable that a *gorm.DB is assigned to is only asked for the number of rows.
func (u *unit) isUnreadIn(left, right []ast.Expr, e ast.Expr) bool {
	at := slices.IndexFunc(right, func(r ast.Expr) bool { return ast.Unparen(r) == e })
	if at < 0 || at >= len(left) {
		return false
	}
	id, ok := left[at].(*ast.Ident)
	if !ok || id.Name == "_" {
		return false
	}
	v, ok := u.object(id).(*types.Var)
	if !ok || !u.isLocal(v) || u.isNamedResult(v, e) || !u.binding(v).isOwn && !u.binding(v).isZero {
		return false
	}
	return !slices.ContainsFunc(u.binding(v).uses, func(use *ast.Ident) bool { return use != id && u.looksAtError(use) })
}

// looksAtError reports whether a use of a *gorm.DB may read its error: every use but the number of rows, and an assignment.
func (u *unit) looksAtError(use *ast.Ident) bool {
	switch p := u.parent(use).(type) {
	case *ast.SelectorExpr:
		return p.Sel.Name != "RowsAffected"
	case *ast.AssignStmt:
		return !slices.Contains(p.Lhs, ast.Expr(use))
	}
	return true
}

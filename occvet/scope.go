package occvet

import (
	"go/ast"
	"go/types"
)

// scope is a closure that runs in a transaction.
type scope struct {
	call    *ast.CallExpr
	body    *ast.FuncLit // nil where the function is not written out
	outer   ast.Expr     // the *gorm.DB that begins the transaction
	retries bool         // it may run more than once
}

// newScope reads a call of occ.Retry, occ.Transaction or db.Transaction; nil for other calls.
func (u *unit) newScope(call *ast.CallExpr) *scope {
	f := u.callee(call)
	var s *scope
	switch {
	case isFunction(f, occPath, "Retry") && len(call.Args) >= 3:
		s = &scope{call: call, outer: call.Args[1], body: u.closure(call.Args[2]), retries: true}
	case isFunction(f, occPath, "Transaction") && len(call.Args) >= 2:
		s = &scope{call: call, outer: call.Args[0], body: u.closure(call.Args[1])}
	case isGORM(f) && f.Name() == "Transaction" && len(call.Args) >= 1 && receiver(call) != nil:
		s = &scope{call: call, outer: receiver(call), body: u.closure(call.Args[0])}
	default:
		return nil
	}
	_, s.outer = u.chain(s.outer)
	return s
}

// closure is the function literal that an expression is, or that its variable always holds.
func (u *unit) closure(e ast.Expr) *ast.FuncLit {
	if value := u.origin(e); value != nil {
		e = value
	}
	literal, _ := ast.Unparen(e).(*ast.FuncLit)
	return literal
}

// isSame reports whether two expressions name the same value: a variable, or a field of the same value.
func (u *unit) isSame(a, b ast.Expr) bool {
	a, b = ast.Unparen(a), ast.Unparen(b)
	switch a := a.(type) {
	case *ast.Ident:
		other, ok := b.(*ast.Ident)
		return ok && u.object(a) != nil && u.object(a) == u.object(other)
	case *ast.SelectorExpr:
		other, ok := b.(*ast.SelectorExpr)
		if !ok || u.object(a) == nil || u.object(a) != u.object(other) {
			return false
		}
		if _, isPackage := u.object(a.X).(*types.PkgName); isPackage {
			return true
		}
		return u.isSame(a.X, other.X)
	}
	return false
}

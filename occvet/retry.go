package occvet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

var retry = &analysis.Analyzer{
	Name: "retry",
	Doc: `report what is used in a transaction's closure and belongs outside of it

Two mistakes make the closure of occ.Retry, occ.Transaction and db.Transaction write
something else than it seems to.

The outer *gorm.DB is used instead of the transaction. Its statements run on another
connection: they are not rolled back, do not see what the transaction wrote, and on SQLite
wait for a lock that the transaction itself holds.

	occ.Retry(ctx, db, func(tx *gorm.DB) error {
		return db.Save(&order).Error          // reported: use tx
	})

A model that was loaded outside is written in the closure of occ.Retry. Every attempt
compares with the same old version, so that a write that was refused once is refused
every time:

	db.First(&product, id)
	occ.Retry(ctx, db, func(tx *gorm.DB) error {
		product.Stock--
		return tx.Save(&product).Error        // reported: load it in the closure
	})

Load it with the transaction's *gorm.DB inside the closure. A model that was loaded before occ.Transaction or
db.Transaction is not reported: such a write is compared with what its user has seen.

Not reported: another *gorm.DB than the one that began the transaction; one that is itself
the transaction around a nested one; the outer *gorm.DB in test files, which play another
session; a model that the closure hands to any other call before it writes it, since that
may load it; models that are created, and writes with occ.Expect or occ.Unchecked.`,
	URL:      "https://pkg.go.dev/github.com/gorm-occ/occ/occvet",
	Requires: []*analysis.Analyzer{facts},
	Run:      runRetry,
}

func runRetry(pass *analysis.Pass) (any, error) {
	u := pass.ResultOf[facts].(*unit)
	for _, s := range u.scopes {
		if s.body == nil {
			continue
		}
		if !u.isTest(s.call.Pos()) && !u.isTransaction(s.outer) {
			u.reportOuter(pass, s)
		}
		if s.retries {
			u.reportLoadedOutside(pass, s)
		}
	}
	return nil, nil
}

// isTransaction reports whether a *gorm.DB is the parameter of a closure that runs in a transaction, or came from Begin.
func (u *unit) isTransaction(e ast.Expr) bool {
	if call, ok := ast.Unparen(e).(*ast.CallExpr); ok {
		f := u.callee(call)
		return isGORM(f) && f.Name() == "Begin"
	}
	o := u.object(e)
	return o != nil && slices.ContainsFunc(u.scopes, func(s *scope) bool {
		return s.body != nil && s.body.Type.Params.Pos() <= o.Pos() && o.Pos() < s.body.Type.Params.End()
	})
}

// reportOuter reports statements and calls in a closure that are given the *gorm.DB which began its transaction.
func (u *unit) reportOuter(pass *analysis.Pass, s *scope) {
	if links, root := u.chain(s.outer); root != s.outer || len(links) > 0 || u.object(s.outer) == nil {
		return
	}
	ast.Inspect(s.body.Body, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok || !isDB(u.typeOf(e)) || !u.isSame(e, s.outer) {
			return true
		}
		if u.sends(e) {
			u.report(pass, e, "this is the database outside of the transaction: what is written through it is not rolled back; use %s", parameter(s.body))
		}
		return false
	})
}

// parameter is the name of a closure's own *gorm.DB.
func parameter(body *ast.FuncLit) string {
	for _, field := range body.Type.Params.List {
		for _, name := range field.Names {
			if name.Name != "_" {
				return name.Name
			}
		}
	}
	return "the closure's parameter"
}

// harmless are methods of *gorm.DB that send no statement of the application's.
var harmless = map[string]bool{
	"Name": true, "DB": true, "Use": true, "Callback": true, "ToSQL": true, "Get": true, "Set": true, "InstanceGet": true,
	"Migrator": true, "AddError": true, "Explain": true, "Debug": true,
}

// sends reports whether a *gorm.DB is used for a statement, or handed to something that may send one.
func (u *unit) sends(e ast.Expr) bool {
	switch p := u.parent(e).(type) {
	case *ast.SelectorExpr:
		f, isMethod := u.object(p).(*types.Func)
		return isMethod && isGORM(f) && !harmless[f.Name()]
	case *ast.CallExpr:
		return slices.ContainsFunc(p.Args, func(a ast.Expr) bool { return ast.Unparen(a) == e })
	}
	return false
}

// reportLoadedOutside reports writes of models that every attempt takes as they were before the first one.
func (u *unit) reportLoadedOutside(pass *analysis.Pass, s *scope) {
	for _, w := range u.writes {
		if !within(w.call, s.body) || !u.isCompared(w) || w.target == nil || u.isGiven(w) || u.isSame(w.root, s.outer) {
			continue
		}
		v := u.variable(w.target)
		if v == nil || !u.isLocal(v) || within(v, s.body) || u.isNew(w, v) || u.mayBeLoaded(v, s.body, w.call.Pos()) {
			continue
		}
		u.report(pass, w.call, "%s was loaded outside of the closure: every attempt compares with the same version; load it with %s inside",
			v.Name(), parameter(s.body))
	}
}

// within reports whether a node or object is declared in another node.
func within(inner interface{ Pos() token.Pos }, outer ast.Node) bool {
	return outer.Pos() <= inner.Pos() && inner.Pos() < outer.End()
}

// variable is the variable that an expression is, or is the address of.
func (u *unit) variable(e ast.Expr) *types.Var {
	e = ast.Unparen(e)
	if address, ok := e.(*ast.UnaryExpr); ok {
		e = ast.Unparen(address.X)
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return nil
	}
	v, _ := u.object(id).(*types.Var)
	return v
}

// isNew reports whether a variable holds a row that Save is going to insert, as far as the text shows.
func (u *unit) isNew(w *write, v *types.Var) bool {
	value := u.binding(v).only()
	if value == nil {
		return false
	}
	e := ast.Unparen(value)
	if address, ok := e.(*ast.UnaryExpr); ok {
		e = ast.Unparen(address.X)
	}
	literal, ok := e.(*ast.CompositeLit)
	return ok && len(literal.Elts) > 0 && u.handleOfLiteral(w.model, literal) == typeOnly && w.method == "Save"
}

// mayBeLoaded reports whether the closure sets a variable, or hands it to a call other than a write, before a position.
func (u *unit) mayBeLoaded(v *types.Var, body *ast.FuncLit, before token.Pos) bool {
	return slices.ContainsFunc(u.binding(v).uses, func(id *ast.Ident) bool {
		return within(id, body) && id.Pos() < before && !u.isRead(id) && !u.isFieldSet(id) && !u.isWritten(id)
	})
}

// isFieldSet reports whether a use assigns to a field of the variable.
func (u *unit) isFieldSet(use *ast.Ident) bool {
	sel, ok := u.parent(use).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch p := u.parent(sel).(type) {
	case *ast.AssignStmt:
		return slices.Contains(p.Lhs, ast.Expr(sel))
	case *ast.IncDecStmt:
		return true
	}
	return false
}

// isWritten reports whether a use is the target of a write, which loads nothing.
func (u *unit) isWritten(use *ast.Ident) bool {
	return slices.ContainsFunc(u.writes, func(w *write) bool { return w.target != nil && within(use, w.target) })
}

package occvet

import (
	"go/ast"
	"go/token"
	"go/types"
)

// binding is what a package says of one of its local variables, in the order of the text.
type binding struct {
	values []ast.Expr // what it is set to; nil stands for a value that no expression of its own gives
	isZero bool       // declared without a value
	isOwn  bool       // declared with one of values, not as a parameter
	uses   []*ast.Ident
}

// bind collects the variables of a file.
func (u *unit) bind(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			u.bindAll(n.Lhs, n.Rhs, n.Tok)
		case *ast.ValueSpec:
			u.bindSpec(n)
		case *ast.RangeStmt:
			u.bindAll([]ast.Expr{n.Key, n.Value}, nil, n.Tok)
		case *ast.Ident:
			if o := u.pass.TypesInfo.Uses[n]; o != nil {
				b := u.binding(o)
				b.uses = append(b.uses, n)
			}
		}
		return true
	})
}

func (u *unit) binding(o types.Object) *binding {
	if u.bindings[o] == nil {
		u.bindings[o] = &binding{}
	}
	return u.bindings[o]
}

func (u *unit) bindAll(left, right []ast.Expr, tok token.Token) {
	for i, target := range left {
		id, ok := target.(*ast.Ident)
		if !ok || id == nil || u.pass.TypesInfo.ObjectOf(id) == nil {
			continue
		}
		var value ast.Expr
		if len(left) == len(right) && (tok == token.ASSIGN || tok == token.DEFINE) {
			value = right[i]
		}
		b := u.binding(u.pass.TypesInfo.ObjectOf(id))
		b.values = append(b.values, value)
		b.isOwn = b.isOwn || u.pass.TypesInfo.Defs[id] != nil
	}
}

func (u *unit) bindSpec(spec *ast.ValueSpec) {
	names := make([]ast.Expr, len(spec.Names))
	for i, name := range spec.Names {
		names[i] = name
		if len(spec.Values) == 0 {
			u.binding(u.pass.TypesInfo.ObjectOf(name)).isZero = true
		}
	}
	if len(spec.Values) > 0 {
		u.bindAll(names, spec.Values, token.DEFINE)
	}
}

// origin is the only value that a local variable ever has; nil where it has several, or an unknown one.
func (u *unit) origin(e ast.Expr) ast.Expr {
	id, ok := ast.Unparen(e).(*ast.Ident)
	if !ok {
		return nil
	}
	v, ok := u.pass.TypesInfo.ObjectOf(id).(*types.Var)
	if !ok || !u.isLocal(v) {
		return nil
	}
	b := u.binding(v)
	return b.only()
}

// only is the value that a variable is declared with and keeps; nil where it has several, or an unknown one.
func (b *binding) only() ast.Expr {
	if len(b.values) != 1 || !b.isOwn {
		return nil
	}
	return b.values[0]
}

// isLocal reports whether a variable is one of a function: nobody else can set it.
func (u *unit) isLocal(v *types.Var) bool {
	return v.Pkg() == u.pass.Pkg && !v.IsField() && v.Parent() != u.pass.Pkg.Scope()
}

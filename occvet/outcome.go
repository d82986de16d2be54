package occvet

import (
	"go/ast"
	"go/types"
	"slices"
)

// outcome is the fact that a function returns the error of a write, or the *gorm.DB that has it.
type outcome struct {
	Model string // what is written, for messages
}

// AFact marks outcome as a fact.
func (*outcome) AFact() {}

func (o *outcome) String() string { return "writes " + o.Model }

// source is a call whose result tells how a write ended: the write itself, a function of occ's, or one that hands it on.
type source struct {
	call  *ast.CallExpr
	what  string // is written
	write *write // nil where the call is none itself
}

// collectCalls finds the writes of versioned models, and the closures that run in transactions.
func (u *unit) collectCalls() {
	for _, file := range u.pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if w := u.newWrite(call); w != nil {
				u.writes = append(u.writes, w)
			}
			if s := u.newScope(call); s != nil {
				u.scopes = append(u.scopes, s)
			}
			return true
		})
	}
}

// collectOutcomes finds the functions that return the outcome of a write, again and again until there is no further one.
func (u *unit) collectOutcomes() {
	for found := true; found; {
		found = false
		for _, s := range u.sources() {
			f, ok := u.function(s.call).(*ast.FuncDecl)
			if !ok || !u.isReturned(s.call) {
				continue
			}
			named, _ := u.pass.TypesInfo.Defs[f.Name].(*types.Func)
			if named != nil && u.results[named] == nil {
				u.results[named] = &outcome{s.what}
				u.pass.ExportObjectFact(named, u.results[named])
				found = true
			}
		}
	}
}

// sources are all calls of the package that tell how a write ended.
func (u *unit) sources() []*source {
	var all []*source
	for _, file := range u.pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s := u.newSource(call); s != nil {
					all = append(all, s)
				}
			}
			return true
		})
	}
	return all
}

// telling are the functions of occ whose error is that of a write or a comparison.
var telling = map[string]bool{"Touch": true, "Verify": true, "Rebase": true, "Retry": true, "Transaction": true}

func (u *unit) newSource(call *ast.CallExpr) *source {
	if w := u.writeOf(call); w != nil {
		return &source{call, w.model.name(), w}
	}
	if what := u.linked(call); what != "" {
		return &source{call: call, what: what}
	}
	f := u.callee(call)
	if f == nil {
		return nil
	}
	if telling[f.Name()] && isFunction(f, occPath, f.Name()) {
		return &source{call: call, what: "occ." + f.Name()}
	}
	if what := u.returnedByClosure(call); what != "" {
		return &source{call: call, what: what}
	}
	if o := u.outcomeOf(f); o != nil {
		return &source{call: call, what: o.Model}
	}
	return nil
}

func (u *unit) writeOf(call *ast.CallExpr) *write {
	at := slices.IndexFunc(u.writes, func(w *write) bool { return w.call == call })
	if at < 0 {
		return nil
	}
	return u.writes[at]
}

// linked is the model of which rows are linked by Association(...).Append or Replace; "" for other calls.
func (u *unit) linked(call *ast.CallExpr) string {
	f := u.callee(call)
	if f == nil || f.Name() != "Append" && f.Name() != "Replace" || f.Signature().Recv() == nil ||
		!isNamed(deref(f.Signature().Recv().Type()), gormPath, "Association") {
		return ""
	}
	for _, argument := range call.Args {
		if m := u.model(u.typeOf(argument)); m != nil {
			return m.name()
		}
	}
	return ""
}

// returnedByClosure is what the closure of db.Transaction writes, if it returns the outcome; else "".
func (u *unit) returnedByClosure(call *ast.CallExpr) string {
	at := slices.IndexFunc(u.scopes, func(s *scope) bool { return s.call == call && s.body != nil })
	if at < 0 {
		return ""
	}
	body, what := u.scopes[at].body, ""
	ast.Inspect(body.Body, func(n ast.Node) bool {
		inner, ok := n.(*ast.CallExpr)
		if !ok || what != "" || u.function(inner) != body {
			return true
		}
		if s := u.newSource(inner); s != nil && u.isReturned(inner) {
			what = s.what
		}
		return true
	})
	return what
}

// outcomeOf is what a function of this package or an imported one is known to return.
func (u *unit) outcomeOf(f *types.Func) *outcome {
	f = f.Origin()
	if o := u.results[f]; o != nil {
		return o
	}
	if o := new(outcome); f.Pkg() != u.pass.Pkg && u.pass.ImportObjectFact(f, o) {
		return o
	}
	return nil
}

// isReturned reports whether a value, or the error in it, gets into a return statement of its function, on its way through
// calls such as fmt.Errorf and through variables.
func (u *unit) isReturned(e ast.Expr) bool { return u.flows(e, map[types.Object]bool{}) }

func (u *unit) flows(n ast.Node, seen map[types.Object]bool) bool {
	switch p := u.parent(n).(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.SelectorExpr:
		return p.Sel.Name != "RowsAffected" && u.flows(p, seen)
	case *ast.CallExpr:
		return isErrorOrDB(u.typeOf(p)) && u.flows(p, seen)
	case *ast.AssignStmt:
		return u.flowsByVariable(p.Lhs, p.Rhs, n, seen)
	case *ast.ValueSpec:
		names := make([]ast.Expr, len(p.Names))
		for i, name := range p.Names {
			names[i] = name
		}
		return u.flowsByVariable(names, p.Values, n, seen)
	}
	return false
}

func (u *unit) flowsByVariable(left, right []ast.Expr, n ast.Node, seen map[types.Object]bool) bool {
	for i, target := range left {
		if len(left) == len(right) && ast.Unparen(right[i]) != n && right[i] != n {
			continue
		}
		o := u.object(target)
		if o == nil || seen[o] {
			continue
		}
		if _, isIdent := target.(*ast.Ident); !isIdent || !isErrorOrDB(o.Type()) {
			continue
		}
		seen[o] = true
		if u.isNamedResult(o, n) || slices.ContainsFunc(u.binding(o).uses, func(use *ast.Ident) bool { return u.flows(use, seen) }) {
			return true
		}
	}
	return false
}

// isErrorOrDB reports whether a type can hold the outcome of a write.
func isErrorOrDB(t types.Type) bool {
	return t != nil && (isDB(t) || types.Identical(t, types.Universe.Lookup("error").Type()))
}

// isNamedResult reports whether a variable is a result of the function around n.
func (u *unit) isNamedResult(o types.Object, n ast.Node) bool {
	var t *ast.FuncType
	switch f := u.function(n).(type) {
	case *ast.FuncDecl:
		t = f.Type
	case *ast.FuncLit:
		t = f.Type
	}
	return t != nil && t.Results != nil && t.Results.Pos() <= o.Pos() && o.Pos() < t.Results.End()
}

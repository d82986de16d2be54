package occvet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// link is one call of a chain such as db.Model(&m).Where(...).
type link struct {
	name string
	args []ast.Expr
}

// write is a call of GORM's that writes rows of a versioned model.
type write struct {
	call      *ast.CallExpr
	method    string
	args      []ast.Expr // of the call, without a context
	links     []link     // the calls before it, from the root on
	root      ast.Expr   // what the chain starts with
	target    ast.Expr   // the value that is written, or whose type says which table; nil where a type argument does
	model     *model
	isGeneric bool // gorm.G: its results end with an error
}

// handle is what a program has of the row that it writes.
type handle int

const (
	held     handle = iota // a value that may have been loaded
	typeOnly               // &T{}: nothing but the type
	keyOnly                // &T{ID: id}: the key, and no version
)

var writing = map[string]bool{
	"Create": true, "CreateInBatches": true, "Save": true, "FirstOrCreate": true, "Update": true, "Updates": true,
	"UpdateColumn": true, "UpdateColumns": true, "Delete": true,
}

// isUpdate reports whether the write sets columns of rows that are there.
func (w *write) isUpdate() bool {
	switch w.method {
	case "Update", "Updates", "UpdateColumn", "UpdateColumns":
		return true
	}
	return false
}

// isSingle reports whether the write is an UPDATE or DELETE, and not an insert under some condition.
func (w *write) isSingle() bool { return w.isUpdate() || w.method == "Delete" }

var chained = map[string]bool{
	"DB": true, "Interface": true, "CreateInterface": true, "ChainInterface": true,
	"SetUpdateOnlyInterface": true, "SetCreateOrUpdateInterface": true,
}

// isGORM reports whether f is a method of *gorm.DB or of what gorm.G returns.
func isGORM(f *types.Func) bool {
	if f == nil || f.Pkg() == nil || f.Pkg().Path() != gormPath || f.Signature().Recv() == nil {
		return false
	}
	named, ok := types.Unalias(deref(f.Signature().Recv().Type())).(*types.Named)
	return ok && chained[named.Obj().Name()]
}

// isDB reports whether a type is *gorm.DB.
func isDB(t types.Type) bool {
	return t != nil && isNamed(deref(t), gormPath, "DB")
}

// chain takes a chain of calls apart, through variables that hold a part of it.
func (u *unit) chain(e ast.Expr) (links []link, root ast.Expr) {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		if value := u.origin(e); value != nil && u.isChain(value) {
			return u.chain(value)
		}
		return nil, e
	}
	f := u.callee(call)
	switch {
	case isFunction(f, gormPath, "G"):
		links, root = u.chain(call.Args[0])
		return append(links, link{"G", call.Args[1:]}), root
	case !isGORM(f) || receiver(call) == nil:
		return nil, e
	}
	links, root = u.chain(receiver(call))
	return append(links, link{f.Name(), call.Args}), root
}

func (u *unit) isChain(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	f := u.callee(call)
	return isGORM(f) || isFunction(f, gormPath, "G")
}

// receiver is the value that a method is called on.
func receiver(call *ast.CallExpr) ast.Expr {
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		return sel.X
	}
	return nil
}

// newWrite reads a call as a write of a versioned model; nil where it is none.
func (u *unit) newWrite(call *ast.CallExpr) *write {
	f := u.callee(call)
	if !isGORM(f) || !writing[f.Name()] || receiver(call) == nil {
		return nil
	}
	w := &write{call: call, method: f.Name(), args: call.Args}
	w.links, w.root = u.chain(receiver(call))
	if !isDB(u.typeOf(receiver(call))) {
		w.isGeneric = true
		w.args = call.Args[min(1, len(call.Args)):]
		w.model = u.model(typeArgument(u.typeOf(receiver(call))))
	} else {
		w.target = w.written()
		if w.target != nil {
			w.model = u.model(u.typeOf(w.target))
		}
	}
	if w.model == nil || u.isDry(w) {
		return nil
	}
	return w
}

// isDry reports whether a write only shows its SQL.
func (u *unit) isDry(w *write) bool {
	isDry := slices.ContainsFunc(w.links, func(l link) bool { return l.name == "Session" && len(l.args) == 1 && u.setsDryRun(l.args[0]) })
	closure, ok := u.function(w.call).(*ast.FuncLit)
	if !ok {
		return isDry
	}
	around, ok := u.parent(closure).(*ast.CallExpr)
	return isDry || ok && isGORM(u.callee(around)) && u.callee(around).Name() == "ToSQL"
}

func (u *unit) setsDryRun(session ast.Expr) bool {
	names, values, _ := u.pairsOf(session)
	at := slices.Index(names, "DryRun")
	return at >= 0 && u.object(values[at]) == types.Universe.Lookup("true")
}

// typeArgument is T of gorm.ChainInterface[T] and the like.
func typeArgument(t types.Type) types.Type {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.TypeArgs().Len() == 0 {
		return nil
	}
	return named.TypeArgs().At(0)
}

// written is the value that says what is written: that of Model, or the argument of the write itself.
func (w *write) written() ast.Expr {
	if w.method != "Delete" && w.method != "Save" {
		for _, l := range slices.Backward(w.links) {
			if l.name == "Model" && len(l.args) == 1 {
				return l.args[0]
			}
		}
	}
	switch w.method {
	case "Update", "UpdateColumn":
		return nil
	}
	if len(w.args) == 0 {
		return nil
	}
	return w.args[0]
}

// has reports whether a link of one of the names is in the chain.
func (w *write) has(names ...string) bool {
	return slices.ContainsFunc(w.links, func(l link) bool { return slices.Contains(names, l.name) })
}

// hasConditions reports whether the caller adds conditions of its own.
func (w *write) hasConditions() bool {
	return w.has("Where", "Or", "Not", "Scopes", "Joins", "InnerJoins", "Limit", "Having") ||
		w.method == "Delete" && !w.isGeneric && len(w.args) > 1
}

// clauses are what is given in Clauses and as options of gorm.G.
func (w *write) clauses() []ast.Expr {
	var all []ast.Expr
	for _, l := range w.links {
		if l.name == "Clauses" || l.name == "G" {
			all = append(all, l.args...)
		}
	}
	return all
}

// isGiven reports whether a clause says what to compare with, or may do so: a clause that comes from elsewhere may be any.
func (u *unit) isGiven(w *write) bool {
	return slices.ContainsFunc(w.clauses(), func(e ast.Expr) bool {
		t := deref(u.typeOf(e))
		named, ok := types.Unalias(t).(*types.Named)
		return !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != gormPath+"/clause" || types.IsInterface(t)
	}) || w.has("Scopes")
}

// handle says what the program has of the row.
func (u *unit) handle(w *write) handle {
	if w.isGeneric {
		return typeOnly
	}
	if w.target == nil {
		return held
	}
	return u.handleOf(w.model, w.target, w.call.Pos())
}

func (u *unit) handleOf(m *model, e ast.Expr, at token.Pos) handle {
	e = ast.Unparen(e)
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return u.handleOf(m, e.X, at)
	case *ast.CompositeLit:
		return u.handleOfLiteral(m, e)
	case *ast.CallExpr:
		if id, ok := ast.Unparen(e.Fun).(*ast.Ident); ok && u.pass.TypesInfo.Uses[id] == types.Universe.Lookup("new") {
			return typeOnly
		}
	case *ast.Ident:
		return u.handleOfVariable(m, e, at)
	}
	return held
}

// handleOfVariable looks at how a local variable came to be, and whether anything else can have filled it before at.
func (u *unit) handleOfVariable(m *model, id *ast.Ident, at token.Pos) handle {
	v, ok := u.pass.TypesInfo.ObjectOf(id).(*types.Var)
	if !ok || !u.isLocal(v) {
		return held
	}
	b := u.binding(v)
	for _, use := range b.uses {
		if use.Pos() < at && use != id && !u.isRead(use) {
			return held
		}
	}
	switch {
	case b.isZero && len(b.values) == 0 && !isPointer(v.Type()):
		return u.ofStruct(v.Type())
	case b.only() != nil:
		if _, isVariable := ast.Unparen(b.only()).(*ast.Ident); !isVariable {
			return u.handleOf(m, b.only(), at)
		}
	}
	return held
}

// ofStruct is what the zero value of a type says of a row; a list that is empty says nothing.
func (u *unit) ofStruct(t types.Type) handle {
	if _, isStruct := t.Underlying().(*types.Struct); isStruct {
		return typeOnly
	}
	return held
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

// isRead reports whether a use of a variable only reads one of its fields.
func (u *unit) isRead(use *ast.Ident) bool {
	sel, ok := u.parent(use).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if _, isVar := u.pass.TypesInfo.ObjectOf(sel.Sel).(*types.Var); !isVar {
		return false
	}
	switch p := u.parent(sel).(type) {
	case *ast.AssignStmt:
		return !slices.Contains(p.Lhs, ast.Expr(sel))
	case *ast.UnaryExpr:
		return p.Op != token.AND
	case *ast.IncDecStmt, *ast.SelectorExpr:
		return false
	}
	return true
}

func (u *unit) handleOfLiteral(m *model, literal *ast.CompositeLit) handle {
	if named := namedStruct(u.typeOf(literal)); named != m.named || !types.Identical(deref(u.typeOf(literal)), named) {
		return held // a list
	}
	if len(literal.Elts) == 0 {
		return typeOnly
	}
	hasKey, hasVersion, known := u.fieldsOf(m, literal)
	switch {
	case !known || hasVersion:
		return held
	case hasKey:
		return keyOnly
	}
	return typeOnly
}

// fieldsOf looks for the key and the version among the fields that a literal sets, in embedded structs too.
func (u *unit) fieldsOf(m *model, literal *ast.CompositeLit) (hasKey, hasVersion, known bool) {
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return false, false, false
		}
		name := pair.Key.(*ast.Ident).Name
		inner, isLiteral := ast.Unparen(pair.Value).(*ast.CompositeLit)
		field, _ := u.pass.TypesInfo.ObjectOf(pair.Key.(*ast.Ident)).(*types.Var)
		switch {
		case m.isKey(name):
			hasKey = true
		case m.version() != nil && m.version().field == field, field != nil && isNamed(deref(field.Type()), occPath, "Snapshot"):
			hasVersion = true
		case field != nil && field.Embedded() && isLiteral:
			key, version, isKnown := u.fieldsOf(m, inner)
			hasKey, hasVersion = hasKey || key, hasVersion || version
			if !isKnown {
				return false, false, false
			}
		case field != nil && field.Embedded():
			return false, false, false
		}
	}
	return hasKey, hasVersion, true
}

// isCompared reports whether occ compares the write with a version.
func (u *unit) isCompared(w *write) bool {
	if w.isSingle() {
		return u.isGiven(w) || u.handle(w) != typeOnly
	}
	return w.method == "Save"
}

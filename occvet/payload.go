package occvet

import (
	"go/ast"
	"go/types"
	"slices"
)

// pairs are the names and values that an update sets, as far as they are written out; known tells whether they all are.
func (u *unit) pairs(w *write) (names []string, values []ast.Expr, known bool) {
	switch w.method {
	case "Update", "UpdateColumn":
		if len(w.args) != 2 {
			return nil, nil, false
		}
		name, isText := u.text(w.args[0])
		return []string{name}, w.args[1:], isText
	case "Updates", "UpdateColumns":
		if len(w.args) == 1 {
			return u.pairsOf(w.args[0])
		}
	}
	return nil, nil, false
}

// pairsOf are the keys and values of a map or struct that is written out.
func (u *unit) pairsOf(e ast.Expr) (names []string, values []ast.Expr, known bool) {
	if address, ok := ast.Unparen(e).(*ast.UnaryExpr); ok {
		e = address.X
	}
	literal, ok := ast.Unparen(e).(*ast.CompositeLit)
	if !ok {
		return nil, nil, false
	}
	known = true
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return nil, nil, false
		}
		name, isText := u.text(pair.Key)
		if id, isIdent := pair.Key.(*ast.Ident); isIdent && !isText {
			_, isField := u.object(id).(*types.Var)
			name, isText = id.Name, isField
		}
		names, values, known = append(names, name), append(values, pair.Value), known && isText
	}
	return names, values, known
}

// paysVersion reports whether the payload has a version, or may have one: a value that is not written out may hold any column.
func (u *unit) paysVersion(w *write) bool {
	if !w.isUpdate() {
		return false
	}
	names, _, known := u.pairs(w)
	for _, name := range names {
		if w.model.isVersionName(name) {
			return true
		}
	}
	return !known && u.mayHaveVersion(w)
}

// mayHaveVersion reports whether a payload that is not written out can have the version: a map can, and a struct that has such a field.
func (u *unit) mayHaveVersion(w *write) bool {
	if len(w.args) != 1 {
		return false
	}
	named := namedStruct(u.typeOf(w.args[0]))
	if named == nil {
		return true
	}
	for _, c := range modelOf(named).columns {
		if w.model.isVersionName(c.name) || w.model.isVersionName(c.field.Name()) {
			return true
		}
	}
	return false
}

// paysExpressions reports whether all that is set are SQL expressions, which the row as it is now goes into.
func (u *unit) paysExpressions(w *write) bool {
	_, values, known := u.pairs(w)
	for _, value := range values {
		if !u.isExpression(value) {
			return false
		}
	}
	return known && len(values) > 0
}

// isUncounted reports whether all that is set are columns that move no version: such a write is not compared.
func (u *unit) isUncounted(w *write) bool {
	names, _, known := u.pairs(w)
	free := w.model.unversioned()
	return known && len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		return !slices.Contains(free, name) && !slices.Contains(free, naming.ColumnName("", name))
	})
}

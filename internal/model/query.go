package model

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Holds reports whether target is a model, or a slice of models or of pointers to them.
func (m *Model) Holds(target reflect.Value) bool {
	if !target.IsValid() {
		return false
	}
	return ElementType(target.Type()) == m.ModelType
}

// ElementType returns the type of what is in a slice or an array, or of what is not in one, without pointers.
func ElementType(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func IsPlainTable(stmt *gorm.Statement) bool {
	return stmt.TableExpr == nil || len(stmt.TableExpr.Vars) == 0 && !strings.ContainsAny(stmt.TableExpr.SQL, "(,")
}

func IsPlainFrom(stmt *gorm.Statement) bool {
	c, ok := stmt.Clauses["FROM"]
	if !ok || c.Expression == nil {
		return true
	}
	from, ok := c.Expression.(clause.From)
	return ok && len(from.Joins) == 0 && len(from.Tables) == 0
}

// SelectsColumns reports whether a query selects columns alone. A computed value may be an aggregate's.
func SelectsColumns(stmt *gorm.Statement) bool {
	if c, ok := stmt.Clauses["SELECT"]; ok && c.Expression != nil {
		given, ok := c.Expression.(clause.Select)
		if !ok || given.Distinct || given.Expression != nil || !allColumns(stmt, given.Columns) {
			return false
		}
	}
	for _, selected := range stmt.Selects {
		for name := range strings.SplitSeq(selected, ",") {
			if !isColumn(stmt, name) {
				return false
			}
		}
	}
	return true
}

func allColumns(stmt *gorm.Statement, columns []clause.Column) bool {
	for _, column := range columns {
		if !isColumn(stmt, column.Name) {
			return false
		}
	}
	return true
}

// isColumn reports whether a text is a column of the model, or all of them, under its own name, quoted or not, with its
// table or without.
func isColumn(stmt *gorm.Statement, name string) bool {
	name = strings.Trim(name[strings.LastIndexByte(name, '.')+1:], "\"`[] \t\n")
	return name == "*" || stmt.Schema.LookUpField(name) != nil
}

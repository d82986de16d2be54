package clauses

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Prefixed is an expression behind a word.
type Prefixed struct {
	Word       string
	Expression clause.Expression
}

func (p Prefixed) Build(builder clause.Builder) {
	_, _ = builder.WriteString(p.Word)
	p.Expression.Build(builder)
}

// Expressions stand one behind the other.
type Expressions []clause.Expression

func (es Expressions) Build(builder clause.Builder) {
	for i, e := range es {
		if i > 0 {
			_ = builder.WriteByte(' ')
		}
		e.Build(builder)
	}
}

// IsExpression reports whether the database computes the value: it says nothing of what the write is based on.
func IsExpression(value any) bool {
	switch value.(type) {
	case clause.Expression, clause.Column, *gorm.DB, gorm.Valuer:
		return true
	}
	return false
}

type FurtherAssignments clause.Set

func (a FurtherAssignments) Build(builder clause.Builder) {
	if len(a) == 0 {
		return
	}
	_ = builder.WriteByte(',')
	clause.Set(a).Build(builder)
}

// Group is conditions in parentheses. GORM puts some only where it sees an OR in the text.
type Group struct{ Conditions []clause.Expression }

func (g Group) Build(builder clause.Builder) {
	_ = builder.WriteByte('(')
	clause.Where{Exprs: append([]clause.Expression(nil), g.Conditions...)}.Build(builder)
	_ = builder.WriteByte(')')
}

// WriteEq writes what clause.Eq does. A value that stands in a slice already costs no allocation.
func WriteEq(builder clause.Builder, column any, value []any) {
	switch value[0].(type) {
	case int, int32, int64, uint, uint32, uint64, string:
		builder.WriteQuoted(column)
		_, _ = builder.WriteString(" = ")
		builder.AddVar(builder, value...)
	default:
		clause.Eq{Column: column, Value: value[0]}.Build(builder)
	}
}

// Set is the SET of a statement. It says what a clause.Set says, without the two allocations that one costs for
// each column.
type Set struct {
	Stmt  *gorm.Statement
	Set   clause.Set
	value [1]any
}

// Build writes the assignments.
func (s *Set) Build(builder clause.Builder) {
	if len(s.Set) == 0 {
		s.Set.Build(builder)
		return
	}
	for i := range s.Set {
		if i > 0 {
			_ = builder.WriteByte(',')
		}
		s.quote(builder, &s.Set[i].Column)
		_ = builder.WriteByte('=')
		s.value[0] = s.Set[i].Value
		builder.AddVar(builder, s.value[:]...)
	}
}

func (s *Set) quote(builder clause.Builder, column *clause.Column) {
	if isNameAlone := *column == (clause.Column{Name: column.Name}) && column.Name != clause.PrimaryKey; isNameAlone {
		s.Stmt.DB.Dialector.QuoteTo(builder, column.Name)
		return
	}
	builder.WriteQuoted(*column)
}

// AnyOf is conditions of which one has to hold, in parentheses.
type AnyOf []clause.Expression

func (a AnyOf) Build(builder clause.Builder) {
	_ = builder.WriteByte('(')
	for i, condition := range a {
		if i > 0 {
			_, _ = builder.WriteString(" OR ")
		}
		condition.Build(builder)
	}
	_ = builder.WriteByte(')')
}

// ByIndex has a statement, a query or an UPDATE, use an index.
type ByIndex struct{ Index clause.Expression }

func (b ByIndex) ModifyStatement(stmt *gorm.Statement) {
	for _, name := range []string{"FROM", "UPDATE"} {
		c := stmt.Clauses[name]
		c.AfterExpression = b.Index
		stmt.Clauses[name] = c
	}
}

// Build writes nothing.
func (ByIndex) Build(clause.Builder) {}

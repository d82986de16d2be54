package occ

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// setClause is the SET of a statement. It says what a clause.Set says, without the two allocations that one costs for
// each column.
type setClause struct {
	stmt  *gorm.Statement
	set   clause.Set
	value [1]any
}

// Build writes the assignments.
func (s *setClause) Build(builder clause.Builder) {
	if len(s.set) == 0 {
		s.set.Build(builder)
		return
	}
	for i := range s.set {
		if i > 0 {
			_ = builder.WriteByte(',')
		}
		s.quote(builder, &s.set[i].Column)
		_ = builder.WriteByte('=')
		s.value[0] = s.set[i].Value
		builder.AddVar(builder, s.value[:]...)
	}
}

func (s *setClause) quote(builder clause.Builder, column *clause.Column) {
	if isNameAlone := *column == (clause.Column{Name: column.Name}) && column.Name != clause.PrimaryKey; isNameAlone {
		s.stmt.DB.Dialector.QuoteTo(builder, column.Name)
		return
	}
	builder.WriteQuoted(*column)
}

package intent

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Touch is the switch of a write that sets the version alone. It travels in the statement's clauses.
type Touch struct {
	Indexes []int // of the models among those of the call; nil if they are the same
}

const TouchClause = "occ:touch"

func (t *Touch) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[TouchClause] = clause.Clause{Expression: t}
}

// Build writes nothing: the write that finds the switch acts on it.
func (*Touch) Build(clause.Builder) {}

func (t *Touch) IndexOf(i int) int {
	if t == nil || i >= len(t.Indexes) {
		return i
	}
	return t.Indexes[i]
}

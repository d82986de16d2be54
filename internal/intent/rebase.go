package intent

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/session"
)

// Rebase is the switch of a Rebase whose result the caller copies into another model.
type Rebase struct {
	Into any // a pointer to that model: a rollback puts its version back, as it does that of mine
}

const rebaseClause = "occ:rebase"

// In returns a session for one Rebase. That of the caller stays as it is.
func (r Rebase) In(db *gorm.DB) *gorm.DB { return session.Own(db).Clauses(r) }

// RebaseOf returns the switch of a statement; the zero value where it has none.
func RebaseOf(stmt *gorm.Statement) Rebase {
	r, _ := stmt.Clauses[rebaseClause].Expression.(Rebase)
	return r
}

func (r Rebase) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[rebaseClause] = clause.Clause{Expression: r}
}

// Build writes nothing.
func (Rebase) Build(clause.Builder) {}

package intent

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/gorm-occ/occ/internal/session"
)

// Rebase is the switch of a Rebase for a form: it knows more than the models say.
type Rebase struct {
	Into    any             // a pointer to the model that the result is copied into: a rollback puts its version back, as it does that of mine
	Entered map[string]bool // the columns of mine that count; nil are all
}

const rebaseClause = "occ:rebase"

// In returns a session for one Rebase. That of the caller stays as it is.
func (r Rebase) In(db *gorm.DB) *gorm.DB { return session.Own(db).Clauses(r) }

// RebaseOf returns the switch of a statement; the zero value where it has none.
func RebaseOf(stmt *gorm.Statement) Rebase {
	r, _ := stmt.Clauses[rebaseClause].Expression.(Rebase)
	return r
}

// IsAbout reports whether mine has something to say of a column.
func (r Rebase) IsAbout(column string) bool { return r.Entered == nil || r.Entered[column] }

func (r Rebase) ModifyStatement(stmt *gorm.Statement) {
	stmt.Clauses[rebaseClause] = clause.Clause{Expression: r}
}

// Build writes nothing.
func (Rebase) Build(clause.Builder) {}
